"""A champion that served, another one in its place, and what that one scored since."""

from typing import Any

from models_registry.models import ModelVersion
from models_registry.promotion import promote
from models_registry.promotion_models import PromotionGuard
from scoring.models import Detector, Prediction
from tests.models_registry.rivals import other_digest, traffic
from tests.models_registry.versions import VersionFactory

EVENTS = 60
LATENCY_US = 5_000
"""Of all that is scored here: what a busy machine took must break no guard."""


def guarded_versions(detector: Detector, digest: str) -> list[ModelVersion]:
    """v1 has served EVENTS events; the guard looks at 50. v2 waits."""
    detector.config["training"]["guard"] = {"events": 50}
    detector.save(update_fields=["config"])
    first = VersionFactory(detector=detector, number=1, digest=digest)
    second = VersionFactory(detector=detector, number=2, digest=other_digest(review=0.45))
    promote(first, actor=None, reason="The first.")
    traffic(EVENTS)
    Prediction.objects.update(latency_us=LATENCY_US)
    return [first, second]


def worsen(**columns: Any) -> None:
    """What the new champion scored looks like this."""
    traffic(EVENTS, seed=11)
    since = PromotionGuard.objects.latest("since").since
    mine = Prediction.objects.filter(received_at__gte=since)
    mine.update(**{"latency_us": LATENCY_US} | columns)
