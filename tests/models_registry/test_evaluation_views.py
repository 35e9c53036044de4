"""Pages of evaluation: preview and publish thresholds, judge again, look at a dataset."""

import csv
import io
import re
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from jobs.models import Job
from models_registry.core.evaluation import evaluate
from models_registry.core.threshold_curve import threshold_curve
from models_registry.evaluation_models import Evaluation
from models_registry.judging import finite
from models_registry.models import ModelVersion
from models_registry.promotion import promote
from models_registry.verdicts import UNKNOWN
from scoring.core.decision import Thresholds
from tests.models_registry.core.test_evaluation import drawn
from tests.models_registry.learning import (
    KNOWN_AT,
    detector_of,
    first_version,
    history,
    learning_config,
)
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true", "HX-Target": "thresholds"}
BOUNDS = Thresholds(review=0.3, block=0.8, medium=0.3, high=0.5, critical=0.8)


def judged(detector):
    """(metrics, curves) as training stores them."""
    metrics, curves = evaluate(
        **drawn(),
        calibrated=True,
        thresholds=BOUNDS,
        costs=detector.spec().costs,
        resamples=50,
    )
    metrics["known_at"] = KNOWN_AT.isoformat()
    metrics["calibration"] = {
        "chosen": "isotonic",
        "why": "the smaller squared error",
        "brier": {"platt": 0.02, "isotonic": 0.01},
    }
    return finite(metrics), finite(curves)


@pytest.fixture
def champion(payments_detector, payments_digest):
    """v1 serves, with metrics, intervals and curves."""
    metrics, curves = judged(payments_detector)
    version = VersionFactory(
        detector=payments_detector, number=1, digest=payments_digest, metrics=metrics, curves=curves
    )
    promote(version, actor=None)
    return version


def text_of(response):
    """The page with its line breaks as blanks."""
    return re.sub(r"[ \n]+", " ", response.content.decode())


def thresholds_url(version):
    return reverse("model_thresholds", args=[version.pk])


@pytest.mark.parametrize(
    ("count", "told", "advice"), [(0, False, False), (3, True, False), (100, True, True)]
)
def test_amounts_that_costs_leave_out_are_told_beside_the_costs(
    client, analyst, champion, count, told, advice
):
    champion.dataset.rows, champion.dataset.detail = 100, {"other_currency": count}
    champion.dataset.save()
    client.force_login(analyst)
    page = text_of(client.get(thresholds_url(champion)))
    said = f"The amounts of {count} of the 100 events it came from are in another currency than EUR"
    assert (said in page) == told
    assert ("Declare event.currency.default" in page) == advice
    assert "Amounts in another currency" in text_of(client.get(champion.dataset.get_absolute_url()))


def test_every_number_stands_with_its_interval_and_the_time_of_knowledge(client, analyst, champion):
    client.force_login(analyst)
    page = text_of(client.get(champion.get_absolute_url()))
    low, high = champion.metrics["intervals"]["average_precision"]
    assert f"{low:.3f} to {high:.3f}" in page
    assert f"as known at {KNOWN_AT:%Y-%m-%d %H:%M} UTC" in page
    assert "50 draws of 400 blocks" in page


def test_the_calibration_that_won_is_named_with_what_it_beat(client, analyst, champion):
    client.force_login(analyst)
    answer = client.get(champion.get_absolute_url())
    assert "Isotonic regression was chosen" in text_of(answer)
    assert "Platt 0.0200" in text_of(answer)
    assert "error_y" in answer.context["calibration"]["figure"]["data"][0]


def test_a_preview_says_what_a_threshold_would_mean(client, analyst, champion):
    client.force_login(analyst)
    answer = client.get(thresholds_url(champion), {"review": "0.2", "block": "0.9"}, headers=HTMX)
    panel = answer.context["thresholds"]
    said = f"At 0.2000: {panel.asked.alerts} alerts a day, recall {panel.asked.recall}"
    assert said in text_of(answer) and "<title>" not in text_of(answer)
    loose = client.get(thresholds_url(champion), {"review": "0.001", "block": ""}, headers=HTMX)
    assert (more := loose.context["thresholds"].asked.above) and f"{more} above" in text_of(loose)
    marks = [line["name"] for line in panel.figure["data"]]
    assert {"Capacity", "Review, MEDIUM: now", "Review, MEDIUM: preview"} <= set(marks)


def with_curve(version, risk, *, review_cost, capacity):
    """The version judged by a model that knows nothing: half of its events are bad, not the
    riskiest, all of 4 EUR; blocks begin at 0.8."""
    config = version.detector.config
    config["costs"] |= {"review_cost": review_cost, "capacity": capacity}
    version.detector.save(update_fields=["config"])
    risk = np.asarray(risk, float)
    labels = 1 - np.arange(risk.size) % 2
    costs = version.detector.spec().costs
    found = threshold_curve(labels, risk, np.full(risk.size, 4.0), days=1.0, costs=costs)
    version.curves |= {"thresholds": found}
    version.save(update_fields=["curves"])
    return version


@pytest.mark.parametrize(
    ("top", "block", "note"),
    [
        (0.61237, "0.8000", "Review from 0.6124 would have flagged none of them."),
        (0.3, "0.8000", "Review from 0.3001 would have flagged none of them."),
        (0.9, "above every score", "Review and block from 0.9001 would have flagged none of them."),
        (1.0, "above every score", "No threshold that can be published does so"),
        (0.0, "0.8000", "Review from 0.0000000010 would have flagged none of them."),
    ],
)
def test_where_no_review_pays_the_page_says_how_to_flag_nothing(
    client, analyst, champion, top, block, note
):
    with_curve(champion, np.linspace(0.0, top, 40), review_cost=5.0, capacity=1.0)
    client.force_login(analyst)
    answer = client.get(thresholds_url(champion))
    best = answer.context["thresholds"].best
    assert (best.name, best.review) == ("Cheapest within capacity", "above every score")
    assert (best.block, best.alerts, best.precision) == (block, "0", UNKNOWN)
    assert note in text_of(answer)
    found = re.search(r"from (\S+) would", note)
    if found:
        asked = {"review": found[1]} | ({"block": found[1]} if "block from" in note else {})
        panel = client.get(thresholds_url(champion), asked).context["thresholds"]
        assert (panel.asked.alerts, panel.asked.cost) == ("0", best.cost)


def test_a_tie_of_more_than_people_can_see_is_said_to_be_one(client, analyst, champion):
    with_curve(champion, np.repeat([0.7, 0.1], 20), review_cost=0.1, capacity=0.01)
    client.force_login(analyst)
    answer = client.get(thresholds_url(champion))
    assert answer.context["thresholds"].best.name == "Cheapest"
    assert "they are more than people can see" in text_of(answer)


def test_without_scripts_the_preview_is_a_page(client, analyst, champion):
    client.force_login(analyst)
    assert "<title>" in text_of(client.get(thresholds_url(champion), {"review": "0.2"}))


@pytest.mark.parametrize(
    "asked", [{"review": "lots"}, {"review": "7"}, {"review": "nan"}, {"review": "1", "block": "0"}]
)
def test_a_preview_of_nonsense_is_422_in_words(client, analyst, champion, asked):
    client.force_login(analyst)
    answer = client.get(thresholds_url(champion), asked)
    assert answer.status_code == 422
    assert answer.context["thresholds"].asked is None


def test_a_version_without_a_curve_says_what_to_do(client, analyst, payments_detector):
    bare = VersionFactory(detector=payments_detector, metrics={}, curves={})
    client.force_login(analyst)
    assert "No curve yet" in text_of(client.get(thresholds_url(bare)))


def test_only_a_model_owner_may_publish_thresholds(client, outsider, analyst, champion):
    given = {"review": "0.2", "block": "0.9", "reason": "Fewer misses"}
    assert client.post(thresholds_url(champion), given).status_code == 302
    for user in (outsider, analyst):
        client.force_login(user)
        assert client.post(thresholds_url(champion), given).status_code == 403
    assert ModelVersion.objects.count() == 1


def test_an_owner_publishes_a_version_that_is_judged_at_once(client, owner, champion):
    client.force_login(owner)
    given = {"review": "0.2", "block": "0.9", "reason": "Fewer misses"}
    answer = client.post(thresholds_url(champion), given)
    made = ModelVersion.objects.get(number=2)
    assert answer.url == made.get_absolute_url()
    assert Job.objects.get().params == {"version": made.pk, "kind": "as_of"}
    page = text_of(client.get(made.get_absolute_url()))
    assert "v2 is v1 with its thresholds moved." in page
    assert "Fewer misses" in page


@pytest.mark.parametrize(
    "changed", [{"reason": ""}, {"review": "0"}, {"block": "0.1"}, {"review": ""}]
)
def test_a_publication_that_cannot_be_is_422_and_changes_nothing(client, owner, champion, changed):
    client.force_login(owner)
    given = {"review": "0.2", "block": "0.9", "reason": "Fewer misses"} | changed
    assert client.post(thresholds_url(champion), given, headers=HTMX).status_code == 422
    assert ModelVersion.objects.count() == 1


def test_what_was_changed_after_the_preview_is_not_published(client, owner, champion):
    client.force_login(owner)
    given = {"review": ["0.2", "0.4"], "block": ["0.9", "0.90"], "reason": "Fewer misses"}
    answer = client.post(thresholds_url(champion), given, headers=HTMX)
    assert answer.status_code == 422
    assert "changed after the preview" in text_of(answer)
    assert 'id="publish-thresholds"' not in text_of(answer)
    assert ModelVersion.objects.count() == 1
    client.post(thresholds_url(champion), given | {"review": ["0.4", "0.40"]}, headers=HTMX)
    assert ModelVersion.objects.get(number=2).metrics["thresholds"]["review"] == 0.4


@pytest.mark.parametrize("asked", [{"review": "7"}, {"review": "0.2", "block": "0.1"}])
def test_what_cannot_be_previewed_is_not_offered_to_publish(client, owner, champion, asked):
    client.force_login(owner)
    page = text_of(client.get(thresholds_url(champion), asked, headers=HTMX))
    assert 'id="publish-thresholds"' not in page
    page = text_of(client.get(thresholds_url(champion), {"review": "0.2"}, headers=HTMX))
    assert "Publish as a new version: review from 0.2, block never" in page


def test_a_missing_reason_keeps_the_preview_and_says_so(client, owner, champion):
    client.force_login(owner)
    given = {"review": "0.2", "block": "0.9", "reason": " "}
    answer = client.post(thresholds_url(champion), given, headers=HTMX)
    assert answer.context["thresholds"].asked is not None
    assert "This field is required" in text_of(answer)


def test_an_owner_asks_for_an_evaluation_and_an_analyst_may_not(client, analyst, owner, champion):
    url = reverse("model_evaluate", args=[champion.pk])
    client.force_login(analyst)
    assert client.post(url, {"kind": "as_of"}).status_code == 403
    client.force_login(owner)
    assert client.post(url, {"kind": "as_of"}).status_code == 302
    assert Job.objects.get().params["kind"] == "as_of"
    client.post(url, {"kind": "magic"})
    assert Job.objects.count() == 1
    assert "evaluates it." in text_of(client.get(champion.get_absolute_url()))


def evaluation(version, **changed):
    metrics, curves = judged(version.detector)
    now = timezone.now()
    given = {
        "kind": "as_of",
        "known_at": now,
        "first_event_at": now - timedelta(days=9),
        "last_event_at": now,
        "metrics": metrics | {"known_at": now.isoformat()},
        "curves": curves,
    }
    return Evaluation.objects.create(version=version, **(given | changed))


def test_an_evaluation_stands_beside_what_was_known_then(client, analyst, champion):
    found = evaluation(champion)
    client.force_login(analyst)
    page = text_of(client.get(champion.get_absolute_url()))
    assert f"As of today, as known at {found.known_at:%Y-%m-%d %H:%M} UTC" in page
    assert f"what was known when it was trained, {KNOWN_AT:%Y-%m-%d %H:%M} UTC" in page


def test_folds_on_days_that_chose_the_parameters_are_marked(client, analyst, champion):
    starts = [KNOWN_AT + timedelta(days=day) for day in (0, 9)]
    folds = [
        {"test_start": at.timestamp(), "chose_parameters": chose, "recall": 0.5}
        for at, chose in zip(starts, (True, False), strict=True)
    ]
    found = {"folds": folds, "mean": {"recall": 0.5}, "std": {"recall": 0.0}}
    kept = evaluation(champion, kind="folds", metrics=found, curves={})
    client.force_login(analyst)
    page = text_of(client.get(champion.get_absolute_url()))
    assert f"from {starts[0]:%Y-%m-%d}* " in page
    assert f"from {starts[1]:%Y-%m-%d} " in page
    assert "flatter it" in page
    for fold in folds:
        fold.pop("chose_parameters")  # As evaluations of before.
    Evaluation.objects.filter(pk=kept.pk).update(metrics=found)
    assert "flatter it" not in text_of(client.get(champion.get_absolute_url()))


def test_the_audit_says_what_is_missed_or_that_it_cannot_say(client, analyst, champion):
    part = {"value": 0.4, "low": 0.2, "high": 0.7}
    audited = {
        "events": 9000, "drawn": 120, "audited": 118, "audited_positives": 3, "looked_at": 90,
        "answered": 0.98, "effective_size": 410.0, "naive_recall": 0.95,
        "recall": part, "precision": part, "prevalence": part,
    }  # fmt: skip
    champion.metrics["audited"] = audited
    champion.save(update_fields=["metrics"])
    client.force_login(analyst)
    assert "20.0\u202f% to 70.0\u202f%" in text_of(client.get(champion.get_absolute_url()))
    champion.metrics["audited"] = audited | {"recall": None, "precision": None, "prevalence": None}
    champion.save(update_fields=["metrics"])
    page = text_of(client.get(champion.get_absolute_url()))
    assert "Not enough audited events" in page


def test_a_fold_that_has_no_value_says_why(client, analyst, champion):
    fold = {"test_start": 0.0, "precision": None, "recall": 0.5}
    means = {"precision": None, "recall": 0.5}
    evaluation(champion, kind="folds", metrics={"folds": [fold], "mean": means, "std": means})
    client.force_login(analyst)
    page = text_of(client.get(champion.get_absolute_url()))
    assert "where a fold had nothing to divide by" in page


def test_both_intervals_of_recall_say_what_they_are(client, analyst, champion):
    client.force_login(analyst)
    page = text_of(client.get(champion.get_absolute_url()))
    assert "95\u202f% interval by Wilson" in page.replace("&#8239;", "\u202f")
    assert "that under Metrics draws whole entities anew" in page


def test_the_version_page_costs_the_same_queries_for_any_number_of_evaluations(
    client, owner, champion
):
    client.force_login(owner)
    spent = []
    for _ in range(2):
        for _ in range(3):
            evaluation(champion)
        with CaptureQueriesContext(connection) as queries:
            client.get(champion.get_absolute_url())
        spent.append(len(queries))
    assert spent[0] == spent[1] <= 14


@pytest.fixture
def trained(db):
    """A version that learnt from 400 events."""
    detector = detector_of(learning_config())
    history(detector, events=400)
    return first_version(detector)


def test_a_dataset_tells_what_it_holds_and_where_it_comes_from(client, analyst, trained):
    client.force_login(analyst)
    with CaptureQueriesContext(connection) as queries:
        page = text_of(client.get(trained.dataset.get_absolute_url()))
    assert len(queries) <= 7
    assert "400 events of Cards" in page
    assert "never a negative" in page
    assert "Import" in page
    assert "Ids as CSV" not in page


def test_a_dataset_from_before_lineage_was_kept_still_has_a_page(client, analyst, champion):
    client.force_login(analyst)
    assert client.get(champion.dataset.get_absolute_url()).status_code == 200


def test_the_ids_of_a_dataset_are_a_file_for_model_owners(client, analyst, owner, trained):
    url = reverse("dataset_rows", args=[trained.dataset.pk])
    client.force_login(analyst)
    assert client.get(url).status_code == 403
    client.force_login(owner)
    answer = client.get(url)
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert len(rows) == trained.dataset.rows == 400
    parts = [row["part"] for row in rows]
    assert parts.count("test") == trained.metrics["rows"]
    assert AuditEntry.objects.filter(action="dataset.rows_downloaded", actor=owner).count() == 1


@pytest.mark.parametrize("given", ["=cmd()", "＝cmd()"])  # noqa: RUF001
def test_ids_of_a_client_cannot_be_a_formula(client, owner, trained, given):
    row = trained.detector.prediction_set.order_by("event_time").first()
    type(row).objects.filter(pk=row.pk).update(external_id=given)
    client.force_login(owner)
    answer = client.get(reverse("dataset_rows", args=[trained.dataset.pk]))
    assert f",'{given}," in b"".join(answer.streaming_content).decode()
