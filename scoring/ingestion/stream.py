"""What every broker's consumer shares: settle a batch durably, and wait out what will pass.

A message is settled when its prediction is committed, or when it is known why there can be none.
Only then may its consumer publish what came of it and tell the broker that it is done. A message
that comes again is settled again with the same result: the event's id makes the prediction unique.
"""

import hashlib
import json
import logging
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import orjson
from django.db import (
    DataError,
    Error,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
)

from accounts.seldom import Seldom
from accounts.typed import parse_flag
from scoring.answers import detect_answer
from scoring.core.bundle import BundleError
from scoring.core.json_values import DEEPEST, is_too_deep
from scoring.core.schema import EventParser
from scoring.core.spec import DetectorSpec
from scoring.core.windows import WindowStateError
from scoring.deployment import UnknownDetector, serving
from scoring.models import Detector
from scoring.services import Conflicting, Outcome, Refused, Scored, score_events
from scoring.source_declaration import option_problems
from scoring.source_models import STREAMS, Source
from scoring.source_tallies import Came, note_came
from scoring.sources import score_source_events, with_id

logger = logging.getLogger(__name__)
_seldom = Seldom(logger)
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
BEAT_SECONDS = 2.0
ALERT_ABOVE = 0.7
# Errors that a retry will not mend, because the one event causes them; all others are waited out.
OF_THE_EVENT = (DataError, ValueError, TypeError, ArithmeticError, KeyError, IndexError)
OF_THE_PLATFORM = (UnknownDetector, WindowStateError, BundleError)

# What a declared source may say besides where its events are.
DECLARABLE = ("topic", "group", "client_id", "alerts_topic", "dead_topic", "threshold", "batch")

Result = TypeVar("Result")
Arrived = tuple[dict[str, Any], str]
"""An event as it came, and the id that it gets where it brings none."""
Scorer = Callable[[Sequence[Arrived]], Sequence[Outcome]]


class StreamProblem(Exception):
    """A stream that cannot be consumed as configured; the message says why."""


class NotPublished(Exception):
    """The broker did not take what a batch has to say; the batch is tried again."""


class NoSource(Exception):
    """The declared source is gone; the batch waits until it is declared again."""


@dataclass(frozen=True, slots=True)
class Message:
    """`place` names the message for ever: a redelivered message has the same place."""

    value: bytes | None
    place: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a message has no prediction. `reason`: malformed, refused, conflicting or failed."""

    reason: str
    problems: tuple[tuple[str, str], ...]

    def as_json(self) -> bytes:
        """[{"field": ..., "message": ...}, ...]"""
        return orjson.dumps([{"field": field, "message": text} for field, text in self.problems])


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of one message: a stored prediction, and perhaps an alert; or a dead letter."""

    alert: dict[str, Any] | None = None
    dead: DeadLetter | None = None
    created: bool = False


@dataclass(slots=True)
class Counts:
    """Messages of this process. `repeated` were scored before; `waits` counts failed attempts.

    `dropped` are of a topic that is no longer read; they are not in `received`.
    """

    received: int = 0
    scored: int = 0
    repeated: int = 0
    alerts: int = 0
    dead: int = 0
    waits: int = 0
    dropped: int = 0

    def add(self, batch: Sequence[Settled]) -> None:
        """Count a batch that is settled and published."""
        self.received += len(batch)
        for item in batch:
            self.alerts += item.alert is not None
            self.dead += item.dead is not None
            self.scored += item.created
            self.repeated += item.dead is None and not item.created

    def __str__(self) -> str:
        return ", ".join(f"{value:,} {name}" for name, value in asdict(self).items())


def as_number(
    values: Mapping[str, str], name: str, default: float, *, least: float, most: float
) -> float:
    """An option as a number in its range. Raises StreamProblem."""
    text = values.get(name, "") or str(default)
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        raise StreamProblem(f"{name} is a number from {least:g} to {most:g}, not '{text}'.")
    return number


def as_flag(values: Mapping[str, str], name: str) -> bool:
    """An option that is true or false, false where it is left out. Raises StreamProblem."""
    text = values.get(name, "") or "false"
    found = parse_flag(text)
    if found is None:
        raise StreamProblem(f"{name} is true or false, not '{text}'.")
    return found


def check_detector(slug: str) -> DetectorSpec:
    """The declaration of a detector that a stream can feed. Raises StreamProblem."""
    detector = Detector.objects.filter(slug=slug, enabled=True).first()
    if detector is None:
        raise StreamProblem(f"There is no detector '{slug}'.")
    spec = detector.spec()
    if not spec.id_field:
        raise StreamProblem(
            f"Detector '{slug}' declares no id field (event.id): a message that comes again could "
            "not be told from a new one."
        )
    return spec


def source_values(slug: str) -> tuple[str, dict[str, str]]:
    """(kafka or mqtt, options) of a declared source. Raises StreamProblem.

    Its brokers are `declared_brokers`, apart from those of a flag (brokers_of).
    """
    source = Source.objects.select_related("detector").filter(slug=slug).first()
    if source is None or source.source_type not in STREAMS:
        raise StreamProblem(f"There is no source '{slug}' of type kafka or mqtt.")
    if source.detector is None:
        raise StreamProblem(f"Source '{slug}' names no detector.")
    config = {name: value for name, value in source.config.items() if value is not None}
    for place, said in option_problems(source.source_type, config):
        raise StreamProblem(f"Source '{slug}': {place} {said}.")
    values = {"source": slug, "detector": source.detector.slug}
    values |= {name: str(config[name]) for name in DECLARABLE if name in config}
    servers = config.get("bootstrap_servers", [])
    brokers = servers if isinstance(servers, str) else ",".join(servers)
    if source.source_type == "mqtt":
        brokers = ":".join(str(config[name]) for name in ("host", "port") if name in config)
    values["declared_brokers"] = brokers
    return source.source_type, {name: value for name, value in values.items() if value}


def brokers_of(flag: str, values: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """Whom to connect to: as the flag of that name says, else the environment, else the source.

    Where the environment names brokers, a declared source cannot lure its passwords away.
    """
    return values.get(flag) or environ.get(flag) or values.get("declared_brokers", "")


def settle(
    slug: str, messages: Sequence[Message], *, alert_above: float, source: str = ""
) -> list[Settled]:
    """Score messages; when it returns, every prediction is committed. In the order of `messages`.

    With the slug of a `source`, its schema and mapping apply, as they stand now. Raises what the
    database or the detector's state raises; then nothing is lost by a retry.
    """
    if not connection.in_atomic_block:
        close_old_connections()
    parser = serving(slug).bundle.parser
    declared = _declared(source) if source else None
    found: list[Settled | None] = [None] * len(messages)
    arrived: list[tuple[int, Arrived]] = []
    for i, message in enumerate(messages):
        event = _decode(message)
        if isinstance(event, DeadLetter):
            found[i] = Settled(dead=event)
        else:
            arrived.append((i, (event, _id_of(message))))
    outcomes = _score(_scorer(slug, parser, declared), [one for _, one in arrived])
    for (i, _), outcome in zip(arrived, outcomes, strict=True):
        found[i] = _settled(outcome, alert_above)
    return [item for item in found if item is not None]


def count_published(counts: Counts, settled: Sequence[Settled], *, source: str) -> None:
    """Count a batch that is settled and published, for the process and for its source's page.

    Not before: what is not published comes again. What is published stays so where this fails.
    """
    counts.add(settled)
    if not source or not settled:
        return
    batch = Counts()
    batch.add(settled)
    try:
        if not connection.in_atomic_block:
            close_old_connections()
        declared = Source.objects.filter(slug=source).first()
    except Error:
        logger.warning("What came by source '%s' is not counted.", source, exc_info=True)
        return
    if declared is not None:
        note_came(declared, Came(batch.received, batch.scored, batch.dead))


def _declared(slug: str) -> Source:
    found = Source.objects.select_related("detector").filter(slug=slug).first()
    if found is None:
        raise NoSource(f"there is no source '{slug}' any more")
    return found


def _scorer(slug: str, parser: EventParser, source: Source | None) -> Scorer:
    def score(arrived: Sequence[Arrived]) -> Sequence[Outcome]:
        if source is None:
            read = [(parser.without_unread(event), made_up) for event, made_up in arrived]
            return score_events(slug, [with_id(parser.spec, *one) for one in read])
        events, ids = zip(*arrived, strict=True)
        return score_source_events(source, events, made_up_ids=ids)

    return score


def _id_of(message: Message) -> str:
    return hashlib.blake2b(message.place.encode(), digest_size=16).hexdigest()


def _decode(message: Message) -> dict[str, Any] | DeadLetter:
    try:
        event = orjson.loads(message.value or b"")
    except orjson.JSONDecodeError as error:
        return DeadLetter("malformed", (("", f"is not JSON: {error.msg}"),))
    if is_too_deep(message.value or b"", event):
        return DeadLetter("malformed", (("", f"is nested deeper than {DEEPEST} levels"),))
    if not isinstance(event, dict):
        return DeadLetter("malformed", (("", "an event is a JSON object"),))
    return event


def _score(score: Scorer, events: Sequence[Arrived]) -> list[Outcome | DeadLetter]:
    """Score; an event that breaks the scoring itself is found by halving, and set aside."""
    try:
        return list(score(events)) if events else []
    except OF_THE_PLATFORM:
        raise
    except OF_THE_EVENT as error:
        if len(events) == 1:
            # Its type and place alone: the text of such an error may quote the event.
            logger.error("An event cannot be scored: %s at %s.", type(error).__name__, _at(error))
            return [DeadLetter("failed", (("", f"scoring failed: {type(error).__name__}"),))]
    middle = len(events) // 2
    return _score(score, events[:middle]) + _score(score, events[middle:])


def _told(error: Exception) -> str:
    """What the log may say of an error: its type and place; its words where they are ours or the
    connection's, for those of any other may quote the event."""
    told = f"{type(error).__name__} at {_at(error)}"
    match error:
        case UnknownDetector():
            return f"{told}: there is no detector '{error}', or it is switched off"
        case NotPublished() | NoSource() | OperationalError() | InterfaceError():
            return f"{told}: {' '.join(str(error).split())}"
        case _ if isinstance(error, OF_THE_PLATFORM):
            return f"{told}: {error}"
    return told


def _at(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"


def _settled(outcome: Outcome | DeadLetter, alert_above: float) -> Settled:
    match outcome:
        case Scored(prediction, created):
            # Also for an event that was scored before: its alert may not have been sent.
            answer = detect_answer(prediction)
            alert = answer if answer["risk_score"] > alert_above else None
            return Settled(alert=alert, created=created)
        case Refused(problems):
            return Settled(dead=DeadLetter("refused", problems))
        case Conflicting(external_id):
            text = f"'{external_id}' was scored before with another body"
            return Settled(dead=DeadLetter("conflicting", (("", text),)))
        case DeadLetter():
            return Settled(dead=outcome)


class Patience:
    """Tries a step until it succeeds or the consumer is to stop. Nothing is ever skipped.

    Every step is tried once: what is in hand when the stop comes is stored, published and
    acknowledged, rather than left to be done again by whoever reads next.
    """

    def __init__(self, stop: threading.Event, counts: Counts) -> None:
        self._stop = stop
        self._counts = counts

    def attempt(
        self, step: Callable[[], Result], *, wait: Callable[[float], None]
    ) -> Result | None:
        """The step's result, or None when it failed and we are told to stop.

        `wait` passes the seconds before the next try and keeps the broker's session alive.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                return step()
            # Whatever it is: to go on would lose messages, and to end would only start again.
            except Exception as error:
                self._counts.waits += 1
                again = f"it is tried again in {pause:.1f} s"
                then = "it is left to whoever reads next" if self._stop.is_set() else again
                logger.error("The batch is not settled (%s); %s.", _told(error), then)
                if not connection.in_atomic_block:
                    connection.close()
            if not self._stop.is_set():
                wait(pause)
            if self._stop.is_set():
                return None
            pause = min(pause * 2, LONGEST_PAUSE)


class Pulse:
    """A small file that says that the consumer lives, and what it has done (deploy/healthcheck)."""

    def __init__(self, folder: Path, name: str, counts: Counts) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}.json"
        self._counts = counts
        self._next = datetime.min.replace(tzinfo=UTC)

    def beat(self, *, now: bool = False) -> None:
        """Write the file, at most every `BEAT_SECONDS` unless `now`; on a full disk only say so."""
        moment = datetime.now(UTC)
        if not now and moment < self._next:
            return
        self._next = datetime.fromtimestamp(moment.timestamp() + BEAT_SECONDS, UTC)
        beside = self.path.with_suffix(".new")
        try:
            beside.write_text(json.dumps({"at": moment.isoformat(), **asdict(self._counts)}))
            beside.replace(self.path)
        except OSError as error:
            _seldom.warning("The stream goes on; its file is not written: %s", error)
