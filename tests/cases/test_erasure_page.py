"""The page where an admin erases a person's data: what is stored first, then why."""

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from cases.services import label_alert
from jobs.models import Job
from scoring.models import Detector, Prediction
from tests.cases.alerts import alert_of
from tests.factories import payment, scored

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("champion")]
URL = "/manage/personal-data/"
WHO = {"detector": "payments", "value": "user-1"}
WHY = {"reason": "Asked by letter", "sure": "on", "erase": "1"}


def text_of(answer):
    return " ".join(answer.content.decode().split())


def shown(client, **who):
    """What the page sends back of whom it showed."""
    return {"seen": client.post(URL, {**WHO, **who, "look": "1"}).context["seen"]}


@pytest.fixture
def signed_in(client, admin):
    client.force_login(admin)
    return client


def test_without_a_detector_it_offers_no_empty_choice(signed_in):
    Detector.objects.all().delete()
    page = text_of(signed_in.get(URL))
    assert "There is no detector yet" in page and "How long it is kept" in page
    assert 'name="detector"' not in page
    assert signed_in.post(URL, {**WHO, "look": "1"}).status_code == 422


def test_it_shows_first_what_is_stored_and_erases_nothing(signed_in):
    scored("payments", payment())
    page = signed_in.post(URL, {**WHO, "look": "1"})
    assert page.status_code == 200 and ("Predictions", 1) in page.context["counts"]
    assert "lose user_id, user_name" in text_of(page)
    assert not Job.objects.exists()


def test_an_admin_who_says_why_starts_the_job(signed_in, admin):
    scored("payments", payment())
    page = signed_in.post(URL, {**WHO, **WHY, **shown(signed_in)}, follow=True)
    job = Job.objects.get()
    assert page.redirect_chain == [(reverse("job_detail", args=[job.pk]), 302)]
    assert (job.kind, job.requested_by) == ("cases.erase_person", admin)
    text = text_of(page)
    assert "Erasure of personal data" in text and "user-1" not in text
    assert job.params["token"] not in text and job.params["fresh"] not in text
    assert AuditEntry.objects.latest("number").action == "personal_data.erasure_asked"


@pytest.mark.parametrize(("changed", "told"), [
    ({"reason": "x"}, "at least 8 characters"),
    ({"sure": ""}, "Tick that it is meant"),
    ({"value": "nobody"}, "stores nothing under this value of user_id"),
    ({"detector": "none"}, "Select a valid choice"),
])  # fmt: skip
def test_what_is_missing_is_said(signed_in, changed, told):
    scored("payments", payment())
    page = signed_in.post(URL, {**WHO, **WHY, **shown(signed_in), **changed})
    assert page.status_code == 422 and told in text_of(page)
    assert not Job.objects.exists()


def test_nobody_is_erased_who_was_not_shown(signed_in):
    scored("payments", payment())
    scored("payments", payment(user_id="user-2"))
    for seen in ({}, shown(signed_in, value="user-2")):
        page = signed_in.post(URL, {**WHO, **WHY, **seen})
        assert page.status_code == 422 and "somebody else than was shown" in text_of(page)
    assert not Job.objects.exists()


def test_a_value_with_a_blank_at_its_end_is_found(signed_in):
    scored("payments", payment(user_id="user-9 "))
    page = signed_in.post(URL, {**WHO, "value": "user-9 ", "look": "1"})
    assert ("Predictions", 1) in page.context["counts"]


def test_while_an_alert_is_open_it_says_so_and_offers_nothing(signed_in, analyst):
    alert = alert_of()
    page = signed_in.post(URL, {**WHO, "look": "1"})
    assert "Not now: An alert about them is open" in text_of(page)
    assert 'name="erase"' not in text_of(page)
    assert signed_in.post(URL, {**WHO, **WHY}).status_code == 422
    label_alert(alert, disposition="fraud", reason_code="card_testing", actor=analyst)
    assert 'name="erase"' in text_of(signed_in.post(URL, {**WHO, "look": "1"}))


@pytest.mark.parametrize("person", ["analyst", "lead", "engineer", "owner", "outsider"])
def test_only_admins_may(client, request, person):
    scored("payments", payment())
    client.force_login(request.getfixturevalue(person))
    assert client.get(URL).status_code == 403
    assert client.post(URL, {**WHO, **WHY}).status_code == 403
    assert not Job.objects.exists() and not Prediction.objects.exclude(erased_at=None).exists()


def test_nobody_who_is_not_logged_in_sees_it(client):
    assert client.get(URL).status_code == 302
