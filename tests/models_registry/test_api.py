"""The models API: who may do what, and what comes back."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import Job
from models_registry.promotion import promote
from scoring.deployment import serving
from tests.jobs.factories import JobFactory
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture(autouse=True)
def unsent(monkeypatch):
    """Jobs are queued and announced to nobody."""
    monkeypatch.setattr("models_registry.api.announce_job", lambda job: None)


@pytest.fixture
def version(payments_detector, payments_digest):
    return VersionFactory(detector=payments_detector, number=1, digest=payments_digest)


def test_versions_are_listed_and_narrowed(api, version):
    reader = api("models:read")
    found = reader.get("/api/v1/models", {"detector": "payments", "stage": "challenger"}).json()
    assert [row["version"] for row in found["models"]] == ["v1"]
    assert reader.get("/api/v1/models", {"stage": "champion"}).json()["models"] == []
    assert reader.get("/api/v1/models", {"stage": "king"}).status_code == 422
    for unknown in ("nothing", "payments\0"):
        assert reader.get("/api/v1/models", {"detector": unknown}).status_code == 404


def test_the_list_costs_the_same_queries_for_any_number_of_versions(
    api, payments_detector, django_assert_num_queries
):
    reader = api("models:read")
    for versions in (1, 20):
        VersionFactory.create_batch(versions, detector=payments_detector)
        reader.get("/api/v1/models")
        with django_assert_num_queries(2):  # the key, the versions
            reader.get("/api/v1/models")


def test_training_is_accepted_and_can_be_followed(api, payments_detector):
    body = {"learner": "logistic_regression"}
    answer = api("models:write").post("/api/v1/detectors/payments/train", body, content_type=JSON)
    assert answer.status_code == 202
    job_id = answer.json()["job_id"]
    assert Job.objects.get(pk=job_id).params["learner"] == "logistic_regression"
    assert api("models:read").get(f"/api/v1/jobs/{job_id}").json()["status"] == "queued"
    assert api("models:read").get("/api/v1/jobs/999").status_code == 404


@pytest.mark.parametrize(
    ("progress", "params", "seconds", "text"),
    [
        (0.01, {}, None, ""),
        (0.5, {}, 60, "about 60 s left"),
        (0.35, {"tune_for": 480.0}, None, "at least 4 min left"),
    ],
)
def test_a_job_tells_about_how_long_it_still_takes(api, progress, params, seconds, text):
    job = JobFactory(params=params, status="running", progress=progress)
    job.started_at = timezone.now() - timedelta(seconds=60)
    job.save()
    reader, url = api("models:read"), f"/api/v1/jobs/{job.pk}"
    told = reader.get(url).json()
    assert (told["remaining_seconds"], told["remaining_text"]) == (seconds, text)
    Job.objects.update(status="succeeded")
    ended = reader.get(url).json()
    assert (ended["remaining_seconds"], ended["remaining_text"]) == (None, "")


@pytest.mark.parametrize(
    ("status", "stage"),
    [("running", "Registering"), ("failed", "Registering"), ("succeeded", "")],
)
def test_a_job_that_succeeded_is_at_no_stage_any_more(api, status, stage):
    job = JobFactory(status=status, progress=1.0, stage="Registering")
    assert api("models:read").get(f"/api/v1/jobs/{job.pk}").json()["stage"] == stage
    assert job.doing == stage


def test_a_job_tells_the_last_lines_of_its_log(api):
    at = "2026-05-01T10:00:00+00:00"
    log = [{"at": at, "text": f"line {number}", "searched": 1.0} for number in range(30)]
    job = JobFactory(log=log)
    lines = api("models:read").get(f"/api/v1/jobs/{job.pk}").json()["log"]
    assert lines == [{"at": at, "text": f"line {number}"} for number in range(10, 30)]


def test_a_setting_that_a_training_does_not_know_is_refused(api, payments_detector):
    body = {"learner": "random_forest", "imbalances": "smote"}
    answer = api("models:write").post("/api/v1/detectors/payments/train", body, content_type=JSON)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["imbalances"]
    assert not Job.objects.exists()


def test_what_a_training_need_not_be_told_may_be_null(api, payments_detector):
    body = {"learner": None, "imbalance": None, "tune_for": None}
    answer = api("models:write").post("/api/v1/detectors/payments/train", body, content_type=JSON)
    assert answer.status_code == 202, answer.content
    assert Job.objects.get().params["learner"] == "lightgbm"


def test_bad_training_requests_start_nothing(api, payments_detector):
    writer = api("models:write")
    for body in ({"learner": "oracle"}, {"tune_for": True}, {"tune_for": False}):
        answer = writer.post("/api/v1/detectors/payments/train", body, content_type=JSON)
        assert answer.status_code == 422, body
    assert writer.post("/api/v1/detectors/none/train", {}, content_type=JSON).status_code == 404
    assert not Job.objects.exists()


@pytest.mark.parametrize("number", ["-1", "x", "1" * 5000], ids=["negative", "text", "endless"])
def test_a_page_that_is_no_number_is_422(api, version, number):
    answer = api("models:read").get(f"/api/v1/models?skip={number}")
    assert answer.status_code == 422
    assert "to 100000: narrow the list" in answer.json()["errors"][0]["message"]


def test_promote_and_roll_back(api, version, payments_digest):
    writer = api("models:write")
    promote(version, actor=None)
    second = VersionFactory(detector=version.detector, number=2, digest=payments_digest)
    body = {"reason": "better on every count", "override": True}
    asked = writer.post(f"/api/v1/models/{second.pk}/promote", body, content_type=JSON)
    assert (asked.status_code, asked.json()["status"]) == (202, "pending")
    approve = f"/api/v1/promotions/{asked.json()['id']}/approve"
    answer = api("models:write").post(approve, {}, content_type=JSON)
    assert (answer.json()["version"], answer.json()["previous"]) == ("v2", "v1")
    assert serving("payments").version == "v2"
    answer = writer.post("/api/v1/detectors/payments/roll_back", {}, content_type=JSON)
    assert (answer.json()["action"], answer.json()["version"]) == ("roll_back", "v1")


def test_a_roll_back_sent_twice_goes_back_one_step(api, version, payments_digest):
    writer, url = api("models:write"), "/api/v1/detectors/payments/roll_back"
    later = [
        VersionFactory(detector=version.detector, number=number, digest=payments_digest)
        for number in (2, 3)
    ]
    for one in (version, *later):
        promote(one, actor=None)
    body = {"reason": "v3 is bad", "champion": later[1].pk}
    assert writer.post(url, body, content_type=JSON).json()["version"] == "v2"
    again = writer.post(url, body, content_type=JSON)
    assert (again.status_code, "it is v2 now" in again.json()["detail"]) == (409, True)
    assert serving("payments").version == "v2"
    assert writer.post(url, {"champion": "v2"}, content_type=JSON).status_code == 422
    unnamed = writer.post(url, {}, content_type=JSON)
    assert (unnamed.status_code, "already" in unnamed.json()["detail"]) == (409, True)
    further = writer.post(url, {"champion": later[0].pk}, content_type=JSON)
    assert further.json()["version"] == "v1"


def test_what_is_refused_is_409(api, version):
    writer = api("models:write")
    assert writer.post("/api/v1/detectors/payments/roll_back", content_type=JSON).status_code == 409
    broken = VersionFactory(detector=version.detector, digest="f" * 64)
    assert writer.post(f"/api/v1/models/{broken.pk}/promote", content_type=JSON).status_code == 409


def test_keys_without_the_scope_and_nobody_are_refused(api, client, version):
    for url in ("/api/v1/detectors/payments/train", f"/api/v1/models/{version.pk}/promote"):
        assert client.post(url).status_code == 401
        assert api("models:read").post(url).status_code == 403
    assert api("score").get("/api/v1/models").status_code == 403
