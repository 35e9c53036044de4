"""Who had people look at an event, as codes in arrays."""

from typing import Final

NOT_SELECTED: Final = 0
SELECTED: Final = 1
"""For a reason: by the model, a rule or screening; surely looked at."""
AUDITED: Final = 2
"""Drawn at random from what was approved, with a known chance."""
