"""What saving a declaration would do, told before it is done."""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from scoring import deployment
from scoring.core.bundle import Bundle, BundleError, compile_rules
from scoring.core.rule_values import never_carried
from scoring.core.spec import DetectorSpec, parse_spec
from scoring.core.types import Stage
from scoring.models import Deployment, Detector
from scoring.policies import DeclaredMove, declared_moves, is_declared
from scoring.policy_models import RuleVersion
from scoring.policy_store import absent_names
from scoring.rebuilding import keys_to_learn, scored_so_far
from scoring.yaml_writing import write_yaml

AROUND = 3
"""Lines that stay, shown around those that change."""
MOST_NAMES = 8
REWRITTEN = "It says the same in other words, order or comments: nothing else changes."
ROLES: Mapping[str, Callable[[DetectorSpec], object]] = {
    "id": lambda spec: spec.id_field,
    "time": lambda spec: (spec.time_field, spec.elapsed_field, spec.elapsed_since),
    "amount": lambda spec: spec.amount_field,
    "currency": lambda spec: (spec.currency_field, spec.currency),
    "entity": lambda spec: spec.entity_field,
    "personal data": lambda spec: frozenset(spec.pii_fields),
    "handling of undeclared fields": lambda spec: spec.drops_undeclared,
}
"""What a champion's own declaration says of an event, besides its fields and features."""


@dataclass(frozen=True, slots=True)
class DiffLine:
    """`kind` is `added`, `removed`, `same` or `gap`, which stands for lines left out."""

    kind: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """Lines that differ, and in sentences what follows from it. Without lines nothing changes."""

    lines: Sequence[DiffLine]
    effects: Sequence[str]


def preview_of(
    detector: Detector | None, config: Mapping[str, Any], before: str, text: str
) -> Preview:
    """What saving a checked declaration would do to the detector; None: it is a new one.

    `before`, `text`: the declaration as it was written, and as it is now.
    """
    if detector is None:
        spec = parse_spec(config)
        rules = [DeclaredMove(rule.code, None, None, rule) for rule in spec.rules]
        told = [_new(spec), *_rules(rules), *_constant(spec)]
        return Preview(diff_lines({}, config), told)
    if detector.config == config:
        lines = changed_lines(before.splitlines(), text.splitlines())
        return Preview(lines, [REWRITTEN] if lines else ())
    told = [*_effects(detector, config), *_constant(parse_spec(config))]
    return Preview(diff_lines(detector.config, config), told)


def diff_lines(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[DiffLine]:
    """Two declarations as they are written, line by line; of what stays only what is near."""
    return changed_lines(
        *([] if not told else write_yaml(told).splitlines() for told in (before, after))
    )


def changed_lines(old: Sequence[str], new: Sequence[str]) -> list[DiffLine]:
    """Two texts line by line; of what stays only what is near."""
    found: list[DiffLine] = []
    groups = difflib.SequenceMatcher(a=old, b=new).get_grouped_opcodes(AROUND)
    for group in groups:
        found += [DiffLine("gap")] if found else []
        for tag, i, j, k, m in group:
            if tag == "equal":
                found += [DiffLine("same", text) for text in old[i:j]]
                continue
            found += [DiffLine("removed", text) for text in old[i:j]]
            found += [DiffLine("added", text) for text in new[k:m]]
    return found


def _new(spec: DetectorSpec) -> str:
    return (
        f"A new detector, {spec.slug}: it scores events with its rules alone until a model is"
        " trained and promoted."
    )


def _effects(detector: Detector, config: Mapping[str, Any]) -> list[str]:
    spec = parse_spec(config)
    champion = Deployment.objects.filter(detector=detector, slot=Deployment.Slot.CHAMPION).first()
    try:
        before, _ = deployment.bundle_of(detector, champion)
    except BundleError:  # A declaration of an earlier release that this one does not read.
        return ["What stands cannot be read; this takes its place.", *_moves(detector, config)]
    after = deployment.rules_only(Detector(slug=detector.slug, config=dict(config)))
    if champion is None or champion.version == deployment.RULES_ONLY:
        told = ["No model serves: the next event is judged by this declaration."]
        moved = _moves(detector, config)
        return [*told, _windows(detector, before, after), *moved, *_lost(detector, after)]
    return [
        *_fit(champion.version, before, after),
        *_moves(detector, config),
        *_lost(detector, after),
        *_later(champion.version, before.spec, spec),
        *_unread(champion.version, before, spec),
    ]


def _windows(detector: Detector, before: Bundle, after: Bundle) -> str:
    """Which windows saving learns anew."""
    keys = keys_to_learn(before.plan, after.plan)
    if not keys:
        return "Its windows stay as they are."
    events = scored_so_far(detector)
    if not events:
        return f"Windows by {_named(keys)} are new; there is no event to learn them from yet."
    return (
        f"Windows by {_named(keys)} changed: all are learnt anew from its stored events"
        f" ({events:,} scored so far), and its scoring waits meanwhile."
    )


def misfit_of(detector: Detector, champion: Deployment | None) -> str:
    """What the champion does otherwise than the declaration in force says; empty where it fits, and
    where none serves."""
    if champion is None or champion.version == deployment.RULES_ONLY:
        return ""
    bundle, problem = deployment.bundle_of(detector, champion)
    if problem:
        return ""
    return " ".join(_misfit(champion.version, bundle, deployment.rules_only(detector)))


def _fit(version: str, before: Bundle, after: Bundle) -> list[str]:
    """Whether the champion still computes what the declaration says."""
    fits = f"The champion {version} still fits: fields and features are those it reads."
    return _misfit(version, before, after) or [fits]


def _misfit(version: str, before: Bundle, after: Bundle) -> list[str]:
    theirs, ours = (
        {feature.name: (feature.raw, feature.prepared) for feature in bundle.spec.features}
        for bundle in (before, after)
    )
    lacks = [name for name in ours if name not in theirs]
    keeps = [name for name in theirs if name not in ours]
    other = [name for name in ours if name in theirs and ours[name] != theirs[name]]
    fields = before.spec.schema != after.spec.schema
    roles = [name for name, of in ROLES.items() if of(before.spec) != of(after.spec)]
    if not (lacks or keeps or other or fields or roles):
        return []
    found = [
        f"The champion {version} no longer fits. It goes on with the fields and features that it"
        " was trained with, until a version that is trained on this declaration is promoted;"
        " windows that changed are learnt anew then."
    ]
    found += [f"It lacks {_named(lacks)}."] if lacks else []
    found += [f"It still reads {_named(keeps)}."] if keeps else []
    found += [f"It computes otherwise: {_named(other)}."] if other else []
    found += ["It still checks events against the fields of before."] if fields else []
    found += [f"It still takes the {_named(roles)} of before."] if roles else []
    return [*found, *_in_clear(before.spec, after.spec)]


def _in_clear(before: DetectorSpec, after: DetectorSpec) -> list[str]:
    """What a champion of the declaration `before` keeps in clear, and `after` would not."""
    clear = sorted(after.pii_fields - before.pii_fields)
    if after.drops_undeclared and not before.drops_undeclared:
        clear += ["what it does not declare"]
    return [f"Until then {_named(clear)} is still stored and shown in clear."] if clear else []


def _moves(detector: Detector, config: Mapping[str, Any]) -> list[str]:
    """What becomes of rules, and which ones the declaration no longer changes."""
    moves = declared_moves(detector, parse_spec(config))
    stands, says = (_by_code(one) for one in (detector.config, config))
    differ = [code for code in {**stands, **says} if stands.get(code) != says.get(code)]
    stay = [code for code in differ if code not in {move.code for move in moves}]
    told = f"Rules that stay as they are on their pages: {_named(stay)}."
    return [*_rules(moves), *([told] if stay else [])]


def _lost(detector: Detector, after: Bundle) -> list[str]:
    """Live rules, changed on their pages, that read what a declaration no longer has."""
    live = RuleVersion.objects.filter(rule__detector=detector, stage=Stage.LIVE)
    return [
        f"{version.rule.code}, as changed on its page, reads {_named(absent)}, which this"
        " declaration does not have: missing in every event that is judged by it."
        for version in live.select_related("rule").order_by("rule__code")
        if not is_declared(version)
        and (absent := absent_names(version.when, version.parameters, after))
    ]


def _later(version: str, before: DetectorSpec, after: DetectorSpec) -> list[str]:
    """What the costs that thresholds are chosen by do to a champion: nothing."""
    if replace(before.costs, recoverability=1.0) == replace(after.costs, recoverability=1.0):
        return []
    return [
        f"The thresholds of {version} stay as they were chosen; those of the next training are"
        " chosen by the costs of now."
    ]


def _by_code(config: Mapping[str, Any]) -> dict[str, Any]:
    return {str(rule.get("code")): rule for rule in config.get("rules", [])}


def _rules(moves: Iterable[DeclaredMove]) -> list[str]:
    """What becomes of rules."""
    said: dict[str, list[str]] = {"go live": [], "change": [], "retire": []}
    for move in moves:
        word = "retire" if move.declared is None else "change" if move.live else "go live"
        said[word].append(move.code)
    return [f"Rules that {word}: {_named(codes)}." for word, codes in said.items() if codes]


def _constant(spec: DetectorSpec) -> list[str]:
    """Declared rules whose condition, or a part of it, is the same for every event."""
    told = [f"{rule.code} {rule.constant}." for rule in compile_rules(spec) if rule.constant]
    fields = spec.schema["properties"]
    for rule in spec.rules:
        said = never_carried(rule.when, rule.parameters, fields)
        told += [f"{rule.code} looks for what it cannot find: {one}." for one in said]
    return told


def _unread(version: str, bundle: Bundle, spec: DetectorSpec) -> list[str]:
    """Declared rules that read what the champion never gives them."""
    return [
        f"{rule.code} reads {_named(absent)}, which {version} does not give: missing in every"
        " event until a version that does is promoted."
        for rule in spec.rules
        if (absent := absent_names(rule.when, rule.parameters, bundle))
    ]


def _named(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    shown = ", ".join(names[:MOST_NAMES])
    return f"{shown} and {more} more" if more > 0 else shown
