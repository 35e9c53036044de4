"""What the numbers of a version mean, in words: is it better, by how much, is that sure?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from accounts import quantities
from models_registry.core.comparison import FORMER_LEAST_POSITIVES, could_decide
from models_registry.core.kept_metrics import as_told
from models_registry.models import ModelVersion

EVENTS = 1000
"""Costs are told per this many events: per event they are fractions of a cent."""
MINUS = "\N{MINUS SIGN}"
NARROW = "\N{NARROW NO-BREAK SPACE}"
UNKNOWN = "\N{EN DASH}"
CALIBRATIONS = {
    "platt": "Platt scaling",
    "isotonic": "Isotonic regression",
    "none": "Not calibrated",
}
HEADLINES = {
    ("better", "better"): "{this} is better than {that}, and its decisions cost less.",
    ("better", "undecided"): "{this} is better than {that}; that it costs less is not sure.",
    ("better", "worse"): "{this} ranks better than {that}, but its decisions cost more.",
    ("better", ""): "{this} is better than {that}.",
    ("undecided", "better"): "{this} costs less than {that}; that it ranks better is not sure.",
    ("undecided", "undecided"): "{this} is not surely better or worse than {that}.",
    ("undecided", "worse"): "{this} costs more than {that}, and ranks no better for sure.",
    ("undecided", ""): "{this} is not surely better or worse than {that}.",
    ("worse", "better"): "{this} ranks worse than {that}, though its decisions cost less.",
    ("worse", "undecided"): "{this} is worse than {that}.",
    ("worse", "worse"): "{this} is worse than {that}, and its decisions cost more.",
    ("worse", ""): "{this} is worse than {that}.",
}
LUCK = "The difference may be luck: wait for more labels, or decide on other grounds."
ALIKE = "Both do equally well in every draw: labels of such events will not tell them apart."
KEEP = "Keep the champion."
MIXED = "Better in one way and surely worse in another: decide which of the two counts."
ADVICE = {
    ("better", "better"): "Promoting it is well founded.",
    ("better", "undecided"): "Promoting it is well founded by its ranking.",
    ("better", "worse"): MIXED,
    ("better", ""): "Promoting it is well founded.",
    ("undecided", "better"): "Promoting it is well founded by its cost.",
    ("undecided", "undecided"): LUCK,
    ("undecided", "worse"): KEEP,
    ("undecided", ""): LUCK,
    ("worse", "better"): MIXED,
    ("worse", "undecided"): KEEP,
    ("worse", "worse"): KEEP,
    ("worse", ""): KEEP,
}
"""By what is sure of ranking and cost; what backs a promotion is `evidence.evidence_for`."""
MOVED = {
    "better": "{this} is {that} with its thresholds moved: its decisions cost less.",
    "undecided": "{this} is {that} with its thresholds moved; that it costs less or more is not "
    "sure.",
    "worse": "{this} is {that} with its thresholds moved: its decisions cost more.",
    "": "{this} is {that} with its thresholds moved.",
}

BLOCKS = {"event": "events", "entity": "entities", "day of an entity": "days of an entity"}
"""What a comparison draws together (`core.resampling.Blocks`), when there are several."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`headline` first, then `evidence` sentence by sentence, then `warnings`."""

    headline: str
    evidence: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def verdict_of(version: ModelVersion, *, rival: str, currency: str) -> Verdict:
    """The verdict on a version; `rival` is the label of the champion that it was compared with."""
    found: Mapping[str, Any] = version.comparison
    if version.metrics.get("moved_from"):
        return _moved_version(version, currency)
    if not found:
        return _without_comparison(version)
    precision, cost, level = found["average_precision"], found["cost"], level_of(found)
    cheaper = found["cheaper"] if cost else ""
    evidence = [
        f"Average precision {ratio(precision['candidate'])}, {rival} has "
        f"{ratio(precision['champion'])}: {signed(precision['difference'])}, {level} interval "
        f"{signed(precision['low'])} to {signed(precision['high'])}."
    ]
    if cost:
        evidence.append(_cost_sentence(cost, rival, currency, level))
    evidence.append(_judged_sentence(version, found))
    warnings = _too_few(found)
    if found.get("champion_saw_test_rows"):
        warnings.append(
            f"{rival} learnt from some of these events, which flatters it: on events new to both, "
            f"{version.label} would compare better than it does here."
        )
    if version.stage == ModelVersion.Stage.CHALLENGER:
        evidence.append(ALIKE if _is_alike(found) else ADVICE[found["verdict"], cheaper])
    return Verdict(headline_of(found, version.label, rival), tuple(evidence), tuple(warnings))


def _is_alike(found: Mapping[str, Any]) -> bool:
    """Whether no draw of a comparison that could decide found any difference."""
    told = [part for part in (found["average_precision"], found["cost"]) if part]
    differences = [part[name] for part in told for name in ("difference", "low", "high")]
    return could_decide(found) and not any(differences) and None not in differences


def headline_of(found: Mapping[str, Any], this: str, that: str) -> str:
    """What a comparison found of two versions, by their labels."""
    cheaper = found["cheaper"] if found["cost"] else ""
    return HEADLINES[found["verdict"], cheaper].format(this=this, that=that)


def _moved_version(version: ModelVersion, currency: str) -> Verdict:
    """It ranks events exactly as the version that it came from: what it costs and how much it
    flags tell them apart."""
    metrics, found = version.metrics, version.comparison
    base = metrics["moved_from"]
    cost = found.get("cost") if found else None
    headline = MOVED[found["cheaper"] if cost else ""].format(this=version.label, that=base)
    evidence = [_cost_sentence(cost, base, currency, level_of(found))] if cost else []
    before, now = as_told(metrics.get("before_move") or {}), as_told(metrics)
    if before.get("alert_rate") is not None:
        evidence.append(
            f"It flags {share(now.get('alert_rate'))} of the events, {base} "
            f"{share(before['alert_rate'])}; recall {share(now.get('recall'))}, before "
            f"{share(before['recall'])}; precision {share(now.get('precision'))}, before "
            f"{share(before['precision'])}."
        )
    if before.get("cost_per_event") is not None and not cost:
        evidence.append(
            f"Its decisions cost {per_thousand(now.get('cost_per_event'), currency)} per "
            f"{EVENTS:,} events, those of {base} "
            f"{per_thousand(before['cost_per_event'], currency)}; how sure that is comes with its "
            "evaluation as of today."
        )
    evidence.append(f"It ranks events exactly as {base} does: the model is the same.")
    return Verdict(headline, tuple(evidence), tuple(_too_few(found)))


def _too_few(found: Mapping[str, Any]) -> list[str]:
    """Why a comparison could decide nothing; empty where it could, and where there was none."""
    if not found or could_decide(found):
        return []
    least = found.get("least_positives", FORMER_LEAST_POSITIVES)
    if found["positives"] < least:
        return [
            f"Only {found['positives']} positives were known among these events: too few to tell "
            "models apart. Label more, then evaluate as of today or train again."
        ]
    legitimate = found["rows"] - found["positives"]
    if legitimate < least:
        return [
            f"Only {legitimate} legitimate events were known among these: too few to tell what "
            "false alarms cost. Label legitimate events too, then evaluate as of today or train "
            "again."
        ]
    return [
        f"The {found['positives']} positives lie together: they tell no more than "
        f"{found['blocks']:.1f} {BLOCKS[found['unit']]} with as many each, and fewer than "
        f"{found['least_blocks']} cannot tell models apart. Wait for others, then evaluate as of "
        "today or train again."
    ]


def _without_comparison(version: ModelVersion) -> Verdict:
    rows, positives = version.metrics.get("rows", 0), version.metrics.get("positives", 0)
    precision = as_told(version.metrics).get("average_precision")
    problem = version.metrics.get("not_compared")
    return Verdict(
        f"{version.label} could not be compared with the champion of its day: {problem}"
        if problem
        else f"{version.label} had no champion to be compared with.",
        (
            f"Average precision {ratio(precision)} on {rows:,} "
            f"events ({positives:,} positive) that it had not learnt from.",
        ),
    )


def level_of(found: Mapping[str, Any]) -> str:
    """Of the intervals of a comparison: versions of before were compared at 95 %."""
    return f"{100 * found.get('level', 0.95):g}{NARROW}%"


def _judged_sentence(version: ModelVersion, found: Mapping[str, Any]) -> str:
    both = f"Both judged the same {found['rows']:,} events ({found['positives']:,} positive), "
    if known_at := found.get("known_at"):
        return f"{both}new to both, with the labels known on {known_at[:10]}."
    return f"{both}from which {version.label} learnt nothing."


def _cost_sentence(cost: Mapping[str, float], rival: str, currency: str, level: str) -> str:
    return (
        f"Its decisions cost {per_thousand(cost['candidate'], currency)} per {EVENTS:,} events, "
        f"those of {rival} {per_thousand(cost['champion'], currency)}: "
        f"{more_or_less(cost['difference'], currency)}, {level} interval "
        f"{more_or_less(cost['low'], currency)} to {more_or_less(cost['high'], currency)}."
    )


def more_or_less(value: float | None, currency: str) -> str:
    """A difference of costs per event, per thousand events, in words."""
    if value is None:
        return "unknown"
    size = per_thousand(abs(value), currency)
    if size == per_thousand(0.0, currency):
        return size
    return f"{size} {'more' if value > 0 else 'less'}"


def ratio(value: float | None) -> str:
    """Three decimals, as in the literature."""
    return UNKNOWN if value is None else f"{quantities.half_up(value):.3f}"


def signed(value: float | None) -> str:
    """A difference of two ratios, always with its sign."""
    return UNKNOWN if value is None else quantities.signed(value, 3)


def share(value: float | None) -> str:
    """A share as a percentage."""
    if value is None:
        return UNKNOWN
    return f"{quantities.in_hundred(value):.1f}{NARROW}%".replace("-", MINUS)


def points(value: float | None) -> str:
    """A difference of two shares, in percentage points, always with its sign."""
    return UNKNOWN if value is None else f"{quantities.signed(100 * value, 1)} points"


def alike(agreed: int, rows: int) -> str:
    """A share of decisions that were the same; never 100 % where some were not."""
    if agreed < rows and agreed >= 0.999 * rows:
        return f"all but {rows - agreed:,} of {rows:,}"
    return f"{share(agreed / rows if rows else None)} of {rows:,}"


def small(value: float | None) -> str:
    """Four decimals, for errors of probabilities."""
    return UNKNOWN if value is None else f"{quantities.half_up(value):.4f}"


def setting(value: Any) -> str:
    """A learner's parameter; what it is made of by name: `n_trees 300, column_share 0.35`."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {setting(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(map(setting, value))
    if isinstance(value, float):
        return quantities.written(value, 6)
    return "none" if value is None else str(value)


def per_thousand(value: float | None, currency: str) -> str:
    """Money per event as money per thousand events."""
    if value is None:
        return UNKNOWN
    return quantities.money(value * EVENTS, currency)


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric of a version beside another's; `change`, `interval` where both saw equal rows."""

    name: str
    meaning: str
    this: str
    other: str
    change: str = ""
    interval: str = ""
    better: bool | None = None


def same_events_rows(version: ModelVersion, *, currency: str) -> list[MetricRow]:
    """What was measured on the same events for both: average precision and cost."""
    found = version.comparison
    if not found:
        return []
    precision, cost = found["average_precision"], found["cost"]
    is_moved = bool(version.metrics.get("moved_from"))
    # One model ranks as itself: nothing is to be told of that.
    rows = (
        []
        if is_moved
        else [
            MetricRow(
                "Average precision",
                "higher is better",
                ratio(precision["candidate"]),
                ratio(precision["champion"]),
                signed(precision["difference"]),
                f"{signed(precision['low'])} to {signed(precision['high'])}",
                sure_of(found["verdict"]),
            )
        ]
    )
    if cost:
        rows.append(
            MetricRow(
                f"Cost per {EVENTS:,} events",
                "lower is better",
                per_thousand(cost["candidate"], currency),
                per_thousand(cost["champion"], currency),
                more_or_less(cost["difference"], currency),
                f"{more_or_less(cost['low'], currency)} to {more_or_less(cost['high'], currency)}",
                sure_of(found["cheaper"]),
            )
        )
    return rows


def sure_of(verdict: str) -> bool | None:
    """Whether a version is better, or None where the difference may be luck."""
    return None if verdict == "undecided" else verdict == "better"
