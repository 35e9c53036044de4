"""Rules as people change them: drafts, new versions, and the moves between stages.

A version is never rewritten. Whoever saves says which version they looked at; if another one was
saved meanwhile they are told, and nothing is lost.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import transaction

from accounts.models import User
from accounts.services import record_audit
from scoring import deployment
from scoring.core.rule_spec import RuleSpec
from scoring.core.rule_text import filled_text
from scoring.core.rules import Rule as CompiledRule
from scoring.core.rules import compile_rule, readable
from scoring.core.spec import DetectorSpec
from scoring.core.transliteration import first_unseen
from scoring.core.types import Decision, Stage
from scoring.core.vocabulary import RuleError
from scoring.models import Deployment, Detector
from scoring.policies import IN_FORCE, PolicyRefused, lock, next_number, publish, retire
from scoring.policy_models import Rule, RuleVersion
from scoring.policy_store import absent_names
from scoring.rule_outdating import end_outdated

CODE = re.compile(r"[A-Z][A-Z0-9_]{1,39}")
MOST_RULES = 200
MOST_VERSIONS = 1000
LONGEST_TEXT = 300
MOVES: dict[Stage, tuple[Stage, ...]] = {
    Stage.DRAFT: (Stage.SHADOW, Stage.LIVE, Stage.RETIRED),
    Stage.SHADOW: (Stage.LIVE, Stage.RETIRED),
    Stage.LIVE: (Stage.SHADOW, Stage.RETIRED),
    Stage.RETIRED: (Stage.SHADOW, Stage.LIVE),
}
"""From which stage a version may go where. From retired: back to what once stood."""


@dataclass(frozen=True, slots=True)
class RuleText:
    """What a version of a rule says. Without an `outcome` its `weight` counts."""

    when: str
    text: str
    outcome: str = "REVIEW"
    weight: float = 0.0
    parameters: Mapping[str, Any] = field(default_factory=dict)


def check_rule(
    spec: DetectorSpec,
    code: str,
    said: RuleText,
    *,
    stored: bool = False,
    kept_text: bool = False,
) -> CompiledRule:
    """The rule, compiled for what the detector's declaration offers. Raises PolicyRefused.

    `stored`: it was taken in before, perhaps by a release that refused less; `kept_text`: its text
    alone was.
    """
    problems: list[tuple[str, str]] = []
    if not said.text.strip():
        problems.append(("text", "Say in a sentence what the rule finds; analysts read it."))
    elif len(said.text) > LONGEST_TEXT:
        problems.append(("text", f"At most {LONGEST_TEXT} characters."))
    if said.outcome not in ("", Decision.REVIEW, Decision.BLOCK):
        problems.append(("outcome", "A rule asks for a review, blocks or adds weight."))
    if not said.outcome and not 0.0 < said.weight < 1.0:
        problems.append(("weight", "A weight lies between 0 and 1."))
    if not stored:
        problems += _unseen(said)
    compiled = None
    rule = rule_spec_of(code, 0, said)
    try:
        compiled = compile_rule(rule, readable(spec), hidden=spec.pii_fields, stored=stored)
    except RuleError as error:
        problems.append((error.part, _sentence(error)))
    if all(place != "parameters" for place, _ in problems):
        try:
            text = filled_text(rule, spec, stored=stored or kept_text)
        except RuleError as error:
            problems.append((error.part, _sentence(error)))
    if problems or compiled is None:
        raise PolicyRefused(*problems)
    return replace(compiled, text=text)


def _unseen(said: RuleText) -> list[tuple[str, str]]:
    """Texts are compared exactly: one with a character that nobody sees equals no other."""
    texts = [("when", said.when)]
    for value in said.parameters.values():
        parts = value if isinstance(value, list | tuple) else [value]
        texts += [("parameters", part) for part in parts if isinstance(part, str)]
    return [
        (place, f"It has a character that nobody sees ({unseen}); write it without.")
        for place, text in texts
        if (unseen := first_unseen(text))
    ]


def rule_spec_of(code: str, number: int, said: RuleText) -> RuleSpec:
    """The text as what the core compiles."""
    weight = 0.0 if said.outcome else said.weight
    return RuleSpec(
        code, number, said.when.strip(), said.outcome, said.text, weight, dict(said.parameters)
    )


def _sentence(error: RuleError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:] + "."


@transaction.atomic
def create_rule(
    detector: Detector, *, code: str, said: RuleText, author: User, note: str = ""
) -> RuleVersion:
    """A new rule, as a draft. Raises PolicyRefused."""
    row = lock(detector.pk)
    if not CODE.fullmatch(code):
        raise PolicyRefused(("code", "2 to 40 capitals, digits and _, such as HIGH_AMOUNT."))
    if Rule.objects.filter(detector=row, code=code).exists():
        raise PolicyRefused(("code", f"There is a rule {code} already."))
    if Rule.objects.filter(detector=row).count() >= MOST_RULES:
        raise PolicyRefused(("code", f"A detector has at most {MOST_RULES} rules."))
    check_rule(row.spec(), code, said)
    rule = Rule.objects.create(detector=row, code=code)
    version = _new_version(rule, said, author, note)
    _record(author, "rule.created", version, {"code": code})
    return version


@transaction.atomic
def save_draft(
    rule: Rule, *, said: RuleText, base: int, author: User, note: str = ""
) -> RuleVersion:
    """A new version of the rule, as a draft; an older draft retires, and what was asked for about
    it is outdated. Raises PolicyRefused.

    `base` is the number of the newest version that the author looked at.
    """
    row = lock(rule.detector_id)
    _check_base(rule, base)
    check_rule(row.spec(), rule.code, said)
    rule.versions.filter(stage=Stage.DRAFT).update(stage=Stage.RETIRED)
    version = _new_version(rule, said, author, note)
    end_outdated(row)
    _record(author, "rule.drafted", version, {"base": base})
    return version


@transaction.atomic
def tune_rule(
    rule: Rule, *, changed: Mapping[str, Any], base: int, author: User, note: str = ""
) -> RuleVersion:
    """A new live version that differs from the live one in `changed` alone (parameters, weight,
    outcome): thresholds are edited without touching the condition. Raises PolicyRefused."""
    row = lock(rule.detector_id)
    live = check_tuning(row, rule, changed=changed, base=base)
    said = _tuned(live, changed)
    retire(live)
    version = _new_version(rule, said, author, note, Stage.LIVE)
    publish(row, author=author)
    _record(author, "rule.tuned", version, {"base": base, "parameters": dict(said.parameters)})
    return version


def check_tuning(
    detector: Detector, rule: Rule, *, changed: Mapping[str, Any], base: int
) -> RuleVersion:
    """The live version, if it can be changed like this. Raises PolicyRefused."""
    _check_base(rule, base)
    live = rule.versions.filter(stage=Stage.LIVE).first()
    if live is None:
        raise PolicyRefused(("", "The rule is not live; edit its draft instead."))
    said = _tuned(live, changed)
    if set(said.parameters) != set(live.parameters):
        raise PolicyRefused(("parameters", "A new parameter needs a new condition: edit the rule."))
    for name, value in said.parameters.items():
        if isinstance(live.parameters[name], list) and not isinstance(value, list):
            problem = f'{name} is a list and stays one: write it like ["a", "b"].'
            raise PolicyRefused(("parameters", problem))
        if isinstance(value, list) and not isinstance(live.parameters[name], list):
            problem = f"{name} is one value and stays one: a list needs a new condition."
            raise PolicyRefused(("parameters", problem))
    check_rule(detector.spec(), rule.code, said, kept_text=said.text == live.text)
    return live


def _tuned(live: RuleVersion, changed: Mapping[str, Any]) -> RuleText:
    return RuleText(
        when=live.when,
        text=changed.get("text", live.text),
        outcome=changed.get("outcome", live.outcome),
        weight=changed.get("weight", live.weight),
        parameters={**live.parameters, **changed.get("parameters", {})},
    )


def next_base(rule: Rule) -> int:
    """The number of the rule's newest version: what a change that is made now is based on."""
    return next_number(rule) - 1


@transaction.atomic
def move_version(
    version: RuleVersion, *, to: str, seen: str, author: User, note: str = ""
) -> RuleVersion:
    """Move a version to another stage; what stood in force there retires. Raises PolicyRefused.

    `seen` is the stage in which the author saw it.
    """
    row = lock(version.rule.detector_id)
    version = RuleVersion.objects.select_related("rule").get(pk=version.pk)
    check_move(row, version, to=to, seen=seen)
    if to in IN_FORCE:
        version.rule.versions.filter(stage=to).update(stage=Stage.RETIRED)
    version.stage = to
    version.save(update_fields=["stage"])
    publish(row, author=author)
    _record(author, f"rule.{to}", version, {"from": seen, "note": note})
    return version


def check_move(detector: Detector, version: RuleVersion, *, to: str, seen: str) -> None:
    """Whether a version, as it is stored now, may move there. Raises PolicyRefused."""
    if version.stage != seen:
        said = f"Version {version.number} is {version.stage} by now; look at it first."
        raise PolicyRefused(("", said))
    if to not in MOVES[Stage(version.stage)]:
        raise PolicyRefused(("", f"A {version.stage} version cannot become {to or 'nothing'}."))
    if to in IN_FORCE:
        check_rule(detector.spec(), version.rule.code, text_of(version), kept_text=True)
    if to == Stage.LIVE:
        _check_is_computed(detector, version)


def _check_is_computed(detector: Detector, version: RuleVersion) -> None:
    """What the champion was trained without is missing in every event: such a rule never matches,
    and whoever made it live would rely on it."""
    champion = Deployment.objects.filter(detector=detector, slot=Deployment.Slot.CHAMPION).first()
    bundle, _ = deployment.bundle_of(detector, champion)
    absent = absent_names(version.when, version.parameters, bundle)
    if absent:
        said = f"{', '.join(absent)}: the model that serves was trained without, and would never "
        raise PolicyRefused(("when", f"{said}give it. Train and promote a version first."))


def text_of(version: RuleVersion) -> RuleText:
    """What a version says."""
    return RuleText(version.when, version.text, version.outcome, version.weight, version.parameters)


def _check_base(rule: Rule, base: int) -> None:
    newest = next_base(rule)
    if newest != base:
        said = f"Somebody saved version {newest} meanwhile. Look at it, then save again."
        raise PolicyRefused(("", said))
    if newest >= MOST_VERSIONS:
        raise PolicyRefused(("", f"A rule has at most {MOST_VERSIONS} versions."))


def _new_version(
    rule: Rule, said: RuleText, author: User, note: str, stage: Stage = Stage.DRAFT
) -> RuleVersion:
    return RuleVersion.objects.create(
        rule=rule,
        number=next_number(rule),
        stage=stage,
        when=said.when.strip(),
        parameters=dict(said.parameters),
        outcome=said.outcome,
        weight=0.0 if said.outcome else said.weight,
        text=said.text.strip(),
        note=note.strip()[:LONGEST_TEXT],
        author=author,
    )


def _record(author: User, action: str, version: RuleVersion, detail: Mapping[str, Any]) -> None:
    record_audit(
        actor=author,
        action=action,
        subject=version.rule,
        detail={"version": version.number, **detail},
    )
