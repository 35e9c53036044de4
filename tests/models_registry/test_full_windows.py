"""Half-empty windows of a young history are no drift: full ones are kept beside, and asked."""

from datetime import UTC, datetime

import numpy as np
import pytest
from django.utils import timezone

from models_registry.core import reference
from models_registry.core.reference import ONCE_FULL, describe_features
from models_registry.monitoring import check_drift
from scoring import deployment
from scoring.core.bundle import load_bundle, read_files, write_bundle
from scoring.deployment import bundle_root
from scoring.models import Prediction
from tests.models_registry.drifting import drifting_digest, stored_events
from tests.models_registry.learning import (
    detector_of,
    first_version,
    history,
    learning_config,
)

pytestmark = pytest.mark.django_db
COUNT = "user_id_count_7d"
DAY = 86400.0


@pytest.fixture
def detector(db, monkeypatch):
    monkeypatch.setattr(reference, "LEAST_FULL", 100)
    return detector_of(learning_config())


def trained(detector):
    """Its first version, and what that kept of the features."""
    version = first_version(detector)
    return version, load_bundle(bundle_root(), version.digest).manifest["reference"]


def test_a_training_describes_apart_what_it_saw_through_full_windows(detector):
    history(detector)
    version, described = trained(detector)
    at = Prediction.objects.order_by("event_time").values_list("event_time", flat=True)
    times = np.array([one.timestamp() for one in at])
    learnt = times < version.dataset.detail["split"]["train_end"]
    full = learnt & (times >= times[0] + 7 * DAY)
    assert described["CUSTOMER_ID_count_7d"]["count"] == learnt.sum()
    assert described["CUSTOMER_ID_count_7d"][ONCE_FULL]["count"] == full.sum() > 100
    assert ONCE_FULL not in described["TX_AMOUNT"]
    assert ONCE_FULL not in described["CUSTOMER_ID_count_30d"], "too few rows are 30 days in"


def test_an_event_with_a_wrong_clock_makes_no_history_old(detector):
    history(detector, events=1200)
    Prediction.objects.filter(pk=Prediction.objects.earliest("event_time").pk).update(
        event_time=datetime(1990, 1, 1, tzinfo=UTC)
    )
    _, described = trained(detector)
    assert ONCE_FULL in described["CUSTOMER_ID_count_7d"]


@pytest.fixture
def young(payments_detector):
    """A champion whose training saw the users' weeks from their first hour on: counts too low; and
    recent events, whose weeks are full."""
    deployment.install(payments_detector, slot="champion", digest=drifting_digest(), version="v1")
    rows = stored_events(payments_detector)
    plan = deployment.serving_of(payments_detector).bundle.plan
    counts = _column(rows, plan.names.index(COUNT))
    manifest, files = read_files(bundle_root() / drifting_digest(), drifting_digest())
    (alone,) = describe_features(counts[:, None], [COUNT]).values()
    (halved,) = describe_features(counts[:, None] // 2, [COUNT]).values()

    def install(*, told_apart):
        described = halved | ({ONCE_FULL: alone} if told_apart else {})
        changed = manifest | {"reference": manifest["reference"] | {COUNT: described}}
        digest = write_bundle(bundle_root(), changed, files)
        deployment.install(payments_detector, slot="champion", digest=digest, version="v2")
        Prediction.objects.update(bundle_digest=digest)
        return check_drift(payments_detector, now=timezone.now())

    return install


def _column(rows, place):
    return np.array([np.frombuffer(row.vector, "<f8")[place] for row in rows])


def test_drift_is_measured_against_full_windows_where_they_are_told_apart(young):
    assert young(told_apart=False).statistics.get(name=COUNT).status == "major"
    found = young(told_apart=True).statistics.get(name=COUNT)
    assert (found.status, found.psi) == ("stable", pytest.approx(0.0, abs=1e-9))


def test_the_page_says_which_rows_it_was(client, owner, young):
    client.force_login(owner)
    for told_apart in (False, True):
        young(told_apart=told_apart)
        page = client.get("/models/payments/drift/", {"show": f"feature.{COUNT}"}).content.decode()
        assert ("those whose windows were full" in page) == told_apart
