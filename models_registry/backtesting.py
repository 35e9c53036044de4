"""Run a backtest: read history without touching it, decide it again, say what would be different.

Everything is read in short transactions in which the database refuses writes. Written are the
backtest's own row and its job, at the end.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Sum
from django.utils import timezone

from accounts.models import User
from cases.models import Alert
from cases.selectors import handling_stays
from jobs.models import Job
from jobs.progress import JobProgress
from jobs.services import enqueue_job
from models_registry.backtest_arms import NAMES, Arms, Told, arms_of
from models_registry.backtest_models import Backtest
from models_registry.backtest_sampling import (
    YOUNG,
    Census,
    Drawn,
    draw,
    read_only,
    take_census,
)
from models_registry.core import audit
from models_registry.core.backtest import (
    BAD,
    GOOD,
    UNKNOWN,
    Sampled,
    by_day,
    changes,
    confusion,
    costs_of,
    saving,
    volume,
)
from models_registry.core.selection import AUDITED, NOT_SELECTED, SELECTED
from models_registry.judging import finite
from models_registry.models import ModelVersion
from scoring.core.spec import DetectorSpec
from scoring.core.types import Stage
from scoring.models import Detector, Prediction
from scoring.policy_models import Rule, RuleVersion
from scoring.rule_editing import RuleText

BACKTEST = "models_registry.backtest"
CHUNK = 500
COUNTING = 0.3
"""Share of the work that counting the events is."""
EXAMPLES = 20
KEPT = 200
"""Backtests of a detector that are kept."""
LEAST_TOUCHES = 20
TOUCHES_OF = timedelta(days=180)
LONGEST_TOUCH = timedelta(hours=1)
CELLS = ("tp", "fp", "fn", "tn", "unlabelled")
COLUMNS = (
    "id", "external_id", "event_time", "received_at", "event", "entity", "vector", "score",
    "probability", "decision", "rule_hits", "screening_hits", "list_hits", "bundle_digest",
    "exposure", "currency",
)  # fmt: skip


@transaction.atomic
def request_rule_backtest(
    detector: Detector,
    *,
    rule: Rule | None,
    code: str,
    said: RuleText,
    first_day: date,
    last_day: date,
    most: int,
    requested_by: User,
    base: int = 0,
) -> Backtest:
    """Queue a backtest of a rule that nobody saved, against its live version if it has one."""
    live = rule.versions.filter(stage=Stage.LIVE).first() if rule else None
    asked = _json_of(said) | {"code": code, "base": base}
    return _queue(
        Backtest(
            detector=detector,
            kind=Backtest.Kind.RULE,
            rule=rule,
            asked=asked,
            today=_json_of(live) | {"code": code, "number": live.number} if live else {},
            first_day=first_day,
            last_day=last_day,
            most=most,
            requested_by=requested_by,
        )
    )


@transaction.atomic
def request_threshold_backtest(
    version: ModelVersion,
    *,
    review: float,
    block: float | None,
    today: Mapping[str, Any],
    first_day: date,
    last_day: date,
    most: int,
    requested_by: User,
) -> Backtest:
    """Queue a backtest of other thresholds of the champion."""
    return _queue(
        Backtest(
            detector=version.detector,
            kind=Backtest.Kind.THRESHOLDS,
            version=version,
            asked={"review": review, "block": block},
            today=dict(today),
            first_day=first_day,
            last_day=last_day,
            most=most,
            requested_by=requested_by,
        )
    )


def _json_of(said: RuleText | RuleVersion) -> dict[str, Any]:
    return {
        "when": said.when,
        "text": said.text,
        "outcome": said.outcome,
        "weight": said.weight,
        "parameters": dict(said.parameters),
    }


def _queue(test: Backtest) -> Backtest:
    test.known_at = timezone.now()
    test.save()
    test.job = enqueue_job(
        kind=BACKTEST,
        params={"backtest": test.pk},
        unique_key=f"backtest:{test.pk}",
        requested_by=test.requested_by,
        subject=f"{test.detector.name} {test.asked.get('code') or 'thresholds'}",
    )
    test.save(update_fields=["job"])
    old = Backtest.objects.filter(detector=test.detector_id).order_by("-known_at", "-id")
    Backtest.objects.filter(pk__in=list(old.values_list("pk", flat=True)[KEPT:])).delete()
    return test


def run_backtest(job: Job, progress: JobProgress) -> dict[str, Any]:
    """The work of the job. Raises PolicyRefused or BundleError when it cannot be asked any more."""
    rows = Backtest.objects.select_related("detector", "rule", "version")
    test = rows.get(pk=job.params["backtest"])
    spec = test.detector.spec()
    with read_only():
        arms = arms_of(test)
    census = take_census(
        test.detector,
        test.first_day,
        test.last_day,
        known_at=test.known_at,
        label_delay=spec.training.label_delay,
        progress=progress,
        span=COUNTING,
    )
    drawn = draw(census, test.most)
    found = _read(Found(spec), arms, census, drawn, progress)
    with read_only():
        minutes = minutes_per_event(test.detector, test.known_at)
    result = _result(test, spec, census, drawn, found) | {"minutes": minutes}
    with transaction.atomic():
        progress.hold()
        Backtest.objects.filter(pk=test.pk).update(
            result=finite(result), finished_at=timezone.now()
        )
    return {"url": test.get_absolute_url(), "label": "the backtest"}


@dataclass
class Found:
    """What was read, event by event; the lists have one entry for each that could be read."""

    spec: DetectorSpec
    told: list[Told] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    young: list[bool] = field(default_factory=list)
    amounts: list[float] = field(default_factory=list)
    entities: list[int] = field(default_factory=list)
    days: list[int] = field(default_factory=list)
    unreadable: int = 0
    other_currency: int = 0
    examples: dict[str, list[tuple[float, int, dict[str, Any]]]] = field(
        default_factory=lambda: {cell: [] for cell in CELLS}
    )
    names: dict[str, int] = field(default_factory=dict)

    def add(self, place: int, weight: float, row: Prediction, told: Told, label: int, *,
            young: bool) -> None:  # fmt: skip
        """Take one event in."""
        self.told.append(told)
        self.places.append(place)
        self.weights.append(weight)
        self.labels.append(label)
        self.young.append(young)
        amount = self.spec.own_amount(row.exposure, row.currency)
        self.amounts.append(amount)
        self.other_currency += int(row.exposure is not None and np.isnan(amount))
        self.entities.append(self.names.setdefault(row.entity, len(self.names)))
        self.days.append(row.event_time.astimezone(UTC).date().toordinal())
        cell = _cell(told.found, label, young=young)
        if cell:
            entry = (float(np.nan_to_num(amount)), len(self.told), _example(row, told))
            kept = self.examples[cell]
            if len(kept) < EXAMPLES:
                heapq.heappush(kept, entry)
            else:
                heapq.heappushpop(kept, entry)

    def sampled(self) -> Sampled:
        """As the arithmetic wants it."""
        return Sampled(
            labels=np.array(self.labels, np.int8),
            young=np.array(self.young, bool),
            weights=np.array(self.weights, float),
            amounts=np.array(self.amounts, float),
            entities=np.array(self.entities, np.int64),
            days=np.array(self.days, np.int64),
        )


def _cell(found: bool, label: int, *, young: bool) -> str:
    if young:
        return ""
    if label == UNKNOWN:
        return "unlabelled" if found else ""
    return ("tp" if found else "fn") if label == BAD else ("fp" if found else "tn")


def _example(row: Prediction, told: Told) -> dict[str, Any]:
    return {
        "prediction": str(row.pk),
        "external_id": row.external_id,
        "event_time": row.event_time.isoformat(),
        "amount": None if row.exposure is None else str(row.exposure),
        "currency": row.currency,
        "then": NAMES[told.then],
        "today": NAMES[told.today],
        "proposed": NAMES[told.proposed],
        "values": [[name, value] for name, value in told.values],
    }


def _read(found: Found, arms: Arms, census: Census, drawn: Drawn, progress: JobProgress) -> Found:
    """Read what was drawn, and let both arms tell."""
    total = len(drawn.places)
    for first in range(0, total, CHUNK):
        progress.check_cancelled()
        places = drawn.places[first : first + CHUNK].tolist()
        ids = [census.id_at(place) for place in places]
        with read_only():
            rows = Prediction.objects.only(*COLUMNS).in_bulk(ids)
            there = [
                (i, place, rows[pk])
                for i, (place, pk) in enumerate(zip(places, ids, strict=True))
                if pk in rows
            ]
            told = arms.tell([row for _, _, row in there])
        found.unreadable += len(places) - len(there)
        for (i, place, row), said in zip(there, told, strict=True):
            if said is None:
                found.unreadable += 1
                continue
            found.add(
                place, float(drawn.weights[first + i]), row, said, int(census.labels[place]),
                young=bool(census.kinds[place] == YOUNG),
            )  # fmt: skip
        done = (first + len(places)) / total
        said_so_far = f"Deciding events again: {first + len(places):,} of {total:,}"
        progress.report(COUNTING + (1.0 - COUNTING) * done, said_so_far)
    return found


def _result(
    test: Backtest, spec: DetectorSpec, census: Census, drawn: Drawn, found: Found
) -> dict[str, Any]:
    """What is kept; see the templates of backtests for how it is told."""
    rows = found.sampled()
    then, today, proposed = (
        np.array([getattr(told, name) for told in found.told], np.int8)
        for name in ("then", "today", "proposed")
    )
    found_today = np.array([told.found_today for told in found.told], bool)
    matched = np.array([told.found for told in found.told], bool)
    arms = {"then": then, "today": today, "proposed": proposed}
    labelled = int(((census.kinds != YOUNG) & (census.labels != UNKNOWN)).sum())
    return {
        "events": int(census.kinds.size),
        "labelled": labelled,
        "young": int((census.kinds == YOUNG).sum()),
        "cut": census.first.isoformat() if census.cut and census.first else None,
        "read": len(found.told),
        "unreadable": found.unreadable,
        "lacking": sum(told.lacks for told in found.told),
        "other_currency": found.other_currency,
        "kinds": drawn.kinds,
        "sampled": any(kind["read"] < kind["events"] for kind in drawn.kinds),
        "label_delay": spec.training.label_delay,
        "currency": spec.currency,
        "has_amounts": bool(np.isfinite(rows.amounts).any()),
        "days": census.days(test.first_day, test.last_day),
        "matrix": confusion(matched, rows),
        "matrix_today": confusion(found_today, rows) if test.today else None,
        "arms": {
            name: volume(decided, rows)
            | {"costs": costs_of(decided, rows, spec.costs)}
            | {"flagged_matrix": _rates(confusion(decided > 0, rows))}
            for name, decided in arms.items()
        },
        "saving": saving(today, proposed, rows, spec.costs),
        "changes": changes(today, proposed, rows),
        "by_day": by_day(list(arms.items()), rows),
        "bias": _bias(census, drawn, found, matched),
        "costs": {
            name: getattr(spec.costs, name)
            for name in ("review_cost", "false_block_cost", "loss_share", "capacity")
        },
        "examples": {
            cell: [example for _, _, example in sorted(kept, reverse=True)]
            for cell, kept in found.examples.items()
        },
        "learnt_until": test.learnt_until(),
    }


def _rates(matrix: dict[str, Any]) -> dict[str, Any]:
    return {name: matrix[name] for name in ("precision", "recall")}


def _bias(
    census: Census, drawn: Drawn, found: Found, matched: "np.ndarray[Any, np.dtype[np.bool_]]"
) -> dict[str, Any]:
    """Whose labels these are: of what people were to look at, and of the rest; and recall and
    precision corrected by the random audits, where everything to be looked at was read."""
    old = census.kinds != YOUNG
    looked_at = old & (census.selection == SELECTED)
    rest = old & (census.selection != SELECTED)
    known = census.labels != UNKNOWN
    audited = old & (census.selection == AUDITED) & known
    whole = all(kind["read"] == kind["events"] for kind in drawn.kinds[0:6:2])
    corrected = None
    if whole and not found.unreadable and old.any():
        flagged = np.zeros(census.kinds.size, bool)
        flagged[found.places] = matched
        corrected = audit.correct(
            census.labels[old], flagged[old], census.selection[old], census.propensity[old]
        ).to_dict()
    return {
        "looked_at": int(looked_at.sum()),
        "looked_at_known": int((looked_at & known).sum()),
        "rest": int(rest.sum()),
        "rest_known": int((rest & known).sum()),
        "audited": int(audited.sum()),
        "drawn": int((old & (census.selection == AUDITED)).sum()),
        "unseen": int((old & (census.selection == NOT_SELECTED) & ~known).sum()),
        "good": int((old & (census.labels == GOOD)).sum()),
        "corrected": corrected,
    }


def minutes_per_event(detector: Detector, at: datetime) -> float | None:
    """Minutes that people spend on a flagged event, from their stays on alerts of half a year up to
    the closing; None while there are too few of them."""
    stay = ExpressionWrapper(F("until") - F("opened_at"), output_field=DurationField())
    ours = handling_stays().filter(alert__detector=detector, opened_at__gt=at - TOUCHES_OF)
    touches = ours.annotate(stay=stay).filter(stay__lte=LONGEST_TOUCH)
    seen = touches.aggregate(n=Count("pk"), spent=Sum("stay"))
    if seen["n"] < LEAST_TOUCHES:
        return None
    alerts = Alert.objects.filter(pk__in=touches.values("alert"))
    counted = alerts.aggregate(n=Count("pk"), events=Avg("predictions_count"))
    events = counted["n"] * float(counted["events"] or 0.0)
    return seen["spent"].total_seconds() / 60.0 / events if events else None
