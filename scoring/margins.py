"""What a model's margin means, in words: the API's name for it, its unit, what an addition does."""

import math
from dataclasses import dataclass
from typing import Final

from scoring import figures


@dataclass(frozen=True, slots=True)
class MarginWords:
    """`base`: what one more of the margin multiplies the unit by; None where it adds to it."""

    space: str
    unit: str
    base: float | None

    @property
    def sign(self) -> str:
        """Heads a column of weights."""
        return "+" if self.base is None else "\u00d7"

    @property
    def effect(self) -> str:
        """What a weight does, as the beginning of a sentence."""
        return f"{'Adds to' if self.base is None else 'Multiplies'} the {self.unit}"

    def weight(self, amount: float) -> str:
        """An addition to the margin, as people read it."""
        if self.base is None:
            return figures.addition(amount)
        return figures.factor(amount, base=self.base)


WORDS: Final = {
    "logit": MarginWords("log_odds", "odds", math.e),
    "isolation": MarginWords("log2_anomaly_score", "anomaly score", 2.0),
    "ratio": MarginWords("times_typical", "distance from usual (typical = 1)", None),
    "share": MarginWords("vote_share", "share of votes", None),
}
"""By link; see scoring.core.inference.score_of."""

LINK_OF: Final = {
    "isolation_forest": "isolation",
    "one_class_svm": "isolation",
    "autoencoder": "ratio",
    "ecod": "ratio",
    "random_forest": "share",
}
"""The link of a learner whose bundle is gone; of any other it is `logit`."""


def margin_within(score: float, link: str) -> float:
    """The margin of a score, which is kept a little away from 0 and 1."""
    within = min(max(score, 1e-9), 1.0 - 1e-9)
    if link == "isolation":
        return math.log2(within)
    if link == "share":
        return within
    odds = within / (1.0 - within)
    return odds if link == "ratio" else math.log(odds)
