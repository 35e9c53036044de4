"""When people act: an hour-of-week profile per archetype and time zone.

The crowd is an inhomogeneous Poisson process.  A member has an activity (events per day), an
archetype and a zone; members that share the last two form a group, and the intensity of a group in
an hour is its summed activity times the profile of that local hour.  Times come first, members
second, so that the same crowd can fill any history and any live rate.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.simulation.draws import Floats
from scoring.simulation.geography import HOUR_MS, ZONES, offset_minutes

ARCHETYPES: Final = ("office", "early bird", "evening shopper", "weekender", "night owl")
ARCHETYPE_SHARES: Final = (0.38, 0.18, 0.24, 0.14, 0.06)
WEEKEND_LIE_IN: Final = 1.6  # hours by which weekend mornings are later
# Bumps as (hour, width in hours, height); weekday weights Monday..Sunday.
_BUMPS: Final = (
    ((8.0, 1.2, 0.7), (12.6, 1.3, 1.2), (18.3, 1.8, 1.4)),
    ((6.8, 1.3, 1.3), (10.5, 2.0, 1.0), (16.0, 2.2, 0.7)),
    ((12.5, 1.8, 0.5), (19.0, 1.8, 1.3), (21.4, 1.6, 1.1)),
    ((11.5, 2.4, 1.2), (16.0, 2.6, 1.3), (20.0, 1.8, 0.6)),
    ((14.5, 2.6, 0.6), (21.5, 2.0, 1.0), (25.0, 2.2, 0.9)),
)
_WEEKDAYS: Final = (
    (1.00, 1.00, 1.03, 1.06, 1.22, 1.00, 0.68),
    (1.02, 1.00, 1.00, 1.02, 1.08, 1.10, 0.78),
    (0.92, 0.94, 0.96, 1.02, 1.22, 1.18, 0.86),
    (0.62, 0.62, 0.66, 0.74, 1.10, 1.85, 1.42),
    (0.80, 0.82, 0.88, 1.00, 1.32, 1.36, 0.84),
)


def week_profiles() -> Floats:
    """Relative intensity, shape (archetypes, 168), mean 1 per row; hour 0 is Monday 00:00 local."""
    hours = np.arange(24) + 0.5
    rows = []
    for bumps, weights in zip(_BUMPS, _WEEKDAYS, strict=True):
        days = []
        for weekday, weight in enumerate(weights):
            day = np.full(24, 0.012)
            for centre, width, height in bumps:
                late = WEEKEND_LIE_IN if weekday >= 5 and centre < 13.0 else 0.0
                gap = np.abs(hours - (centre + late) % 24)
                gap = np.minimum(gap, 24 - gap)
                day += height * np.exp(-0.5 * (gap / width) ** 2)
            days.append(weight * day)
        week = np.concatenate(days)
        rows.append(week / week.mean())
    return np.stack(rows)


WEEK: Final = week_profiles()


def hour_of_week(t_ms: NDArray[Any], offset: NDArray[Any]) -> NDArray[np.int64]:
    """Local hour of the week, 0..167; the epoch was a Thursday."""
    local_hours = (t_ms + offset * 60_000) // HOUR_MS
    return np.asarray((local_hours + 3 * 24) % 168, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Crowd:
    """Members ordered by group.  `activity` is events per day; `cumulative` its running sum."""

    activity: Floats
    cumulative: Floats
    group_archetype: NDArray[np.int64]
    group_zone: NDArray[np.int64]
    group_end: NDArray[np.int64]

    @staticmethod
    def order(archetype: NDArray[np.int64], zone: NDArray[np.int64]) -> NDArray[np.int64]:
        """The order in which members must be stored so that groups are contiguous."""
        return np.lexsort((zone, archetype))

    @classmethod
    def build(
        cls, activity: Floats, archetype: NDArray[np.int64], zone: NDArray[np.int64]
    ) -> "Crowd":
        """Members must come in the order given by `order`."""
        code = archetype * len(ZONES) + zone
        codes, counts = np.unique(code, return_counts=True)
        return cls(
            activity=activity,
            cumulative=np.cumsum(activity),
            group_archetype=codes // len(ZONES),
            group_zone=codes % len(ZONES),
            group_end=np.cumsum(counts),
        )

    def group_intensity(self, hours: NDArray[np.int64]) -> Floats:
        """Expected events per (group, epoch hour)."""
        groups = len(self.group_zone)
        zones = np.repeat(self.group_zone, len(hours))
        times = np.tile(hours * HOUR_MS, groups)
        local = hour_of_week(times, offset_minutes(zones, times)).reshape(groups, -1)
        edges = np.concatenate([[0.0], self.cumulative[self.group_end - 1]])
        mass = np.diff(edges)[:, None] / 24.0
        return np.asarray(mass * WEEK[self.group_archetype[:, None], local])

    def draw(self, t_ms: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """A member for each time, by the intensities of that hour."""
        if t_ms.size == 0:
            return np.zeros(0, dtype=np.int64)
        hours, inverse = np.unique(t_ms // HOUR_MS, return_inverse=True)
        running = np.cumsum(self.group_intensity(hours), axis=0)
        running /= running[-1]
        u = rng.random(t_ms.size)
        # One sorted array for all hours: hour h occupies (h, h + 1].
        flat = (running + np.arange(len(hours))).T.ravel()
        group = np.searchsorted(flat, u + inverse) - inverse * len(self.group_zone)
        group = np.clip(group, 0, len(self.group_zone) - 1)
        high = self.cumulative[self.group_end - 1][group]
        low = np.where(group > 0, self.cumulative[self.group_end - 1][group - 1], 0.0)
        mark = low + rng.random(t_ms.size) * (high - low)
        found = np.searchsorted(self.cumulative, mark, side="right")
        return np.asarray(np.minimum(found, len(self.activity) - 1), dtype=np.int64)

    def draw_any(self, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Members by activity alone, whatever the hour: the victims of a fraud."""
        mark = rng.random(size) * self.cumulative[-1]
        found = np.searchsorted(self.cumulative, mark, side="right")
        return np.asarray(np.minimum(found, len(self.activity) - 1), dtype=np.int64)
