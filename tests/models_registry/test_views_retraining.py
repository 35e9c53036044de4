"""The retraining page: a policy is edited, checked, tried and put into force."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AuditEntry
from jobs.models import Job
from jobs.services import run_job
from models_registry.retraining import request_training
from models_registry.retraining_models import RetrainingPolicy
from models_registry.timetable import set_timetable, timetable_of
from scoring.labelling import record_label
from scoring.models import Detector, Label
from scoring.policies import set_policy
from tests.factories import payment, scored
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db
PAGE = "/models/payments/retraining/"
GIVEN = {
    "day": "1",
    "hour": "3",
    "on_labels": "on",
    "labels": "250",
    "drift_level": "major",
    "age_days": "14",
    "quiet_hours": "12",
    "review_days": "90",
}


def text_of(response):
    return " ".join(response.content.decode().split())


def test_who_may_see_and_who_may_change(client, outsider, analyst, champion):
    assert client.get(PAGE).status_code == 302
    client.force_login(outsider)
    assert client.get(PAGE).status_code == client.post(PAGE, GIVEN).status_code == 403
    client.force_login(analyst)
    page = text_of(client.get(PAGE))
    assert "Who may train models may change it." in page
    assert "Put into force" not in page
    assert client.post(PAGE, GIVEN).status_code == 403
    assert not RetrainingPolicy.objects.exists()


def test_until_somebody_changes_it_the_declaration_holds(client, owner, champion):
    client.force_login(owner)
    form = client.get(PAGE).context["form"]
    assert (form["on_age"].value(), form["age_days"].value()) == (True, 7.0)
    assert not form["on_time"].value() and not form["on_review"].value()


def test_an_owner_puts_a_policy_into_force_and_sees_it(client, owner, champion):
    client.force_login(owner)
    given = GIVEN | {"on_time": "on", "on_review": "on"}
    assert client.post(PAGE, given).url == PAGE
    saved = RetrainingPolicy.objects.get()
    assert (saved.on_labels, saved.labels, saved.on_age, saved.age_hours) == (True, 250, False, 336)
    assert timetable_of(champion).words == "every Monday at 03:00 UTC"
    assert Detector.objects.get(pk=champion.pk).review_after() == 90 * 86400.0
    assert AuditEntry.objects.get(action="retraining.policy_changed").actor == owner
    form = client.get(PAGE).context["form"]
    assert (form["labels"].value(), form["review_days"].value()) == (250, 90.0)
    assert "past that, rules decide alone" in text_of(client.get(champion.get_absolute_url()))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("labels", "0"),
        ("labels", "many"),
        ("labels", "9" * 30),
        ("age_days", "nan"),
        ("age_days", "inf"),
        ("age_days", "-3"),
        ("quiet_hours", "0"),
        ("hour", "24"),
        ("day", "8"),
        ("day", "other"),
        ("drift_level", "stable"),
        ("drift_level", "\0"),
        ("review_days", "0"),
        ("review_days", ""),
    ],
)
def test_a_bad_value_is_422_beside_its_field_and_changes_nothing(
    client, owner, champion, field, value
):
    client.force_login(owner)
    answer = client.post(PAGE, GIVEN | {"on_review": "on", field: value})
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert not RetrainingPolicy.objects.exists()
    assert not AuditEntry.objects.filter(action="retraining.policy_changed").exists()


def given_from(page):
    return GIVEN | {"base": page.context["form"]["base"].value()}


def test_of_two_people_who_edit_at_once_the_second_sees_what_the_first_changed(
    client, owner, champion
):
    client.force_login(owner)
    first, second = given_from(client.get(PAGE)), given_from(client.get(PAGE))
    assert client.post(PAGE, first).status_code == 302
    typed = second | {"labels": "77", "age_days": "30"}
    for again in (typed, typed):  # A page that is sent twice does not win by itself.
        answer = client.post(PAGE, again)
        assert answer.status_code == 422
    page = text_of(answer)
    assert "Somebody changed it meanwhile" in page and "labels: 500 → 250" in page
    assert answer.context["form"]["labels"].value() == "77"
    assert RetrainingPolicy.objects.get().labels == 250
    assert client.post(PAGE, given_from(answer) | {"labels": "77"}).status_code == 302
    assert RetrainingPolicy.objects.get().labels == 77


def test_a_timetable_or_a_term_that_was_set_elsewhere_meanwhile_is_not_undone(
    client, owner, champion
):
    client.force_login(owner)
    given = given_from(client.get(PAGE))
    set_timetable(champion, on=True, day="2", hour=5)
    set_policy(champion, review_after=30 * 86400.0, author=owner)
    page = text_of(client.post(PAGE, given))
    assert "review after: never → 30 days" in page
    assert "every Tuesday at 05:00 UTC" in page
    assert timetable_of(champion).on and not RetrainingPolicy.objects.exists()


def test_trying_a_policy_does_not_count_as_looking_at_what_stands(client, owner, champion):
    client.force_login(owner)
    first, second = given_from(client.get(PAGE)), given_from(client.get(PAGE))
    client.post(PAGE, first)
    tried = client.post(PAGE, second | {"preview": "1"})
    assert client.post(PAGE, given_from(tried)).status_code == 422


def test_what_was_looked_at_cannot_be_made_up(client, owner, champion):
    client.force_login(owner)
    assert client.post(PAGE, GIVEN | {"base": '{"labels": 500}'}).status_code == 422
    assert not RetrainingPolicy.objects.exists()


def test_what_would_happen_is_told_without_saving(client, owner, champion):
    version = VersionFactory(detector=champion, number=3)
    record_label(scored("payments", payment()), is_fraud=True, source=Label.Source.ANALYST)
    client.force_login(owner)
    few, many = (
        text_of(client.post(PAGE, GIVEN | {"labels": count, "preview": "1"}))
        for count in ("1", "99")
    )
    assert f"would start now, because at least 1 label matured since {version.label}." in few
    assert "Nothing would start now." in many
    assert "not saved" in few
    assert "The clock keeps its times." in few
    assert not RetrainingPolicy.objects.exists()


def test_past_trainings_stand_with_their_reasons(client, analyst, champion):
    job = request_training(champion, requested_by=None, reason="3 labels matured since v3")
    version = VersionFactory(detector=champion, job=job)
    run_job(job.pk, lambda job, progress: {"version": version.pk})
    client.force_login(analyst)
    assert "3 labels matured since v3" in text_of(client.get(PAGE))
    page = text_of(client.get(version.get_absolute_url()))
    assert "because 3 labels matured since v3" in page


def test_a_declaration_that_cannot_be_read_is_told(client, owner, champion):
    Detector.objects.update(config={})
    client.force_login(owner)
    answer = client.get(PAGE)
    assert (answer.status_code, "cannot be read any more" in answer.content.decode()) == (409, True)


def test_the_page_costs_the_same_queries_for_any_history(client, owner, champion):
    client.force_login(owner)
    VersionFactory(detector=champion)
    spent = []
    for jobs in (1, 7):
        for _ in range(jobs):
            made = request_training(champion, requested_by=owner)
            Job.objects.update(status="succeeded", finished_at=timezone.now())
            VersionFactory(detector=champion, job=made)
        with CaptureQueriesContext(connection) as queries:
            client.get(PAGE)
        spent.append(len(queries))
    assert spent[0] == spent[1] <= 16
