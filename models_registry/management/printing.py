"""What commands print for people: aligned columns, metrics with their intervals, a model card."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from models_registry.metric_rows import FoldLine, lines_of, too_few_for
from models_registry.presenting_card import card_lines, made_with
from models_registry.verdicts import NARROW, UNKNOWN

Pairs = Sequence[tuple[str, str]]


def aligned(rows: Sequence[Sequence[str]], *, indent: str = "") -> list[str]:
    """Rows of equally many cells as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
        .rstrip()
        for row in rows
    ]  # fmt: skip


def file_problem(problem: OSError) -> str:
    """What the system says of a file, without the number: `/x.zip: No such file or directory.`"""
    place = f"{problem.filename}: " if problem.filename else ""
    return f"{place}{problem.strerror or problem}."


def metric_table(found: Mapping[str, Any], *, currency: str) -> list[str]:
    """Stored metrics as lines: name, value with its ceiling, 95 % interval; then why some are
    missing."""
    lines = lines_of(found, {}, currency=currency)
    head = ("METRIC", "VALUE", f"95{NARROW}% INTERVAL")
    told = [
        (line.name, f"{line.this} {line.ceiling}".rstrip(), line.interval or UNKNOWN)
        for line in lines
    ]
    few = too_few_for(found)
    return [*aligned([head, *told], indent="  "), *([few] if few else [])]


def fold_table(lines: Sequence[FoldLine]) -> list[str]:
    """The metrics of an evaluation over time as lines: name, mean and spread over its folds."""
    told = [(line.name, line.mean, line.spread) for line in lines]
    return aligned([("METRIC", "MEAN", "STANDARD DEVIATION"), *told], indent="  ")


def judged_on(evaluation: Mapping[str, Any]) -> str:
    """The head of a metric table: the events (`rows`), and when their labels were known."""
    rows, positives = evaluation.get("rows"), evaluation.get("positives")
    at = evaluation.get("known_at")
    known = f"{_moment(datetime.fromisoformat(at))} UTC" if at else UNKNOWN
    return (
        f"Judged on {_count(rows)} unseen events, {_count(positives)} positive, labels as known "
        f"at {known}:"
    )


def learnt_from(card: Mapping[str, Any]) -> list[str]:
    """Data and parameters of a card (`card.model_card`) as lines."""
    data = card["data"]
    first, last = _moment(data["first_event_at"]), _moment(data["last_event_at"])
    facts = [
        (
            "Events",
            f"{_count(data['events'])}, {_count(data['positives'])} positive, "
            f"{_count(data['labelled'])} labelled",
        ),
        ("Span", f"{first} to {last} UTC"),
        ("Labels known at", f"{_moment(data['labels_known_at'])} UTC"),
        ("Features", f"{len(data['features'])}: {', '.join(data['features'])}"),
        ("Digest", data["digest"]),
    ]
    return [*_part("Data", facts), *_part("Parameters", made_with(card))]


def card_text(card: Mapping[str, Any]) -> list[str]:
    """A model card as lines; what its page shows beyond them stands in its JSON."""
    people, detector = card["people"], card["detector"]
    currency = detector["currency"] or ""
    shown = card_lines(dict(card), currency=currency)
    by = people["trained_by"] or f"another platform, imported by {people['imported_by'] or UNKNOWN}"
    facts = [
        ("Bundle", card["bundle_digest"]),
        ("Fault", card["bundle_fault"]),
        ("Detector", f"{detector['name']} ({detector['slug']})"),
        ("Purpose", detector["purpose"] or UNKNOWN),
        ("Learner", card["learner"]),
        ("Trained", f"{_moment(people['trained_at'])} UTC by {by}"),
        ("Origin", card["origin"] or UNKNOWN),
        ("Parent", card["parent"] or UNKNOWN),
    ]
    calibration = f"Thresholds (calibration: {shown.calibration})"
    evaluation = card["evaluation"]
    counted = {"rows": evaluation["events"], "positives": evaluation["positives"]}
    return [
        f"{card['version']}, {card['stage']}",
        *aligned([pair for pair in facts if pair[1]], indent="  "),
        *learnt_from(card),
        judged_on(evaluation | counted),
        *metric_table(evaluation["metrics"] | counted, currency=currency),
        *_part(calibration, [*shown.thresholds, *([("Moved", shown.moved)] * bool(shown.moved))]),
        "Limitations:",
        *(f"  {sentence}" for sentence in card["limitations"]),
        f"Unknown: {', '.join(card['unknown']) or 'nothing'}",
    ]


def _part(title: str, pairs: Pairs) -> list[str]:
    return [f"{title}:", *(aligned(pairs, indent="  ") or [f"  {UNKNOWN}"])]


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def _count(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"
