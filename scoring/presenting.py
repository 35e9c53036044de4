"""What a page shows of a prediction: who decided, why, from which bundle, and the masked event."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from accounts import vault
from scoring import figures
from scoring.core.bundle import Bundle, BundleError
from scoring.core.inference import Calibration, score_of
from scoring.core.reader import SpecError
from scoring.core.reasons import title
from scoring.core.spec import DetectorSpec
from scoring.core.types import SelectionReason, Stage
from scoring.deployment import loaded
from scoring.margins import LINK_OF, WORDS, MarginWords, margin_within
from scoring.models import Detector, Prediction
from scoring.selectors import entity_name

LEADS = (", overall usually ", ", usually ", ", most are ")
"""What stands between a value and what is usual; the last is how it was once told."""
EDGE = 4
"""Percent of a range's width that stay free on either side."""
FAR = 30.0
"""A range is drawn on a logarithmic scale where its ends lie further apart than this."""
ADDS_UP = 1e-6
"""Exact contributions miss the margin by rounding alone; above this they are not to be trusted."""
MOST_STEPS = 6
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


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the raw event. `hidden`: personal data, masked in `value`."""

    name: str
    value: str
    hidden: bool


def event_fields(
    prediction: Prediction, spec: DetectorSpec | None, *, reveal: bool = False
) -> list[Field]:
    """The event as received, in the order of its schema; personal data masked unless `reveal`."""
    order = {} if spec is None else {name: i for i, name in enumerate(spec.schema["properties"])}
    pii = frozenset(prediction.event) if spec is None else spec.pii_fields
    names = sorted(prediction.event, key=lambda name: (order.get(name, len(order)), name))
    return [_field(name, prediction.event[name], name in pii, reveal) for name in names]


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
    """Who picked this decision, for `Block by ...`; rules are named beside it by the page."""
    chosen = prediction.selection_reason
    codes = [str(hit.get("code", "?")) for hit in prediction.rule_hits if _counts(hit)]
    lists = {hit.get("kind") for hit in prediction.list_hits}
    if lists and chosen != SelectionReason.SCREENING:
        return "the deny list" if "deny" in lists else "the allow list"
    if chosen == SelectionReason.RULE or (prediction.degraded and codes):
        return ""
    if prediction.degraded:
        return "default, no model scored it"
    return WHO_DECIDED.get(SelectionReason(chosen), "the model") if chosen else "the model"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a model gave this margin: `base` + contributions = `margin`.

    `draw` makes the figure, for the pages that show it.
    """

    base: float
    margin: float
    start: str
    end: str
    words: MarginWords
    draw: Callable[[], Mapping[str, Any]]
    reasons: Sequence[Mapping[str, Any]]
    exact: bool
    error: float

    @property
    def figure(self) -> Mapping[str, Any]:
        """The waterfall from `base` to `margin`."""
        return self.draw()

    @property
    def error_text(self) -> str:
        """How far base and contributions miss the margin, as one figure."""
        return f"{self.error:.0e}" if self.error else "0"


def explain_prediction(prediction: Prediction, spec: DetectorSpec | None) -> Explanation | None:
    """The explanation of a prediction that a model scored, else None.

    The base comes from the bundle; if that is gone, from the score and the contributions.
    """
    parts = prediction.contribution_array()
    if parts is None or prediction.score is None:
        return None
    bundle = _bundle(prediction.bundle_digest)
    link, calibration, base = _model_of(bundle, spec, prediction.score, parts)
    words = WORDS[link]

    def share(margin: float) -> float:
        one = np.array([margin])
        risk = calibration.probability(one)
        return float((score_of(one, link) if risk is None else risk)[0])

    known = prediction.probability is not None
    reasons = [_reason(reason, words) for reason in prediction.reasons]
    steps = _steps(parts, _features(bundle, spec, len(parts)), reasons, words)
    margin = base + float(parts.sum())
    # Judged again here: the parts must lead to the stored score, not only have done so once.
    reached = float(score_of(np.array([margin]), link)[0])
    error = max(prediction.additivity_error or 0.0, abs(reached - prediction.score))
    return Explanation(
        base=base,
        margin=margin,
        start=figures.percent(share(base)),
        end=figures.percent(share(margin)),
        words=words,
        draw=lambda: figures.waterfall(
            base, steps, share=share, noun="Probability" if known else "Score"
        ),
        reasons=reasons,
        exact=error <= ADDS_UP,
        error=error,
    )


def _bundle(digest: str) -> Bundle | None:
    try:
        return loaded(digest)
    except BundleError:
        return None


def _model_of(
    bundle: Bundle | None, spec: DetectorSpec | None, score: float, parts: "np.ndarray[Any, Any]"
) -> tuple[str, Calibration, float]:
    """Link, calibration and base; told from score and declaration when the bundle is gone."""
    if bundle is not None and bundle.predictor is not None:
        predictor = bundle.predictor
        return predictor.model.link, predictor.calibration, predictor.explainer.base
    link = "logit" if spec is None else LINK_OF.get(spec.training.learner, "logit")
    return link, Calibration(), margin_within(score, link) - float(parts.sum())


def _features(
    bundle: Bundle | None, spec: DetectorSpec | None, count: int
) -> list[tuple[str, str]]:
    """(name, what it is in words) for each contribution."""
    for known in (bundle.spec if bundle else None, spec):
        if known is not None and len(known.features) == count:
            return [(f.name, title(f)) for f in known.features]
    return [("", f"feature {i + 1}") for i in range(count)]


def _reason(reason: Mapping[str, Any], words: MarginWords) -> dict[str, Any]:
    """A stored reason as a line: what is now, what is usual, and its weight in words."""
    text = str(reason.get("text", ""))
    for lead in LEADS:
        now, found, usual = text.partition(lead)
        if found:
            break
    amount = float(reason.get("contribution") or 0.0)
    return {
        "feature": reason.get("feature", ""),
        "now": now[:1].upper() + now[1:],
        "usual": f"{lead.strip(', ')} {usual}" if usual else "",
        "amount": amount,
        "raises": amount >= 0,
        "weight": words.weight(amount),
        "range": _drawn(reason.get("value"), reason.get("usual")),
    }


def _drawn(value: object, usual: object) -> dict[str, int] | None:
    """Where on a line from 0 to 100 the usual range begins and ends, and where the value is."""
    if not isinstance(value, int | float) or not isinstance(usual, Sequence) or len(usual) != 2:
        return None
    points = [float(usual[0]), float(usual[1]), float(value)]
    if min(points) > 0 and max(points) / min(points) > FAR:
        points = [float(np.log(point)) for point in points]
    low, width = min(points), max(points) - min(points)
    if width == 0.0:
        return None
    begin, end, at = (round(EDGE + (100 - 2 * EDGE) * (point - low) / width) for point in points)
    return {"begin": begin, "width": max(end - begin, 2), "at": at - 1}


def _steps(
    parts: "np.ndarray[Any, Any]",
    features: Sequence[tuple[str, str]],
    reasons: Iterable[Mapping[str, Any]],
    words: MarginWords,
) -> list[figures.Step]:
    """The strongest contributions, largest first, and the sum of the others."""
    told_of = {str(reason["feature"]): reason for reason in reasons}
    order = np.argsort(-np.abs(parts), kind="stable")
    chosen = [int(i) for i in order[:MOST_STEPS] if parts[i] != 0.0]
    steps = []
    for i in chosen:
        name, what = features[i]
        told = told_of.get(name)
        label = str(told["now"]) if told else what[:1].upper() + what[1:]
        detail = f"{told['now']}, {told['usual']}" if told and told["usual"] else label
        amount = float(parts[i])
        steps.append(figures.Step(label, amount, words.weight(amount), detail))
    rest = [float(parts[i]) for i in order[len(chosen) :]]
    if rest:
        amount = sum(rest)
        others = f"{len(rest)} other feature{'' if len(rest) == 1 else 's'}"
        steps.append(figures.Step(others, amount, words.weight(amount)))
    return steps


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
    bundle = _bundle(prediction.bundle_digest)
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
    """Rules that matched, those that counted first, with what they read, never personal data."""
    return [
        {
            "code": hit.get("code", "?"),
            "version": hit.get("version", 1),
            "outcome": hit.get("outcome") or "",
            "weight": hit.get("weight") or 0.0,
            "stage": hit.get("stage", Stage.LIVE),
            "snoozed": hit.get("snoozed"),
            "counts": _counts(hit),
            "text": hit.get("text", ""),
            "values": [(name, _short(value)) for name, value in hit.get("values", {}).items()],
        }
        for hit in sorted(prediction.rule_hits, key=lambda hit: not _counts(hit))
    ]


def _counts(hit: Mapping[str, Any]) -> bool:
    """Whether a stored rule hit took part in the decision."""
    return hit.get("stage", Stage.LIVE) == Stage.LIVE and not hit.get("snoozed")


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
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
