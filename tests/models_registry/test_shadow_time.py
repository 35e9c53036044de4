"""Whether automatic training leaves a challenger enough time in shadow for a verdict."""

from datetime import timedelta

import pytest

from models_registry.retraining_models import RetrainingPolicy
from models_registry.shadow_time import too_little_time, trains_every
from models_registry.timetable import OTHER, Timetable

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
WEEKLY, DAILY, OFF = Timetable(True, "1"), Timetable(True, "*"), Timetable()


def policy(detector, *, days=7, on_age=True):
    return RetrainingPolicy(detector=detector, on_age=on_age, age_hours=days * 24)


def labels_take(detector, days):
    detector.config["training"]["label_delay"] = f"{days}d"
    return detector


@pytest.mark.parametrize(
    ("days", "on_age", "timetable", "every"),
    [
        (7, True, OFF, 7 * DAY),
        (7, True, DAILY, DAY),
        (3, True, WEEKLY, 3 * DAY),
        (7, False, WEEKLY, 7 * DAY),
        (7, True, Timetable(on=True, day=OTHER), 7 * DAY),
        (7, False, OFF, None),
    ],
)
def test_the_sooner_of_clock_and_age_says_how_often_versions_come(
    payments_detector, days, on_age, timetable, every
):
    assert trains_every(policy(payments_detector, days=days, on_age=on_age), timetable) == every


def test_quiet_time_holds_back_what_the_age_asks_for(payments_detector):
    asked = policy(payments_detector, days=1)
    asked.quiet_hours = 14 * 24
    assert trains_every(asked, OFF) == 14 * DAY
    assert trains_every(asked, DAILY) == DAY  # The clock does not wait for it.


@pytest.mark.parametrize(
    ("delay", "every", "most", "enough"),
    [
        (14, 7, 2, False),
        (12, 7, 2, False),
        (11, 7, 2, True),
        (14, 7, 3, True),
        (1, 1, 2, False),
        (0, 2, 2, True),
        (14, 7, 0, True),  # None is in shadow: nobody waits for a verdict.
    ],
)
def test_there_is_time_where_days_enough_mature_while_it_runs(
    payments_detector, settings, delay, every, most, enough
):
    settings.SHADOW_MOST = most
    detector = labels_take(payments_detector, delay)
    assert (too_little_time(detector, policy(detector, days=every), OFF) == "") == enough


def test_it_says_when_a_verdict_comes_or_that_there_may_be_none(payments_detector, settings):
    settings.SHADOW_MOST = 2
    detector = labels_take(payments_detector, 14)
    late = too_little_time(detector, policy(detector), OFF)
    assert "in shadow for 14 days: a training every 7 days, 2 in shadow at once." in late
    assert "it comes about 17 days after the start, when newer versions" in late
    assert "there may be none" in too_little_time(detector, policy(detector), DAILY)


def test_the_retraining_page_warns_of_what_is_tried_too(client, owner, champion):
    champion.config["training"]["label_delay"] = "7d"
    champion.save(update_fields=["config"])
    client.force_login(owner)
    page = "/models/payments/retraining/"
    assert "too-little-time" not in client.get(page).content.decode()
    given = {"on_time": "on", "day": "*", "hour": "3", "labels": "9", "drift_level": "major",
             "age_days": "7", "quiet_hours": "9", "preview": "1"}  # fmt: skip
    tried = " ".join(client.post(page, given).content.decode().split())
    assert "A challenger is in shadow for 2 days: a training every 1 day" in tried
    assert "Every day at 03:00 UTC, in the quiet time too" in tried
