"""What answers of the API tell people to do: cancel a job, reject a version, compare in shadow."""

import pytest
from django.test import Client

from accounts.models import AuditEntry
from jobs.models import Job
from jobs.services import claim_job
from models_registry.shadowing import start_shadow
from tests.accounts.factories import UserFactory, key_for
from tests.jobs.factories import JobFactory
from tests.models_registry.rivals import rivals

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture
def versions(payments_detector, payments_digest):
    return rivals(payments_detector, payments_digest)


@pytest.fixture
def writer(api):
    client = api("models:write")

    def post(path, body=None):
        return client.post(f"/api/v1{path}", body or {}, content_type=JSON)

    return post


def test_what_a_409_of_training_tells_to_cancel_can_be_cancelled(writer, payments_detector):
    first = writer("/detectors/payments/train").json()["job_id"]
    refused = writer("/detectors/payments/train", {"learner": "ecod"})
    assert (refused.status_code, "or cancel it" in refused.json()["detail"]) == (409, True)
    assert writer(f"/jobs/{first}/cancel").json()["status"] == "cancelled"
    assert writer("/detectors/payments/train", {"learner": "ecod"}).status_code == 202


@pytest.mark.parametrize("running", [False, True])
def test_a_job_is_cancelled_once_however_often_it_is_asked(writer, running):
    job = JobFactory()
    if running:
        claim_job(job.pk)
    answers = [writer(f"/jobs/{job.pk}/cancel") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].json()["status"] == ("running" if running else "cancelled")
    job.refresh_from_db()
    assert job.cancel_requested_at is not None
    assert AuditEntry.objects.filter(action="job.cancelled").count() == 1


def test_a_job_that_is_over_is_409_and_none_404(writer):
    job = JobFactory(status="succeeded")
    answer = writer(f"/jobs/{job.pk}/cancel")
    assert (answer.status_code, "over already" in answer.json()["detail"]) == (409, True)
    assert writer(f"/jobs/{job.pk + 1}/cancel").status_code == 404


def test_a_challenger_is_rejected_once_however_often_it_is_asked(writer, versions):
    path = f"/models/{versions[1].pk}/reject"
    for _ in range(2):
        answer = writer(path, {"reason": "Too many alerts."})
        assert (answer.status_code, answer.json()["stage"]) == (200, "rejected")
    entry = AuditEntry.objects.get(action="model.reject")
    assert entry.detail["reason"] == "Too many alerts."


def test_what_serves_is_not_rejected_nor_with_a_field_that_is_not_known(writer, versions):
    assert writer(f"/models/{versions[0].pk}/reject").status_code == 409
    assert writer(f"/models/{versions[1].pk}/reject", {"why": "x"}).status_code == 422
    assert not AuditEntry.objects.filter(action="model.reject").exists()


def test_a_challenger_is_compared_by_one_job_however_often_it_is_asked(writer, versions):
    path = f"/models/{versions[1].pk}/shadow/judge"
    refused = writer(path)
    assert (refused.status_code, "never in shadow" in refused.json()["detail"]) == (409, True)
    start_shadow(versions[1], actor=None)
    answers = [writer(path) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert {answer.json()["job_id"] for answer in answers} == {Job.objects.get().pk}


@pytest.mark.parametrize("act", ["cancel", "reject", "judge"])
def test_nobody_no_scope_and_no_right_change_nothing(api, client, analyst, versions, act):
    start_shadow(versions[1], actor=None)
    job = JobFactory()
    path = {
        "cancel": f"/api/v1/jobs/{job.pk}/cancel",
        "reject": f"/api/v1/models/{versions[1].pk}/reject",
        "judge": f"/api/v1/models/{versions[1].pk}/shadow/judge",
    }[act]
    assert client.post(path).status_code == 401
    assert api("models:read").post(path).status_code == 403
    for user in (analyst, UserFactory()):
        _, secret = key_for(user, scopes=("models:read", "models:write"))
        theirs = Client(headers={"authorization": f"Token {secret}"})
        assert theirs.post(path, {}, content_type=JSON).status_code == 403
    job.refresh_from_db()
    versions[1].refresh_from_db()
    assert (job.status, versions[1].stage) == ("queued", "challenger")
    assert Job.objects.count() == 1
