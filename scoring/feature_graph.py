"""Where each feature comes from and how it reaches the model, as a drawing: event fields ->
transformations -> features -> what is done before the model.

Only places and texts are worked out here; templates/scoring/detector_graph.html draws them. One
lane for each transformation keeps it readable however many features there are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scoring.core.aggregates import RISKS
from scoring.core.reasons import duration
from scoring.core.schema import key_text
from scoring.core.spec import DetectorSpec
from scoring.core.transformations import SMOOTHING, FeatureSpec, Preparation

MOST_FEATURES = 6
"""Features drawn of one transformation; the table names them all."""
ROW, GAP, HEAD = 20, 14, 34
FIELD_X, FIELD_WIDTH = 0, 160
STEP_X, STEP_WIDTH = 220, 190
FEATURE_X, BAR_X, BAR_WIDTH = 456, 686, 48
SHARE_X = BAR_X + BAR_WIDTH + 44
"""Where the shares end, right-aligned."""
PREPARATION_X, PREPARATION_WIDTH, PREPARATION_HEIGHT = 824, 186, 44
LONGEST = 32
"""Letters of a feature's name; the table has it whole."""
LONGEST_DETAIL = 28
WORDS = {
    "numeric": "as sent",
    "category": "category",
    "calendar": "calendar",
    "cyclic_time": "time as a circle",
    "time_window_aggregation": "time windows",
    "ratio_to_mean": "ratio to the mean",
    "deviation_from_mean": "deviation from the mean",
    "peak_to_mean": "peak against the mean",
    "time_since_last": "time since the last",
    "velocity": "velocity",
    "label_risk": "known fraud",
    "imputation": "as sent",
    "scaling": "as sent",
    "encoding": "category",
}
LABELS, CLOCK = "labels", "event time"


@dataclass(frozen=True, slots=True)
class FieldNode:
    """What a transformation reads; `kind` is field, key, clock or labels."""

    name: str
    kind: str
    y: int


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One feature. `bar` is its width in the drawing, `share` its part of all contributions; both
    are empty where nothing is known of it."""

    name: str
    text: str
    y: int
    share: str
    bar: str


@dataclass(frozen=True, slots=True)
class StepNode:
    """One transformation with its features; `curves` lead to it from what it reads, `onward` to
    what is done with its features before the model."""

    title: str
    detail: str
    y: int
    middle: int
    height: int
    rows: tuple[FeatureRow, ...]
    more: str
    more_y: int
    curves: tuple[str, ...]
    onward: tuple[str, ...]
    bracket: str


@dataclass(frozen=True, slots=True)
class PreparationNode:
    """One imputation, scaling or encoding, around the height `y`; `detail`: of which features, and
    with what settings."""

    title: str
    detail: str
    y: int


@dataclass(frozen=True, slots=True)
class FeatureGraph:
    """The drawing; sizes in pixels. `prepared` says in words what is done before the model."""

    width: int
    height: int
    fields: tuple[FieldNode, ...]
    steps: tuple[StepNode, ...]
    has_shares: bool
    preparations: tuple[PreparationNode, ...] = ()
    prepared: tuple[str, ...] = ()


def feature_graph(
    spec: DetectorSpec, config: Mapping[str, Any], importance: Mapping[str, float]
) -> FeatureGraph:
    """Lay out the features of `spec`, declared as `config`; `importance` by name may be empty."""
    declared = config.get("features", {}).get("transformations", [])
    groups: dict[int, list[FeatureSpec]] = {}
    for feature in spec.features:
        groups.setdefault(feature.step, []).append(feature)
    reads = {step: _reads(spec, own) for step, own in groups.items()}
    lanes: list[tuple[int, list[FeatureSpec], int, int]] = []
    y = HEAD
    for step, own in groups.items():
        lines = min(len(own), MOST_FEATURES) + (len(own) > MOST_FEATURES)
        height = max(lines * ROW, 2 * ROW) + 8
        lanes.append((step, own, y, height))
        y += height + GAP
    fields = _fields(reads, y - GAP - HEAD)
    at = {node.name: node.y for node in fields}
    prepared = _prepared(spec, declared)
    nodes = _preparations(prepared, y - GAP - HEAD)
    steps = []
    for step, own, top, height in lanes:
        kind = str(declared[step].get("type")) if step < len(declared) else own[0].kind
        read_at = [at[name] for name in reads[step]]
        names = {feature.name for feature in own}
        done = zip(nodes, prepared.values(), strict=True)
        led_to = [node.y for node, of in done if not names.isdisjoint(of)]
        steps.append(_step(kind, own, top, height, read_at, led_to, importance))
    ends = [node.y + PREPARATION_HEIGHT // 2 + GAP for node in nodes]
    return FeatureGraph(
        width=PREPARATION_X + PREPARATION_WIDTH if nodes else SHARE_X,
        height=max([y, *(node.y + ROW for node in fields), *ends]),
        fields=fields,
        steps=tuple(steps),
        has_shares=bool(importance),
        preparations=nodes,
        prepared=_in_words(prepared),
    )


def _step(
    kind: str,
    own: Sequence[FeatureSpec],
    top: int,
    height: int,
    read_at: Sequence[int],
    led_to: Sequence[int],
    importance: Mapping[str, float],
) -> StepNode:
    """A transformation with its features, in a lane from `top`; `read_at`: where its fields are,
    `led_to`: where that is which is done with its features."""
    middle = top + height // 2
    total = sum(importance.values()) or 1.0
    largest = max(importance.values(), default=0.0) or 1.0
    ranked = sorted(own, key=lambda f: -importance.get(f.name, 0.0))[:MOST_FEATURES]
    rows = tuple(
        _row(f, top + 4 + i * ROW, importance, total, largest) for i, f in enumerate(ranked)
    )
    more = len(own) - len(rows)
    end = SHARE_X if importance else BAR_X
    return StepNode(
        title=WORDS.get(kind, kind),
        detail=_detail(own),
        y=top,
        middle=middle,
        height=height,
        rows=rows,
        more=f"and {more} more" if more > 0 else "",
        more_y=top + 4 + len(rows) * ROW + ROW // 2,
        curves=tuple(_curve(FIELD_X + FIELD_WIDTH, y, STEP_X, middle) for y in read_at),
        onward=tuple(_curve(end + 6, middle, PREPARATION_X, y) for y in led_to),
        bracket=f"M {STEP_X + STEP_WIDTH} {middle} H {FEATURE_X - 24}"
        f" M {FEATURE_X - 14} {top} h -10 v {height} h 10",
    )


def _reads(spec: DetectorSpec, features: Sequence[FeatureSpec]) -> dict[str, str]:
    """Name and kind of what a transformation reads."""
    found: dict[str, str] = {}
    for feature in features:
        if feature.entity:
            found.setdefault(feature.entity, "key")
        if feature.kind == "calendar":
            found.setdefault(spec.time_field or CLOCK, "clock")
        elif feature.field:
            found.setdefault(feature.field, "field")
        if feature.kind in RISKS:
            found.setdefault(LABELS, "labels")
    return found


def _fields(reads: Mapping[int, Mapping[str, str]], height: int) -> tuple[FieldNode, ...]:
    """Nodes at the left, spread over the height, in the order in which they are first read."""
    kinds: dict[str, str] = {}
    for own in reads.values():
        for name, kind in own.items():
            # A field that is a key anywhere is shown as one.
            kinds[name] = "key" if "key" in (kind, kinds.get(name)) else kind
    pitch = max(height / max(len(kinds), 1), ROW + 6)
    return tuple(
        FieldNode(name, kind, round(HEAD + pitch * (i + 0.5)))
        for i, (name, kind) in enumerate(kinds.items())
    )


def _row(
    feature: FeatureSpec, top: int, importance: Mapping[str, float], total: float, largest: float
) -> FeatureRow:
    weight = importance.get(feature.name)
    name = feature.name
    text = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
    if weight is None:
        return FeatureRow(name, text, top + ROW // 2, "", "")
    part = 100.0 * weight / total
    share = "< 1 %" if part < 1.0 else f"{part:.0f} %"
    bar = f"{max(BAR_WIDTH * weight / largest, 1.0):.1f}"
    return FeatureRow(name, text, top + ROW // 2, share, bar)


def _curve(left: int, from_y: int, right: int, to_y: int) -> str:
    middle = (left + right) // 2
    return f"M {left} {from_y} C {middle} {from_y}, {middle} {to_y}, {right} {to_y}"


def _detail(features: Sequence[FeatureSpec]) -> str:
    keys = list(dict.fromkeys(f.entity for f in features if f.entity))
    count = f"{len(features)} feature{'s' if len(features) > 1 else ''}"
    return f"{count} by {', '.join(keys)}" if keys else count


def _prepared(
    spec: DetectorSpec, declared: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], list[str]]:
    """What the declaration asks to be done between the vector and the model, with its settings, of
    which features."""
    said: dict[tuple[str, str], list[str]] = {}
    for feature in spec.features:
        how = feature.prepared
        if how.impute:
            value = f" {key_text(how.fill)}" if how.impute == "constant" else ""
            word = how.impute.replace("_", " ")
            said.setdefault((f"{word}{value} where missing", ""), []).append(feature.name)
        if how.log:
            said.setdefault(("log scale", ""), []).append(feature.name)
        if how.scale != "none" or _asked(declared, "scaling", "none", feature):
            word = how.scale.replace("_", "-").replace("none", "no")
            said.setdefault((f"{word} scaling", ""), []).append(feature.name)
        if feature.kind == "category" and (
            how.encode != "both" or _asked(declared, "encoding", "both", feature)
        ):
            word = how.encode.replace("_", "-").replace("both", "one-hot and frequency")
            said.setdefault((f"{word} encoding", _settings(how)), []).append(feature.name)
    return said


def _asked(
    declared: Sequence[Mapping[str, Any]], kind: str, method: str, feature: FeatureSpec
) -> bool:
    """Whether a step says by name what would be done without it too, and counts."""
    if (feature.kind == "category") != (kind == "encoding"):
        return False
    steps = [step.get("config", {}) for step in declared if step.get("type") == kind]
    own = [step for step in steps if feature.name in (step.get("fields") or [feature.name])]
    return bool(own) and own[-1].get("method") == method


def _settings(how: Preparation) -> str:
    """What a target encoding is fitted with, where the declaration says otherwise than usual."""
    if how.encode != "target":
        return ""
    found = [] if how.smoothing == SMOOTHING else [f"smoothing {how.smoothing:g}"]
    found += [] if how.delay is None else [f"delay {duration(how.delay)}"]
    return ", ".join(found)


def _preparations(
    prepared: Mapping[tuple[str, str], Sequence[str]], height: int
) -> tuple[PreparationNode, ...]:
    """Nodes at the right, spread over the height."""
    pitch = max(height / max(len(prepared), 1), PREPARATION_HEIGHT + GAP)
    return tuple(
        PreparationNode(
            what, ", ".join(filter(None, (_of(names), settings))), round(HEAD + pitch * (i + 0.5))
        )
        for i, ((what, settings), names) in enumerate(prepared.items())
    )


def _of(names: Sequence[str]) -> str:
    """The only feature, or how many."""
    if len(names) == 1 and len(names[0]) <= LONGEST_DETAIL:
        return names[0]
    return f"{len(names)} feature{'s' if len(names) > 1 else ''}"


def _in_words(prepared: Mapping[tuple[str, str], Sequence[str]]) -> tuple[str, ...]:
    return tuple(
        f"{', '.join(filter(None, said))}"
        f" ({', '.join(names) if len(names) <= 4 else f'{len(names)} features'})"
        for said, names in prepared.items()
    )
