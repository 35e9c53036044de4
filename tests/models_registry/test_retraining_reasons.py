"""Why a training would start now, why not, and that no other detector has a say in it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from jobs.models import Job
from models_registry.drift_models import DriftCheck
from models_registry.retraining import duration, is_due, newest_trained, outlook, request_training
from models_registry.tasks import retrain_due, retrain_on_time
from models_registry.timetable import set_timetable
from scoring.models import Detector, Label
from tests.models_registry.due import drifts, label_now, label_old_events, old_version, policy
from tests.models_registry.learning import version_of
from tests.models_registry.versions import make_detector

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def elsewhere(db) -> Detector:
    return make_detector("elsewhere")


def told(detector, given, *, now=None, whole=True):
    return outlook(detector, given, now=now or timezone.now(), whole=whole)


def test_labels_and_versions_of_other_detectors_are_no_reason_here(elsewhere, cards_detector):
    label_old_events(cards_detector, 3)
    assert is_due(elsewhere, now=timezone.now()) == ""
    newest = old_version(elsewhere)
    version_of(cards_detector, 4, at=timezone.now() - HOUR)
    assert newest_trained(elsewhere) == newest
    given = policy(elsewhere, on_labels=True, labels=1, on_age=True)
    found = told(elsewhere, given)
    assert [trigger.reason for trigger in found.triggers if trigger.on] == ["", ""]
    texts = {trigger.name: trigger.text for trigger in found.triggers}
    assert texts["labels"] == "0 labels matured since v3"
    assert texts["age"] == "v3 is 30 days old and no label came since"


def test_events_of_other_detectors_make_no_old_version_due(elsewhere, cards_detector):
    elsewhere.config["training"]["learner"] = "isolation_forest"
    elsewhere.save(update_fields=["config"])
    old_version(elsewhere)
    label_now(cards_detector)
    assert is_due(elsewhere, now=timezone.now()) == ""


def test_drift_of_another_detector_is_no_reason_here(elsewhere, cards_detector):
    drifts(cards_detector)
    old_version(elsewhere)
    given = policy(elsewhere, on_drift=True)
    found = {trigger.name: trigger for trigger in told(elsewhere, given).triggers}["drift"]
    assert (found.text, found.reason) == ("no drift check of the champion was made yet", "")


@pytest.mark.parametrize(
    ("changed", "said", "met"),
    [
        ({"status": "major"}, "drift of v3 is major since ", True),
        ({"status": "moderate"}, "drift of v3 is moderate since ", False),
        ({"status": "unknown"}, "drift of v3 is unknown", False),
        ({"status": "none", "alarm_since": None}, "drift of v3 is none", False),
    ],
)
def test_drift_is_told_as_it_is_and_counts_from_the_level_asked_for(
    cards_detector, changed, said, met
):
    given = policy(drifts(cards_detector), on_drift=True, drift_level="major")
    DriftCheck.objects.update(**changed)
    found = {trigger.name: trigger for trigger in told(cards_detector, given).triggers}["drift"]
    assert found.text.startswith(said)
    assert ("since" in found.text) is ("since" in said)
    assert bool(found.reason) is met


def test_the_outlook_says_what_would_start_and_what_holds_it_back(cards_detector):
    trained = timezone.now()
    version_of(cards_detector, 1, at=trained)
    given = policy(cards_detector, on_labels=True, labels=1, quiet_hours=24)
    later = trained + timedelta(hours=25)
    assert told(cards_detector, given, now=later).sentence == "Nothing would start now."
    held = told(cards_detector, given, now=trained + HOUR).sentence
    ends = f"{trained + timedelta(hours=24):%Y-%m-%d at %H:%M}"
    assert held == (
        f"Nothing would start now. The quiet time after the last training ends on {ends} UTC."
    )
    label_old_events(cards_detector, 1)
    because = "at least 1 label matured since v1"
    assert told(cards_detector, given, now=later).sentence == (
        f"A training would start now, because {because}."
    )
    cards_detector.enabled = False
    assert told(cards_detector, given, now=later).sentence == (
        f"Nothing would start now, although {because}: The detector is off."
    )


def test_the_quiet_time_begins_with_the_later_of_asking_and_training(cards_detector):
    trained = timezone.now()
    version_of(cards_detector, 1, at=trained)
    given = policy(cards_detector, quiet_hours=2)
    assert told(cards_detector, given, now=trained + 2 * HOUR - timedelta(seconds=1)).held_back
    assert not told(cards_detector, given, now=trained + 2 * HOUR).held_back
    job = request_training(cards_detector, requested_by=None)
    type(job).objects.filter(pk=job.pk).update(status="failed", queued_at=trained + HOUR)
    assert told(cards_detector, given, now=trained + 2 * HOUR).held_back
    assert not told(cards_detector, given, now=trained + 3 * HOUR).held_back


def test_what_is_off_is_told_to_people_and_not_counted_for_the_clock(cards_detector):
    old_version(cards_detector)
    label_old_events(cards_detector, 1)
    given = policy(cards_detector, on_age=True, labels=1)
    people, clock = (told(cards_detector, given, whole=whole) for whole in (True, False))
    assert [(trigger.name, trigger.on) for trigger in people.triggers] == [
        ("labels", False), ("drift", False), ("age", True),
    ]  # fmt: skip
    assert [trigger.name for trigger in clock.triggers] == ["age"]
    assert people.reason == clock.reason == "v3 is 30 days old and labels came since"


@pytest.mark.parametrize("on", [{"on_age": True}, {"on_labels": True}, {"on_drift": True}])
def test_the_first_training_waits_for_a_label_and_for_a_trigger_that_learns(cards_detector, on):
    given = policy(cards_detector, **on)
    (first,) = told(cards_detector, given).triggers
    assert first.text == "no version was trained here yet and no label came"
    label_now(cards_detector)
    reason = "" if "on_drift" in on else "no version was trained here yet and labels came"
    assert told(cards_detector, given).reason == reason


def test_who_asks_for_a_training_is_on_record_and_the_clock_is_not(cards_detector, owner):
    request_training(cards_detector, requested_by=None, reason="its timetable says so")
    assert not AuditEntry.objects.filter(action="model.train").exists()
    job = request_training(cards_detector, requested_by=owner)
    entry = AuditEntry.objects.get(action="model.train")
    assert (entry.actor, entry.object_id) == (owner, str(job.pk))
    asked = {"detector": "cards", "imbalance": "none", "learner": "lightgbm"}
    assert entry.detail == asked
    assert job.params == asked | {"reason": "its timetable says so"}


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(minutes=59), "0 hours"),
        (timedelta(hours=1, minutes=59), "1 hour"),
        (timedelta(hours=47, minutes=59), "47 hours"),
        (timedelta(days=2), "2 days"),
        (timedelta(days=1234, hours=23), "1,234 days"),
    ],
)
def test_an_age_is_told_in_whole_units(span, said):
    assert duration(span) == said


def test_an_old_label_of_an_old_event_is_no_new_one(cards_detector):
    label_old_events(cards_detector, 2)
    version_of(cards_detector, 1, at=timezone.now())
    given = policy(cards_detector, on_labels=True, labels=1, on_age=True, age_hours=1)
    later = timezone.now() + timedelta(days=9)
    assert told(cards_detector, given, now=later).reason == ""
    Label.objects.filter(pk=Label.objects.first().pk).update(recorded_at=later - HOUR)
    found = {
        trigger.name: trigger.text for trigger in told(cards_detector, given, now=later).triggers
    }
    assert found["labels"] == "at least 1 label matured since v1"
    assert found["age"] == "v1 is 9 days old and labels came since"


def test_the_clock_finds_nothing_to_do_where_a_trigger_has_just_had_it_trained(
    cards_detector, monkeypatch
):
    monkeypatch.setattr("models_registry.tasks.announce_job", lambda job: None)
    old_version(cards_detector)
    policy(cards_detector, on_labels=True, labels=1, on_age=True)
    label_old_events(cards_detector, 1)
    set_timetable(cards_detector, on=True, day="*", hour=3)
    retrain_due()
    job = Job.objects.get()
    assert job.params["reason"] == (
        "at least 1 label matured since v3, and v3 is 30 days old and labels came since"
    )
    now, minute = timezone.now(), timedelta(minutes=1)
    for ended, found in ((now, 1), (now - 9 * minute, 1)):
        Job.objects.update(status="succeeded", queued_at=ended - 20 * minute, finished_at=ended)
        retrain_on_time("cards")
        assert Job.objects.count() == found
    Job.objects.update(status="failed")
    retrain_on_time("cards")
    assert Job.objects.count() == 2
