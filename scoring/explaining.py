"""What would have approved a stored prediction, and the line that its model looks like near it.

Both are computed when somebody asks, from the prediction's snapshot; nothing of them is stored.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from accounts.vault import VaultError
from scoring import policy_store
from scoring.core.counterfactual import (
    Counterfactual,
    Situation,
    find_counterfactual,
    tell,
)
from scoring.core.reader import SpecError
from scoring.core.reasons import shown_values
from scoring.core.schema import SchemaError
from scoring.core.surrogate import Surrogate, fit_surrogate
from scoring.core.types import Decision, Event, Orders
from scoring.margins import WORDS
from scoring.models import Prediction
from scoring.prediction_reasons import ADDS_UP
from scoring.recalling import windows_of_then
from scoring.replaying import CannotReplay, Changed, Snapshot, snapshot_of


class CannotExplain(LookupError):
    """What an explanation needs is gone; the message says what, in words for a page."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A counterfactual with its sentence. `with_history`: all windows of then could be had."""

    text: str
    found: Counterfactual
    with_history: bool


def what_would_approve(row: Prediction) -> WhatIf:
    """The smallest change that would be approved. Raises CannotExplain."""
    shot = snapshot_for(row)
    windows = windows_of_then(row, shot)
    situation = Situation(
        event=shot.event,
        vector=shot.vector,
        bundle=shot.bundle,
        policy=shot.policy,
        windows=windows,
        orders_of=lambda event: _orders_for(row, shot, event),
        degraded=row.degraded,
        fixed=_declared_since(row),
    )
    found = find_counterfactual(situation)
    if found.approved and row.decision != Decision.APPROVE:
        raise CannotExplain("Deciding it again gives another decision than the stored one.")
    complete = len(windows) == len(shot.bundle.plan.keys(shot.event))
    return WhatIf(tell(found, shot.bundle, shot.event.currency), found, complete)


def local_surrogate(row: Prediction) -> Surrogate:
    """The line near the prediction. Raises CannotExplain."""
    shot = snapshot_for(row)
    found = None if row.degraded else fit_surrogate(shot.bundle, shot.vector)
    if found is None:
        raise CannotExplain("No model scored this event, so there is none to draw a line through.")
    return found


def snapshot_for(row: Prediction) -> Snapshot:
    """All that decided it. Raises CannotExplain."""
    try:
        shot = snapshot_of(row)
    except (CannotReplay, Changed, SchemaError, VaultError, ValueError) as error:
        text = str(error)
        raise CannotExplain(f"{text[:1].upper()}{text[1:]}.".replace("..", ".")) from error
    if len(shot.vector) != len(shot.bundle.plan.names):
        raise CannotExplain("The stored feature vector is not one of this bundle.")
    return shot


def _declared_since(row: Prediction) -> frozenset[str]:
    """What the declaration of today calls immutable. It is about advice, not about the model: a
    bundle that was trained before it need not be trained again to follow it."""
    try:
        return row.detector.spec().immutable
    except SpecError:
        return frozenset()


def _orders_for(row: Prediction, shot: Snapshot, event: Event) -> Orders:
    """What stood about a changed event when the real one came; none to ask for without lists."""
    if event is shot.event:
        return shot.orders
    item = (row.entity, policy_store.list_tokens(shot.policy, event.fields))
    [orders] = policy_store.read_orders(row.detector_id, shot.policy, [item], row.received_at)
    return orders


# --- As plain data, for the API ------------------------------------------------------------------


def explanation_body(row: Prediction, *, surrogate: bool) -> dict[str, Any]:
    """All of it for one prediction; what cannot be told is null, with the reason beside it."""
    body: dict[str, Any] = {
        "prediction_id": str(row.pk),
        "decision": str(row.decision),
        "bundle_digest": row.bundle_digest,
        "policy_digest": row.policy_digest,
        "unavailable": {},
    }
    try:
        shot: Snapshot | None = snapshot_for(row)
    except CannotExplain as error:
        shot = None
        body["unavailable"]["bundle"] = str(error)
    body |= _contributions(row, shot)
    body["counterfactual"] = _told(body, "counterfactual", lambda: _what_if(row))
    if surrogate:
        body["surrogate"] = _told(body, "surrogate", lambda: surrogate_body(local_surrogate(row)))
    return body


def _told(body: dict[str, Any], name: str, ask: Any) -> Any:
    try:
        return ask()
    except CannotExplain as error:
        body["unavailable"][name] = str(error)
        return None


def _contributions(row: Prediction, shot: Snapshot | None) -> dict[str, Any]:
    """Every feature's share of the margin, largest first. Without the bundle they have no names."""
    parts = row.contribution_array()
    empty: dict[str, Any] = {
        "base_value": None,
        "margin": None,
        "margin_space": None,
        "contributions": [],
    }
    facts = {"additivity_error": row.additivity_error, "exact": None}
    predictor = None if shot is None else shot.bundle.predictor
    if parts is None or shot is None or predictor is None or len(parts) != len(shot.vector):
        return {**empty, **facts}
    base = predictor.explainer.base
    order = np.argsort(-np.abs(parts), kind="stable").tolist()
    features = shot.bundle.spec.features
    values = shown_values(shot.bundle.spec, row.vector_array(), shot.event.fields)
    return {
        "base_value": base,
        "margin": base + float(parts.sum()),
        "margin_space": WORDS[predictor.model.link].space,
        "contributions": [
            {"feature": features[i].name, "value": values[i], "contribution": float(parts[i])}
            for i in order
        ],
        "additivity_error": row.additivity_error,
        "exact": row.additivity_error is not None and row.additivity_error <= ADDS_UP,
    }


def _what_if(row: Prediction) -> dict[str, Any]:
    asked = what_would_approve(row)
    found = asked.found
    return {
        "found": bool(found.changes),
        "text": asked.text,
        "changes": [asdict(change) for change in found.changes],
        "risk_before": found.risk,
        "risk_after": found.risk_after,
        "free_fields": list(found.free),
        "unknown_fields": list(found.unknown),
        "with_history": asked.with_history,
        "candidates_tried": found.tried,
    }


def surrogate_body(found: Surrogate) -> Mapping[str, Any]:
    """A surrogate as JSON."""
    return asdict(found) | {"statement": found.statement}
