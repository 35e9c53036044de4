"""Decide a stored prediction again from its snapshot, and compare bit for bit.

A prediction is a function of what is stored: its vector, its event (personal data decrypted), the
bundle and the policy by their digests, and the list entries and snoozes that stood when the event
was received. What it gave then it must give now, to the last bit on the same architecture. An
event scored in a batch and the same event alone give the same bits, so rows are replayed in
batches, however they were scored.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

import numpy as np
import orjson
from django.db.models import QuerySet

from accounts import vault
from scoring import deployment, policy_store
from scoring.core.bundle import MANIFEST, Bundle, BundleError
from scoring.core.pipeline import conclude, judge
from scoring.core.policy import Policy
from scoring.core.reasons import explain_reasons
from scoring.core.rebuild import PLAIN
from scoring.core.schema import EventParser, SchemaError
from scoring.core.screening import once_worded
from scoring.core.types import NO_ORDERS, Event, Floats, Orders, Verdict
from scoring.core.watchlist import WatchlistError
from scoring.feature_store.history import unsealed
from scoring.models import Prediction
from scoring.policy_models import PolicySnapshot
from scoring.recording import audit_draw, reason_body, reason_numbers, verdict_columns
from scoring.standing_in import ERASED, UNSCREENED, is_unscreened, worded_alike

CHUNK = 1000
MOST_TOLD = 20
MOST_COMPILED = 16
EXACT = (
    "score", "probability", "contributions", "additivity_error", "rule_hits", "rule_score",
    "screening_hits", "list_hits", "risk_level", "decision", "selection_reason", "propensity",
    "degraded",
)  # fmt: skip
"""Compared as they are stored, in this order; the first that differs is told."""

_compiled: dict[tuple[str, str], Policy] = {}


class CannotReplay(LookupError):
    """Something that the prediction was made with is gone; the message says what."""


class Changed(ValueError):
    """Something stored is not what it was; the message says what. `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that decided one prediction, as it was."""

    event: Event
    vector: Floats
    bundle: Bundle
    policy: Policy
    orders: Orders


@dataclass(frozen=True, slots=True)
class Difference:
    """The first thing in which a prediction and its replay differ. `recomputed` is empty where
    there is no replay: what the prediction was made with was changed, which `stored` says."""

    prediction: UUID
    external_id: str
    field: str
    stored: str
    recomputed: str

    def __str__(self) -> str:
        said = f" stored {self.stored}, recomputed {self.recomputed}"
        said = said if self.recomputed else f": {self.stored.rstrip('.')}"
        return f"{self.prediction} ({self.external_id}): {self.field}{said}"


@dataclass(slots=True)
class Report:
    """What a verification found. `told` holds the first differences, `skipped` counts reasons why
    predictions could not be replayed, `degraded` those that were verified without their model."""

    same: int = 0
    different: int = 0
    degraded: int = 0
    told: list[Difference] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, difference: Difference | None) -> None:
        """Count one prediction."""
        if difference is None:
            self.same += 1
            return
        self.different += 1
        if len(self.told) < MOST_TOLD:
            self.told.append(difference)


def verify_predictions(rows: QuerySet[Prediction]) -> Report:
    """Replay all of them; memory does not grow with their number."""
    report = Report()
    ordered = rows if rows.query.is_sliced else rows.order_by("pk")
    found = ordered.select_related("detector").iterator(chunk_size=CHUNK)
    while chunk := list(islice(found, CHUNK)):
        for group in _by_maker(chunk).values():
            _verify_group(group, report)
    return report


def verify_one(row: Prediction) -> Difference | None:
    """The first difference of one prediction, None when it replays. Raises CannotReplay."""
    report = Report()
    _verify_group([row], report)
    if report.skipped:
        raise CannotReplay(next(iter(report.skipped)))
    return report.told[0] if report.told else None


def snapshot_of(row: Prediction) -> Snapshot:
    """What decided it. Raises CannotReplay or Changed."""
    if row.erased_at is not None:
        raise CannotReplay(ERASED)
    bundle, policy = _maker_of(row)
    return _snapshots([row], bundle, policy)[0]


def _by_maker(rows: Iterable[Prediction]) -> dict[tuple[Any, ...], list[Prediction]]:
    """Rows of one detector, bundle and policy together: the model judges them at once."""
    groups: dict[tuple[Any, ...], list[Prediction]] = {}
    for row in rows:
        key = (row.detector_id, row.bundle_digest, row.policy_digest, row.degraded)
        groups.setdefault(key, []).append(row)
    return groups


def _verify_group(rows: list[Prediction], report: Report) -> None:
    report.skipped.update(filter(None, map(_left_out, rows)))
    screened = [row for row in rows if not _left_out(row)]
    if not screened:
        return
    try:
        bundle, policy = _maker_of(screened[0])
    except CannotReplay as error:
        report.skipped[str(error)] += len(screened)
        return
    except Changed as error:
        for row in screened:
            report.add(_changed(row, error))
        return
    sound, unsound = _sound(screened, bundle)
    for difference in unsound:
        report.add(difference)
    if sound:
        _verify_sound(sound, bundle, policy, report)


def _verify_sound(rows: list[Prediction], bundle: Bundle, policy: Policy, report: Report) -> None:
    snapshots = _snapshots(rows, bundle, policy)
    judged = None
    if not rows[0].degraded:
        judged = judge(bundle.predictor, np.array([snapshot.vector for snapshot in snapshots]))
    elif bundle.predictor is not None:
        report.degraded += len(rows)
    for i, (row, shot) in enumerate(zip(rows, snapshots, strict=True)):
        verdict = conclude(shot.event, shot.vector, judged, i, {}, bundle, policy, shot.orders)
        report.add(_compare(row, shot, verdict))


def _left_out(row: Prediction) -> str:
    if row.erased_at is not None:
        return ERASED
    return UNSCREENED if is_unscreened(row.screening_hits) else ""


# --- What it was made with ---------------------------------------------------------------------


def _maker_of(row: Prediction) -> tuple[Bundle, Policy]:
    bundle = _bundle_of(row.bundle_digest)
    if not row.policy_digest:
        return bundle, bundle.policy
    return bundle, _policy_of(row.policy_digest, bundle)


def _policy_of(digest: str, bundle: Bundle) -> Policy:
    """The policy and nothing in its place: scoring may fall back, a replay may not."""
    try:
        # Read anew each time: what was compiled once says nothing about what is stored now.
        content = policy_store.read_content(digest)
        key = (digest, bundle.digest)
        if key not in _compiled:
            while len(_compiled) >= MOST_COMPILED:
                _compiled.pop(next(iter(_compiled)))
            _compiled[key] = policy_store.compile_policy(digest, content, bundle)
        return _compiled[key]
    except policy_store.PolicyError as error:
        if PolicySnapshot.objects.filter(pk=digest).exists():
            raise Changed("policy", f"policy {digest[:12]} is not what was published") from error
        raise CannotReplay(f"policy {digest[:12]} is no longer stored") from error
    except WatchlistError as error:
        raise CannotReplay(f"policy {digest[:12]}: {error}") from error


def _bundle_of(digest: str) -> Bundle:
    if digest == deployment.RULES_ONLY:
        raise CannotReplay("scored without a deployed bundle; the declaration of then is not kept")
    try:
        return deployment.loaded(digest)
    except BundleError as error:
        if (deployment.bundle_root() / digest / MANIFEST).exists():
            raise Changed("bundle", str(error)) from error
        raise CannotReplay(f"bundle {digest[:12]} is no longer on disk") from error


def _snapshots(rows: list[Prediction], bundle: Bundle, policy: Policy) -> list[Snapshot]:
    """Rows that are sound, with the orders that stood as each was received."""
    events = [event_of(row, bundle.parser) for row in rows]
    orders = _orders_of(rows, events, bundle, policy)
    return [
        Snapshot(
            event=event,
            vector=row.vector_array(),
            bundle=bundle,
            policy=policy,
            orders=order._replace(audit_draw=audit_draw(row.detector.slug, row.external_id)),
        )
        for row, event, order in zip(rows, events, orders, strict=True)
    ]


def _orders_of(
    rows: Sequence[Prediction], events: Sequence[Event], bundle: Bundle, policy: Policy
) -> list[Orders]:
    """Orders outlive a policy that could not be read: a row that names one which its policy did not
    know of was scored by a stand-in, which looked for all there are."""
    everything = policy_store.ordered_by_all(policy, bundle)
    found = [NO_ORDERS] * len(rows)
    for asked, known in ((policy, True), (everything, False)):
        places = [i for i, row in enumerate(rows) if _knew_orders(policy, row) is known]
        items = [
            (rows[i].entity, policy_store.list_tokens(asked, events[i].fields)) for i in places
        ]
        at = [rows[i].received_at for i in places]
        read = policy_store.read_orders(rows[0].detector_id, asked, items, at)
        for i, orders in zip(places, read, strict=True):
            found[i] = orders
    return found


def _knew_orders(policy: Policy, row: Prediction) -> bool:
    """Whether the policy looks for all orders that decided the row."""
    listed = {hit.get("field") for hit in row.list_hits}
    snoozed = any(hit.get("snoozed") is not None for hit in row.rule_hits)
    return listed <= set(policy.list_fields) and (policy.has_snoozes or not snoozed)


def event_of(row: Prediction, parser: EventParser) -> Event:
    """The event that was scored, from what is stored. Raises SchemaError, VaultError or, where
    personal data is not what the schema says, ValueError."""
    spec = parser.spec
    raw = {
        name: unsealed(str(value), spec.type_of(name)) if name in spec.pii_fields else value
        for name, value in row.event.items()
    }
    event = parser.parse(raw, row.received_at.timestamp())
    keys = {name: vault.token(name, value) for name, value in event.keys.items()}
    # Fields as they were scored: earlier releases kept the 5.0 of an integer field as it came.
    fields = {name: value for name, value in raw.items() if value is not None}
    # An event that came without an id was given one, which is not among its fields.
    return event._replace(external_id=row.external_id, fields=fields, keys=keys)


# --- Comparing ---------------------------------------------------------------------------------


def _sound(rows: list[Prediction], bundle: Bundle) -> tuple[list[Prediction], list[Difference]]:
    """Rows whose event can be read and whose vector fits the event and the bundle."""
    sound, unsound = [], []
    for row in rows:
        try:
            difference = _check_row(row, bundle)
        except (SchemaError, vault.VaultError, ValueError) as error:
            difference = _changed(row, Changed("event", f"cannot be read: {error}"))
        if difference is None:
            sound.append(row)
        else:
            unsound.append(difference)
    return sound, unsound


def _check_row(row: Prediction, bundle: Bundle) -> Difference | None:
    event = event_of(row, bundle.parser)
    if event.time != row.event_time.timestamp():
        return _difference(row, "event_time", row.event_time.timestamp(), event.time)
    if len(row.vector) != 8 * len(bundle.plan.names):
        return _difference(
            row, "vector", f"{len(row.vector)} bytes", f"{8 * len(bundle.plan.names)} bytes"
        )
    vector, again = row.vector_array(), np.array(bundle.plan.start(event), float)
    for i in stateless_places(bundle):
        if vector[i].tobytes() != again[i].tobytes():
            name = f"vector[{bundle.plan.names[i]}]"
            return _difference(row, name, float(vector[i]), float(again[i]))
    return None


def stateless_places(bundle: Bundle) -> list[int]:
    """Positions of the vector that the event alone fills."""
    return [i for i, f in enumerate(bundle.spec.features) if f.kind in (*PLAIN, "calendar")]


def _compare(row: Prediction, shot: Snapshot, verdict: Verdict) -> Difference | None:
    again = verdict_columns(verdict)
    for name in EXACT:
        stored, recomputed = _plain(getattr(row, name)), _plain(again[name])
        if stored != recomputed and not _differ_in_words_alone(name, stored, recomputed):
            return _difference(row, name, *_first_apart(stored, recomputed, shot.bundle))
    # A reason's words name what was usual then, which is not kept; its numbers are.
    stored, recomputed = reason_numbers(row.reasons), reason_numbers(again["reasons"])
    if stored != recomputed and stored != _numbers_apart(shot, verdict):
        return _difference(row, "reasons", stored, recomputed)
    return None


def _differ_in_words_alone(name: str, stored: Any, recomputed: Any) -> bool:
    """Why a rule could not be evaluated, and a match by name, may be said otherwise by now."""
    if name == "screening_hits":
        return bool(stored == [once_worded(hit) for hit in recomputed])
    return name == "rule_hits" and worded_alike(stored) == worded_alike(recomputed)


def _numbers_apart(shot: Snapshot, verdict: Verdict) -> list[list[Any]] | None:
    """The reasons as earlier releases told them: a time's sine apart from its cosine."""
    spec, plan, parts = shot.bundle.spec, shot.bundle.plan, verdict.contributions
    if parts is None:
        return None
    told = explain_reasons(spec, plan, shot.event, shot.vector, parts, {}, {}, apart=True)
    return reason_numbers([reason_body(reason) for reason in told])


def _plain(value: Any) -> Any:
    """As the database gives it back: bytes as bytes, JSON as JSON, enumerations as texts."""
    if isinstance(value, bytes | memoryview):
        return bytes(value)
    if isinstance(value, list):
        return orjson.loads(orjson.dumps(value))
    return str(value) if isinstance(value, str) else value


def _first_apart(stored: Any, recomputed: Any, bundle: Bundle) -> tuple[Any, Any]:
    """For contributions: the first feature that differs, as people read it."""
    if not (isinstance(stored, bytes) and isinstance(recomputed, bytes)):
        return stored, recomputed
    one, other = np.frombuffer(stored, "<f8"), np.frombuffer(recomputed, "<f8")
    if one.shape != other.shape:
        return f"{one.size} numbers", f"{other.size} numbers"
    i = int(np.flatnonzero(one.view(np.uint64) != other.view(np.uint64))[0])
    name = bundle.plan.names[i]
    return f"{name} {float(one[i])!r}", f"{name} {float(other[i])!r}"


def _difference(row: Prediction, name: str, stored: Any, recomputed: Any) -> Difference:
    return Difference(row.pk, row.external_id, name, _short(stored), _short(recomputed))


def _changed(row: Prediction, error: Changed) -> Difference:
    return Difference(row.pk, row.external_id, error.field, str(error), "")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 200 else text[:199] + "…"


def chosen(
    *, slug: str = "", since: datetime | None = None, pks: Iterable[UUID] = ()
) -> QuerySet[Prediction]:
    """Predictions of a detector, received since a moment, or by id."""
    rows = Prediction.objects.all()
    if slug:
        rows = rows.filter(detector__slug=slug)
    if since is not None:
        rows = rows.filter(received_at__gte=since)
    wanted = list(pks)
    return rows.filter(pk__in=wanted) if wanted else rows
