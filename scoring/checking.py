"""What an analyst should check next, in words to act on (scoring.core.checks ranks)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scoring import figures
from scoring.core.checks import Case, Check, parties_of, rank_checks
from scoring.core.reasons import name_and_unit, phrase, title
from scoring.core.spec import DetectorSpec
from scoring.core.transformations import FeatureSpec
from scoring.core.types import Decision, Event, RiskLevel, ScreeningHit
from scoring.core.watchlist import PERSON, UNKNOWN
from scoring.explaining import CannotExplain, snapshot_for
from scoring.models import Prediction
from scoring.prediction_reasons import event_shown
from scoring.screened import list_words
from scoring.usual import own_history

MOST_CHECKS = 4
WHERE = {"other": "#links", "pace": "#timeline", "value": "", "time": "#timeline"}
"""Where on the alert's page the answer may stand."""
HOLDERS = {"account": "account holder", "card": "card holder"}
"""Who is asked, where the entity is a thing."""
OUTCOMES = {Decision.APPROVE: "approved", Decision.REVIEW: "a review", Decision.BLOCK: "blocked"}


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One check: what to do, what it would change, and where on the page to look."""

    text: str
    effect: str
    decides: bool
    href: str


@dataclass(frozen=True, slots=True)
class ChecksPanel:
    """The checks, most telling first; `problem` is set instead when they cannot be told."""

    lines: Sequence[CheckLine] = ()
    more: int = 0
    approved: bool = False
    problem: str = ""


def checks_panel(row: Prediction) -> ChecksPanel:
    """What to check about a prediction."""
    try:
        case = _case_of(row)
    except CannotExplain as error:
        return ChecksPanel(problem=str(error))
    ranked = rank_checks(case)
    telling = _Telling(row, case)
    lines = [telling.line(check) for check in ranked[:MOST_CHECKS]]
    return ChecksPanel(
        lines=lines,
        more=len(ranked) - len(lines),
        approved=row.decision == Decision.APPROVE,
    )


def _case_of(row: Prediction) -> Case:
    shot = snapshot_for(row)
    plan = shot.bundle.plan
    own = own_history(row, tuple(plan.names))
    return Case(
        event=shot.event,
        vector=shot.vector,
        bundle=shot.bundle,
        policy=shot.policy,
        orders=shot.orders,
        screening=tuple(_hit(stored) for stored in row.screening_hits),
        usual=own.typical(plan.features),
        levels=own.levels(plan.features),
        degraded=row.degraded,
    )


def _hit(stored: Mapping[str, Any]) -> ScreeningHit:
    outcome, severity = Decision(stored["outcome"]), RiskLevel(stored["severity"])
    return ScreeningHit(**{**stored, "outcome": outcome, "severity": severity})


class _Telling:
    """Words for the checks of one case. Personal data stays out of them."""

    def __init__(self, row: Prediction, case: Case) -> None:
        self.row, self.case = row, case
        self.spec: DetectorSpec = case.bundle.spec
        self.event: Event = event_shown(row, self.spec)
        self.who = self.spec.entity_word
        self.holder = HOLDERS.get(self.who, self.who)
        self.features = {f.name: (i, f) for i, f in enumerate(self.spec.features)}

    def line(self, check: Check) -> CheckLine:
        kind, name = check.topic
        return CheckLine(
            text=self._text(check, kind, name),
            effect=self._effect(check),
            decides=check.steps > 0,
            href=WHERE.get(kind, ""),
        )

    def _effect(self, check: Check) -> str:
        """What it would change, were it harmless: `96 % → 12 %, approved`."""
        risk = ""
        if check.risk is not None and check.drop >= 0.0005:
            after = check.risk_after or 0.0
            risk = f"{figures.percent(check.risk)} → {figures.percent(after)}"
        if check.steps <= 0:
            return f"{risk}, decided the same"
        outcome = OUTCOMES[check.decision]
        if check.decision is Decision.APPROVE and not self.spec.amount_field:
            outcome = "quiet"
        return f"{risk}, {outcome}" if risk else _cap(outcome)

    def _text(self, check: Check, kind: str, name: str) -> str:
        match kind:
            case "rule":
                return self._of_rule(name)
            case "screening":
                return self._of_screening(int(name))
            case "deny":
                return f"Ask whether this {_word(name)} still belongs on the deny list."
        facts = self._facts(check)
        match kind:
            case "known_bad":
                return f"Read what was found at this {_word(name)} before: {facts}."
            case "other":
                return f"Find out whose {_word(name)} this is: {facts}."
            case "pace":
                return (
                    f"Go through the {self.who}'s last events, are they one hand's? {_cap(facts)}."
                )
            case "time":
                return f"Check whether the {self.who} is active then: {facts}."
        return self._of_value(name, facts)

    def _of_value(self, name: str, facts: str) -> str:
        if name in self.spec.pii_fields:
            return f"Compare {_word(name)} with what is on file about the {self.who}."
        if name == self.spec.amount_field:
            return f"Ask the {self.holder} whether the amount is theirs: {facts}."
        own = [f for _, f in self.features.values() if f.field == name and not f.entity]
        if own and own[0].kind == "numeric" and not self.spec.amount_field:
            return f"Look at the {self.who} itself: {facts}."
        return f"Confirm with the {self.holder}: {facts}."

    def _of_rule(self, code: str) -> str:
        hits: list[Mapping[str, Any]] = self.row.rule_hits
        hit = next((one for one in hits if one.get("code") == code), {})
        text = str(hit.get("text", "")).rstrip(".")
        return f"Check what rule {code} found: {text[:1].lower()}{text[1:]}."

    def _of_screening(self, place: int) -> str:
        hits = self.case.screening
        party = [hits[i] for places in parties_of(hits) if places[0] == place for i in places]
        hit = party[0]
        if hit.kind == "name":
            entries = " and ".join(f"entry {h.entry} of {list_words(h.list_name)}" for h in party)
            same = "person" if hit.detail.get("kind", PERSON) in (PERSON, UNKNOWN) else "party"
            return f"Compare birth date and country with {entries}: is it the same {same}?"
        if hit.kind == "country":
            return f"Check the country of the {self.who}: {hit.text}."
        return f"Screen the {self.who} by hand: {hit.text.rstrip('.')}."

    def _facts(self, check: Check) -> str:
        """A fact of the event itself, else the most telling one of the group, as it is now."""
        parts = self.row.contribution_array()

        def size(name: str) -> tuple[bool, float]:
            place, feature = self.features[name]
            known = parts is not None and place < len(parts)
            return not feature.entity, abs(float(parts[place])) if known else 0.0  # type: ignore[index]

        plain = [n for n in check.features if self._may_tell(self.features[n][1])]
        if not plain:
            return "it cannot be shown here"
        name = max(plain, key=size)
        place, feature = self.features[name]
        value = float(self.case.vector[place])
        told = phrase(self.spec, feature, value, self.event)
        return told if told else title(feature)

    def _may_tell(self, feature: FeatureSpec) -> bool:
        return not (feature.field in self.spec.pii_fields and not feature.entity)


def _word(field: str) -> str:
    return name_and_unit("", field)[0]


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:]
