"""Why a model gave a prediction its score: a waterfall, and the strongest reasons in words."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scoring import figures
from scoring.core.bundle import Bundle, BundleError
from scoring.core.inference import Calibration, score_of
from scoring.core.reasons import phrase, title
from scoring.core.spec import DetectorSpec
from scoring.core.transformations import FeatureSpec
from scoring.core.types import Event
from scoring.deployment import loaded
from scoring.feature_store.history import stored_event
from scoring.margins import LINK_OF, WORDS, MarginWords, margin_within
from scoring.models import Prediction

LEADS = (", overall usually ", ", usually ", ", most are ")
"""What stands between a value and what is usual; the last is how it was once told."""
EDGE = 4
"""Percent of a range's width that stay free on either side."""
FAR = 30.0
"""A range is drawn on a logarithmic scale where its ends lie further apart than this."""
ADDS_UP = 1e-6
"""Exact contributions miss the margin by rounding alone; above this they are not to be trusted."""
MOST_STEPS = 6


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
    bundle = bundle_of(prediction)
    link, calibration, base = _model_of(bundle, spec, prediction.score, parts)
    words = WORDS[link]

    def share(margin: float) -> float:
        one = np.array([margin])
        risk = calibration.probability(one)
        return float((score_of(one, link) if risk is None else risk)[0])

    known = prediction.probability is not None
    declared = _declared(bundle, spec, len(parts))
    amounts, titles = _by_title(parts, _features(declared, len(parts)))
    reasons = _told_once(prediction.reasons, amounts, titles, words)
    told = {titles.get(str(reason["feature"]), ""): reason for reason in reasons}
    steps = _steps(amounts, told, _reader(prediction, declared, titles), words)
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


def event_shown(row: Prediction, spec: DetectorSpec) -> Event:
    """The event as phrases read it; personal data stays sealed."""
    names = [name for name in row.event if name not in spec.pii_fields]
    event = stored_event(spec, row.event, row.event_time, names, external_id=row.external_id)
    amount = None if row.exposure is None else float(row.exposure)
    return event._replace(currency=row.currency, amount=amount)


def bundle_of(row: Prediction) -> Bundle | None:
    """The bundle that scored it; None when it is gone."""
    try:
        return loaded(row.bundle_digest)
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


def _declared(bundle: Bundle | None, spec: DetectorSpec | None, count: int) -> DetectorSpec | None:
    """The declaration whose features the contributions are of."""
    for known in (bundle.spec if bundle else None, spec):
        if known is not None and len(known.features) == count:
            return known
    return None


def _features(spec: DetectorSpec | None, count: int) -> list[tuple[str, str]]:
    """(name, what it is in words) for each contribution."""
    if spec is None:
        return [("", f"feature {i + 1}") for i in range(count)]
    titles = _titles(spec.features)
    return [(f.name, titles[f.subject]) for f in spec.features]


def _reader(
    row: Prediction, spec: DetectorSpec | None, titles: Mapping[str, str]
) -> Callable[[str], str]:
    """A title -> what the event had of it, in words; the title itself where that is not known."""
    vector = row.vector_array()
    if spec is None or len(vector) != len(spec.features):
        return str
    places = {titles[feature.name]: i for i, feature in enumerate(spec.features)}

    def read(what: str) -> str:
        place = places[what]
        field = spec.features[place].field
        if row.erased_at is not None and field in row.event and row.event[field] is None:
            return what
        return phrase(spec, spec.features[place], float(vector[place]), event_shown(row, spec))

    return read


def _titles(features: Iterable[FeatureSpec]) -> dict[tuple[str, ...], str]:
    """What is told of each subject, no two alike: the first feature's title, a sine's or cosine's
    without saying which; with its name where another subject is called that."""
    found: dict[tuple[str, ...], str] = {}
    for feature in features:
        if feature.subject not in found:
            what = title(feature)
            if feature.kind == "calendar" and not feature.label:
                what = feature.field.removesuffix("_sin").removesuffix("_cos")
            taken = what in found.values()
            found[feature.subject] = f"{what} ({feature.name})" if taken else what
    return found


def _by_title(
    parts: "np.ndarray[Any, Any]", features: Sequence[tuple[str, str]]
) -> tuple[Mapping[str, float], Mapping[str, str]]:
    """(contribution by what a person calls it, that by the feature's name): sine and cosine of one
    time are two features, and one thing to say."""
    amounts: dict[str, float] = {}
    for part, (_, what) in zip(parts, features, strict=True):
        amounts[what] = amounts.get(what, 0.0) + float(part)
    return amounts, dict(features)


def _told_once(
    reasons: Iterable[Mapping[str, Any]],
    amounts: Mapping[str, float],
    titles: Mapping[str, str],
    words: MarginWords,
) -> list[dict[str, Any]]:
    """Stored reasons as lines, the weightiest first, each thing once."""
    lines: dict[str, dict[str, Any]] = {}
    for reason in reasons:
        name = str(reason.get("feature", ""))
        what = titles.get(name, name)
        alone = float(reason.get("contribution") or 0.0)
        lines.setdefault(what, _reason(reason, amounts.get(what, alone), words))
    return sorted(lines.values(), key=lambda line: -abs(line["amount"]))


def _reason(reason: Mapping[str, Any], amount: float, words: MarginWords) -> dict[str, Any]:
    """A stored reason as a line: what is now, what is usual, and its weight in words."""
    text = str(reason.get("text", ""))
    for lead in LEADS:
        now, found, usual = text.partition(lead)
        if found:
            break
    return {
        "feature": reason.get("feature", ""),
        "now": _capital(now),
        "usual": f"{lead.strip(', ')} {usual}" if usual else "",
        "amount": amount,
        "raises": amount >= 0,
        "weight": words.weight(amount),
        "range": _drawn(reason.get("value"), reason.get("usual")),
    }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


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
    amounts: Mapping[str, float],
    told_of: Mapping[str, Mapping[str, Any]],
    read_now: Callable[[str], str],
    words: MarginWords,
) -> list[figures.Step]:
    """The strongest contributions, largest first, and the sum of the others. `read_now` has words
    for what no reason told."""
    order = sorted(amounts, key=lambda what: -abs(amounts[what]))
    chosen = [what for what in order[:MOST_STEPS] if amounts[what] != 0.0]
    steps = []
    for what in chosen:
        told = told_of.get(what)
        label = str(told["now"]) if told else _capital(read_now(what))
        detail = f"{told['now']}, {told['usual']}" if told and told["usual"] else label
        steps.append(figures.Step(label, amounts[what], words.weight(amounts[what]), detail))
    rest = [amounts[what] for what in order[len(chosen) :]]
    if rest:
        amount = sum(rest)
        others = f"{len(rest)} other feature{'' if len(rest) == 1 else 's'}"
        steps.append(figures.Step(others, amount, words.weight(amount)))
    return steps
