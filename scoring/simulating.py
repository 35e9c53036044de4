"""Send simulated events through the ordinary scoring path, and their truth when it is known."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from scoring.core.schema import key_text
from scoring.due_truths import DueTruths, Truth
from scoring.labelling import record_truths
from scoring.models import Detector, Label
from scoring.services import Outcome, Scored, score_event, score_events
from scoring.simulation.stream import SimulatedEvent, history, live

CHUNK = 1000
LOOKED_AT = timedelta(days=1)
"""An analyst who looks at a flagged event has decided by then."""


def simulate_history(
    detector: Detector,
    *,
    start: datetime,
    end: datetime,
    events: int,
    seed: int,
    on_progress: Callable[[int], None] = lambda done: None,
    settled_until: datetime | None = None,
) -> int:
    """Score about `events` past events and label those whose truth is known by now; what comes
    later waits for who next begins to simulate live.

    What was flagged before `settled_until` was looked at by somebody: it has its label the day
    after, where the truth did not come sooner.
    """
    now = timezone.now()
    done = 0
    spec = detector.spec()
    past = history(detector.slug, start=start, end=end, seed=seed, events=events)
    with truths_to_come() as to_come:
        for batch in _batches(past, spec.risk_delay):
            raws = [item.payload for item in batch]
            outcomes = score_events(detector.slug, raws, announce=False, waits=True)
            _insist(outcomes)
            known: dict[str, tuple[bool, datetime]] = {}
            for item, outcome in zip(batch, outcomes, strict=True):
                name, at = key_text(item.payload[spec.id_field]), item.label_time
                if settled_until and item.time < settled_until and _is_flagged(outcome):
                    at = min(at, item.time + LOOKED_AT)
                if at <= now:
                    known[name] = (item.is_fraud, at)
                else:
                    to_come.add(Truth(at, detector.slug, name, item.is_fraud))
            record_truths(detector.pk, known, source=Label.Source.SIMULATOR)
            done += len(batch)
            on_progress(done)
    return done


def truths_to_come() -> DueTruths:
    """Truths of simulated events that nobody can know yet.

    Who next begins to simulate live records them.
    """
    return DueTruths(Path(settings.VAR_DIR) / "simulated_truths")


def _is_flagged(outcome: Outcome) -> bool:
    return isinstance(outcome, Scored) and bool(outcome.prediction.selection_reason)


def _insist(outcomes: list[Outcome]) -> None:
    """Simulated events fit their detector; one that does not is a mistake of ours or the YAML's."""
    for outcome in outcomes:
        if not isinstance(outcome, Scored):
            raise ValueError(f"A simulated event was not scored: {outcome}")


def _batches(events: Iterator[SimulatedEvent], span: float) -> Iterator[list[SimulatedEvent]]:
    """Up to CHUNK events that lie less than `span` seconds apart; see DetectorSpec.risk_delay."""
    batch: list[SimulatedEvent] = []
    for event in events:
        if batch and (len(batch) == CHUNK or (event.time - batch[0].time).total_seconds() >= span):
            yield batch
            batch = []
        batch.append(event)
    if batch:
        yield batch


def simulate_live(
    detectors: list[Detector],
    *,
    rate: float,
    seed: int,
    should_stop: Callable[[], bool],
    wait: Callable[[float], object] = time.sleep,
) -> None:
    """A steady trickle, `rate` events a second over all detectors, until `should_stop`.

    The truth of an event is recorded once its label time has come; if nobody simulates then, when
    somebody does again.
    """
    with truths_to_come() as truths:
        _trickle(detectors, truths, rate=rate, seed=seed, should_stop=should_stop, wait=wait)


def _trickle(
    detectors: list[Detector],
    truths: DueTruths,
    *,
    rate: float,
    seed: int,
    should_stop: Callable[[], bool],
    wait: Callable[[float], object],
) -> None:
    start = timezone.now()
    streams = [
        (detector, detector.spec().id_field, live(
            detector.slug, start=start, rate=rate / len(detectors), seed=seed
        ))
        for detector in detectors
    ]  # fmt: skip
    sent, begun = 0, time.monotonic()
    while not should_stop():
        detector, id_field, stream = streams[sent % len(streams)]
        item = next(stream)
        external_id = key_text(item.payload[id_field])
        truths.add(Truth(item.label_time, detector.slug, external_id, item.is_fraud))
        _insist([score_event(detector.slug, item.payload)])
        for slug, known in truths.take(timezone.now()):
            for told in Detector.objects.filter(slug=slug):
                record_truths(told.pk, known, source=Label.Source.SIMULATOR)
        sent += 1
        wait(max(begun + sent / rate - time.monotonic(), 0.0))
