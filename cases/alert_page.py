"""What the page of one alert shows, from an alert to a template's context. No request in here."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from cases.case_rows import clock_of
from cases.models import Alert, Case
from cases.rows import alert_row
from cases.second_looks import hide_outcomes
from cases.selectors import other_predictions, past_alerts_of_entity
from cases.workflow import REASON_CODES, AlertStatus, Disposition
from scoring import knowing, presenting
from scoring.core.spec import DetectorSpec, truth_words
from scoring.models import Prediction
from scoring.prediction_reasons import bundle_of, explain_prediction
from scoring.screened import screening_of
from scoring.side_by_side import compared_hits
from scoring.standing_orders import StandingOrder, orders_now
from scoring.usual import beside, own_history

PAST_ALERTS = 6
OTHER_EVENTS = 50
"""Events of an alert, besides the top one, of whose values it is told which orders stand."""


def reason_words(disposition: str, code: str) -> str:
    """A reason code as people read it."""
    if disposition not in set(Disposition):
        return ""
    return dict(REASON_CODES[Disposition(disposition)]).get(code, code)


def cases_of(alerts: Sequence[Alert], here: Alert) -> list[Case]:
    """The cases that an entity's earlier alerts are in, each once, but not the alert's own."""
    found = {alert.case_id: alert.case for alert in alerts if alert.case is not None}
    return [case for pk, case in found.items() if pk != here.case_id]


def _past_of(alert: Alert, blind_since: datetime | None) -> list[Alert]:
    """The entity's other alerts, with the words for why each ended as it did."""
    past = past_alerts_of_entity(alert, limit=PAST_ALERTS)
    hide_outcomes(past, blind_since)
    for old in past:
        old.reason_words = reason_words(old.disposition, old.reason_code)  # type: ignore[attr-defined]
    return past


def first_view(row: Prediction, orders: Sequence[StandingOrder] = ()) -> str:
    """Which of the facts to begin with: what decides before the model, or would now; else the
    event."""
    if row.screening_hits:
        return "screening"
    return "rules" if row.rule_hits or row.list_hits or orders else "event"


def alert_context(
    alert: Alert, specs: presenting.SpecCache, *, blind_since: datetime | None = None
) -> dict[str, Any]:
    """Everything but what depends on who is asking. A fixed number of queries.

    How the entity's other alerts ended is not told from `blind_since` on.
    """
    top, spec = alert.top_prediction, specs.of(alert.detector)
    row, now = alert_row(alert, specs), timezone.now()
    fields = presenting.event_fields(top, spec)
    screened = screening_of(top)
    past = _past_of(alert, blind_since)
    orders = orders_now(top, spec, now, other_predictions(alert, limit=OTHER_EVENTS))
    return {
        "title": row.entity,
        "subtitle": f"{alert.detector} · {specs.entity_word(alert.detector)} · alert {alert.pk}",
        "entity_word": specs.entity_word(alert.detector),
        "alert": alert,
        "row": row,
        "prediction": top,
        "decided_by": presenting.decided_by(top),
        **_reasons(top, spec),
        **_decided_before_the_model(top, orders),
        "view": first_view(top, orders),
        "screening": compared_hits(top, spec),
        "unscreened": screened.missing,
        "fields": fields,
        "masked": any(field.hidden for field in fields),
        "lineage": replace(presenting.lineage_of(top), lists=screened.lists),
        "linkable": spec is not None and bool(spec.link_fields),
        "past": past,
        "past_cases": cases_of(past, alert),
        "is_open": alert.status == AlertStatus.OPEN,
        "clock": clock_of(alert, now),
        "truth": truth_words(spec),
        "case_title": f"{alert.detector}: {row.entity}",
        "reason_words": reason_words(alert.disposition, alert.reason_code),
    }


def _reasons(top: Prediction, spec: DetectorSpec | None) -> dict[str, Any]:
    """Why the model scored it so, beside what is usual for its entity, and how sure that is."""
    bundle, why = bundle_of(top), explain_prediction(top, spec)
    known = bundle.spec if bundle is not None else spec
    own = own_history(top, known.feature_names) if known is not None else None
    return {
        "why": why,
        "reasons": beside(why, top, known, own),
        "band": knowing.band_line(top, bundle),
        "novelty": knowing.novelty_line(top, bundle),
    }


def _decided_before_the_model(top: Prediction, orders: Sequence[StandingOrder]) -> dict[str, Any]:
    """The rules and lists that it met, and the standing orders that hold for it now."""
    met = top.list_hits or any(hit.get("snoozed") for hit in top.rule_hits)
    return {
        "rules": presenting.rule_hits(top),
        "rules_found": len(top.rule_hits) + len(top.list_hits),
        "orders": orders,
        "overruled": bool(met and all(order.elsewhere for order in orders)),
    }
