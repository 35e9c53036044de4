"""What a page shows of a prediction: who decided, why, from which bundle, and the masked event."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from accounts import vault
from scoring import figures
from scoring.core.reader import SpecError
from scoring.core.reasons import half_up
from scoring.core.spec import DetectorSpec
from scoring.core.types import SelectionReason, Stage
from scoring.models import Detector, Prediction
from scoring.prediction_reasons import bundle_of
from scoring.selectors import entity_name

WHO_DECIDED = {
    SelectionReason.MODEL: "the model",
    SelectionReason.SCREENING: "screening",
    SelectionReason.ACTIVE_LEARNING: "active learning",
}


class SpecCache:
    """Parsed declarations of a request's detectors: rows of one detector share one parse."""

    def __init__(self) -> None:
        self._specs: dict[int, DetectorSpec | None] = {}

    def of(self, detector: Detector) -> DetectorSpec | None:
        """The declaration, or None when it cannot be read (then everything is shown masked)."""
        if detector.pk not in self._specs:
            try:
                self._specs[detector.pk] = detector.spec()
            except SpecError:
                self._specs[detector.pk] = None
        return self._specs[detector.pk]

    def entity(self, prediction: Prediction, detector: Detector) -> str:
        """The entity of a prediction as a page names it, masked where it is personal data."""
        spec = self.of(detector)
        if spec is None:
            return vault.MASK
        if is_erased(prediction, spec.entity_field):
            return erased_on(prediction)
        try:
            name = entity_name(prediction, spec.entity_field)
        except vault.VaultError:
            return vault.MASK
        hidden = spec.entity_field in spec.pii_fields and spec.entity_field in prediction.event
        return vault.mask(name) if hidden else name

    def entity_word(self, detector: Detector) -> str:
        """What this detector calls its entities: `customer`, `host`."""
        spec = self.of(detector)
        return "entity" if spec is None else spec.entity_word


def is_erased(prediction: Prediction, field: str) -> bool:
    """Whether the event had a value there that was erased."""
    known = field in prediction.event and prediction.event[field] is None
    return known and prediction.erased_at is not None


def erased_on(prediction: Prediction) -> str:
    """What stands where personal data stood."""
    return "" if prediction.erased_at is None else f"erased on {prediction.erased_at:%Y-%m-%d}"


def masked(shown: str) -> str:
    """A stored value for the screen: personal data masked."""
    if not vault.is_encrypted(shown):
        return shown
    try:
        return vault.mask(vault.decrypt(shown))
    except vault.VaultError:
        return vault.MASK


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the raw event. `hidden`: personal data, masked in `value`. `undeclared`: kept
    though the declaration does not name it, and so in clear."""

    name: str
    value: str
    hidden: bool
    undeclared: bool = False


def event_fields(
    prediction: Prediction, spec: DetectorSpec | None, *, reveal: bool = False
) -> list[Field]:
    """The event as received, in the order of its schema; personal data masked unless `reveal`."""
    order = {} if spec is None else {name: i for i, name in enumerate(spec.schema["properties"])}
    pii = frozenset(prediction.event) if spec is None else spec.pii_fields
    names = sorted(prediction.event, key=lambda name: (order.get(name, len(order)), name))
    fields = [
        Field(name, erased_on(prediction), hidden=False)
        if is_erased(prediction, name)
        else _field(name, prediction.event[name], name in pii, reveal)
        for name in names
    ]
    if spec is None:
        return fields
    return [replace(one, undeclared=one.name not in order and not one.hidden) for one in fields]


def _field(name: str, value: object, declared: bool, reveal: bool) -> Field:
    text = "" if value is None else str(value)
    sealed = vault.is_encrypted(text)
    if not declared and not sealed:
        return Field(name, text, hidden=False)
    try:
        plain = vault.decrypt(text) if sealed else text
    except vault.VaultError:
        return Field(name, "cannot be decrypted", hidden=True)
    return Field(name, plain if reveal else vault.mask(plain), hidden=not reveal)


def decided_by(prediction: Prediction) -> str:
    """Who picked this decision, for `Block by ...`; `deciding_rules` are named beside it."""
    chosen = prediction.selection_reason
    lists = {hit.get("kind") for hit in prediction.list_hits}
    if lists and chosen != SelectionReason.SCREENING:
        return "the deny list" if "deny" in lists else "the allow list"
    if chosen == SelectionReason.RULE:
        asked = {hit.get("outcome") for hit in prediction.rule_hits if _counts(hit)}
        by_weight = prediction.decision not in asked and prediction.risk is not None
        return "the model" if by_weight else ""
    if prediction.degraded and chosen != SelectionReason.SCREENING:
        return "default, no model scored it"
    return WHO_DECIDED.get(SelectionReason(chosen), "the model") if chosen else "the model"


def deciding_rules(prediction: Prediction) -> list[str]:
    """Codes of the rules that asked for the decision as it is: by outcome, else by their weight.

    None where what comes before them decided (screening, a list), and none where the event was
    approved: what rules found then was not enough.
    """
    chosen = prediction.selection_reason
    if prediction.list_hits or chosen not in (SelectionReason.RULE, SelectionReason.MODEL):
        return []
    counted = [hit for hit in prediction.rule_hits if _counts(hit)]
    asked = [hit for hit in counted if hit.get("outcome") == prediction.decision]
    if not asked and chosen == SelectionReason.RULE:
        asked = [hit for hit in counted if not hit.get("outcome")]
    return [str(hit.get("code", "?")) for hit in asked]


@dataclass(frozen=True, slots=True)
class Lineage:
    """What a prediction came from. `learner`, `rows`, `trained` are empty without the bundle.

    `rules` are those that matched, (code, version); `lists` the readings that it was screened by,
    (name, digest).
    """

    version: str
    digest: str
    learner: str
    rows: int | None
    known_at: datetime | None
    dataset: str
    missing: bool
    rules: Sequence[tuple[str, int]] = ()
    lists: Sequence[tuple[str, str]] = ()


def lineage_of(prediction: Prediction) -> Lineage:
    """Model version, bundle and data behind a prediction."""
    bundle = bundle_of(prediction)
    manifest: Mapping[str, Any] = {} if bundle is None else bundle.manifest
    training = manifest.get("training", {})
    known_at = training.get("known_at")
    return Lineage(
        version=prediction.model_version,
        digest=prediction.bundle_digest,
        learner=str(manifest.get("learner", "")).replace("_", " "),
        rows=training.get("rows"),
        known_at=datetime.fromisoformat(known_at).astimezone(UTC) if known_at else None,
        dataset=str(training.get("dataset_digest", "")),
        missing=bundle is None,
        rules=[(str(hit.get("code")), hit.get("version", 1)) for hit in prediction.rule_hits],
    )


def rule_hits(prediction: Prediction) -> list[dict[str, Any]]:
    """Rules that matched, with what they read, never personal data; those that decided first.

    `counts`: it took part; `decided`: it asked for the decision as it is.
    """
    deciding = deciding_rules(prediction)
    found = [
        {
            "code": hit.get("code", "?"),
            "version": hit.get("version", 1),
            "outcome": hit.get("outcome") or "",
            "weight": hit.get("weight") or 0.0,
            "stage": hit.get("stage", Stage.LIVE),
            "snoozed": _until(hit.get("snoozed")),
            "counts": _counts(hit),
            "decided": _counts(hit) and hit.get("code", "?") in deciding,
            "text": hit.get("text", ""),
            "values": [(name, _short(value)) for name, value in hit.get("values", {}).items()],
        }
        for hit in prediction.rule_hits
    ]
    return sorted(found, key=lambda rule: (not rule["decided"], not rule["counts"]))


def _until(snoozed: object) -> str:
    """The end of a snooze as stored, for people; empty without one."""
    if not snoozed:
        return ""
    return f"{datetime.fromisoformat(str(snoozed)).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _counts(hit: Mapping[str, Any]) -> bool:
    """Whether a stored rule hit took part in the decision."""
    return hit.get("stage", Stage.LIVE) == Stage.LIVE and not hit.get("snoozed")


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{half_up(value):,.2f}".rstrip("0").rstrip(".")
    return "missing" if value is None else str(value)


def history_points(
    predictions: Iterable[Prediction], labels: Mapping[Any, bool | None], *, amounts: bool
) -> list[figures.Point]:
    """Points of a history figure: amounts where the detector has them, else risks."""
    points = []
    for row in predictions:
        value = row.exposure if amounts else row.risk
        if value is None:
            continue
        risk = "not scored" if row.risk is None else figures.percent(row.risk)
        money = "" if row.exposure is None else f", {row.exposure:,.2f} {row.currency}"
        points.append(
            figures.Point(
                at=row.event_time.strftime("%Y-%m-%dT%H:%M:%S"),
                value=float(value),
                decision=row.decision,
                is_fraud=labels.get(row.pk),
                text=f"{row.decision.capitalize()}, {risk}{money}",
                url=row.get_absolute_url(),
            )
        )
    return points


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """One line of an entity's history. `is_fraud` is its newest label, None without one."""

    prediction: Prediction
    is_fraud: bool | None
    here: bool


@dataclass(frozen=True, slots=True)
class History:
    """An entity's recent events, newest first, and their figure (None: nothing to draw)."""

    rows: Sequence[HistoryRow]
    figure: Mapping[str, Any] | None
    amounts: bool


def history_of(predictions: Sequence[Prediction], *, here: frozenset[Any] = frozenset()) -> History:
    """The history of one entity; `predictions` come with their labels prefetched."""
    newest = {row.pk: _newest_label(row) for row in predictions}
    amounts = any(row.exposure is not None for row in predictions)
    points = history_points(predictions, newest, amounts=amounts)
    marked = history_points([p for p in predictions if p.pk in here], newest, amounts=amounts)
    title = "Amount" if amounts else "Probability or score"
    return History(
        rows=[HistoryRow(row, newest[row.pk], row.pk in here) for row in predictions],
        figure=figures.history(points, title=title, now=marked) if points else None,
        amounts=amounts,
    )


def _newest_label(prediction: Prediction) -> bool | None:
    # Sorted here, not in the query: the labels are prefetched for many rows at once.
    labels = sorted(prediction.labels.all(), key=lambda label: (label.label_time, label.pk))
    return labels[-1].is_fraud if labels else None
