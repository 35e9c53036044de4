"""One call of the scoring service on its way: events read, what is stored of them, outcomes."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
from django.db.models.base import ModelState

from accounts import vault
from scoring import policy_store
from scoring.core.bundle import BundleError
from scoring.core.ids import IdSequence
from scoring.core.schema import (
    MAX_ID,
    EventParser,
    Keyed,
    SchemaError,
    as_sent,
    as_whole,
    key_text,
)
from scoring.core.spec import DetectorSpec
from scoring.core.types import NO_ORDERS, Event, Orders, Verdict
from scoring.deployment import RULES_ONLY, Serving, declared_in
from scoring.feature_store.history import clear
from scoring.models import Prediction
from scoring.recording import audit_draw, verdict_columns

CENT = Decimal("0.01")
SEALED = "holds personal data as this platform seals it: send the value itself"
# The order in which events were scored is that of their ids: at one event time, windows that are
# read again learn in it.
_ids = IdSequence()


class Scored(NamedTuple):
    """The stored prediction of an event; `created` is False when it had been scored before."""

    prediction: Prediction
    created: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that breaks its schema; nothing was stored. `problems`: (field, message)."""

    problems: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Conflicting:
    """The event's id was scored before with another body; nothing was stored."""

    external_id: str


Outcome = Scored | Refused | Conflicting


class Item(NamedTuple):
    """A valid event with what is stored of it. `keys` of the event are keyed tokens by now."""

    event: Event
    payload: dict[str, Any]
    body_digest: str
    entity: str


@dataclass(slots=True)
class Call:
    """One call of `score_events`, on its way through a group."""

    slug: str
    raws: Sequence[object]
    announce: bool
    # Whole microseconds: that is what the database keeps of it.
    received: float = field(default_factory=lambda: round(time.time(), 6))
    serving: Serving | None = None
    items: dict[int, Item] = field(default_factory=dict)
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    error: Exception | None = None

    def read(self, serving: Serving) -> None:
        """Validate the events by the schema that serves."""
        self.serving = serving
        self.items, self.outcomes = {}, {}
        for i, raw in enumerate(self.raws):
            try:
                self.items[i] = parse(serving, raw, self.received)
            except SchemaError as error:
                self.outcomes[i] = Refused(tuple(error.problems))

    def result(self) -> list[Outcome]:
        """The outcomes in the order of the events, or the error."""
        if self.error is not None:
            raise self.error
        return [self.outcomes[i] for i in range(len(self.raws))]


def read_event(parser: EventParser, raw: object, received: float, keyed: Keyed = as_sent) -> Event:
    """A valid event; `keyed` as in EventParser.parse. Raises SchemaError.

    What the vault sealed is refused: pages would open what somebody copied from the database, and
    show it as a field of this event.
    """
    event = parser.parse(raw, received, keyed)
    sealed = [name for name, said in event.fields.items() if _is_sealed(said)]
    if sealed:
        raise SchemaError([(name[:MAX_ID], SEALED) for name in sealed])
    return event


def parse(serving: Serving, raw: object, received: float) -> Item:
    """Validate, encrypt PII, turn entity keys into tokens. Raises SchemaError."""
    spec = serving.bundle.spec
    event = read_event(serving.bundle.parser, raw, received, vault.token)
    payload = dict(event.fields)
    for name in spec.pii_fields:
        if name in payload:
            payload[name] = vault.encrypt(key_text(payload[name]))
    entity = event.keys.get(spec.entity_field) or vault.token(serving.slug, event.external_id)
    return Item(event=event, payload=payload, body_digest=digest_of(event.fields), entity=entity)


def _is_sealed(said: Any) -> bool:
    return type(said) is str and vault.is_encrypted(said) and vault.is_ours(said)


def digest_of(fields: Mapping[str, Any]) -> str:
    """Of the body of a valid event: the same one again has the same digest."""
    said = {
        name: as_whole(value) if type(value) is float else value for name, value in fields.items()
    }
    body = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def is_same_event(serving: Serving, row: Prediction, item: Item) -> bool:
    """Whether what is stored is this event: its body, or, where undeclared fields are or were
    dropped, what it says in the fields that are kept now and were kept when it was stored."""
    if row.body_digest == item.body_digest:
        return True
    spec, said = serving.bundle.spec, item.event.fields
    if any(spec.keeps(name) for name in row.event.keys() - said.keys()):
        return False
    then = spec
    if said.keys() - row.event.keys() or not row.event.keys() <= spec.schema["properties"].keys():
        then = _spec_of(row) or spec
    if any(then.keeps(name) for name in said.keys() - row.event.keys()):
        return False
    shared = {name for name in said.keys() & row.event.keys() if not _is_erased(row, name)}
    kinds = {name: _kind_of(name, spec, then) for name in shared}
    stored = {name: clear(row.event[name], kinds[name]) for name in shared}
    return digest_of(stored) == digest_of({name: said[name] for name in shared})


def _is_erased(row: Prediction, name: str) -> bool:
    """Whether that value was taken out: a null was never stored as it came."""
    return row.erased_at is not None and row.event[name] is None


def _kind_of(name: str, spec: DetectorSpec, then: DetectorSpec) -> str:
    return (spec if name in spec.schema["properties"] else then).type_of(name)


def _spec_of(row: Prediction) -> DetectorSpec | None:
    """The declaration that a stored event was read by; None where it is not kept any more."""
    if row.bundle_digest == RULES_ONLY:
        return None
    try:
        return declared_in(row.bundle_digest)
    except BundleError:
        return None


def read_orders(serving: Serving, items: Sequence[Item]) -> list[Orders]:
    """What people have ordered about each event, and its lot in the random audit."""
    policy = serving.policy
    found = [NO_ORDERS] * len(items)
    if policy.list_fields or policy.has_snoozes:
        found = policy_store.read_orders(
            serving.detector_id,
            policy,
            [(item.entity, policy_store.list_tokens(policy, item.event.fields)) for item in items],
            [_received_at(item.event.received) for item in items],
        )
    if policy.audit_rate > 0.0:
        return [
            Orders(
                orders.allowed,
                orders.denied,
                orders.snoozes,
                audit_draw(serving.slug, item.event.external_id),
            )
            for orders, item in zip(found, items, strict=True)
        ]
    return found


@lru_cache(maxsize=64)
def _received_at(received: float) -> datetime:
    """One object for all events of a call: what is the same in all rows is written once."""
    return datetime.fromtimestamp(received, UTC)


def prediction_row(serving: Serving, item: Item, verdict: Verdict, latency_us: int) -> Prediction:
    """The row. Its attributes are set at once: Model.__init__ takes ten times as long."""
    event = item.event
    amount = event.amount
    row = Prediction.__new__(Prediction)
    row.__dict__ = {
        "_state": ModelState(),
        "id": _ids.next(time.time_ns()),
        "detector_id": serving.detector_id,
        "external_id": event.external_id,
        "body_digest": item.body_digest,
        "event_time": datetime.fromtimestamp(event.time, UTC),
        "received_at": _received_at(event.received),
        "event": item.payload,
        "entity": item.entity,
        "bundle_digest": serving.bundle.digest,
        "policy_digest": serving.policy.digest,
        "model_version": serving.version,
        "exposure": None if amount is None else Decimal(str(amount)).quantize(CENT),
        "currency": "" if amount is None else event.currency[:3],
        "latency_us": latency_us,
        "erased_at": None,
        **verdict_columns(verdict),
    }
    row._state.adding = False
    return row
