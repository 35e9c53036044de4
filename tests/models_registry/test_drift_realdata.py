"""The handbook's weeks: windows that were not filled yet alarm, five weeks later all is silent."""

import os
from datetime import date, datetime, timedelta
from itertools import combinations

import numpy as np
import pytest

from models_registry.core.drift import Drift, feature_drifts, judge_drifts, measure_values, overall
from models_registry.core.reference import describe_features
from models_registry.recent_predictions import MOST_ROWS
from tests.models_registry.handbook_weeks import NAMES, before, is_there, week

WEEKS = int(os.environ.get("RISK_DRIFT_WEEKS", "3"))
"""14 take some minutes: docs/evidence/drift.md."""
CALENDAR = ("TX_DURING_WEEKEND", "TX_DURING_NIGHT")
FILLED = date(2018, 5, 9)
"""From here on the longest window, 30 days that end 7 days before, is full."""
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.skipif(
        not is_there(), reason="the handbook's transactions are not in RISK_DATA_DIR"
    ),
]


def drifts(reference: str, recent: str) -> dict[str, Drift]:
    described = describe_features(week(reference), NAMES)
    return {one.name: one for one in feature_drifts(week(recent), NAMES, described)}


def test_the_week_before_the_windows_were_filled_is_a_major_drift() -> None:
    found = drifts("2018-07-25", "2018-04-01")
    major = {name for name, one in found.items() if one.psi is not None and one.psi >= 0.25}
    assert major == {
        *(f"TERMINAL_NB_TX_{days}DAY" for days in (1, 7, 30)),
        *(f"CUSTOMER_NB_TX_{days}DAY" for days in (7, 30)),
        "TERMINAL_RISK_30DAY",
    }
    assert overall(list(found.values())) == "major"
    assert found["TX_AMOUNT"].status == found["TX_DURING_NIGHT"].status == "stable"


@pytest.mark.parametrize(
    ("reference", "recent"), [("2018-07-04", "2018-08-08"), ("2018-07-25", "2018-08-08")]
)
def test_five_and_two_weeks_later_nothing_alarms(reference: str, recent: str) -> None:
    found = drifts(reference, recent)
    assert {one.status for one in found.values()} == {"stable"}
    assert max(one.psi or 0.0 for one in found.values()) < 0.005
    # Significance alone would have alarmed: with 67,000 rows trivia are sure.
    assert min(one.p or 0.0 for one in found.values()) < 1e-6


@pytest.mark.parametrize("newest", [MOST_ROWS, 2000])
@pytest.mark.parametrize("reference", ["2018-07-04", "2018-07-25"])
def test_at_any_hour_the_newest_events_are_silent(reference: str, newest: int) -> None:
    """As a check reads them: the newest, and of a whole week what follows the calendar."""
    described = describe_features(week(reference), NAMES)
    by_the_newest = 0
    for hours in range(0, 7 * 24, 6):
        rows, lately = before(datetime(2018, 8, 8) + timedelta(hours=hours), newest, MOST_ROWS)
        found = judge_drifts(
            [
                measure_values(
                    name, (lately if name in CALENDAR else rows)[:, i], described.get(name)
                )
                for i, name in enumerate(NAMES)
            ]
        )
        assert overall(found) == "stable", (hours, [d for d in found if d.status != "stable"])
        by_the_newest += overall(feature_drifts(rows, NAMES, described)) != "stable"
    # Read off the newest alone, every hour would have had its alarm.
    assert by_the_newest == 28


def test_a_thousand_random_rows_of_the_very_week_are_silent() -> None:
    rng = np.random.default_rng(5)
    rows = week("2018-07-25")
    described = describe_features(rows, NAMES)
    for _ in range(50):
        recent = rows[rng.choice(len(rows), 1000, replace=False)]
        assert overall(feature_drifts(recent, NAMES, described)) == "stable"


def test_any_two_weeks_with_full_windows_are_alike() -> None:
    starts = [(FILLED + timedelta(days=7 * i)).isoformat() for i in range(WEEKS)]
    described = {start: describe_features(week(start), NAMES) for start in starts[:-1]}
    alarms = significant = pairs = 0
    for earlier, later in combinations(starts, 2):
        found = feature_drifts(week(later), NAMES, described[earlier])
        pairs += 1
        alarms += overall(found) != "stable"
        significant += any(one.p is not None and one.p < 0.01 for one in found)
    # Without asking for an effect nearly every pair would alarm.
    assert (alarms, significant > 0.9 * pairs) == (0, True)
