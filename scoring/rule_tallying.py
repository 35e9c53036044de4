"""Count by day what rules found, in the background; pages read the counts (scoring.rule_health).

A day is counted whole, from its predictions and their newest labels, so that counting twice changes
nothing and a label that comes later corrects its day. Days become stale when something of theirs
arrives. One that took long to count is counted again only after a while: counting takes a twentieth
of the time at most.
"""

import math
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

from django.db.models import Max, Q, QuerySet
from django.db.models.functions import TruncDate

from scoring.core.distinct import hash_of, pack
from scoring.core.reader import SpecError
from scoring.core.spec import DetectorSpec
from scoring.core.types import Decision, Stage
from scoring.models import Detector, Label, Prediction
from scoring.rule_tally_models import LAYOUT_KEY, RuleTally, TallyMark
from scoring.selectors import with_newest_label

LATE = timedelta(minutes=2)
"""What is stored may be committed so much later than its time says."""
CLOCKS = timedelta(seconds=10)
"""So far the clocks of two workers may differ."""
REST_FACTOR = 20
QUICK = 0.5
"""Seconds up to which a day may be counted again at once."""
LOST_AFTER = timedelta(minutes=10)
"""A day whose counting began so long ago and has not ended is counted again: its worker died.
So is one that began later than now: it died too, while the clock was ahead."""
CHUNK = 2000
MOST_PAIRED = 40
"""Rules of one event whose pairs are counted."""
Key = tuple[str, str]
"""(stage of the version that matched, code of its rule): a rule both live and in shadow is two."""
FLAGGED: Key = ("flagged", "")
"""Here stands what was flagged, by whatever it was."""
EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Count:
    """Of one rule in one stage in one day. `fraud` of `labelled` matches were bad; `exposure` is
    the sum of the amounts of the `priced` ones, those in the detector's currency."""

    hits: int = 0
    snoozed: int = 0
    labelled: int = 0
    fraud: int = 0
    exposure: float = 0.0
    priced: int = 0
    last: str = ""


@dataclass(slots=True)
class _Day:
    counts: dict[Key, Count] = field(default_factory=dict)
    hashes: dict[Key, set[int]] = field(default_factory=dict)
    pairs: Counter[tuple[Key, Key]] = field(default_factory=Counter)


def tally_rules(now: datetime, *, seconds: float) -> int:
    """Look for what came, then count stale days for about so long; how many were counted."""
    for detector in Detector.objects.order_by("pk"):
        mark_stale_days(detector, now)
    end, counted = time.monotonic() + seconds, 0
    for row in _due(now):
        measure_day(row, now)
        counted += 1
        if time.monotonic() > end:
            break
    return counted


def mark_stale_days(detector: Detector, now: datetime) -> int:
    """Mark the days of which predictions or labels came, or labels were taken back, since then, and
    those that an earlier release counted in another layout."""
    counted = RuleTally.objects.filter(detector=detector, stale=False)
    counted.exclude(content__has_key=LAYOUT_KEY).update(stale=True)
    lost = Q(began_at__lte=now - LOST_AFTER) | Q(began_at__gt=now)
    counted.filter(lost).update(stale=True)
    mark = TallyMark.objects.filter(detector=detector).first()
    received, label_id = (mark.received_at, mark.label_id) if mark else (EVER, 0)
    if mark and mark.looked_at > now + CLOCKS:
        # The clock was set back, nobody knows to when: what came since may have any time.
        received = EVER
    received = min(received, now - LATE)
    came = Prediction.objects.filter(detector=detector, received_at__gt=received)
    said = Label.objects.filter(detector=detector, pk__gt=label_id)
    taken_back = Label.history.filter(detector=detector, retracted_at__gt=received)
    days = {*_days(came), *_days(said), *_days(taken_back)}
    known = dict(RuleTally.objects.filter(detector=detector, day__in=days).values_list("day", "pk"))
    RuleTally.objects.filter(pk__in=known.values(), stale=False).update(stale=True)
    RuleTally.objects.bulk_create(
        [RuleTally(detector=detector, day=day) for day in sorted(days - known.keys())],
        ignore_conflicts=True,
    )
    settled = said.filter(recorded_at__lte=now - LATE).order_by().aggregate(last=Max("pk"))["last"]
    TallyMark.objects.update_or_create(
        detector=detector,
        defaults={
            "received_at": now - LATE,
            "label_id": settled or label_id,
            "looked_at": now,
        },
    )
    return len(days)


def _days(rows: "QuerySet[Prediction] | QuerySet[Label]") -> Iterator[date]:
    found = rows.order_by().annotate(day=TruncDate("event_time", tzinfo=UTC))
    return iter(found.values_list("day", flat=True).distinct())


def _due(now: datetime) -> Iterator[RuleTally]:
    """Stale days that have rested, the newest of those never counted first."""
    stale = RuleTally.objects.filter(stale=True).select_related("detector")
    rows = stale.defer("content", "pairs", "sketches")
    never = rows.filter(measured_at=None).order_by("-day")
    again = rows.exclude(measured_at=None).order_by("measured_at")
    for row in [*never, *again]:
        if row.began_at is not None and now - LOST_AFTER < row.began_at <= now:
            continue  # Somebody is at it.
        rest = timedelta(seconds=REST_FACTOR * row.seconds if row.seconds > QUICK else 0.0)
        if row.measured_at is None or not now - rest < row.measured_at <= now:
            yield row


def measure_day(row: RuleTally, now: datetime) -> None:
    """Count one day anew; whatever arrives meanwhile makes it stale again."""
    RuleTally.objects.filter(pk=row.pk).update(stale=False, began_at=now)
    begun = time.monotonic()
    start = datetime.combine(row.day, datetime.min.time(), UTC)
    predictions = Prediction.objects.filter(
        detector=row.detector_id, event_time__gte=start, event_time__lt=start + timedelta(days=1)
    ).order_by()
    found, spec = _Day(), _declared(row.detector)
    for values in _spoken_of(predictions):
        _add(found, spec, *values)
    content, sketches = _stored(found)
    RuleTally.objects.filter(pk=row.pk).update(
        began_at=None,
        measured_at=now,
        events=predictions.count(),
        content=content,
        pairs=[[*one, *other, n] for (one, other), n in sorted(found.pairs.items())],
        sketches=sketches,
        seconds=time.monotonic() - begun,
    )


def _stored(found: _Day) -> tuple[dict[str, dict[str, Any]], bytes]:
    """`content` and `sketches` of a RuleTally."""
    content: dict[str, dict[str, Any]] = {LAYOUT_KEY: {}}
    packed = b""
    for (stage, code), count in found.counts.items():
        sketch = pack(found.hashes[stage, code])
        said = asdict(count) | {"offset": len(packed), "size": len(sketch)}
        content.setdefault(stage, {})[code] = said
        packed += sketch
    return content, zlib.compress(packed)


def _spoken_of(predictions: QuerySet[Prediction]) -> Iterator[Sequence[Any]]:
    """Predictions that a rule matched or that were flagged, with their newest label."""
    rows = with_newest_label(predictions.exclude(Q(rule_hits=[]) & Q(decision=Decision.APPROVE)))
    names = (
        *("entity", "decision", "exposure", "currency"),
        *("event_time", "rule_hits", "newest_label"),
    )
    return iter(rows.values_list(*names).iterator(chunk_size=CHUNK))


def _declared(detector: Detector) -> DetectorSpec | None:
    """None where today's declaration cannot be read: then no amount is known to be in its
    currency."""
    try:
        return detector.spec()
    except SpecError:
        return None


def _add(
    day: _Day,
    spec: DetectorSpec | None,
    entity: str,
    decision: str,
    exposure: Decimal | None,
    currency: str,
    event_time: datetime,
    hits: Sequence[Mapping[str, Any]],
    label: bool | None,
) -> None:
    hashed, at = hash_of(entity), event_time.isoformat()
    amount = math.nan if spec is None else spec.own_amount(exposure, currency)
    found: dict[Key, Mapping[str, Any]] = {
        (hit.get("stage", Stage.LIVE.value), hit["code"]): hit for hit in hits
    }
    rules = sorted(found)[:MOST_PAIRED]
    if decision != Decision.APPROVE:
        found[FLAGGED] = {}
    for key, hit in found.items():
        count = day.counts.setdefault(key, Count())
        count.hits += 1
        count.snoozed += bool(hit.get("snoozed"))
        count.labelled += label is not None
        count.fraud += bool(label)
        count.last = max(count.last, at)
        if not math.isnan(amount):
            count.priced += 1
            count.exposure += amount
        day.hashes.setdefault(key, set()).add(hashed)
    day.pairs.update(combinations(rules, 2))
