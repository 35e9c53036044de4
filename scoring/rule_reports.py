"""What pages tell about rules: what a draft would find, what changed when."""

import difflib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accounts.models import AuditEntry
from accounts.quantities import counted
from scoring.core.bundle import BundleError
from scoring.core.rule_spec import RuleSpec
from scoring.core.rule_text import filled_text, repeated
from scoring.core.rules import Rule as CompiledRule
from scoring.core.rules import readable
from scoring.core.spec import DetectorSpec
from scoring.core.types import Decision
from scoring.core.vocabulary import FUNCTIONS, RuleError, check_parameters
from scoring.deployment import loaded
from scoring.describing import feature_lines
from scoring.models import Detector, Prediction
from scoring.policy_models import PolicySnapshot, RuleVersion
from scoring.selectors import with_newest_label

TRIED = 200
SHOWN = 10
HISTORY = 50
WORD = re.compile(r"\w+|\s+|[^\w\s]")
CHOICES = ("outcome", "weight", "text")


@dataclass(frozen=True, slots=True)
class Name:
    """Something that a rule may read."""

    name: str
    kind: str
    meaning: str


def offered_names(spec: DetectorSpec) -> list[Name]:
    """Fields first, then features, each with its meaning."""
    meanings = {line.name: line.meaning for line in feature_lines(spec)}
    fields = spec.schema["properties"]
    return [
        Name(
            name,
            "true / false" if kind == "truth" else kind,
            "as sent" if name in fields else meanings[name],
        )
        for name, kind in readable(spec).items()
    ]


def offered_functions() -> list[tuple[str, str]]:
    """(usage, meaning) of every function of the language."""
    return [(function.usage, function.meaning) for function in FUNCTIONS.values()]


@dataclass(frozen=True, slots=True)
class Match:
    """A past event that the rule under trial matches, with the values that it reads."""

    prediction: Prediction
    values: Sequence[tuple[str, Any]]
    is_fraud: bool | None


@dataclass(frozen=True, slots=True)
class Trial:
    """What a rule would have matched among the newest events. `lifted` had been approved."""

    tried: int
    unreadable: int
    matched: int
    lifted: int
    fraud: int
    legitimate: int
    shown: Sequence[Match] = field(default_factory=tuple)


def try_rule(detector: Detector, rule: CompiledRule, *, untold: str = "") -> Trial:
    """Evaluate the rule on stored events, with the features as they were; nothing is changed.

    Of the entity `untold` no label is told: somebody is to judge it without.
    """
    rows = Prediction.objects.filter(detector=detector).order_by("-event_time", "-id")
    matches: list[Match] = []
    tried = unreadable = 0
    for row in with_newest_label(rows)[:TRIED]:
        values = stored_values(row)
        if values is None:
            unreadable += 1
            continue
        tried += 1
        if rule.matches(values):
            read = [(name, values.get(name)) for name in rule.reads]
            told = None if row.entity == untold else row.newest_label  # type: ignore[attr-defined]
            matches.append(Match(row, read, told))
    said = Counter(match.is_fraud for match in matches)
    approved = sum(match.prediction.decision == Decision.APPROVE for match in matches)
    return Trial(
        tried, unreadable, len(matches), approved, said[True], said[False], matches[:SHOWN]
    )


def stored_values(row: Prediction) -> Mapping[str, Any] | None:
    """What a rule could read of a stored event; None when its bundle is gone."""
    try:
        spec = loaded(row.bundle_digest).spec
    except BundleError:
        return None
    vector = row.vector_array()
    features = dict(zip(spec.feature_names, vector.tolist(), strict=True))
    open_fields = spec.schema["properties"].keys() - spec.pii_fields
    return features | {name: value for name, value in row.event.items() if name in open_fields}


@dataclass(frozen=True, slots=True)
class Change:
    """A version beside the one before it. `words`: (kept, added or removed, text) of `when`."""

    version: RuleVersion
    words: Sequence[tuple[str, str]]
    notes: Sequence[str]


def version_changes(versions: Sequence[RuleVersion]) -> list[Change]:
    """Versions, newest first, each with what it changed."""
    older: list[RuleVersion | None] = [*versions[1:], None]
    return [
        Change(
            now, changed_words(before.when if before else "", now.when), changed_notes(before, now)
        )
        for now, before in zip(versions, older, strict=True)
    ]


def changed_words(before: str, now: str) -> list[tuple[str, str]]:
    """(kept, added or removed, text): how one condition became the other."""
    if not before:
        return [("kept", now)]
    old, new = WORD.findall(before), WORD.findall(now)
    found: list[tuple[str, str]] = []
    for tag, i, j, k, m in difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if tag == "equal":
            found.append(("kept", "".join(old[i:j])))
            continue
        if i < j:
            found.append(("removed", "".join(old[i:j])))
        if k < m:
            found.append(("added", "".join(new[k:m])))
    return found


def changed_notes(before: RuleVersion | None, now: RuleVersion) -> list[str]:
    """What is different beside the condition, in words."""
    if before is None:
        return [f"{name} = {_said(value)}" for name, value in now.parameters.items()]
    notes = []
    for name in sorted({*before.parameters, *now.parameters}):
        old, new = before.parameters.get(name), now.parameters.get(name)
        if old != new:
            notes.append(parameter_note(name, old, new))
    for name in CHOICES:
        old, new = getattr(before, name), getattr(now, name)
        if old != new:
            notes.append(f"{name}: {old or 'none'} → {new or 'none'}")
    return notes


def parameter_note(name: str, old: Any, new: Any) -> str:
    """`limit: 500 → 600`; of a list, what was added and what was removed."""
    if not isinstance(old, list) or not isinstance(new, list):
        return f"{name}: {_said(old)} → {_said(new)}"
    moved = (("added", new, old), ("removed", old, new))
    parts = [
        f"{word} {', '.join(_said(value) for value in some)}"
        for word, here, there in moved
        if (some := [value for value in here if value not in there])
    ]
    return f"{name}: {'; '.join(parts) or 'in another order'}"


@dataclass(frozen=True, slots=True)
class Preview:
    """What analysts read of a text (empty where it is what is written), and the (number, parameter)
    that it says itself instead of by the parameter's name."""

    says: str
    repeats: Sequence[tuple[str, str]]


def preview_of(
    spec: DetectorSpec, *, when: str, text: str, parameters: Mapping[str, Any]
) -> Preview:
    """A text that is being written, as far as it can be filled."""
    try:
        check_parameters(parameters, ())
    except RuleError:
        return Preview("", ())
    rule = RuleSpec("", 0, when, "", text, parameters=parameters)
    says = filled_text(rule, spec, stored=True)
    return Preview(says if says != text else "", repeated(text, parameters))


def _said(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Publication:
    """A policy that came into force: when, by whom, and what was different."""

    entry: AuditEntry
    digest: str
    changes: Sequence[str]


def policy_history(detector: Detector) -> list[Publication]:
    """The last policies of a detector, newest first, from the audit trail; three queries."""
    entries = list(
        AuditEntry.objects.filter(
            object_type=Detector._meta.label_lower,
            object_id=str(detector.pk),
            action="policy.published",
        )
        .select_related("actor")
        .order_by("-number")[:HISTORY]
    )
    details = [json.loads(entry.detail_json) for entry in entries]
    digests = {detail[key] for detail in details for key in ("digest", "previous")}
    contents = dict(
        PolicySnapshot.objects.filter(pk__in=digests).order_by().values_list("pk", "content")
    )
    return [
        Publication(
            entry,
            detail["digest"],
            content_changes(contents.get(detail["previous"]), contents.get(detail["digest"])),
        )
        for entry, detail in zip(entries, details, strict=True)
    ]


def content_changes(before: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> list[str]:
    """What is different between two policies' contents, in words."""
    if now is None:
        return ["Its content is gone."]
    if before is None:
        rules = counted(len(now["rules"]), "rule") if now["rules"] else "no rules"
        return [f"First policy, with {rules}."]
    old = {(rule["code"], rule["stage"]): rule for rule in before["rules"]}
    new = {(rule["code"], rule["stage"]): rule for rule in now["rules"]}
    changes = []
    for key in sorted({*old, *new}):
        code, stage = key
        if key not in old:
            changes.append(f"{code} v{new[key]['version']} is {stage}.")
        elif key not in new:
            changes.append(f"{code} v{old[key]['version']} is no longer {stage}.")
        elif old[key] == new[key]:
            continue
        elif old[key]["version"] == new[key]["version"]:
            changes.append(f"{code}: {stage} v{new[key]['version']} says: {new[key]['text']}")
        else:
            changes.append(
                f"{code}: {stage} is v{new[key]['version']}, was v{old[key]['version']}."
            )
    words = {
        "audit_rate": f"Audit rate {before['audit_rate']:.2%} → {now['audit_rate']:.2%}.",
        "screening": "Screening settings changed.",
        "watchlists": "Newer readings of the watchlists.",
        "list_fields": f"Lists hold values of {', '.join(now['list_fields']) or 'no field'}.",
        "has_snoozes": "Rules are snoozed." if now["has_snoozes"] else "No rule is snoozed.",
    }
    if before.get("review_after") != now.get("review_after"):
        changes.append("Another time until the model is to be reviewed.")
    return changes + [text for name, text in words.items() if before[name] != now[name]]
