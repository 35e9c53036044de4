"""What the timeline of an entity shows: events of a span, their labels and places, its alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cases.models import Alert
from cases.second_looks import hide_outcomes
from cases.selectors import alerts_between, entity_between, newest_event_at
from scoring import presenting
from scoring.core.spec import DetectorSpec
from scoring.feature_store.history import clear
from scoring.models import Detector, Prediction
from scoring.timeline_figure import MISSING, Mark, place_field, timeline

RANGES = {"7": "7 d", "30": "30 d", "90": "90 d", "365": "1 y"}
DEFAULT = "30"
MOST_EVENTS = 500
MOST_ALERTS = 60
MOST_CURRENCIES = 2
AFTER = 0.15
"""How much of the span lies behind what it ends with, so that later events are seen."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The events of a span, newest first, and their figure; None where nothing can be drawn."""

    chosen: str
    ranges: Sequence[tuple[str, str]]
    rows: Sequence[presenting.HistoryRow]
    alerts: Sequence[Alert]
    figure: Mapping[str, Any] | None
    full: bool
    begin: datetime
    end: datetime
    measure: str
    logarithmic: bool


def timeline_panel(
    detector: Detector,
    entity: str,
    spec: DetectorSpec | None,
    *,
    chosen: str,
    alert: Alert | None,
    here: frozenset[Any] = frozenset(),
    blind_since: datetime | None = None,
) -> Timeline | None:
    """The span ends with the alert's last event, else with the entity's. None: it has no events.

    No label and no outcome is shown from `blind_since` on.
    """
    last = newest_event_at(detector.pk, entity) if alert is None else alert.last_event_at
    if last is None:
        return None
    chosen = chosen if chosen in RANGES else DEFAULT
    span = timedelta(days=int(chosen))
    begin, end = last - span, last + max(span * AFTER, timedelta(hours=12))
    rows = entity_between(detector.pk, entity, begin, end, limit=MOST_EVENTS, before=blind_since)
    alerts = alerts_between(detector.pk, entity, begin, end, limit=MOST_ALERTS)
    hide_outcomes(alerts, blind_since)
    history = presenting.history_of(rows, here=here)
    figure = _figure(history, place_field(spec), alerts, begin, end, here)
    return Timeline(
        chosen=chosen,
        ranges=list(RANGES.items()),
        rows=history.rows,
        alerts=alerts,
        figure=figure,
        full=len(rows) == MOST_EVENTS,
        begin=begin,
        end=end,
        measure=_measure(history),
        logarithmic=figure is not None and figure["layout"]["yaxis"].get("type") == "log",
    )


def _measure(history: presenting.History) -> str:
    """What is drawn, in which currencies: `Amount in EUR and USD`."""
    if not history.amounts:
        return "Probability or score"
    events = [row.prediction for row in history.rows]
    codes = sorted({one.currency for one in events if one.exposure is not None and one.currency})
    if len(codes) > MOST_CURRENCIES:
        return f"Amount in {len(codes)} currencies"
    return f"Amount in {' and '.join(codes)}" if codes else "Amount"


def _figure(
    history: presenting.History,
    field: str,
    alerts: Sequence[Alert],
    begin: datetime,
    end: datetime,
    here: frozenset[Any],
) -> Mapping[str, Any] | None:
    labels = {row.prediction.pk: row.is_fraud for row in history.rows}
    drawn = [
        row.prediction
        for row in history.rows
        if (row.prediction.exposure if history.amounts else row.prediction.risk) is not None
    ]
    points = presenting.history_points(drawn, labels, amounts=history.amounts)
    if not points:
        return None
    marked = presenting.history_points(
        [row for row in drawn if row.pk in here], labels, amounts=history.amounts
    )
    return timeline(
        points,
        title="Amount" if history.amounts else "Risk",
        now=marked,
        places=[_place(row, field) for row in drawn] if field else [],
        marks=[_mark(alert) for alert in alerts],
        begin=begin,
        end=end,
    )


def _place(row: Prediction, field: str) -> str:
    value = clear(row.event.get(field))
    return MISSING if value is None else str(value)


def _mark(alert: Alert) -> Mark:
    said = alert.get_disposition_display() if alert.disposition else alert.get_status_display()
    text = f"Alert {alert.pk}, {alert.level_name.capitalize()}, {said.lower()}"
    at = alert.first_event_at.strftime("%Y-%m-%dT%H:%M:%S")
    return Mark(at, text, alert.get_absolute_url())
