"""An evaluation is asked for over the API, as a training is."""

import pytest

from jobs.models import Job
from models_registry.evaluation_models import Evaluation
from tests.accounts.factories import key_for
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture
def url(payments_detector, monkeypatch):
    """Where the evaluations of v1 are; jobs are announced to nobody."""
    monkeypatch.setattr("models_registry.evaluation_api.announce_job", lambda job: None)
    version = VersionFactory(detector=payments_detector, number=1)
    return f"/api/v1/models/{version.pk}/evaluations"


@pytest.mark.parametrize(
    ("body", "kind"), [({}, "as_of"), ({"kind": None}, "as_of"), ({"kind": "folds"}, "folds")]
)
def test_an_evaluation_is_accepted_and_can_be_followed(api, url, body, kind):
    answer = api("models:write").post(url, body, content_type=JSON)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    job = Job.objects.get(pk=answer.json()["job_id"])
    assert (job.kind, job.params["kind"]) == ("models_registry.evaluate", kind)
    assert api("models:read").get(f"/api/v1/jobs/{job.pk}").json()["subject"] == job.subject


def test_asked_for_twice_it_is_one_job_and_of_the_other_kind_a_conflict(api, url):
    writer = api("models:write")
    first, again = (writer.post(url, {"kind": "folds"}, content_type=JSON) for _ in range(2))
    assert first.json()["job_id"] == again.json()["job_id"]
    other = writer.post(url, {"kind": "as_of"}, content_type=JSON)
    assert other.status_code == 409
    assert f"Job {first.json()['job_id']} is evaluating v1 already" in other.json()["detail"]
    assert Job.objects.count() == 1


@pytest.mark.parametrize(("body", "field"), [({"kind": "king"}, "kind"), ({"how": 1}, "how")])
def test_what_it_does_not_know_is_refused_with_field_and_reason(api, url, body, field):
    answer = api("models:write").post(url, body, content_type=JSON)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == field and error["message"]
    assert not Job.objects.exists()


def test_it_takes_the_scope_the_users_right_and_a_version(api, client, analyst, url):
    assert client.post(url).status_code == 401
    assert api("models:read").post(url).status_code == 403
    _, secret = key_for(analyst, scopes=["models:write"])
    headers = {"authorization": f"Token {secret}"}
    assert client.post(url, headers=headers).status_code == 403
    assert api("models:write").post("/api/v1/models/0/evaluations").status_code == 404
    assert not Job.objects.exists() and not Evaluation.objects.exists()
