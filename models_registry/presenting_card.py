"""A model card's numbers as text, for its page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.quantities import threshold
from models_registry.metric_rows import ceiling_of, span_of, told_metrics, too_few_for
from models_registry.models import PromotionDecision
from models_registry.rare_class import own_parameters, rare_class_words
from models_registry.verdicts import (
    CALIBRATIONS,
    EVENTS,
    UNKNOWN,
    per_thousand,
    ratio,
    setting,
    share,
)


@dataclass(frozen=True, slots=True)
class CardMetric:
    """One metric with its 95 % interval and what no ranking is above, where known."""

    name: str
    meaning: str
    value: str
    interval: str
    ceiling: str


@dataclass(frozen=True, slots=True)
class GroupLine:
    """One level of a categorical feature."""

    level: str
    rows: int
    positives: int
    alert_rate: str
    precision: str
    recall: str
    average_precision: str


@dataclass(frozen=True, slots=True)
class CardLines:
    """What the page shows of a card beside its texts; `few`: why numbers or intervals lack."""

    made_with: Sequence[tuple[str, str]]
    metrics: Sequence[CardMetric]
    few: str
    known_at: datetime | None
    subgroups: Sequence[tuple[str, Sequence[GroupLine]]]
    label_delay: str
    strongest: str
    decisions: Sequence[tuple[str, dict[str, Any]]]
    thresholds: Sequence[tuple[str, str]]
    calibration: str
    moved: str
    capacity: str
    loss_share: str


def card_lines(card: dict[str, Any], *, currency: str) -> CardLines:
    """The numbers of `card.model_card` as text."""
    policy, judged = card["label_policy"], card["evaluation"]
    known_at = judged["known_at"]
    counted = {"rows": judged["events"], "positives": judged["positives"]}
    return CardLines(
        made_with=made_with(card),
        metrics=_metrics(judged["metrics"], currency),
        few=too_few_for(judged["metrics"] | counted),
        known_at=datetime.fromisoformat(known_at) if known_at else None,
        subgroups=[
            (part["feature"], [_group(group) for group in part["groups"]])
            for part in card["subgroups"]
        ],
        label_delay=UNKNOWN if policy is None else f"{policy['label_delay_seconds'] / 86400:g}",
        strongest=", ".join(
            row["feature"] for row in (card["explanation"]["global"] or {}).get("features", [])[:5]
        ),
        decisions=[(_act(act, card["version"]), act) for act in card["people"]["decisions"]],
        thresholds=[
            (name.capitalize(), threshold(value))
            for name, value in (card["thresholds"] or {}).items()
        ],
        calibration=CALIBRATIONS.get(card["calibration"], card["calibration"] or "Not recorded"),
        moved=_moved(card["thresholds_moved"]),
        capacity=share((card["costs"] or {}).get("capacity")),
        loss_share=share((card["costs"] or {}).get("loss_share")),
    )


def made_with(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The learner's own parameters of a card, and what was done about its rare class, in words."""
    counts = {
        part["name"]: {name: part[name] for name in ("events", "positives")}
        for part in card["data"]["parts"]
        if part["events"] is not None
    }
    own = own_parameters(card["parameters"])
    rare = rare_class_words(card["learner"], card["parameters"], counts.get("training"))
    return [*((name, setting(value)) for name, value in own.items()), ("Rare class", rare)]


def _moved(move: dict[str, Any] | None) -> str:
    if move is None:
        return ""
    (review, review_now), (block, block_now) = move["review"], move["block"]
    return (
        f"Moved from {move['from']} by {move['by']} on {move['at']:%Y-%m-%d}: review from "
        f"{threshold(review_now)} (before {threshold(review)}), block from {threshold(block_now)} "
        f"(before {threshold(block)}). {move['reason']}"
    )


def _act(act: dict[str, Any], label: str) -> str:
    """What a decision did to the version of this label."""
    if act["action"] != PromotionDecision.Action.ROLL_BACK:
        said = PromotionDecision.Action(act["action"]).label
        return f"{said} by override" if act["override"] else said
    if act["serves"] == label:
        return "Brought back by a roll-back"
    return f"Rolled back to {act['serves']}"


def _metrics(found: dict[str, Any], currency: str) -> list[CardMetric]:
    shown = [
        *told_metrics(found),
        (
            "cost_per_event",
            f"Cost per {EVENTS:,} events",
            "losses, reviews and wrong blocks, lower is better",
            lambda value: per_thousand(value, currency),
        ),
    ]
    return [
        CardMetric(
            name,
            meaning,
            show(found[key]),
            span_of(found, key, show) or UNKNOWN,
            ceiling_of(found, key, show),
        )
        for key, name, meaning, show in shown
        if key in found
    ]


def _group(group: dict[str, Any]) -> GroupLine:
    return GroupLine(
        level=group["level"],
        rows=group["rows"],
        positives=group["positives"],
        alert_rate=share(group["alert_rate"]),
        precision=share(group["precision"]),
        recall=share(group["recall"]),
        average_precision=ratio(group["average_precision"]),
    )
