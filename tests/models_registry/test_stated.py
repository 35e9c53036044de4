"""What a file says of its version is checked value by value, and kept as it was said."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from models_registry import importing
from models_registry.bundle_files import ExchangeError
from models_registry.importing import import_bundle
from models_registry.models import ModelVersion
from tests.models_registry.bundle_zips import changed_record
from tests.models_registry.versions import CURVES, THEN, VersionFactory, make_detector

pytestmark = pytest.mark.django_db
DATA = {
    "digest": "0" * 64,
    "known_at": "2026-05-01T02:00:00+02:00",
    "first_event_at": "2026-01-01T00:00:00Z",
    "last_event_at": "2026-04-30T00:00:00Z",
    "rows": 100,
    "positives": 7,
    "labelled": 60,
}


@pytest.fixture(autouse=True)
def untried(monkeypatch):
    """The same good bundle comes again and again: test_importing.py tries it."""
    monkeypatch.setattr(importing, "_try", lambda content: None)


@pytest.fixture
def imports(payments_detector, exported):
    def take_in(**changed):
        content = changed_record(exported, **changed) if changed else exported
        return import_bundle(payments_detector, content, actor=None)

    return take_in


def test_what_was_said_of_a_version_is_kept(imports):
    version = imports(dataset=DATA)
    assert (version.curves, version.trained_at, version.training_seconds) == (CURVES, THEN, 3.0)
    dataset = version.dataset
    assert (dataset.rows, dataset.positives, dataset.detail) == (100, 7, {"labelled": 60})
    assert (dataset.digest, dataset.known_at) == ("0" * 64, datetime(2026, 5, 1, tzinfo=UTC))
    assert dataset.first_event_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert dataset.last_event_at == datetime(2026, 4, 30, tzinfo=UTC)
    assert dataset.feature_names == list(version.detector.spec().feature_names)


def test_it_gets_the_next_number_here_and_stands_beside_the_champion_here(
    payments_detector, imports
):
    serves = VersionFactory(detector=payments_detector, number=4, stage="champion")
    VersionFactory(detector=make_detector("elsewhere"), number=9, stage="champion")
    version = imports(label="v7")
    assert (version.number, version.lineage.parent) == (5, serves)
    assert version.lineage.origin_detail["label"] == "v7"


def test_counts_and_times_that_cannot_be_are_refused(imports):
    for changed, said in (
        ({"positives": 101}, "cannot be 101 positives among 100"),
        ({"positives": -1}, "cannot be -1 positives"),
        ({"rows": 2**31}, "positives among 2147483648"),
        ({"labelled": 101}, "cannot be 101 labelled among 100"),
        ({"labelled": -1}, "cannot be -1 labelled"),
        ({"known_at": "2026-05-01T00:00:00"}, "no time zone"),
        ({"first_event_at": "2026-05-01"}, "no time zone"),
        ({"last_event_at": "soon"}, "incomplete"),
    ):
        with pytest.raises(ExchangeError, match=said):
            imports(dataset=DATA | changed)
    assert not ModelVersion.objects.exists()


@pytest.mark.parametrize(
    "changed",
    [
        {"positives": 100, "labelled": 100},
        {"positives": 0, "rows": 0, "labelled": 0},
        {"rows": 2**31 - 1},
        {"labelled": None},
    ],
)
def test_counts_may_reach_their_bounds(imports, changed):
    dataset = imports(dataset=DATA | changed).dataset
    said = DATA | changed
    assert (dataset.rows, dataset.positives) == (said["rows"], said["positives"])
    assert dataset.detail.get("labelled", 0) == (said["labelled"] or 0)


@pytest.mark.parametrize(("minutes", "refused"), [(-1, False), (9, False), (11, True)])
def test_clocks_may_differ_by_ten_minutes(imports, minutes, refused):
    at = (timezone.now() + timedelta(minutes=minutes)).isoformat()
    if refused:
        with pytest.raises(ExchangeError, match="lies in the future"):
            imports(trained_at=at)
    else:
        assert imports(trained_at=at).trained_at.isoformat() == at


def test_features_in_another_order_do_not_fit(payments_detector, imports):
    steps = payments_detector.config["features"]["transformations"]
    steps[1]["config"]["fields"].reverse()
    payments_detector.save(update_fields=["config"])
    with pytest.raises(ExchangeError, match="payments: its features stand in another order"):
        imports()


def test_what_a_bundle_lacks_is_named(payments_detector, imports):
    step = {"type": "category", "config": {"fields": ["device_id"]}}
    payments_detector.config["features"]["transformations"].append(step)
    payments_detector.save(update_fields=["config"])
    with pytest.raises(ExchangeError, match="it lacks the features device_id"):
        imports()
