"""Contract C, models: `/api/v1/model/info`, `/api/v1/drift/status`, `/api/v1/drift/check`."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from jobs.models import Job
from jobs.workflow import JobStatus
from models_registry.monitoring import check_drift
from models_registry.promotion_models import PromotionGuard
from models_registry.tasks import check_drift_task
from scoring.models import Deployment
from scoring.policies import set_policy
from tests.factories import payments, scored_many
from tests.models_registry.drifting import ROWS, kept_check, serve, stored_events
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db
INFO = "/api/v1/model/info?detector=payments"
STATUS = "/api/v1/drift/status?detector=payments"
CHECK = "/api/v1/drift/check"


@pytest.fixture(autouse=True)
def sent(monkeypatch):
    """Jobs are queued; who is told of them is listed here."""
    told = []
    monkeypatch.setattr("models_registry.model_api.announce_job", told.append)
    return told


def check(client, body=None):
    data = json.dumps({"detector": "payments"} if body is None else body)
    return client.post(CHECK, data, content_type="application/json")


def test_the_model_in_service_is_described(api, champion, payments_digest):
    VersionFactory(detector=champion, number=1, digest=payments_digest)
    body = api("models:read").get(INFO).json()
    assert (body["detector"], body["model_version"]) == ("payments", "v1")
    assert body["bundle_digest"] == payments_digest
    assert body["learner"] == "logistic_regression"
    assert "amount" in body["features"]
    assert body["thresholds"]["review"] > 0
    assert (body["degraded"], body["fault"]) == (False, "")
    assert body["trained_at"]


GUARDS = [
    INFO,
    "/api/v1/models?stage=champion",
    "/api/v1/models/{}",
    "/api/v1/models/compare?ids={},{}",
]


def told_guards(api, guard):
    """What each of the routes tells of the guard of the version in service."""
    ids, client = (guard.version_id, guard.former_id), api("models:read")
    info, page, version, side = (client.get(way.format(*ids)).json() for way in GUARDS)
    return [row["guard"] for row in (info, page["models"][0], version, side["versions"][0])]


def test_the_guard_of_the_model_in_service_is_told(api, guard):
    for told in told_guards(api, guard):
        assert (told["state"], told["not_rolled_back"]) == ("watching", "")
        assert told["since"] < told["until"]
    PromotionGuard.objects.update(fault="It could not be rolled back: its bundle is gone.")
    assert {told["not_rolled_back"] for told in told_guards(api, guard)} == {
        "It could not be rolled back: its bundle is gone."
    }
    assert api("models:read").get(f"/api/v1/models/{guard.former_id}").json()["guard"] is None


def test_a_guard_that_cannot_look_is_told_apart_from_a_roll_back_that_failed(api, guard):
    failed = "It could not be rolled back: its bundle is gone."
    blind = "Its guard could not look (SpecError)."
    for fault, told in (
        ("", ("", "")),
        (failed, (failed, "")),
        (blind, ("", blind)),
        (f"{failed} {blind}", (failed, blind)),
    ):
        PromotionGuard.objects.update(fault=fault)
        rows = told_guards(api, guard)
        assert {(row["not_rolled_back"], row["not_watched"]) for row in rows} == {told}


def test_a_guard_that_rolled_back_tells_no_champion_that_is_stuck(api, guard):
    PromotionGuard.objects.update(state="broken", fault="At first it could not.")
    assert {told["not_rolled_back"] for told in told_guards(api, guard)} == {""}


def test_a_model_past_its_review_date_is_degraded_and_says_why(api, champion, owner):
    set_policy(champion, review_after=86400.0, author=owner)
    Deployment.objects.update(installed_at=timezone.now() - timedelta(days=2))
    body = api("models:read").get(INFO).json()
    assert body["degraded"] is True
    assert "v1 is past its review date" in body["fault"]
    said = StringIO()
    call_command("models", "info", "--detector", "payments", "--json", stdout=said)
    told = json.loads(said.getvalue())
    assert (told["degraded"], told["fault"]) == (True, body["fault"])


def test_without_a_model_the_rules_are_described(api, payments_detector):
    body = api("models:read").get(INFO).json()
    assert (body["degraded"], body["thresholds"], body["metrics"]) == (True, None, {})


@pytest.mark.parametrize("url", ["/api/v1/model/info", "/api/v1/drift/status"])
def test_an_unknown_detector_is_404(api, url):
    for slug in ("nothing", "%00"):
        assert api("models:read").get(f"{url}?detector={slug}").status_code == 404


@pytest.mark.parametrize("url", [INFO, STATUS])
def test_who_may_not_read_models_is_refused(client, api, outsider, analyst, champion, url):
    assert client.get(url).status_code == 401
    assert api("score").get(url).status_code == 403
    client.force_login(outsider)
    assert client.get(url).status_code == 403
    client.force_login(analyst)
    assert client.get(url).status_code == 200


def test_before_the_first_check_nothing_is_known(api, champion):
    body = api("models:read").get(STATUS).json()
    assert (body["status"], body["features"], body["job_id"]) == ("unknown", [], None)


def test_a_check_is_a_job_and_asking_twice_queues_one(api, champion, sent):
    first, again = check(api("models:write")), check(api("models:write"))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["job_id"] == again.json()["job_id"] == sent[0].pk
    assert first.json()["status"] == "queued"
    assert api("models:read").get(STATUS).json()["job_id"] == sent[0].pk


def test_null_names_no_detector_to_check(api, champion):
    """What contract C's clients check is `creditcard`, which is not loaded here."""
    for body in ({}, {"detector": None}):
        answer = check(api("models:write"), body)
        assert (answer.status_code, "'creditcard'" in answer.json()["detail"]) == (404, True)


def test_the_address_may_name_what_to_check_as_on_the_other_routes(api, champion, sent):
    response = api("models:write").generic("POST", f"{CHECK}?detector=payments", content_type="")
    assert response.status_code == 202, response.content
    assert [job.pk for job in sent] == [response.json()["job_id"]]


def test_a_slip_in_the_name_checks_no_other_detector(api, champion, sent):
    answer = check(api("models:write"), {"detectr": "payments"})
    assert (answer.status_code, sent) == (422, [])
    assert answer.json()["errors"][0]["message"] == "is not known here: detector is"


def test_the_jobs_result_is_the_status(api, payments_detector):
    stored_events(serve(payments_detector))
    job = check(api("models:write")).json()["job_id"]
    check_drift_task(job)
    assert Job.objects.get(pk=job).status == JobStatus.SUCCEEDED
    body = api("models:read").get(STATUS).json()
    assert (body["rows"], body["model_version"], body["job_id"]) == (ROWS, "v1", None)
    assert {one["feature"] for one in body["features"]} >= {"amount", "hour"}
    assert [one["name"] for one in body["outcomes"]] == ["score", "alert rate", "fraud rate"]
    amount = next(one for one in body["features"] if one["feature"] == "amount")
    assert amount["status"] == "stable" and 0 < amount["ks"] < 0.1 and amount["basis"] == "sketch"
    assert body["from"] < body["to"]
    assert body["checked_at"]


def test_amounts_a_hundred_times_as_large_are_major_drift(api, payments_detector):
    stored_events(serve(payments_detector), times_amount=100.0)
    check_drift(payments_detector, now=timezone.now())
    body = api("models:read").get(STATUS).json()
    by_name = {one["feature"]: one["status"] for one in body["features"]}
    assert by_name["amount"] == body["status"] == "major"
    assert body["max_psi"] > 1
    assert body["alarm_since"] == body["checked_at"]


def test_a_few_events_say_nothing(api, champion):
    scored_many("payments", payments(20, users=5))
    check_drift(champion, now=timezone.now())
    body = api("models:read").get(STATUS).json()
    assert (body["rows"], body["status"], body["max_psi"]) == (20, "unknown", None)
    assert {one["reason"] for one in body["features"]} == {"Needs 1,000 events, has 20."}


def test_a_check_of_rules_alone_is_409(api, payments_detector):
    response = check(api("models:write"))
    assert response.status_code == 409
    assert "No model" in response.json()["detail"]
    assert not Job.objects.exists()


@pytest.mark.parametrize("body", [{"detector": 7}, [1]])
def test_a_check_of_no_name_is_422(api, body):
    assert check(api("models:write"), body).status_code == 422


def test_who_may_not_start_a_check(client, api, outsider, analyst, owner, champion):
    assert check(client).status_code == 401
    assert check(api("models:read", "score")).status_code == 403
    for user, status in ((outsider, 403), (analyst, 403), (owner, 202)):
        client.force_login(user)
        assert check(client).status_code == status


def test_the_status_costs_the_same_queries_however_many_checks_there_are(
    api, champion, django_assert_max_num_queries
):
    reader = api("models:read")
    for checks in (1, 5):
        for _ in range(checks):
            kept_check(champion)
        with django_assert_max_num_queries(6):
            reader.get(STATUS)
