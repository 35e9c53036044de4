"""Remember what closed alerts looked like, and find those that look like one at hand."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from django.utils import timezone

from cases.models import Alert
from cases.signature_models import AlertSignature
from cases.similarity import Vector, direction, in_common, nearest, nearest_by_rules
from cases.workflow import AlertStatus
from scoring.core.bundle import BundleError
from scoring.deployment import loaded
from scoring.models import Prediction

CANDIDATES = 2000
"""Newest closed alerts that one is compared with."""
SIGN_AT_ONCE = 500
REACH = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Alike:
    """A closed alert and how much it is like the one at hand; `shared` names the features."""

    alert: Alert
    likeness: float
    shared: Sequence[str]


@dataclass(frozen=True, slots=True)
class Shape:
    """An alert as it is compared: `names` of the features, empty where no model scored."""

    plan: str
    vector: Vector
    rules: Sequence[str]
    names: Sequence[str]


def shape_of(row: Prediction) -> Shape:
    """The shape of an alert's riskiest prediction; its rules are those that decided."""
    rules = sorted({str(hit.get("code", "")) for hit in row.counted_hits()})
    parts = row.contribution_array()
    try:
        names = tuple(loaded(row.bundle_digest).plan.names)
    except BundleError:
        names = ()
    if parts is None or len(parts) != len(names):
        return Shape("", np.zeros(0, np.float32), rules, ())
    plan = hashlib.sha256("\0".join(names).encode()).hexdigest()[:16]
    return Shape(plan, direction(parts), rules, names)


def sign_closed_alerts(*, everything: bool = False) -> int:
    """Give closed alerts without a signature one, those of the last days or all; how many.

    May run twice: an alert has one signature.
    """
    rows = Alert.objects.filter(status=AlertStatus.CLOSED, signature=None)
    if not everything:
        rows = rows.filter(closed_at__gte=timezone.now() - REACH)
    found = list(rows.select_related("top_prediction").order_by("-pk")[:SIGN_AT_ONCE])
    signatures = []
    for alert in found:
        shape = shape_of(alert.top_prediction)
        signatures.append(
            AlertSignature(
                alert=alert,
                detector_id=alert.detector_id,
                plan=shape.plan,
                vector=shape.vector.astype("<f4").tobytes(),
                rules=shape.rules,
            )
        )
    AlertSignature.objects.bulk_create(signatures, ignore_conflicts=True)
    return len(found)


def similar_alerts(alert: Alert) -> list[Alike]:
    """Closed alerts of the detector whose explanations are most like this one's, likest first."""
    shape = shape_of(alert.top_prediction)
    rows = (
        AlertSignature.objects.filter(detector=alert.detector_id, plan=shape.plan)
        .exclude(alert=alert)
        .order_by("-alert")
    )
    if shape.plan:
        found = list(rows.values_list("alert_id", "vector")[:CANDIDATES])
        size = 4 * len(shape.vector)
        found = [one for one in found if len(one[1]) == size]
        matrix = np.frombuffer(b"".join(bytes(vector) for _, vector in found), "<f4")
        others = (
            matrix.reshape(len(found), -1) if found else np.zeros((0, len(shape.vector)), "<f4")
        )
        near = nearest(shape.vector, others)
        shared = [
            [shape.names[i] for i in in_common(shape.vector, others[place])] for place, _ in near
        ]
        ids = [found[place][0] for place, _ in near]
    else:
        known = list(rows.values_list("alert_id", "rules")[:CANDIDATES])
        near = nearest_by_rules(shape.rules, [codes for _, codes in known])
        shared = [sorted(set(shape.rules) & set(known[place][1]))[:2] for place, _ in near]
        ids = [known[place][0] for place, _ in near]
    alerts = Alert.objects.select_related("detector", "top_prediction").in_bulk(ids)
    return [
        Alike(alerts[pk], likeness, names)
        for pk, (_, likeness), names in zip(ids, near, shared, strict=True)
        if pk in alerts and alerts[pk].status == AlertStatus.CLOSED
    ]
