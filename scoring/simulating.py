"""Send simulated events through the ordinary scoring path, and their truth when it is known."""

import heapq
import time
from collections.abc import Callable, Iterator
from datetime import datetime

from django.utils import timezone

from scoring.core.schema import key_text
from scoring.labelling import record_truths
from scoring.models import Detector, Label
from scoring.services import Outcome, Scored, score_event, score_events
from scoring.simulation.stream import SimulatedEvent, history, live

CHUNK = 1000


def simulate_history(
    detector: Detector,
    *,
    start: datetime,
    end: datetime,
    events: int,
    seed: int,
    on_progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Score about `events` past events and label those whose truth is known by now."""
    now = timezone.now()
    done = 0
    spec = detector.spec()
    past = history(detector.slug, start=start, end=end, seed=seed, events=events)
    for batch in _batches(past, spec.risk_delay):
        outcomes = score_events(detector.slug, [item.payload for item in batch], announce=False)
        _insist(outcomes)
        truths = {
            key_text(item.payload[spec.id_field]): (item.is_fraud, item.label_time)
            for item in batch
            if item.label_time <= now
        }
        record_truths(detector.pk, truths, source=Label.Source.SIMULATOR)
        done += len(batch)
        on_progress(done)
    return done


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

    The truth of an event is recorded once its label time has come.
    """
    start = timezone.now()
    streams = [
        (detector, detector.spec().id_field, live(
            detector.slug, start=start, rate=rate / len(detectors), seed=seed
        ))
        for detector in detectors
    ]  # fmt: skip
    pending: list[tuple[datetime, int, str, bool]] = []
    sent, begun = 0, time.monotonic()
    while not should_stop():
        detector, id_field, stream = streams[sent % len(streams)]
        item = next(stream)
        _insist([score_event(detector.slug, item.payload)])
        truth = (item.label_time, detector.pk, key_text(item.payload[id_field]), item.is_fraud)
        heapq.heappush(pending, truth)
        while pending and pending[0][0] <= timezone.now():
            known, detector_id, external_id, is_fraud = heapq.heappop(pending)
            record_truths(
                detector_id, {external_id: (is_fraud, known)}, source=Label.Source.SIMULATOR
            )
        sent += 1
        wait(max(begun + sent / rate - time.monotonic(), 0.0))
