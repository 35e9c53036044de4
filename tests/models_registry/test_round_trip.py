"""What is told of a version is the same after it was handed out and taken in elsewhere."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.urls import reverse

from models_registry.bundle_files import RECORD, ExchangeError
from models_registry.card import model_card
from models_registry.evaluation_panels import evaluation_context
from models_registry.exporting import pack_bundle
from models_registry.importing import import_bundle
from models_registry.models import Dataset, ModelVersion
from models_registry.promotion import promote
from models_registry.selectors import documented_versions
from models_registry.stated_numbers import stated_curves, stated_metrics
from models_registry.threshold_moves import publish_thresholds
from models_registry.tuning_panels import tuning_panel
from scoring.models import Prediction
from tests.models_registry.bundle_zips import changed_record, parts_of
from tests.models_registry.learning import (
    KNOWN_AT,
    detector_of,
    first_version,
    history,
    learning_config,
)

pytestmark = pytest.mark.django_db
OF_THE_PLATFORM = (
    *("version", "stage", "made_at", "people", "origin", "parent", "monitoring"),
    *("explanation", "unknown", "limitations", "thresholds_moved"),
)
TUNED = {
    "study": "s" * 64, "trials": 12, "given_up": 2, "failed": 0, "folds": 4, "seconds": 60.0,
    "default": 0.5, "best": 0.6, "chosen": [3], "parameters": {}, "took": 61.0,
}  # fmt: skip
AUDITED = {
    "events": 500, "drawn": 20, "audited": 19, "audited_positives": 2, "looked_at": 90,
    "answered": 0.95, "effective_size": None, "naive_recall": 0.8, "recall": None,
    "precision": {"value": 0.5, "low": 0.2, "high": 0.8}, "prevalence": None,
}  # fmt: skip


def documented(version):
    return documented_versions().get(pk=version.pk)


def told(version):
    """What card, page and the page of its data show of it."""
    card = model_card(documented(version))
    card["evaluation"] = card["evaluation"] | {"comparison": None}
    card["evaluation"]["metrics"].get("tuning", {}).pop("study", None)
    page = evaluation_context(version, None, currency="EUR")
    thresholds, detail = page["thresholds"], dict(version.dataset.detail)
    detail.pop("read_at", None)
    return {
        "card": {name: part for name, part in card.items() if name not in OF_THE_PLATFORM},
        "calibration": page["calibration"],
        "audited": page["audited"],
        "thresholds": [thresholds.now, thresholds.best, thresholds.bands, thresholds.figure],
        "data": {name: part for name, part in detail.items() if part is not None},
        "tuning": tuning_panel(version) and tuning_panel(version).summary,
        "curves": version.curves,
    }


def taken_in(version, content):
    """As on a platform that never saw the version."""
    detector = version.detector
    ModelVersion.objects.all().delete()
    Dataset.objects.all().delete()
    return documented(import_bundle(detector, content, actor=None))


@pytest.fixture
def trained(monkeypatch):
    """A version whose audit and search are told in its bundle."""
    config = learning_config()
    config["features"]["transformations"].append(
        {"type": "category", "config": {"fields": ["TERMINAL_ID"]}}
    )
    detector = detector_of(config)
    history(detector)
    monkeypatch.setattr("models_registry.core.subgroups.LEAST_ROWS", 5)
    monkeypatch.setattr("models_registry.training.audited_metrics", lambda *given: dict(AUDITED))
    monkeypatch.setattr("models_registry.training.tune_parameters", lambda *a, **k: dict(TUNED))
    return documented(first_version(detector))


def test_card_page_and_data_tell_the_same(trained):
    before = told(trained)
    assert before["card"]["subgroups"] and before["card"]["data"]["parts"]
    assert before["audited"] and before["tuning"] and before["calibration"]["why"]
    after = taken_in(trained, pack_bundle(trained))
    assert told(after) == before
    assert "study" not in after.metrics["tuning"]
    # What a champion there meant is nothing here: no file brings evidence for a promotion.
    assert after.comparison == {}


def test_it_goes_on_to_a_third_platform_alike(trained):
    first = taken_in(trained, pack_bundle(trained))
    record = json.loads(parts_of(pack_bundle(first))[1][RECORD])
    second = taken_in(first, pack_bundle(first))
    assert told(second) == told(documented(second))
    assert json.loads(parts_of(pack_bundle(second))[1][RECORD]) == record


def test_pages_of_an_imported_version_stand(client, owner, trained):
    version = taken_in(trained, pack_bundle(trained))
    client.force_login(owner)
    page = client.get(version.get_absolute_url()).content.decode()
    assert "12 sets of parameters" in page and "Best trials" not in page
    assert client.get(reverse("model_card", args=[version.pk])).status_code == 200
    data = client.get(version.dataset.get_absolute_url()).content.decode()
    assert "the events are where it was trained" in data
    assert Prediction.objects.exists()
    assert client.get(reverse("dataset_rows", args=[version.dataset_id])).status_code == 404


def test_that_thresholds_were_moved_before_is_told(trained):
    promote(trained, actor=None)
    review = trained.metrics["thresholds"]["review"] / 2
    moved = publish_thresholds(trained, review=review, block=None, actor=None, reason="See more")
    content = pack_bundle(documented(moved))
    promote(moved, actor=None)
    limits = model_card(documented(import_elsewhere(moved, content)))["limitations"]
    assert "Its thresholds were moved by hand, from those of v1 there." in limits


def import_elsewhere(version, content):
    """Beside what is here, which another bundle digest stands for."""
    ModelVersion.objects.filter(pk=version.pk).update(digest="f" * 64)
    return import_bundle(version.detector, content, actor=None)


def split_of(version, **changed):
    data = json.loads(parts_of(pack_bundle(version))[1][RECORD])["dataset"]
    return data | {"split": data["split"] | changed}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"test_end": (KNOWN_AT + timedelta(days=9)).timestamp()}, "outside of its data"),
        ({"train_start": datetime(1999, 1, 1, tzinfo=UTC).timestamp()}, "outside of its data"),
        ({"test_end": 1e30}, "outside of its data"),
        ({"delay": -1.0}, "delay cannot be negative"),
        ({"delay": "1d"}, "is not a number"),
    ],
)
def test_parts_that_cannot_be_are_refused(trained, changed, said):
    content = changed_record(pack_bundle(trained), dataset=split_of(trained, **changed))
    with pytest.raises(ExchangeError, match=said):
        taken_in(trained, content)


def test_parts_that_hide_what_it_learnt_from_are_refused(trained):
    """Otherwise events that it had learnt from would count as new to it."""
    split = trained.dataset.detail["split"]
    earlier = {"validation_end": split["validation_end"] - 86400.0}
    content = changed_record(pack_bundle(trained), dataset=split_of(trained, **earlier))
    with pytest.raises(ExchangeError, match="learnt from later events"):
        taken_in(trained, content)


@pytest.mark.parametrize(
    "changed",
    [
        {"parts": {"training": {"events": 10**9, "positives": 0}}},
        {"young": -1},
        {"young": 10**6},
        {"unlabelled_is_legitimate": "yes"},
        {"label_sources": ["analyst"]},
        {"recomputed": {"x" * 500: 1}},
    ],
)
def test_data_of_another_shape_is_refused(trained, changed):
    data = json.loads(parts_of(pack_bundle(trained))[1][RECORD])["dataset"] | changed
    with pytest.raises(ExchangeError):
        taken_in(trained, changed_record(pack_bundle(trained), dataset=data))


def test_subgroups_of_another_shape_are_left_out(trained):
    odd = [{"feature": "TERMINAL_ID", "groups": [{"level": {}, "rows": "many"}]}]
    version = taken_in(trained, changed_record(pack_bundle(trained), subgroups=odd))
    assert version.lineage.subgroups == []


@pytest.mark.parametrize("cuts", [[[0.5, 1, 1, None]], [[0.5, 1, 1, 2.0, 3]], []])
def test_a_curve_of_thresholds_is_kept_as_it_is(cuts):
    curve = {"days": 2.0, "rows": 9, "positives": 1, "lost_if_approved": None, "cuts": cuts}
    assert stated_curves({"thresholds": curve}) == {"thresholds": curve}


@pytest.mark.parametrize(
    "changed",
    [
        {"days": 0.0},
        {"rows": -1},
        {"positives": "many"},
        {"cuts": [[0.5, 1]]},
        {"cuts": [[1e999, 1, 1, None, 1]]},
        {"cuts": 5},
    ],
)
def test_a_curve_of_thresholds_that_no_page_could_read_is_left_out(changed):
    curve = {"days": 2.0, "rows": 9, "positives": 1, "lost_if_approved": None, "cuts": []}
    assert stated_curves({"thresholds": curve | changed}) == {}
    assert stated_curves({"thresholds": [[0, 1]]}) == {}


def test_intervals_that_were_not_made_are_kept_as_such():
    point = {"probability": 0.1, "observed": 0.2, "count": 9, "low": None, "high": None}
    assert stated_curves({"calibration": [point]}) == {"calibration": [point]}
    assert stated_curves({"calibration": [point | {"observed": None}]}) == {}
    spans = {"intervals": {"f1": [None, None], "recall": [0.1, None]}}
    assert stated_metrics(spans)["intervals"] == {"f1": [None, None]}


@pytest.mark.parametrize("name", ["calibration", "audited", "tuning", "resampled"])
@pytest.mark.parametrize("odd", [5, [1], {"chosen": 1}, {"trials": 1}, "text"])
def test_parts_of_metrics_of_another_shape_are_left_out(name, odd):
    found = stated_metrics({name: odd, "recall": 0.5})
    assert not isinstance(found.get(name), dict | list | str)
