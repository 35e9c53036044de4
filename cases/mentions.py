"""Who a comment speaks to: `@name` anywhere in its text. No Django.

A name is one that a user may have (letters, digits, `_ . + -`, and `@` within), after an `@` that
no letter or digit precedes: an e-mail address mentions nobody. Whether such a user exists, and may
see what is commented on, is for the caller to find out.
"""

import re
from typing import Final

MOST_MENTIONS: Final = 20
"""More would be a mailing."""
_MENTION: Final = re.compile(r"(?<![\w@.+-])@(\w[\w.+@-]*)")
_TRAILING: Final = ".-+@"
"""Ends a sentence more often than a name."""


def mentioned_names(text: str) -> list[str]:
    """The names that a text mentions, in their order, each once; at most MOST_MENTIONS.

    A name that ends with punctuation is given without it.
    """
    found = (match.rstrip(_TRAILING) for match in _MENTION.findall(text))
    return list(dict.fromkeys(name for name in found if name))[:MOST_MENTIONS]
