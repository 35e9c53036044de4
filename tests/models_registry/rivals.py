"""A champion that serves and challengers beside it, all with small bundles that load."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from django.utils import timezone

from models_registry.models import ModelVersion
from models_registry.promotion import promote
from models_registry.shadow_models import Shadow
from scoring.core.bundle import write_bundle
from scoring.deployment import bundle_root
from scoring.labelling import record_truths
from scoring.models import Detector, Label, Prediction
from tests.factories import payments, scored_many, trained_payments
from tests.models_registry.versions import VersionFactory, comparison


def other_digest(**thresholds: float) -> str:
    """The small payments bundle with other thresholds, and so another digest."""
    manifest, files = trained_payments()
    changed = manifest | {"thresholds": manifest["thresholds"] | thresholds}
    return write_bundle(bundle_root(), changed, files)


def rivals(detector: Detector, digest: str, **thresholds: float) -> list[ModelVersion]:
    """v1 serves; v2 waits with thresholds of its own (lower: it flags more)."""
    first = VersionFactory(detector=detector, number=1, digest=digest)
    promote(first, actor=None, reason="The first.")
    second = VersionFactory(
        detector=detector,
        number=2,
        digest=other_digest(**(thresholds or {"review": 0.01, "medium": 0.01})),
        trained_at=timezone.now() - timedelta(hours=1),
    )
    return [first, second]


def make_versions(detector: Detector, digest: str) -> list[ModelVersion]:
    """v1 serves; v2 won its comparison with it, v3 did not."""
    first = VersionFactory(detector=detector, number=1, digest=digest)
    promote(first, actor=None, reason="The first.")
    won = comparison(digest)
    drawn = comparison(digest, verdict="undecided", cheaper="undecided")
    return [
        first,
        VersionFactory(detector=detector, number=2, digest=other_digest(), comparison=won),
        VersionFactory(
            detector=detector, number=3, digest=other_digest(review=0.4), comparison=drawn
        ),
    ]


def shadow_of(version: ModelVersion, **changed: Any) -> Shadow:
    """In shadow since the version was trained."""
    return Shadow.objects.create(
        version=version,
        detector=version.detector,
        watermark=version.trained_at,
        started_at=timezone.now(),
        **changed,
    )


def traffic(n: int, *, seed: int = 7) -> list[Prediction]:
    """Payments scored by what serves."""
    return scored_many("payments", payments(n, seed=seed, users=40))


def tell_truths(rows: Sequence[Prediction], *, above: float = 150.0, seed: int = 3) -> None:
    """Label every event: large amounts are fraud, with some noise."""
    rng = np.random.default_rng(seed)
    truths = {
        row.external_id: (
            bool(float(row.exposure or 0) + rng.normal(0.0, 30.0) > above),
            row.event_time + timedelta(hours=1),
        )
        for row in rows
    }
    record_truths(rows[0].detector_id, truths, source=Label.Source.IMPORT)
