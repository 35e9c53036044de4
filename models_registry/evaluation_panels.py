"""What a version's page shows of its evaluation: calibration, thresholds, judgements since."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS

from accounts.quantities import half_up, in_full, per_day, threshold
from jobs.models import Job
from models_registry.core.threshold_curve import AtThresholds, Curve
from models_registry.core.thresholds import MOST_PLACES, moved
from models_registry.evaluation_figures import (
    Marked,
    calibration_figure,
    cheapest_name,
    threshold_figure,
)
from models_registry.evaluation_jobs import newest_as_of, shown_evaluations, unanswered
from models_registry.evaluation_models import Evaluation, ThresholdMove
from models_registry.forms import ThresholdForm, preview_query
from models_registry.metric_rows import FoldLine, Line, fold_lines, lines_of, too_few_for
from models_registry.models import Dataset, ModelVersion
from models_registry.selectors import move_of
from models_registry.threshold_changes import Change, changes_of
from models_registry.threshold_moves import Known, MoveRefused, check_thresholds, known_of
from models_registry.verdicts import CALIBRATIONS, UNKNOWN, headline_of, per_thousand, share, small
from scoring.core.decision import Thresholds

ABOVE_ALL = "above every score"
NOTHING = "On these events no cut within capacity pays for itself: it is cheapest to flag nothing."
TIED = (
    "The riskiest events share one score: they are more than people can see, and no threshold "
    "tells them apart."
)
TINY = 1e-9
SHORT = 12


@dataclass(frozen=True, slots=True)
class ThresholdPanel:
    """Where the thresholds stand and what they mean; `asked` is a preview, `changes` what it would
    have changed, `left_out` says which amounts costs do not know."""

    known_at: datetime | None
    rows: int
    events: int
    positives: int
    capacity: str
    now: "Outcome"
    best: "Outcome | None"
    best_note: str
    asked: "Outcome | None"
    changes: Sequence[Change]
    bands: list[dict[str, str]]
    figure: dict[str, Any]
    form: ThresholdForm
    move: ThresholdMove | None
    left_out: str

    @property
    def figure_text(self) -> str:
        """The figure as JSON."""
        return json.dumps(self.figure)

    @property
    def figure_label(self) -> str:
        """What it draws; without amounts there is no cost."""
        drawn = "Cost per 1,000 events and alerts a day" if self.best else "Alerts a day"
        return f"{drawn} against the review threshold, with the risk bands"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What two thresholds give, as text; `above`: alerts a day that nobody can see, if any; `use`:
    the query that previews them, where they are offered."""

    name: str
    review: str
    block: str
    alerts: str
    precision: str
    recall: str
    interval: str
    cost: str
    above: str
    use: str = ""


@dataclass(frozen=True, slots=True)
class FoldSpan:
    """When a fold's judged days begin; whether they had a say in the version's parameters."""

    start: datetime
    chose: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """An evaluation as a version's page shows it; `compared`: with the champion, in words; `few`:
    why numbers or intervals are missing."""

    evaluation: Evaluation
    lines: list[Line] = field(default_factory=list)
    folds: list[FoldLine] = field(default_factory=list)
    spans: list[FoldSpan] = field(default_factory=list)
    audited: Mapping[str, Any] = field(default_factory=dict)
    compared: str = ""
    few: str = ""

    @property
    def flatters(self) -> bool:
        """Whether a fold's days chose the parameters that are judged on them."""
        return any(span.chose for span in self.spans)

    @property
    def has_gaps(self) -> bool:
        """Whether a fold has no value of some metric."""
        return any(
            UNKNOWN in (line.mean, *(cell.text for cell in line.each)) for line in self.folds
        )


def evaluation_context(
    version: ModelVersion,
    other: ModelVersion | None,
    *,
    currency: str,
    job: Job | None = None,
) -> dict[str, Any]:
    """The context of the fragments model_calibration, model_threshold and model_evaluation; `job`:
    the newest evaluation job of the version."""
    evaluations = shown_evaluations(version)
    shown = [judged(one, version, currency=currency) for one in evaluations]
    return {
        "known_at": moment(version.metrics.get("known_at")),
        "other_known_at": moment(other.metrics.get("known_at")) if other else None,
        "calibration": _calibration(version, other, evaluations),
        "thresholds": threshold_panel(version, evaluations, currency=currency),
        "audited": audited_words(version.metrics.get("audited") or {}),
        "judgements": shown,
        "judging_job": unanswered(job, evaluations[0].created_at if evaluations else None),
    }


def _calibration(
    version: ModelVersion, other: ModelVersion | None, evaluations: Sequence[Evaluation]
) -> dict[str, Any] | None:
    """Risk bands are those of the training, or, where it kept none or its thresholds were moved,
    of the newest evaluation as of today."""
    points, known_at = version.curves.get("calibration_bands") or [], None
    newest = newest_as_of(evaluations)
    if not points and newest is not None:
        points, known_at = newest.curves.get("calibration_bands") or [], newest.known_at
    figure = calibration_figure(version, other, points)
    if figure is None:
        return None
    chosen = version.metrics.get("calibration") or {}
    kind, brier = chosen.get("chosen", ""), chosen.get("brier") or {}
    return {
        "figure": figure,
        "bands": [_band_line(point) for point in points[::-1]],
        "bands_known_at": known_at,
        "chosen": CALIBRATIONS.get(kind, "") if kind != "none" else "",
        "why": chosen.get("why", ""),
        "tried": [(name.capitalize(), small(value)) for name, value in brier.items()],
    }


def _band_line(point: Mapping[str, Any]) -> dict[str, Any]:
    """Calibration in one risk band, as text."""
    low, high = point.get("low"), point.get("high")
    return {
        "level": point["level"],
        "events": int(point["count"]),
        "probability": share(point["probability"]),
        "observed": share(point["observed"]),
        "interval": "" if low is None or high is None else f"{share(low)} to {share(high)}",
    }


def threshold_panel(
    version: ModelVersion,
    evaluations: Sequence[Evaluation],
    *,
    currency: str,
    form: ThresholdForm | None = None,
) -> ThresholdPanel | None:
    """The thresholds of a version; a valid bound form becomes a preview."""
    known = known_of(version, evaluations)
    if known is None:
        return None
    curve, stand = known.curve, known.thresholds
    asked = _asked(known, form)
    now, best = curve.at(stand.review, stand.block), curve.cheapest(stand.block)
    lows = asked or stand
    point = None if asked is None else curve.at(asked.review, asked.block)
    cheapest, note = _cheapest(curve, best, stand.block, currency) if best else (None, "")
    optimal = moved(stand, review=best.review, block=best.block) if best else None
    marked = [Marked("now", "solid", stand)]
    if cheapest and optimal and curve.thresholds[0] > 0.0:
        marked.append(Marked(cheapest.name.lower(), "dash", optimal))
    if asked:
        marked.append(Marked("preview", "dot", asked))

    def words(name: str, at: AtThresholds) -> Outcome:
        return _outcome(name, at, curve, currency)

    return ThresholdPanel(
        known_at=moment(known.known_at),
        rows=curve.rows,
        events=curve.events,
        positives=curve.positives,
        capacity=per_day(curve.capacity_a_day),
        now=words("As they stand", now),
        best=cheapest,
        best_note=note,
        asked=None if point is None else words("Preview", point),
        changes=() if point is None else changes_of(now, point, currency=currency),
        bands=_bands(curve, lows, optimal),
        figure=threshold_figure(curve, marked, currency=currency),
        form=form or ThresholdForm.of(stand),
        move=move_of(version),
        left_out="" if version.dataset is None else _left_out(version.dataset, currency),
    )


def _bands(curve: Curve, lows: Thresholds, optimal: Thresholds | None) -> list[dict[str, str]]:
    """How much comes in each band of risk, and where it would begin at the cheapest, as text."""
    levels, best = _lows(lows), _lows(optimal) if optimal else {}
    return [
        {
            "level": band["level"],
            "from": _told(curve, band["from"]),
            "best_from": _band_begins(curve, best.get(band["level"], 0.0)),
            "a_day": per_day(band["a_day"]),
            "share": share(band["share"]),
            "of_positives": share(band["of_positives"]),
        }
        for band in curve.bands(levels)
    ]


def _lows(thresholds: Thresholds) -> dict[str, float]:
    """Where each band but the lowest begins."""
    return {level: getattr(thresholds, level.lower()) for level in ("CRITICAL", "HIGH", "MEDIUM")}


def _band_begins(curve: Curve, risk: float) -> str:
    return ABOVE_ALL if risk > 1.0 else _told(curve, risk)


def _left_out(dataset: Dataset, currency: str) -> str:
    """What costs do not know of the events that a version came from."""
    count = dataset.detail.get("other_currency", 0)
    if not count:
        return ""
    told = (
        f"The amounts of {count:,} of the {dataset.rows:,} events it came from are in another "
        f"currency than {currency}: nothing is converted, and costs count them as unknown."
    )
    if count < dataset.rows:
        return told
    return f"{told} Declare event.currency.default, if another one is the detector's own."


def _asked(known: Known, form: ThresholdForm | None) -> Thresholds | None:
    """The thresholds of a bound form whose two are right; what else it holds may be wrong."""
    if form is None or not form.is_bound:
        return None
    if form.errors.keys() & {"review", "block", NON_FIELD_ERRORS}:
        return None
    try:
        return check_thresholds(known.thresholds, **form.wanted())
    except MoveRefused as problem:
        form.add_error(problem.field or None, str(problem))
        return None


def _outcome(name: str, at: AtThresholds, curve: Curve, currency: str) -> Outcome:
    low, high = at.recall_interval
    above = at.alerts_a_day - curve.capacity_a_day
    return Outcome(
        name=name,
        review=ABOVE_ALL if at.review > 1.0 else _told(curve, at.review),
        block="never" if at.block > 1.0 else _told(curve, at.block),
        alerts=per_day(at.alerts_a_day),
        precision=share(at.precision),
        recall=share(at.recall),
        interval="" if at.recall is None else f"{share(low)} to {share(high)}",
        cost=per_thousand(at.cost, currency),
        above="" if curve.is_within_capacity(at) else per_day(above),
    )


def _told(curve: Curve, risk: float) -> str:
    """A threshold in full where that is short, else with the decimals that flag the same events."""
    full, text = in_full(risk), threshold(risk)
    if len(full) <= SHORT:
        return full
    for places in range(len(text), MOST_PLACES):
        if curve.flags_the_same(float(text), risk):
            return text
        text = f"{half_up(risk):.{places - 1}f}"
    return full


def _cheapest(curve: Curve, best: AtThresholds, block: float, currency: str) -> tuple[Outcome, str]:
    """The cheapest as a row, and what the row does not say: how to have it, or why it is so many.

    `block` is where blocks begin now.
    """
    row = _outcome(cheapest_name(curve, best), best, curve, currency)
    if best.alerts_a_day > 0.0:
        row = replace(row, review=in_full(best.review), use=preview_query(best.review, block))
        return row, "" if curve.is_within_capacity(best) else TIED
    row = replace(row, review=ABOVE_ALL, block=row.block if block > best.review else ABOVE_ALL)
    if best.review > 1.0:
        return row, f"{NOTHING} No threshold that can be published does so: some have a risk of 1."
    above = _just_above(best.review)
    both = "Review" if block >= above else "Review and block"
    told = f"{NOTHING} {both} from {threshold(above)} would have flagged none of them."
    return replace(row, use=preview_query(above, block)), told


def _just_above(risk: float) -> float:
    """The next threshold that people would type in, not below `risk` and not above 1."""
    text = threshold(max(risk, TINY))
    unit = 10.0 ** -len(text.partition(".")[2])
    said = float(text)
    above = said if said >= risk else said + unit
    return min(float(threshold(above)), 1.0)


def judged(evaluation: Evaluation, version: ModelVersion, *, currency: str) -> Judged:
    """An evaluation beside what was known when the version was trained."""
    metrics = evaluation.metrics
    if evaluation.kind == Evaluation.Kind.FOLDS:
        spans = [
            FoldSpan(
                datetime.fromtimestamp(fold["test_start"], UTC), fold.get("chose_parameters", False)
            )
            for fold in metrics["folds"]
        ]
        return Judged(evaluation, folds=fold_lines(metrics, currency=currency), spans=spans)
    return Judged(
        evaluation,
        lines=lines_of(metrics, version.metrics, currency=currency),
        audited=audited_words(metrics.get("audited") or {}),
        compared=_compared(metrics, version),
        few=too_few_for(metrics),
    )


def _compared(metrics: Mapping[str, Any], version: ModelVersion) -> str:
    """What it found beside the champion of then, or why it did not; empty where there was none."""
    found = metrics.get("comparison")
    if not found:
        return metrics.get("not_compared", "")
    said = headline_of(found, version.label, metrics["compared_with"])
    return f"On {found['rows']:,} of these events, new to both: {said}"


def audited_words(found: Mapping[str, Any]) -> dict[str, Any]:
    """What the random audit says, as text; empty without one."""
    if not found:
        return {}
    lines = []
    for name, title in (
        ("recall", "Recall"),
        ("precision", "Precision"),
        ("prevalence", "Share of bad events"),
    ):
        part = found.get(name)
        if part and part["value"] is not None:
            span = f"{share(part['low'])} to {share(part['high'])}"
            lines.append({"name": title, "value": share(part["value"]), "interval": span})
    return {
        "lines": lines,
        "naive": share(found["naive_recall"]),
        "audited": found["audited"],
        "drawn": found["drawn"],
        "positives": found["audited_positives"],
        "answered": share(found["answered"]),
        "effective": UNKNOWN
        if found["effective_size"] is None
        else f"{half_up(found['effective_size']):,.0f}",
    }


def moment(text: str | None) -> datetime | None:
    """A stored time."""
    return datetime.fromisoformat(text) if text else None
