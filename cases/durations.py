"""Classes of durations that can be added up, and quantiles of what was counted in them. No Django.

Each class is a tenth longer than the one before: a quantile is right to within five percent.
"""

import math
from collections.abc import Mapping
from typing import Final

GROWTH: Final = 1.1
_LOG: Final = math.log(GROWTH)


def bucket_of(seconds: float) -> int:
    """The class of a duration; under a second counts as one second."""
    return int(math.log(max(seconds, 1.0)) / _LOG + 1e-9)


def seconds_of(bucket: int) -> float:
    """The duration in the middle of a class, in seconds."""
    return math.pow(GROWTH, bucket + 0.5)


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """Seconds below which `share` (0 to 1) of the durations lie; None when there are none."""
    total = sum(counts.values())
    if total <= 0:
        return None
    wanted, seen = share * total, 0
    for bucket in sorted(counts):
        seen += counts[bucket]
        if seen >= wanted and counts[bucket]:
            return seconds_of(bucket)
    return seconds_of(max(counts))
