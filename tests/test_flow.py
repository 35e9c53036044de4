"""The loop in one process: event -> alert -> case -> label -> training -> the next event."""

import pytest
from django.core.exceptions import ObjectDoesNotExist

from cases import receivers
from cases.case_alerts import open_case
from cases.casework import close_case
from cases.models import Alert
from cases.services import label_alert
from jobs.dispatch import announce_job
from jobs.models import Job
from models_registry.models import ModelVersion
from models_registry.promotion import promote, roll_back
from models_registry.retraining import request_training
from models_registry.tasks import train_task
from scoring.models import Label
from scoring.signals import predictions_recorded
from tests.factories import card
from tests.models_registry.learning import KNOWN_AT, detector_of, history, learning_config

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """`announce_job` speaks to a broker; here the worker is this process."""
    monkeypatch.setattr("models_registry.training.timezone.now", lambda: KNOWN_AT)
    monkeypatch.setattr(
        "jobs.dispatch.current_app.send_task",
        lambda name, args: {"models_registry.train": train_task}[name](*args),
    )


def score_over_http(client, number, **changed):
    response = client.post(
        "/api/v1/detectors/cards/score", card(number, **changed), content_type="application/json"
    )
    assert response.status_code == 200, response.content
    return response.json()


def walk(api, analyst, owner):
    """Once around the loop; fails where a station does not do its part."""
    detector = detector_of(learning_config())
    history(detector)
    client = api("score")

    first = score_over_http(client, 9001, TX_AMOUNT=400.0)
    assert (first["decision"], first["score"], first["model_version"]) == (
        "REVIEW", None, "rules-only",
    )  # fmt: skip

    alert = Alert.objects.get()
    case = open_case([alert], title="Large amounts", actor=analyst)
    close_case(case, disposition="fraud", reason_code="card_testing", actor=analyst)
    assert Label.objects.filter(prediction_id=first["prediction_id"], is_fraud=True).count() == 1

    announce_job(request_training(detector, requested_by=owner))
    assert Job.objects.get().status == "succeeded", Job.objects.get().error
    version = ModelVersion.objects.get()
    assert score_over_http(client, 9002)["model_version"] == "rules-only"

    promote(version, actor=owner, reason="first")
    large = score_over_http(client, 9003, TX_AMOUNT=400.0)
    small = score_over_http(client, 9004, TX_AMOUNT=12.0)
    assert large["model_version"] == small["model_version"] == "v1"
    assert large["bundle_digest"] == version.digest
    assert large["score"] > 10 * small["score"]
    assert large["probability"] > small["probability"]
    assert "400" in large["reasons"][0]["text"]
    assert Alert.objects.filter(status="open").count() == 1

    announce_job(request_training(detector, requested_by=owner))
    second = ModelVersion.objects.get(number=2)
    assert second.comparison["champion_digest"] == version.digest
    promote(second, actor=owner)
    roll_back(detector, actor=owner)
    assert score_over_http(client, 9005)["model_version"] == "v1"


def test_what_an_analyst_finds_scores_the_next_event(api, analyst, owner):
    walk(api, analyst, owner)


STATIONS = {
    "rules": ("scoring.core.pipeline.evaluate", ()),
    "reasons": ("scoring.core.pipeline.explain_reasons", ()),
    "storage": ("scoring.services.writer.write_predictions", None),
    "alerts": ("cases.tasks.open_alerts", 0),
    "labels": ("cases.labels.record_label", None),
    "the worker": ("jobs.dispatch.current_app.send_task", None),
    "the comparison": ("models_registry.training._compare", {}),
    "the installation": ("models_registry.promotion.deployment.install", None),
}


@pytest.mark.parametrize("station", STATIONS)
def test_the_loop_notices_a_station_that_is_unplugged(api, analyst, owner, monkeypatch, station):
    place, answer = STATIONS[station]
    monkeypatch.setattr(place, lambda *args, **kwargs: answer)
    with pytest.raises((AssertionError, ObjectDoesNotExist, LookupError)):
        walk(api, analyst, owner)


def test_the_loop_notices_that_nobody_listens_to_the_signal(api, analyst, owner, request):
    predictions_recorded.disconnect(dispatch_uid="cases.open_alerts")
    request.addfinalizer(receivers.connect)
    with pytest.raises(Alert.DoesNotExist):
        walk(api, analyst, owner)


def test_a_false_alarm_is_learnt_from_too(api, analyst):
    detector = detector_of(learning_config())
    first = score_over_http(api("score"), 1, TX_AMOUNT=400.0)
    label_alert(
        Alert.objects.get(), disposition="false_positive", reason_code="travel", actor=analyst
    )
    label = Label.objects.get(detector=detector)
    assert (str(label.prediction_id), label.is_fraud) == (first["prediction_id"], False)
