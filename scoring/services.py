"""Score events and keep what came of it.

A call reads and validates its events, then hands them to a group (scoring.grouping): one
transaction scores and stores the events of all calls that wait at that moment, for all detectors.
Every call returns after its predictions are committed.
"""

import sqlite3
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction

from scoring import breakers, deployment, judging, lane, postgres, turns, writer
from scoring.announcing import announce, send_announcements
from scoring.calls import (
    Call,
    Conflicting,
    Item,
    Outcome,
    Refused,
    Scored,
    is_same_event,
    prediction_row,
    read_orders,
)
from scoring.core import pipeline
from scoring.core.windows import EntityWindow, WindowStateError
from scoring.deployment import Serving, UnknownDetector
from scoring.feature_store.base import Asked, Key, Learnt, WindowsBusy
from scoring.feature_store.choosing import feature_store
from scoring.feature_store.database import wait_for_windows
from scoring.grouping import Grouping
from scoring.models import Prediction
from scoring.outages import LeftAlone, told_of

__all__ = ["Conflicting", "Outcome", "Refused", "Scored", "score_event", "score_events"]

ATTEMPTS = 3
DEADLOCK, SERIALISATION = "40P01", "40001"
MOST_IN_A_GROUP = 64
MOST_GROUPED = 50
"""Events from which a call has a transaction of its own: it shares a commit among enough."""
PATIENCE = 2.0
"""Seconds for which a call waits for windows that are being made anew, before it is refused."""
Known = Mapping[str, Prediction]


def score_event(slug: str, raw: object) -> Outcome:
    """Score one event; see `score_events`."""
    return score_events(slug, [raw])[0]


def score_events(
    slug: str, raws: Sequence[object], *, announce: bool = True, waits: bool = False
) -> list[Outcome]:
    """Validate, score and store events of one detector; outcomes in the order of `raws`.

    All valid events are stored in one transaction, in which the windows of their entities are
    locked: what one event teaches, the next one of the same entity sees. An event that was scored
    before gives its stored prediction. Events of one call are scored in event-time order.
    `announce=False` leaves alerts to the sweep, for history whose labels follow at once.
    `waits`: as long as it takes for windows that are being made anew, where nobody else needs the
    thread. Raises UnknownDetector, WindowStateError (windows are or wait to be made anew),
    OperationalError.
    """
    call = Call(slug, raws, announce)
    with _turn_of(call):
        call.read(deployment.latest(slug))
    if call.outcomes or not call.items:
        # Whoever is refused is refused by what serves now.
        serving = deployment.serving(slug)
        if call.serving is None or call.serving.bundle is not serving.bundle:
            call.read(serving)
    if call.items:
        here = lane.current()
        if len(raws) >= MOST_GROUPED or connection.in_atomic_block:
            _score_alone(call, patience=0.0 if waits else PATIENCE)
        elif here is not None:
            here.wait_for(call)  # While its windows are made anew it is told so: nobody waits here.
        else:
            _groups.submit(call)
            if isinstance(call.error, WindowsBusy):
                _score_alone(call, patience=PATIENCE)
        if here is None:
            send_announcements()
    return call.result()


def _score_alone(call: Call, *, patience: float) -> None:
    """Score one call. While its windows are made anew it waits here, up to `patience` seconds at a
    time (0: without end), and not in a group, where calls of other detectors would wait with it."""
    for _ in range(ATTEMPTS):
        with _turn_of(call):
            score_calls([call])
        if call.serving is None or not isinstance(call.error, WindowsBusy):
            return
        if not wait_for_windows(call.serving.detector_id, patience):
            return


def _turn_of(call: Call) -> AbstractContextManager[None]:
    """The turn to compute, for a batch whose waits lend it."""
    is_batch = len(call.raws) >= MOST_GROUPED and postgres.is_used()
    return turns.of_batches.taken() if is_batch else nullcontext()


def score_calls(calls: Sequence[Call]) -> None:
    """Score and store the calls together; when that fails, each for itself.

    So a call that cannot be stored takes no neighbour with it; a database that is lost or was
    waited for in vain is no call's fault. Errors are kept in the calls.
    """
    try:
        _try_calls(calls)
    except Exception as error:
        if len(calls) > 1 and not _is_busy(error) and connection.is_usable():
            for call in calls:
                score_calls([call])
            return
        for call in calls:
            call.error = error


_groups: Grouping[Call] = Grouping(score_calls, most=MOST_IN_A_GROUP)


def _try_calls(calls: Sequence[Call]) -> None:
    """One transaction for all calls, tried again where another try can help."""
    circuit = breakers.breaker("database")
    if not circuit.allows():
        raise LeftAlone(circuit.why)
    for attempt in range(ATTEMPTS):
        try:
            _store_calls(calls, again=attempt > 0)
        except (IntegrityError, OperationalError, InterfaceError, WindowStateError) as error:
            lost = isinstance(error, OperationalError | InterfaceError) and not _met_another(error)
            if lost and not _is_busy(error):
                circuit.failed(told_of(error))
            else:
                circuit.succeeded()
            if attempt == ATTEMPTS - 1 or not _worth_another(error, attempt, lost=lost):
                raise
        else:
            circuit.succeeded()
            return


def _worth_another(error: Exception, attempt: int, *, lost: bool) -> bool:
    if isinstance(error, WindowStateError):
        # Windows and bundle are two reads: a promotion may have come between them, once.
        return attempt == 0
    if lost:
        if attempt or connection.in_atomic_block or connection.is_usable():
            return False
        connection.close()  # The server was restarted: a new connection may find it back.
    return True


def _met_another(error: Exception) -> bool:
    """Whether another process stored one of these events meanwhile (now it will be found), or
    PostgreSQL ended a deadlock between the two."""
    if isinstance(error, IntegrityError | WindowStateError):
        return True
    return getattr(error.__cause__, "sqlstate", "") in (DEADLOCK, SERIALISATION)


def _is_busy(error: Exception) -> bool:
    """Whether SQLite gave up waiting for another writer's turn to end: the database is there."""
    code = getattr(error.__cause__, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF == sqlite3.SQLITE_BUSY


@dataclass(frozen=True, slots=True)
class _Scored:
    """What one detector has to write: rows in event-time order, and the windows they taught."""

    serving: Serving
    items: Sequence[Item]
    rows: Sequence[Prediction]
    windows: Mapping[Key, EntityWindow]


def _store_calls(calls: Sequence[Call], *, again: bool) -> None:
    """Two trips to the database: all that is read, windows locked; all that is written."""
    postgres.trust()
    by_slug = _by_slug(calls)
    if again:
        deployment.serving_many(sorted(by_slug))  # What was guessed may be why it failed.
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        # Every process takes detectors, and within them entities, in one order: no deadlock.
        read = _read(by_slug)
        scored = {slug: _score_new(*found) for slug, found in sorted(read.items())}
        _write(list(scored.values()), outermost=outermost)
        for slug, found in scored.items():
            _answer(by_slug[slug], read[slug], found.rows)
    if outermost:
        writer.introduce_tables(sum(len(found.rows) for found in scored.values()))


def _by_slug(calls: Sequence[Call]) -> dict[str, list[Call]]:
    found: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        call.error = None
        found[call.slug].append(call)
    return found


class _Read(NamedTuple):
    """What scoring needs of one detector: what serves, and of the events that came which were
    scored before, which are new, and the windows of the new ones, locked."""

    serving: Serving
    known: Known
    items: Sequence[Item]
    windows: dict[Key, EntityWindow]


def _read(by_slug: Mapping[str, Sequence[Call]]) -> dict[str, _Read]:
    """One trip for all detectors. Windows are asked for by what served lately, which nearly always
    serves still; a call of a detector that is gone gets its error here.

    Windows first: whoever waited for another process sees what that one has stored.
    """
    slugs = sorted(by_slug)
    guesses = {slug: deployment.latest(slug) for slug in slugs}
    with writer.together() as trip:
        windows = {slug: _ask_windows(guesses[slug], by_slug[slug], trip) for slug in slugs}
        asked = deployment.ask(slugs, trip)
        known = {
            slug: writer.ask_known(guesses[slug].detector_id, _ids(by_slug[slug]), trip)
            for slug in slugs
        }
    servings = deployment.serving_many(slugs, asked)
    found = {}
    for slug in slugs:
        calls, serving, guess = by_slug[slug], servings.get(slug), guesses[slug]
        for call in calls:
            if serving is None:
                call.error = UnknownDetector(slug)
            elif call.serving is None or call.serving.bundle is not serving.bundle:
                call.read(serving)
        if serving is None:
            continue
        same = serving.detector_id == guess.detector_id
        ids = known[slug]() if same else writer.ask_known(serving.detector_id, _ids(calls))()
        before = writer.stored_predictions(serving.detector_id, ids)
        items = _new_items(calls, before)
        if not (same and serving.bundle.plan is guess.bundle.plan):
            windows[slug] = _ask_windows(serving, calls, None)
        found[slug] = _Read(serving, before, items, windows[slug]() if items else {})
    return found


def _ask_windows(serving: Serving, calls: Sequence[Call], trip: postgres.Trip | None) -> Asked:
    plan = serving.bundle.plan
    keys = [
        key for call in calls for item in call.items.values() for key in plan.keys(item.event)
    ] if plan.entities else []  # fmt: skip
    if not keys:
        return dict
    return feature_store().ask(serving.detector_id, plan, keys, lock=True, trip=trip)


def _ids(calls: Sequence[Call]) -> list[str]:
    return [item.event.external_id for call in calls for item in call.items.values()]


def _new_items(calls: Sequence[Call], known: Known) -> list[Item]:
    """The events that nobody scored yet, each once."""
    found: dict[str, Item] = {}
    for call in calls:
        for item in call.items.values():
            if item.event.external_id not in known:
                found.setdefault(item.event.external_id, item)
    return list(found.values())


def _answer(calls: Sequence[Call], read: _Read, rows: Sequence[Prediction]) -> None:
    """Give every event its outcome; who came first made the prediction."""
    made = {row.external_id: row for row in rows}
    unclaimed = set(made)
    heard: set[str] = set()
    for call in calls:
        for i, item in call.items.items():
            external_id = item.event.external_id
            row = read.known.get(external_id) or made[external_id]
            created = external_id in unclaimed
            unclaimed.discard(external_id)
            if created and call.announce:
                heard.add(external_id)
            if is_same_event(read.serving, row, item):
                call.outcomes[i] = Scored(row, created)
            else:
                call.outcomes[i] = Conflicting(external_id)
    flagged = [row for row in rows if row.selection_reason and row.external_id in heard]
    if flagged:
        announce(flagged)


def _score_new(
    serving: Serving, known: Known, items: Sequence[Item], windows: dict[Key, EntityWindow]
) -> _Scored:
    """Score what nobody scored yet; `windows` learn it."""
    if not items:
        return _Scored(serving, (), (), {})
    bundle = serving.bundle
    ordered = sorted(items, key=lambda item: item.event.time)
    if known:
        touched = {key for item in ordered for key in bundle.plan.keys(item.event)}
        for key in windows.keys() - touched:
            del windows[key]
    orders = read_orders(serving, ordered)
    started = time.perf_counter()
    verdicts = pipeline.score_many(
        [item.event for item in ordered],
        windows,
        bundle,
        serving.policy,
        orders,
        judging.judge_for(serving.slug, bundle, serving.epoch),
    )
    elapsed = time.perf_counter() - started
    latency = max(round(elapsed * 1e6 / len(ordered)), 1)
    rows = [
        prediction_row(serving, item, verdict, latency)
        for item, verdict in zip(ordered, verdicts, strict=True)
    ]
    return _Scored(serving, ordered, rows, windows)


def _write(scored: Sequence[_Scored], *, outermost: bool) -> None:
    """All writes of the transaction, on PostgreSQL in one go with its commit."""
    few = [found for found in scored if 0 < len(found.rows) < writer.COPY_FROM]
    many = [found for found in scored if len(found.rows) >= writer.COPY_FROM]
    for found in many:
        writer.write_predictions(found.rows)  # COPY travels alone.
    with writer.together() as trip:
        for found in few:
            writer.write_predictions(found.rows, trip)
        for found in scored:
            _keep_windows(found, trip)
        writer.add_tallies([row for found in scored for row in found.rows], trip)
        if outermost:
            writer.commit_early(trip)


def _keep_windows(scored: _Scored, trip: postgres.Trip | None) -> None:
    """What the events taught; their predictions are written."""
    if not scored.windows:
        return
    plan = scored.serving.bundle.plan
    learnt = [
        Learnt(key, row.event_time, row.id)
        for item, row in zip(scored.items, scored.rows, strict=True)
        for key in plan.keys(item.event)
    ]
    feature_store().save(scored.serving.detector_id, plan, scored.windows, learnt, trip)
