"""Metrics where they are read: with their ceiling, folds with intervals, a dash for no answer."""

import json
from datetime import timedelta

import numpy as np
import pytest
from django.core.management import call_command
from django.urls import reverse

from models_registry.card import model_card
from models_registry.comparing import compare_versions
from models_registry.core.evaluation import evaluate
from models_registry.evaluation_models import Evaluation
from models_registry.exporting import pack_bundle
from models_registry.importing import import_bundle
from models_registry.judging import finite
from models_registry.metric_rows import fold_lines, metric_lines
from models_registry.presenting_card import card_lines
from models_registry.selectors import documented_versions
from models_registry.tracking import track_version
from models_registry.verdicts import NARROW, UNKNOWN
from scoring.core.bundle import write_bundle
from scoring.deployment import bundle_root
from tests.factories import trained_payments
from tests.models_registry.core.test_evaluation import BOUNDS, drawn
from tests.models_registry.learning import KNOWN_AT
from tests.models_registry.test_evaluation_views import text_of
from tests.models_registry.versions import METRICS, VersionFactory

pytestmark = pytest.mark.django_db
CARD = "Card precision@100"
OF_BEFORE = {
    "positives": 0, "precision": 0.0, "recall": None, "f1": 0.0, "entity_precision_at_100": 0.0,
    "false_alerts_per_true_alert": None,
}  # fmt: skip
"""Kept when there was nothing to find, before that was told."""


def found_on(labels, costs, risk=None):
    given = drawn() | {"labels": labels}
    given |= {} if risk is None else {"risk": risk}
    how = {"thresholds": BOUNDS, "costs": costs, "entities_a_day": 100, "resamples": 30}
    return finite(evaluate(**given, calibrated=True, **how)[0])


@pytest.fixture
def version(payments_detector, payments_digest):
    metrics = found_on(drawn()["labels"], payments_detector.spec().costs)
    made = VersionFactory(
        detector=payments_detector, number=1, digest=payments_digest, metrics=metrics
    )
    return documented_versions().get(pk=made.pk)


def ceiling_text(metrics):
    return f"of {100 * metrics['ceilings']['entity_precision_at_100']:.1f}\u202f% at best"


def judged_again(version, **changed):
    given = {
        "kind": "as_of", "known_at": KNOWN_AT, "first_event_at": KNOWN_AT - timedelta(days=9),
        "last_event_at": KNOWN_AT, "metrics": version.metrics,
    }  # fmt: skip
    return Evaluation.objects.create(version=version, **(given | changed))


def folds_of(*folds):
    told = {"folds": [{"test_start": 86400.0 * i} | fold for i, fold in enumerate(folds)]}
    return told | {"mean": dict.fromkeys(folds[0]), "std": {}}


def test_a_perfect_ranking_reaches_the_ceiling_and_no_ranking_more(payments_detector):
    labels, costs = drawn()["labels"], payments_detector.spec().costs
    perfect = found_on(labels, costs, risk=np.where(labels == 1, 0.9, 0.1))
    plain = found_on(labels, costs)
    ceiling = perfect["ceilings"]["entity_precision_at_100"]
    assert perfect["entity_precision_at_100"] == pytest.approx(ceiling)
    assert plain["ceilings"] == perfect["ceilings"]
    assert plain["entity_precision_at_100"] <= plain["ceilings"]["entity_precision_at_100"] < 1.0


def test_the_ceiling_stands_on_every_page_of_a_version(client, analyst, version):
    judged_again(version)
    told = ceiling_text(version.metrics)
    client.force_login(analyst)
    page = text_of(client.get(version.get_absolute_url()))
    assert page.count(told) == 3  # Its metrics, and the evaluation with both.
    assert told in text_of(client.get(reverse("model_card", args=[version.pk])))
    other = VersionFactory(detector=version.detector, number=2)
    compared = client.get(reverse("model_compare"), {"v": [version.pk, other.pk]})
    assert told in text_of(compared)


def test_the_ceiling_is_in_every_answer_of_the_api(api, version):
    key, other = api("models:read"), VersionFactory(detector=version.detector, number=2)
    ceilings = version.metrics["ceilings"]
    assert key.get(f"/api/v1/models/{version.pk}").json()["metrics"]["ceilings"] == ceilings
    card = key.get(f"/api/v1/models/{version.pk}/card").json()
    assert card["evaluation"]["metrics"]["ceilings"] == ceilings
    compared = key.get("/api/v1/models/compare", {"ids": f"{version.pk},{other.pk}"}).json()
    [line] = [line for line in compared["metrics"] if line["name"] == CARD]
    assert line["ceilings"] == [ceiling_text(version.metrics), ""]


def test_what_was_kept_without_a_ceiling_shows_none(client, analyst, version):
    version.metrics = METRICS | {"entity_precision_at_100": 0.3}
    version.save(update_fields=["metrics"])
    client.force_login(analyst)
    assert "at best" not in text_of(client.get(version.get_absolute_url()))
    assert "at best" not in text_of(client.get(reverse("model_card", args=[version.pk])))


def test_card_precision_at_another_k_is_another_line(version):
    other = VersionFactory(detector=version.detector, number=2)
    other.metrics = METRICS | {"entity_precision_at_4": 0.5}
    lines = metric_lines(version, other, currency="EUR")
    cards = [line for line in lines if line.name.startswith("Card precision")]
    assert [(line.name, line.meaning, line.this == UNKNOWN) for line in cards] == [
        ("Card precision@4", "bad ones among the 4 riskiest entities a day", True),
        (CARD, "bad ones among the 100 riskiest entities a day", False),
    ]
    assert [line.other for line in cards] == [f"50.0{NARROW}%", UNKNOWN]
    side = compare_versions([version, other]).metrics
    assert [line.name for line in side if line.name.startswith("Card")] == [cards[0].name, CARD]


def test_the_ceiling_travels_with_a_bundle(version):
    manifest, files = trained_payments()
    version.digest = write_bundle(bundle_root(), manifest | {"metrics": version.metrics}, files)
    content, ceilings, detector = (
        pack_bundle(version),
        version.metrics["ceilings"],
        version.detector,
    )
    version.delete()
    assert import_bundle(detector, content, actor=None).metrics["ceilings"] == ceilings


def test_a_fold_shows_the_interval_of_each_metric(client, analyst, version):
    fold = version.metrics
    judged_again(version, kind="folds", metrics=folds_of(fold, fold | {"intervals": {}}))
    [line] = [line for line in fold_lines(folds_of(fold), currency="EUR") if line.name == "Recall"]
    low, high = fold["intervals"]["recall"]
    assert line.each[0].interval == f"{100 * low:.1f}\u202f% to {100 * high:.1f}\u202f%"
    client.force_login(analyst)
    page = text_of(client.get(version.get_absolute_url()))
    assert page.count(line.each[0].interval) == 2  # Its metrics, and the fold that has one.
    assert page.count(ceiling_text(fold)) == 3


def test_the_api_gives_evaluations_with_the_intervals_of_their_folds(api, version):
    judged_again(version)
    newest = judged_again(version, kind="folds", metrics=folds_of(version.metrics))
    url = f"/api/v1/models/{version.pk}/evaluations"
    found = api("models:read").get(url).json()["evaluations"]
    assert [one["kind"] for one in found] == ["folds", "as_of"]
    [fold] = found[0]["metrics"]["folds"]
    assert fold["intervals"] == version.metrics["intervals"]
    limited = api("models:read").get(url, {"limit": 1}).json()["evaluations"]
    assert [one["id"] for one in limited] == [newest.pk]
    assert api("score").get(url).status_code == 403
    assert api("models:read").get("/api/v1/models/0/evaluations").status_code == 404


def dashes(lines):
    return {line.name for line in lines if line.this == UNKNOWN}


UNANSWERED = {CARD, "Precision", "Recall", "F1", "False alerts per true alert"}


@pytest.mark.parametrize("kept", [False, True])
def test_where_nothing_is_bad_pages_and_card_show_dashes(version, kept):
    costs, labels = version.detector.spec().costs, np.zeros(4000, int)
    version.metrics = METRICS | OF_BEFORE if kept else found_on(labels, costs)
    assert dashes(metric_lines(version, None, currency="EUR")) >= UNANSWERED
    card = card_lines(model_card(version), currency="EUR")
    assert {line.name for line in card.metrics if line.value == UNKNOWN} >= UNANSWERED


def test_where_nothing_was_bad_the_api_and_the_commands_say_null(api, version, capsys):
    version.metrics = METRICS | OF_BEFORE
    version.save(update_fields=["metrics"])
    body = api("models:read").get(f"/api/v1/models/{version.pk}").json()["metrics"]
    assert (body["precision"], body["f1"], body["entity_precision_at_100"]) == (None, None, None)
    call_command("models", "list", "--json")
    assert json.loads(capsys.readouterr().out)[0]["metrics"]["f1"] is None


def test_a_fold_of_before_without_precision_has_no_f1():
    fold = {"positives": 4, "precision": None, "recall": 0.0, "f1": 0.0}
    [_, _, line] = fold_lines(folds_of(fold), currency="EUR")
    assert (line.name, line.each[0].text, line.mean) == ("F1", UNKNOWN, UNKNOWN)


@pytest.mark.filterwarnings("ignore")
def test_the_tracking_server_is_told_no_metric_without_an_answer(
    version, tmp_path, settings, monkeypatch
):
    mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    for name in ("TRACKING_URI", "REGISTRY_URI", "TRACKING_USERNAME", "TRACKING_PASSWORD"):
        monkeypatch.setenv(f"MLFLOW_{name}", "")
        monkeypatch.delenv(f"MLFLOW_{name}")
    settings.MLFLOW_TRACKING_URI = (tmp_path / "store").as_uri()
    version.metrics = METRICS | OF_BEFORE
    version.save(update_fields=["metrics"])
    run_id = track_version(version).run_id
    uri = settings.MLFLOW_TRACKING_URI
    logged = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri).get_run(run_id).data.metrics
    assert logged["alert_rate"] == METRICS["alert_rate"]
    assert not {"precision", "recall", "f1", "entity_precision_at_100"} & set(logged)
