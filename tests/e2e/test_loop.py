"""The whole loop through HTTP and real processes, on SQLite and on PostgreSQL with Redis.

Each station is unplugged once, too, to see that the loop notices.
"""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from scoring.simulation.stream import SimulatedEvent, history
from tests.e2e.prepared import database_url
from tests.e2e.stack import Browserless, Stack, production_environ, running_stack

pytestmark = [pytest.mark.worker, pytest.mark.slow, pytest.mark.xdist_group("processes")]
EVENTS = 8000
BATCH = 1000
END = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""Of the history: at a fixed time, as what is simulated depends on it."""


def embedded() -> dict[str, str]:
    return {}


def production() -> dict[str, str]:
    """A database of its own on the test server, and Redis."""
    server, redis = os.environ.get("RISK_TEST_POSTGRES_URL"), os.environ.get("RISK_TEST_REDIS_URL")
    if not server or not redis:
        pytest.skip("RISK_TEST_POSTGRES_URL and RISK_TEST_REDIS_URL are not set")
    name = f"loop_{os.getpid()}_{datetime.now(UTC):%H%M%S%f}"
    return production_environ(database_url(name), redis.rpartition("/")[0] + "/11")


KINDS = [
    pytest.param(embedded, id="sqlite", marks=pytest.mark.landing),
    pytest.param(production, id="postgres-redis", marks=[pytest.mark.postgres, pytest.mark.redis]),
]


@pytest.fixture(params=KINDS)
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    """Web and worker running; no beat, so that nothing heals what a station should have done."""
    with running_stack(tmp_path, request.param(), "web", "worker") as found:
        yield found


@pytest.fixture
def key(stack: Stack) -> str:
    return new_key(stack)


def new_key(stack: Stack, user: str = "admin") -> str:
    printed = stack.manage(
        "create_api_key", "--user", user, "--name", "loop", "--scopes", "admin", "--rate", "none"
    )
    return printed.strip().splitlines()[-1]


def past() -> list[SimulatedEvent]:
    start = END - timedelta(days=60)
    return list(islice(history("fraud", start=start, end=END, seed=3, events=EVENTS), EVENTS))


def send_history(stack: Stack, key: str) -> None:
    """Score the past in batches; give feedback on every fraud that is known by now."""
    events = past()
    for first in range(0, len(events), BATCH):
        batch = events[first : first + BATCH]
        body = {"events": [event.payload for event in batch]}
        answer = stack.call("POST", "/api/v1/detectors/fraud/score/batch", key=key, body=body)
        assert answer.status == 200, answer.body
        for event, result in zip(batch, answer.json()["results"], strict=True):
            if event.is_fraud and event.label_time <= datetime.now(UTC):
                give_feedback(stack, key, result["prediction"]["prediction_id"], event)


def give_feedback(stack: Stack, key: str, prediction_id: str, event: SimulatedEvent) -> None:
    body = {
        "prediction_id": prediction_id,
        "actual_label": True,
        "feedback_source": "chargeback",
        "label_time": event.label_time.isoformat(),
    }
    answer = stack.call("POST", "/api/v1/feedback", key=key, body=body)
    assert answer.status == 201, answer.body


def score(stack: Stack, key: str, name: str, amount: float = 40.0) -> dict[str, Any]:
    body = {
        "transaction_id": name,
        "account_id": f"account_{name}",
        "transaction_amount": amount,
        "merchant_type": "grocery",
        "country": "US",
        "time_delta": 40.0,
        "device_type": "desktop",
    }
    answer = stack.call("POST", "/api/v1/detectors/fraud/score", key=key, body=body)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()
    return found


def query(stack: Stack, expression: str) -> str:
    """What a Django expression gives, straight from the installation's database."""
    imports = "from cases.models import *; from scoring.models import *; import json"
    return stack.run(f"{imports}; print({expression})").strip()


def alert_of(stack: Stack, name: str) -> int | None:
    ids = f"Alert.objects.filter(top_prediction__external_id={name!r}).values_list('pk', flat=True)"
    found: list[int] = json.loads(query(stack, f"json.dumps(list({ids}))"))
    return found[0] if found else None


def train(stack: Stack, key: str) -> dict[str, Any]:
    """Ask for a training and wait until a worker has done it; the new version."""
    answer = stack.call("POST", "/api/v1/detectors/fraud/train", key=key, body={})
    assert answer.status == 202, answer.body
    job = answer.json()["job_id"]

    def ended() -> dict[str, Any] | None:
        state: dict[str, Any] = stack.call("GET", f"/api/v1/jobs/{job}", key=key).json()
        return state if state["status"] in ("succeeded", "failed") else None

    state = stack.wait_for(ended, "the training job", seconds=120)
    assert state["status"] == "succeeded", state
    versions: list[dict[str, Any]] = stack.call(
        "GET", "/api/v1/models?detector=fraud", key=key
    ).json()["models"]
    return max(versions, key=lambda version: version["id"])


def promote(stack: Stack, key: str, version: dict[str, Any]) -> None:
    """One person asks, which is not enough, and another approves."""
    path = f"/api/v1/models/{version['id']}/promote"
    # A dozen positives seldom make a comparison sure.
    body = {"reason": "better on what there is", "override": True}
    answer = stack.call("POST", path, key=key, body=body)
    assert answer.status == 202, answer.body
    approve = f"/api/v1/promotions/{answer.json()['id']}/approve"
    assert stack.call("POST", approve, key=key, body={}).status == 403
    answer = stack.call("POST", approve, key=new_key(stack, "owner"), body={})
    assert answer.status == 200, answer.body


def test_an_event_comes_back_as_the_champion_that_scores_the_next_one(
    stack: Stack, key: str
) -> None:
    send_history(stack, key)
    first = score(stack, key, "before", amount=25_000.0)
    assert (first["score"], first["degraded"], first["decision"]) == (None, True, "REVIEW")

    alert = stack.wait_for(lambda: alert_of(stack, "before"), "the alert")
    analyst = Browserless(stack, "analyst")
    page = analyst.get(f"/alerts/{alert}/")
    assert page.status == 200
    assert b"HIGH_AMOUNT" in page.body
    assert analyst.post(f"/alerts/{alert}/open-case/", title="Look at this").status == 200
    case = int(query(stack, "Case.objects.get().pk"))
    closed = analyst.post(
        f"/cases/{case}/close/",
        disposition="fraud",
        reason_code="stolen_credentials",
        notes="The customer confirmed it.",
    )
    assert closed.status == 200
    labelled = "Label.objects.get(prediction__external_id='before')"
    assert query(stack, f"{labelled}.is_fraud, {labelled}.source") == "True analyst"

    version = train(stack, key)
    metrics = version["metrics"]
    # A dozen positives leave any one figure noisy; guessing gives the share of positives.
    assert metrics["average_precision"] > 5 * metrics["positives"] / metrics["rows"]
    assert metrics["roc_auc"] > 0.6
    assert score(stack, key, "during")["model_version"] == "rules-only"
    promote(stack, key, version)
    for i in range(6):  # both web processes answer
        after = score(stack, key, f"after-{i}")
        assert after["model_version"] == "v1"
        assert 0.0 < after["score"] < 1.0
        assert after["reasons"]

    second = train(stack, key)
    assert second["comparison"]["average_precision"]["champion"] is not None
    promote(stack, key, second)
    assert score(stack, key, "by-second")["model_version"] == "v2"
    rolled = stack.call("POST", "/api/v1/detectors/fraud/roll_back", key=key, body={"reason": "x"})
    assert rolled.status == 200, rolled.body
    assert score(stack, key, "rolled-back")["model_version"] == "v1"


def test_without_a_worker_no_alert_opens_until_one_comes_back(tmp_path: Path) -> None:
    with running_stack(tmp_path, {}, "web") as stack:
        score(stack, new_key(stack), "waiting", amount=25_000.0)
        with pytest.raises(AssertionError, match="in vain for the alert"):
            stack.wait_for(lambda: alert_of(stack, "waiting"), "the alert", seconds=5)
        stack.start("worker")
        assert stack.wait_for(lambda: alert_of(stack, "waiting"), "the alert")


def test_without_labels_training_fails_with_a_sentence_and_nothing_changes(tmp_path: Path) -> None:
    with running_stack(tmp_path, {}, "web", "worker") as stack:
        key = new_key(stack)
        body = {"events": [event.payload for event in past()[:BATCH]]}
        stack.call("POST", "/api/v1/detectors/fraud/score/batch", key=key, body=body)
        job = stack.call("POST", "/api/v1/detectors/fraud/train", key=key, body={}).json()["job_id"]
        state = stack.wait_for(
            lambda: (
                (s := stack.call("GET", f"/api/v1/jobs/{job}", key=key).json())["status"]
                == "failed"
                and s
            ),
            "the job to fail",
        )
        assert "labelled" in state["error"] or "history" in state["error"]
        assert score(stack, key, "still")["model_version"] == "rules-only"
