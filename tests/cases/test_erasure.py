"""A person's data is erased on request: who they were goes, what was decided stays."""

import json
from datetime import timedelta
from io import StringIO
from threading import Thread

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.forms.models import model_to_dict
from django.utils import timezone

from accounts import vault
from accounts.models import AuditEntry, User
from accounts.roles import ADMIN
from accounts.services import set_roles
from cases import erasure, linking
from cases.case_alerts import open_case
from cases.casework import close_case
from cases.erasure import reach_of, request_erasure, run_erasure
from cases.linking import index_links
from cases.links_models import EntityLink, KnownEntity, SharedValue
from cases.models import Alert
from cases.queue_models import AlertText
from cases.services import label_alert
from jobs.models import Job
from jobs.services import requeue_lost, run_job
from scoring import erasing, ordering
from scoring.erasing import ErasureRefused, person_named
from scoring.models import EntityState, Prediction
from scoring.ordering import add_list_entry, revoke_list_entry
from scoring.policy_models import ListEntry
from scoring.replaying import chosen, verify_predictions
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of
from tests.factories import payment, scored, scored_many

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("champion")]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
WHY = "They asked by letter"


def token():
    return vault.token("user_id", "user-1")


def erase(detector, actor=None):
    job = request_erasure(person_named(detector, "user_id", "user-1"), reason=WHY, actor=actor)
    return run_job(job.pk, run_erasure)


@pytest.fixture
def closed(champion, analyst):
    """A closed alert of a person with one more event that nobody asked about."""
    scored("payments", payment())
    return label_alert(alert_of(), **FRAUD, actor=analyst)


def test_who_they_were_goes_and_what_was_decided_stays(champion, closed, admin):
    before = {row.pk: model_to_dict(row) for row in Prediction.objects.all()}
    job = erase(champion, admin)
    assert (job.status, job.result["predictions"], job.result["alerts"]) == ("succeeded", 2, 1)
    touched = {"event", "entity", "reasons", "rule_hits", "erased_at"}
    for row in Prediction.objects.all():
        then, now = before[row.pk], model_to_dict(row)
        assert {k: v for k, v in now.items() if k not in touched} == {
            k: v for k, v in then.items() if k not in touched
        }
        assert (row.event["user_id"], row.event["user_name"]) == (None, None)
        assert row.event["amount"] == then["event"]["amount"]
        assert bytes(row.vector) and row.erased_at is not None


def test_the_rows_of_a_person_stay_together_and_nobody_finds_them_by_name(champion, closed, admin):
    erase(champion, admin)
    (fresh,) = set(Prediction.objects.values_list("entity", flat=True))
    assert fresh != token() and Alert.objects.get().entity == fresh
    words = AlertText.objects.get().words
    assert f"={fresh}" in words and token() not in words
    assert not EntityState.objects.filter(token=token()).exists()
    assert all(token() not in json.dumps(job.params) for job in Job.objects.all())
    assert all(fresh not in json.dumps(job.params) for job in Job.objects.all())


def test_a_later_event_of_theirs_begins_anew(champion, closed, admin):
    erase(champion, admin)
    later = scored("payments", payment())
    assert (later.entity, later.erased_at) == (token(), None)
    assert EntityState.objects.filter(token=token(), key_field="user_id").count() == 1


def test_the_trail_says_who_why_and_how_much_but_not_whom(champion, closed, admin):
    erase(champion, admin)
    entry = AuditEntry.objects.filter(action="personal_data.erased").get()
    assert (entry.actor, entry.detail["reason"], entry.detail["predictions"]) == (admin, WHY, 2)
    assert "user-1" not in entry.detail_json and token() not in entry.detail_json
    assert entry.detail["who"] == erasure.digest_of(token())


def test_a_second_attempt_gives_the_token_that_the_first_one_began_with(champion, closed, admin):
    person = person_named(champion, "user_id", "user-1")
    first = request_erasure(person, reason=WHY, actor=admin)
    Job.objects.update(status="cancelled")
    again = request_erasure(person, reason=WHY, actor=admin)
    assert again.pk != first.pk and again.params["fresh"] == first.params["fresh"]
    run_job(again.pk, run_erasure)
    scored("payments", payment())
    third = request_erasure(person, reason=WHY, actor=admin)
    assert third.params["fresh"] != first.params["fresh"]


def test_others_keep_theirs(champion, closed, admin):
    other = scored("payments", payment(user_id="user-2"))
    erase(champion, admin)
    now = Prediction.objects.get(pk=other.pk)
    assert (now.event, now.entity, now.erased_at) == (other.event, other.entity, None)


def test_an_open_alert_or_case_or_list_keeps_them(champion, analyst, lead, monkeypatch):
    monkeypatch.setattr(ordering, "SETTLING", timedelta(0))
    alert = alert_of()
    with pytest.raises(ErasureRefused, match="alert about them is open"):
        erase(champion)
    case = open_case([alert], title="Odd", actor=analyst)
    with pytest.raises(ErasureRefused, match=f"Case {case.pk} is not closed"):
        erase(champion)
    close_case(case, **FRAUD, actor=analyst)
    entry = add_list_entry(
        champion, kind="deny", field="user_id", value="user-1", reason="Chargebacks",
        expires_at=None, author=lead,
    )  # fmt: skip
    with pytest.raises(ErasureRefused, match="on a list"):
        erase(champion)
    revoke_list_entry(entry, author=lead)
    assert erase(champion).result["cases"] == 1
    kept = ListEntry.objects.get()
    assert kept.shown == "" and kept.token not in (token(), Alert.objects.get().entity)


def test_who_comes_onto_a_list_meanwhile_stays_found_there(champion, closed, lead, monkeypatch):
    """The last transaction asks again, before it takes a token away."""
    monkeypatch.setattr(ordering, "SETTLING", timedelta(0))
    some = erasure.erase_some

    def listed(person, fresh, *, now):
        if not ListEntry.objects.exists():
            add_list_entry(
                champion, kind="deny", field="user_id", value="user-1", reason="Chargebacks",
                expires_at=None, author=lead,
            )  # fmt: skip
        return some(person, fresh, now=now)

    monkeypatch.setattr(erasure, "erase_some", listed)
    job = erase(champion)
    assert job.status == "failed" and "on a list" in job.error
    assert ListEntry.objects.get().token == token() == Alert.objects.get().entity


@pytest.mark.parametrize(("field", "value", "why", "told"), [
    ("user_name", "Ada Lovelace", WHY, "groups its events by user_id"),
    ("user_id", "nobody", WHY, "Nothing is stored"),
    ("user_id", "user-1", "x", "Say why"),
])  # fmt: skip
def test_what_cannot_be_erased_is_said(champion, closed, field, value, why, told):
    with pytest.raises(ErasureRefused, match=told):
        request_erasure(person_named(champion, field, value), reason=why, actor=None)
    assert not Job.objects.exists()


def test_links_by_personal_data_go_and_the_others_stay(champion, closed, admin, monkeypatch):
    monkeypatch.setattr(linking, "GRACE", timedelta(seconds=-1))
    champion.config["event"]["links"] = ["user_name", "merchant_type"]
    champion.save()
    index_links()
    assert SharedValue.objects.filter(field="user_name").exists()
    erase(champion, admin)
    fresh = Alert.objects.get().entity
    assert set(EntityLink.objects.values_list("field", "entity")) == {("merchant_type", fresh)}
    assert not SharedValue.objects.filter(field="user_name").exists()
    assert KnownEntity.objects.get().shown == "erased"


def test_who_is_indexed_after_the_erasure_is_not_called_by_an_event(
    champion, closed, admin, monkeypatch
):
    monkeypatch.setattr(linking, "GRACE", timedelta(seconds=-1))
    champion.config["event"]["links"] = ["merchant_type"]
    champion.save()
    erase(champion, admin)
    index_links()
    assert KnownEntity.objects.get().shown == "erased"


def test_a_worker_that_dies_between_two_batches_is_followed_by_one_that_ends_it(
    champion, closed, admin, monkeypatch
):
    monkeypatch.setattr(erasing, "BATCH", 1)
    job = request_erasure(person_named(champion, "user_id", "user-1"), reason=WHY, actor=admin)
    whole = erasure._let_go
    monkeypatch.setattr(erasure, "_let_go", lambda *_: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):
        run_job(job.pk, run_erasure)
    assert Prediction.objects.exclude(erased_at=None).count() == 2
    assert set(Prediction.objects.values_list("entity", flat=True)) == {token()}
    monkeypatch.setattr(erasure, "_let_go", whole)
    requeue_lost(timezone.now())
    assert run_job(job.pk, run_erasure).status == "succeeded"
    assert not Prediction.objects.filter(entity=token()).exists()
    # And one whose worker died after its last commit tells what that one did.
    Job.objects.filter(pk=job.pk).update(status="queued")
    again = run_job(job.pk, run_erasure)
    assert again.result["predictions"] == 2


def test_a_repeat_of_an_erased_event_is_answered_as_before(champion, admin, api):
    sent = payment()
    client = api("score")
    url = "/api/v1/detectors/payments/score"
    first = client.post(url, sent, content_type="application/json")
    erase(champion, admin)
    again = client.post(url, sent, content_type="application/json")
    assert again.status_code == 200
    assert again.json()["prediction_id"] == first.json()["prediction_id"]
    other = client.post(url, {**sent, "amount": 1.0}, content_type="application/json")
    assert other.status_code == 409


def test_a_replay_counts_them_apart(champion, closed, admin):
    scored("payments", payment(user_id="user-2"))
    erase(champion, admin)
    report = verify_predictions(chosen(slug="payments"))
    assert (report.same, report.different) == (1, 0)
    assert dict(report.skipped) == {"personal data erased": 2}


def test_pages_say_when_it_was_erased_and_reveal_nothing(champion, closed, admin, client):
    erase(champion, admin)
    client.force_login(admin)
    row = Prediction.objects.latest("event_time")
    said = f"erased on {row.erased_at:%Y-%m-%d}"
    for url in (row.get_absolute_url(), Alert.objects.get().get_absolute_url()):
        assert said in client.get(url).content.decode()
    refused = client.post(f"{row.get_absolute_url()}reveal/", {"reason": "Need to see it"})
    assert refused.status_code == 409 and "nothing to reveal" in refused.content.decode()
    assert not AuditEntry.objects.filter(action="prediction.revealed").exists()


def command(*more, value="user-1"):
    out = StringIO()
    asked = ("--detector", "payments", "--entity-key", "user_id", value, *more)
    call_command("erase_person", *asked, stdout=out)
    return out.getvalue()


def test_the_command_says_first_what_is_stored_then_erases(champion, closed):
    assert "Would be erased: 2 predictions, 1 alerts" in command("--dry-run")
    assert not Prediction.objects.exclude(erased_at=None).exists()
    assert "Erased: 2 predictions" in command("--reason", WHY)
    with pytest.raises(CommandError, match="Nothing is stored"):
        command("--reason", WHY)


@pytest.mark.django_db(transaction=True)
def test_an_event_that_is_scored_meanwhile_is_erased_or_begins_anew(champion, admin):
    """Never half: what stands under the old token is what the new window has learnt."""
    scored_many("payments", [payment() for _ in range(30)])
    job = request_erasure(person_named(champion, "user_id", "user-1"), reason=WHY, actor=admin)

    def score():
        for _ in range(15):
            scored_many("payments", [payment(), payment()])
        connections.close_all()

    scoring = Thread(target=score)
    scoring.start()
    done = run_job(job.pk, run_erasure)
    scoring.join()
    assert done.status == "succeeded", done.error
    erased = Prediction.objects.exclude(entity=token())
    later = Prediction.objects.filter(entity=token())
    assert erased.count() + later.count() == 60 and erased.count() == done.result["predictions"]
    assert not erased.filter(erased_at=None).exists() and not later.exclude(erased_at=None).exists()
    assert len(set(erased.values_list("entity", flat=True))) == 1
    assert reach_of(person_named(champion, "user_id", "user-1")).predictions == later.count()


@pytest.mark.django_db(transaction=True)
def test_a_sweep_that_has_read_their_events_does_not_bring_them_back(champion, admin, monkeypatch):
    monkeypatch.setattr(linking, "GRACE", timedelta(seconds=-1))
    champion.config["event"]["links"] = ["merchant_type"]
    champion.save()
    scored("payments", payment())
    job = request_erasure(person_named(champion, "user_id", "user-1"), reason=WHY, actor=admin)

    def run():
        run_job(job.pk, run_erasure)
        connections.close_all()

    erasing_it, collect = Thread(target=run), linking._collect

    def slowly(rows):
        found = collect(rows)
        erasing_it.start()
        erasing_it.join(timeout=2)
        return found

    monkeypatch.setattr(linking, "_collect", slowly)
    index_links(most=1)
    erasing_it.join()
    job.refresh_from_db()
    assert job.status == "succeeded", job.error
    (fresh,) = Prediction.objects.values_list("entity", flat=True)
    assert set(EntityLink.objects.values_list("entity", flat=True)) == {fresh}
    assert set(KnownEntity.objects.values_list("entity", "shown")) == {(fresh, "erased")}


def test_what_the_audit_trail_tells_beside_the_old_token_is_not_left_on_predictions(
    champion, closed, admin
):
    hit = {"entry_id": 7, "kind": "allow", "field": "user_id", "reason": "Staff"}
    snoozed = {"code": "R", "values": {}, "snoozed": "2026-11-28T10:11:12+00:00"}
    Prediction.objects.update(list_hits=[hit], rule_hits=[snoozed])
    erase(champion, admin)
    row = Prediction.objects.first()
    assert row.list_hits == [hit | {"entry_id": 0}]
    assert row.rule_hits[0]["snoozed"] == "2026-11-28T00:00:00+00:00"
    assert (row.erased_at.hour, row.erased_at.minute, row.erased_at.microsecond) == (0, 0, 0)


def test_one_erasure_of_a_person_at_a_time_and_a_failed_one_keeps_no_token(champion, closed, admin):
    person = person_named(champion, "user_id", "user-1")
    failed = request_erasure(person, reason=WHY, actor=admin)
    with pytest.raises(ErasureRefused, match="being erased already"):
        request_erasure(person, reason="Another reason", actor=admin)
    Job.objects.filter(pk=failed.pk).update(status="failed")
    erase(champion, admin)
    failed.refresh_from_db()
    assert not {"token", "fresh"} & failed.params.keys()


def take_role_from(user):
    set_roles(User.objects.get(pk=user.pk), roles=[], actor=None)


def test_who_lost_the_right_since_they_asked_erases_nobody(champion, closed, admin):
    job = request_erasure(person_named(champion, "user_id", "user-1"), reason=WHY, actor=admin)
    take_role_from(admin)
    done = run_job(job.pk, run_erasure)
    assert (done.status, done.requested_by) == ("failed", admin)
    assert "admin, who asked for it, may not erase personal data any more" in done.error
    assert not Prediction.objects.exclude(erased_at=None).exists()
    other = user_with_role(ADMIN)
    assert erase(champion, other).status == "succeeded", "whoever may asks again"


def test_it_stops_when_the_right_goes_while_it_runs(champion, closed, admin, monkeypatch):
    monkeypatch.setattr(erasing, "BATCH", 1)
    job = request_erasure(person_named(champion, "user_id", "user-1"), reason=WHY, actor=admin)
    some = erasure.erase_some

    def one_and_out(*args, **given):
        take_role_from(admin)
        return some(*args, **given)

    monkeypatch.setattr(erasure, "erase_some", one_and_out)
    assert run_job(job.pk, run_erasure).status == "failed"
    assert Prediction.objects.exclude(erased_at=None).count() == 1
    assert set(Prediction.objects.values_list("entity", flat=True)) == {token()}
