"""Run a backtest: read history without touching it, decide it again, say what would be different.

Everything is read in short transactions in which the database refuses writes. Written are the
backtest's own row and its job, at the end.
"""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Avg, Count, DurationField, ExpressionWrapper, F, Sum
from django.utils import timezone

from accounts.models import User
from cases.models import Alert
from cases.selectors import handling_stays
from jobs.models import Job
from jobs.progress import JobProgress
from jobs.services import enqueue_job
from models_registry.backtest_arms import Arms, arms_of
from models_registry.backtest_models import Backtest
from models_registry.backtest_result import Found, result_of
from models_registry.backtest_sampling import (
    YOUNG,
    Census,
    Drawn,
    draw,
    read_only,
    take_census,
)
from models_registry.judging import finite
from models_registry.models import ModelVersion
from scoring.core.types import Stage
from scoring.models import Detector, Prediction
from scoring.policy_models import Rule, RuleVersion
from scoring.rule_editing import RuleText

BACKTEST = "models_registry.backtest"
CHUNK = 500
COUNTING = 0.3
"""Share of the work that counting the events is."""
KEPT = 200
"""Backtests of a detector that are kept."""
LEAST_TOUCHES = 20
TOUCHES_OF = timedelta(days=180)
LONGEST_TOUCH = timedelta(hours=1)
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
    result = result_of(test, spec, census, drawn, found) | {"minutes": minutes}
    with transaction.atomic():
        progress.hold()
        Backtest.objects.filter(pk=test.pk).update(
            result=finite(result), finished_at=timezone.now()
        )
    return {"url": test.get_absolute_url(), "label": "the backtest"}


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
