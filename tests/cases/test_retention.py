"""Personal data of entities who have been quiet for long is erased; of nobody else."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import vault
from accounts.models import AuditEntry
from cases import retention
from cases.retention import RETAIN, kept_from, request_retention, run_retention
from cases.services import label_alert
from jobs.models import Job
from jobs.services import LOST_AFTER, claim_job, requeue_lost, run_job
from riskplatform.beat_schedule import BEAT_SCHEDULE
from scoring import erasing
from scoring.models import EntityState, Prediction
from tests.cases.alerts import alert_of
from tests.factories import payment, scored

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("champion")]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
DAYS = 60


@pytest.fixture(autouse=True)
def keeps(settings):
    settings.RETENTION_DAYS = DAYS


def event(user, days_ago):
    """A small payment of that user, so many days ago, that asks for nobody."""
    moment = timezone.now() - timedelta(days=days_ago)
    scored("payments", payment(user_id=user, amount=20, timestamp=moment.isoformat()))


def of(user):
    return Prediction.objects.filter(entity=vault.token("user_id", user))


def retain():
    job = run_job(request_retention().pk, run_retention)
    assert job.status == "succeeded", job.error
    return job


def test_whoever_was_quiet_for_longer_is_erased_and_nobody_else():
    event("old", DAYS + 9)
    event("old", DAYS + 1)
    event("seen", DAYS + 9)
    event("seen", DAYS - 1)
    assert retain().result == {"payments": {"erased": 1}}
    assert not of("old").exists() and of("seen").filter(erased_at=None).count() == 2
    erased = Prediction.objects.exclude(erased_at=None)
    assert {row.event["user_id"] for row in erased} == {None}
    assert len({row.entity for row in erased}) == 1 and erased.count() == 2
    assert not EntityState.objects.filter(token=vault.token("user_id", "old")).exists()


def test_the_next_run_finds_nobody_again_and_the_trail_says_why():
    event("old", DAYS + 1)
    first = retain()
    assert retain().result == {}
    (line,) = AuditEntry.objects.filter(action="personal_data.erased")
    assert line.actor is None and line.detail["job"] == first.pk
    assert line.detail["reason"].startswith("No event since 20")
    assert vault.token("user_id", "old") not in str(line.detail)


def test_whom_an_open_alert_is_about_is_held_until_it_is_closed(analyst):
    moment = timezone.now() - timedelta(days=DAYS + 1)
    scored("payments", payment(timestamp=moment.isoformat()))
    alert = alert_of()
    assert retain().result == {"payments": {"held": 1}}
    assert of("user-1").filter(erased_at=None).exists()
    label_alert(alert, **FRAUD, actor=analyst)
    assert retain().result == {"payments": {"erased": 1}}


def test_nobody_is_erased_while_the_windows_remember_their_event(settings, champion):
    settings.RETENTION_DAYS = 1
    remembered = erasing.memory_of(champion)
    assert remembered > timedelta(days=1)
    event("old", 2)
    assert retain().result == {}
    now = timezone.now()
    assert kept_from(champion, 1, now) == now - remembered


def test_whoever_comes_back_while_it_runs_is_kept_whole(monkeypatch, champion):
    event("old", DAYS + 1)
    begins = retention.erase_at_once

    def comes_back(person, **how):
        event("old", 0)
        return begins(person, **how)

    monkeypatch.setattr(retention, "erase_at_once", comes_back)
    assert retain().result == {"payments": {"held": 1}}
    assert of("old").filter(erased_at=None).count() == 2


def test_whoever_comes_back_before_the_token_goes_is_kept_whole(monkeypatch):
    event("old", DAYS + 1)
    holds = erasing.hold_still

    def comes_back(person):
        event("old", 0)
        return holds(person)

    monkeypatch.setattr("cases.erasure.hold_still", comes_back)
    assert retain().result == {"payments": {"held": 1}}
    # Rolled back as a whole: the event that came inside goes with it, as it would not in life.
    assert of("old").filter(erased_at=None).count() == 1


def test_whoever_has_many_events_is_erased_by_a_job_of_their_own(monkeypatch):
    monkeypatch.setattr(retention, "FEW", 1)
    event("old", DAYS + 1)
    event("old", DAYS + 2)
    job = retain()
    assert job.result == {"payments": {"jobs": 1}}
    own = Job.objects.get(kind="cases.erase_person")
    assert own.params["quiet_since"] and own.params["reason"].startswith("No event since")
    asked = AuditEntry.objects.get(action="personal_data.erasure_asked")
    assert asked.detail["by"] == f"job {job.pk}"


def test_a_job_of_their_own_refuses_whoever_came_back(monkeypatch):
    from cases.erasure import run_erasure

    monkeypatch.setattr(retention, "FEW", 0)
    event("old", DAYS + 1)
    retain()
    event("old", 0)
    own = run_job(Job.objects.get(kind="cases.erase_person").pk, run_erasure)
    assert own.status == "failed" and "an event of theirs again" in own.error
    assert of("old").filter(erased_at=None).count() == 2


def test_a_run_that_was_killed_is_gone_on_with_and_counts_whom_it_erased_before(monkeypatch):
    event("a", DAYS + 2)
    event("b", DAYS + 1)
    begins, seen = retention.erase_at_once, []

    def dies(person, **how):
        if seen:
            raise SystemExit
        seen.append(person.token)
        return begins(person, **how)

    job = request_retention()
    monkeypatch.setattr(retention, "erase_at_once", dies)
    with pytest.raises(SystemExit):
        run_job(job.pk, run_retention)
    assert not of("a").exists() and of("b").exists()
    monkeypatch.setattr(retention, "erase_at_once", begins)
    requeue_lost(timezone.now() + timedelta(hours=1))
    assert run_job(job.pk, run_retention).result == {"payments": {"erased": 2}}
    assert not of("b").exists()
    assert AuditEntry.objects.filter(action="personal_data.erased").count() == 2


def test_without_a_time_nothing_is_asked_for(settings):
    settings.RETENTION_DAYS = 0
    event("old", 1000)
    assert request_retention() is None and not Job.objects.exists()


def test_beat_begins_it_once_a_day(champion):
    from cases.tasks import retention_due

    (row,) = [one for one in BEAT_SCHEDULE.values() if one["task"] == retention_due.name]
    assert row["schedule"] == 86400.0
    retention_due()
    retention_due()
    assert [job.kind for job in Job.objects.all()] == [RETAIN]


def test_the_page_says_how_long_it_is_kept_and_what_the_last_run_did(client, admin, settings):
    event("old", DAYS + 1)
    job = retain()
    client.force_login(admin)
    text = " ".join(client.get("/manage/personal-data/").content.decode().split())
    assert "60 days after the last event" in text and "payments: 1 erased" in text
    assert f"job {job.pk}" in text
    settings.RETENTION_DAYS = 0
    text = " ".join(client.get("/manage/personal-data/").content.decode().split())
    assert "Until somebody asks" in text


def said(*arguments):
    out = StringIO()
    call_command("apply_retention", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_counts_first_and_erases_when_it_is_told_to():
    event("old", DAYS + 1)
    event("seen", 1)
    assert "payments: 1 entities without an event since" in said("--dry-run")
    assert "payments: 0 entities" in said("--dry-run", "--days", "3000")
    assert of("old").exists()
    assert said().splitlines() == ["payments: 1 erased", "Done."]
    assert not of("old").exists() and of("seen").exists()


def test_the_command_goes_on_where_a_worker_died():
    lost = claim_job(request_retention().pk)
    Job.objects.update(heartbeat_at=timezone.now() - LOST_AFTER - timedelta(seconds=1))
    assert "Done." in said()
    lost.refresh_from_db()
    assert (lost.status, lost.attempt) == ("succeeded", 2)


def test_the_command_says_what_it_cannot_do(settings):
    with pytest.raises(CommandError, match="is for --dry-run"):
        call_command("apply_retention", "--days", "3")
    settings.RETENTION_DAYS = 0
    with pytest.raises(CommandError, match="not set"):
        call_command("apply_retention")
    with pytest.raises(CommandError, match="Say --days"):
        call_command("apply_retention", "--dry-run")
