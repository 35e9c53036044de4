"""A detector learns again by hand, by the clock, or when a trigger of its policy is met."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from accounts.changes import Change, changes_of
from accounts.models import AuditEntry
from jobs.models import Job
from models_registry.drift_models import DriftCheck
from models_registry.registry_models import Lineage
from models_registry.retraining import (
    is_due,
    newest_trained,
    outlook,
    request_training,
    save_policy,
    scheduled,
)
from models_registry.retraining_models import RetrainingPolicy
from models_registry.tasks import retrain_due, retrain_on_time
from models_registry.timetable import (
    OTHER,
    RETRAIN_ON_TIME,
    Timetable,
    set_timetable,
    timetable_of,
)
from scoring.models import Deployment, Detector, Label
from scoring.policies import PolicyRefused
from tests.factories import card, payment, scored
from tests.models_registry.due import drifts, label_now, label_old_events, old_version, policy
from tests.models_registry.learning import version_of
from tests.models_registry.versions import moved_from

pytestmark = pytest.mark.django_db
WEEK = timedelta(days=7)


@pytest.fixture
def sent(monkeypatch):
    messages = []
    monkeypatch.setattr(
        "jobs.dispatch.current_app.send_task", lambda name, args: messages.append(name)
    )
    return messages


def test_a_detector_without_a_version_is_due_with_its_first_label(cards_detector):
    now = timezone.now()
    assert not is_due(cards_detector, now=now)
    label_now(cards_detector)
    assert is_due(cards_detector, now=now)


def test_an_old_version_and_a_new_label_make_it_due(cards_detector):
    version_of(cards_detector, 1, at=timezone.now() - timedelta(days=8))
    assert not is_due(cards_detector, now=timezone.now())
    label_now(cards_detector)
    assert is_due(cards_detector, now=timezone.now())


def test_where_no_labels_are_needed_new_events_make_an_old_version_due(cards_detector):
    cards_detector.config["training"]["learner"] = "isolation_forest"
    cards_detector.save(update_fields=["config"])
    version_of(cards_detector, 1, at=timezone.now() - timedelta(days=8))
    assert not is_due(cards_detector, now=timezone.now())
    scored("cards", card(1))
    assert is_due(cards_detector, now=timezone.now()) == "v1 is 8 days old and events came since"


def test_a_young_version_is_not_due(cards_detector):
    trained = timezone.now()
    version_of(cards_detector, 1, at=trained)
    label_now(cards_detector)
    assert not is_due(cards_detector, now=trained + WEEK - timedelta(seconds=1))
    assert is_due(cards_detector, now=trained + WEEK)


def test_asking_twice_queues_one_training(cards_detector, owner):
    first = request_training(cards_detector, requested_by=owner)
    again = request_training(cards_detector, requested_by=None)
    assert first.pk == again.pk
    assert first.params == {"detector": "cards", "learner": "lightgbm", "imbalance": "none"}


def test_new_matured_labels_make_it_due_and_the_reason_says_how_many(cards_detector):
    old_version(cards_detector)
    policy(cards_detector, on_labels=True, labels=3)
    label_old_events(cards_detector, 2)
    assert is_due(cards_detector, now=timezone.now()) == ""
    label_old_events(cards_detector, 1)
    assert is_due(cards_detector, now=timezone.now()) == "at least 3 labels matured since v3"


def test_labels_of_events_too_young_to_count_do_not(cards_detector):
    old_version(cards_detector)
    policy(cards_detector, on_labels=True, labels=1)
    label_old_events(cards_detector, 1)
    Label.objects.update(event_time=timezone.now() - timedelta(days=1))
    assert is_due(cards_detector, now=timezone.now()) == ""
    assert "1 label matured" in is_due(cards_detector, now=timezone.now() + WEEK)


def test_a_label_told_before_training_counts_once_its_event_matures_after_it(cards_detector):
    old_version(cards_detector, days=2)
    policy(cards_detector, on_labels=True, labels=1)
    label_old_events(cards_detector, 1)
    now = timezone.now()
    Label.objects.update(recorded_at=now - timedelta(days=3), event_time=now - timedelta(days=8))
    assert is_due(cards_detector, now=now) == "at least 1 label matured since v3"
    Label.objects.update(event_time=now - timedelta(days=20))
    assert is_due(cards_detector, now=now) == ""


@pytest.fixture
def drifting(cards_detector):
    return drifts(cards_detector)


def test_drift_makes_it_due_once_an_alarm(drifting):
    policy(drifting, on_drift=True)
    assert is_due(drifting, now=timezone.now()).startswith("drift of v3 is major since 2")
    version_of(drifting, 4, at=timezone.now() - timedelta(hours=1, minutes=30))
    assert is_due(drifting, now=timezone.now()) == ""
    said = outlook(drifting, RetrainingPolicy.objects.get(), now=timezone.now())
    assert "which v4 was trained after" in {t.name: t.text for t in said.triggers}["drift"]


def test_drift_below_the_level_asked_for_is_no_reason(drifting):
    given = policy(drifting, on_drift=True, drift_level="major")
    DriftCheck.objects.update(status="moderate")
    assert is_due(drifting, now=timezone.now()) == ""
    given.drift_level = "moderate"
    given.save()
    assert "moderate" in is_due(drifting, now=timezone.now())


def test_drift_of_a_model_that_serves_no_more_is_no_reason(drifting):
    policy(drifting, on_drift=True)
    Deployment.objects.update(digest="f" * 64)
    assert is_due(drifting, now=timezone.now()) == ""


def test_what_is_switched_off_never_trains(drifting):
    policy(drifting)
    label_old_events(drifting, 5)
    assert is_due(drifting, now=timezone.now() + 50 * WEEK) == ""


@pytest.mark.parametrize("end", ["succeeded", "failed", "cancelled"])
def test_in_the_quiet_time_after_a_training_nothing_starts_however_it_ended(cards_detector, end):
    old_version(cards_detector)
    policy(cards_detector, on_labels=True, labels=1, quiet_hours=24)
    label_old_events(cards_detector, 1)
    job = request_training(cards_detector, requested_by=None)
    Job.objects.filter(pk=job.pk).update(status=end)
    assert is_due(cards_detector, now=timezone.now()) == ""
    assert is_due(cards_detector, now=timezone.now() + timedelta(hours=25))


def test_while_one_trains_the_outlook_says_which_job(cards_detector):
    old_version(cards_detector)
    given = policy(cards_detector, on_labels=True, labels=1, quiet_hours=24)
    label_old_events(cards_detector, 1)
    job = request_training(cards_detector, requested_by=None)
    said = outlook(cards_detector, given, now=timezone.now())
    assert said.sentence == (
        "Nothing would start now, although at least 1 label matured since v3:"
        f" Job {job.pk} is training it."
    )


def test_the_reason_is_kept_on_the_job(cards_detector, sent):
    label_now(cards_detector)
    retrain_due()
    assert Job.objects.get().params["reason"] == "no version was trained here yet and labels came"


def test_a_broken_declaration_does_not_keep_others_from_learning(
    cards_detector, fraud_detector, sent
):
    label_now(cards_detector)
    Detector.objects.filter(pk=fraud_detector.pk).update(config={}, name="AAA")
    retrain_due()
    assert Job.objects.get().params["detector"] == "cards"


def test_every_detector_has_a_timetable_to_edit_in_the_admin(cards_detector, fraud_detector, sent):
    for _ in range(2):
        retrain_due()
    rows = PeriodicTask.objects.filter(task=RETRAIN_ON_TIME)
    assert {row.args: row.enabled for row in rows} == {'["cards"]': False, '["fraud"]': False}


def test_the_clock_queues_a_training_that_says_so_and_twice_is_one(cards_detector, sent):
    set_timetable(cards_detector, on=True, day="1", hour=4)
    for _ in range(2):
        retrain_on_time("cards")
    job = Job.objects.get()
    assert job.params["reason"] == "its timetable says every Monday at 04:00 UTC"
    Job.objects.update(status="succeeded")
    retrain_on_time("cards")  # The same tick again.
    retrain_on_time("gone")
    assert Job.objects.count() == 1


def tick(detector, now):
    """What the clock does at this time, and that the training it asks for is soon over."""
    reason = scheduled(detector, now=now)
    if reason:
        job = request_training(detector, requested_by=None, reason=reason)
        Job.objects.filter(pk=job.pk).update(
            status="succeeded", queued_at=now + timedelta(milliseconds=200)
        )
    return bool(reason)


@pytest.mark.parametrize("apart", [timedelta(hours=1), timedelta(days=1)])
def test_every_tick_of_the_clock_trains_in_the_quiet_time_too(cards_detector, apart):
    set_timetable(cards_detector, on=True, day="*", hour=3)
    first = datetime(2026, 6, 1, 3, 0, 1, tzinfo=UTC)
    assert [tick(cards_detector, first + apart * number) for number in range(3)] == [True] * 3
    assert not tick(cards_detector, first + apart * 2 + timedelta(minutes=9))


def test_the_clock_does_not_wait_for_what_a_person_trained(cards_detector, owner):
    job = request_training(cards_detector, requested_by=owner)
    assert not scheduled(cards_detector, now=timezone.now())
    Job.objects.filter(pk=job.pk).update(status="failed")
    assert scheduled(cards_detector, now=timezone.now())


def imported(detector, number, *, at):
    version = version_of(detector, number, at=at)
    Lineage.objects.create(version=version, origin=Lineage.Origin.IMPORTED)
    return version


@pytest.mark.parametrize("year", [2001, 2099, 9999])
def test_when_an_imported_version_was_trained_says_nothing_of_this_detector(
    cards_detector, sent, year
):
    old_version(cards_detector)
    imported(cards_detector, 4, at=datetime(year, 12, 31, 23, tzinfo=UTC))
    policy(cards_detector, on_labels=True, labels=1)
    assert newest_trained(cards_detector).label == "v3"
    assert is_due(cards_detector, now=timezone.now()) == ""
    label_old_events(cards_detector, 1)
    retrain_due()
    assert Job.objects.get().params["reason"] == "at least 1 label matured since v3"


def test_moved_thresholds_are_no_training_and_the_newest_goes_by_time(cards_detector):
    late = version_of(cards_detector, 1, at=timezone.now() - timedelta(days=1))
    early = old_version(cards_detector)
    moved_from(early, version_of(cards_detector, 4))
    assert newest_trained(cards_detector) == late


def test_whatever_is_wrong_with_one_detector_the_others_learn(
    cards_detector, fraud_detector, sent, monkeypatch, caplog
):
    def broken(detector, *, now):
        if detector.slug == "cards":
            raise OverflowError("date value out of range")
        return "it is time"

    monkeypatch.setattr("models_registry.tasks.is_due", broken)
    retrain_due()
    assert Job.objects.get().params["detector"] == "fraud"
    assert "Whether cards is due could not be told" in caplog.text


def test_no_more_labels_are_counted_than_the_policy_asks_for(cards_detector):
    old_version(cards_detector)
    given = policy(cards_detector, on_labels=True, labels=2)
    label_old_events(cards_detector, 4)
    with CaptureQueriesContext(connection) as queries:
        found = outlook(cards_detector, given, now=timezone.now())
    assert found.triggers[0].text == "at least 2 labels matured since v3"
    counting = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert counting and all("LIMIT 2" in sql for sql in counting)


def test_an_event_that_was_labelled_again_and_again_is_one(cards_detector):
    old_version(cards_detector)
    given = policy(cards_detector, on_labels=True, labels=2)
    label_old_events(cards_detector, 1)
    first = Label.objects.get()
    for _ in range(9):
        first.pk = None
        first.save()
    assert not is_due(cards_detector, now=timezone.now())
    label_old_events(cards_detector, 1)
    found = outlook(cards_detector, given, now=timezone.now())
    assert found.triggers[0].text == "at least 2 labels matured since v3"


def test_labels_since_a_training_are_found_by_an_index(cards_detector):
    """As the policy counts them: in the order of the index, so that it stops at its number."""
    old_version(cards_detector)
    given = policy(cards_detector, on_labels=True, labels=2)
    with CaptureQueriesContext(connection) as queries:
        outlook(cards_detector, given, now=timezone.now())
    counting = next(query["sql"] for query in queries if "LIMIT 2" in query["sql"])
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL enable_seqscan = off")  # The table is all but empty.
            cursor.execute("SET LOCAL enable_sort = off")
        how = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
        cursor.execute(how + counting)
        plan = str(cursor.fetchall())
    assert "label_by_record" in plan
    assert "Sort Key: scoring_label.recorded_at" not in plan
    assert "TEMP B-TREE FOR ORDER BY" not in plan


def test_times_of_the_admins_own_are_said_on_one_line(cards_detector):
    """They are the reason that stands on a training and its version."""
    set_timetable(cards_detector, on=True, day="1", hour=4)
    row = PeriodicTask.objects.get(task=RETRAIN_ON_TIME)
    row.crontab = CrontabSchedule.objects.create(minute="*/20", hour="3")
    row.save()
    assert timetable_of(cards_detector).words == (
        "as set in the admin: */20 3 * * * (m/h/dM/MY/d) UTC"
    )


def test_what_the_admin_set_is_shown_and_kept(cards_detector):
    set_timetable(cards_detector, on=True, day="1", hour=4)
    row = PeriodicTask.objects.get(task=RETRAIN_ON_TIME)
    row.crontab, row.interval = None, IntervalSchedule.objects.create(every=3, period="days")
    row.save()
    found = timetable_of(cards_detector)
    assert (found.day, found.on) == (OTHER, True)
    assert found.words == "as set in the admin: every 3 days"
    set_timetable(cards_detector, on=False, day=OTHER, hour=3)
    row.refresh_from_db()
    assert (row.interval.every, row.enabled) == (3, False)


def test_a_policy_is_saved_with_timetable_and_term_and_audited(champion, owner):
    given = RetrainingPolicy(detector=champion, on_labels=True, labels=200, age_hours=48)
    for _ in range(2):
        save_policy(
            given, timetable=Timetable(True, "3", 5), review_after=30 * 86400.0, actor=owner
        )
    assert RetrainingPolicy.objects.get().labels == 200
    assert timetable_of(champion).words == "every Wednesday at 05:00 UTC"
    first, again = AuditEntry.objects.filter(action="retraining.policy_changed").order_by("number")
    assert Change("review after", "never", "30 days") in changes_of(first.action, first.detail)
    assert (first.actor, again.detail_json) == (owner, "{}")


def test_past_the_term_of_the_policy_rules_decide_alone(champion, owner):
    given = RetrainingPolicy(detector=champion, age_hours=48)
    Deployment.objects.update(installed_at=timezone.now() - timedelta(days=31))
    for days, degraded in ((60, False), (30, True), (0, False)):
        save_policy(given, timetable=Timetable(), review_after=days * 86400.0, actor=owner)
        row = scored("payments", payment())
        assert (row.degraded, row.score is None) == (degraded, degraded)


def test_a_term_that_is_none_changes_nothing(champion, owner):
    given = RetrainingPolicy(detector=champion, age_hours=48)
    with pytest.raises(PolicyRefused):
        save_policy(given, timetable=Timetable(True), review_after=float("nan"), actor=owner)
    assert not RetrainingPolicy.objects.exists()
    assert not PeriodicTask.objects.filter(task=RETRAIN_ON_TIME).exists()


def test_the_schedule_queues_and_announces_what_is_due(
    cards_detector, fraud_detector, sent, django_capture_on_commit_callbacks
):
    label_now(cards_detector)
    with django_capture_on_commit_callbacks(execute=True):
        retrain_due()
    assert Job.objects.get().params["detector"] == "cards"
    assert sent == ["models_registry.train"]


def test_the_schedule_leaves_disabled_detectors_alone(cards_detector, sent):
    label_now(cards_detector)
    cards_detector.enabled = False
    cards_detector.save(update_fields=["enabled"])
    retrain_due()
    assert not Job.objects.exists()
