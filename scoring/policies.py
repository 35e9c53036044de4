"""Which policy is in force: rules, screening, audits and what has standing orders, published.

Every change of a rule, a list or a setting ends in `publish`: the content is put together anew,
named by its digest, kept as a PolicySnapshot, and set on the detector, from where the next event
reads it. The detector's row is locked from the first read of such a change to its commit, so two
editors come one after the other and the second sees what the first did.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from scoring.core.countries import country_code
from scoring.core.rule_spec import RuleSpec
from scoring.core.spec import DetectorSpec, ScreeningSpec
from scoring.core.types import Stage
from scoring.models import Detector
from scoring.policy_models import ListEntry, PolicySnapshot, Rule, RuleVersion, Snooze
from scoring.policy_store import digest_of, rule_body, screening_body, screening_spec
from scoring.rule_outdating import end_outdated
from scoring.watchlist_store import active_watchlists

FORMAT = 1
DECLARED = "As declared."
"""The note of versions that came from a declaration; such a rule follows its declaration."""
IN_FORCE = (Stage.LIVE, Stage.SHADOW)
SCREENING_MARKS = ("review", "block")


class PolicyRefused(ValueError):
    """A change that cannot be made. `problems`: (field or "", message) for the form."""

    def __init__(self, *problems: tuple[str, str]) -> None:
        self.problems = problems
        super().__init__(" ".join(message for _, message in problems))


def lock(detector_id: int) -> Detector:
    """The detector's row, held until the commit: changes of one policy take turns."""
    return Detector.objects.select_for_update().get(pk=detector_id)


def standing(at: datetime) -> Q:
    """Orders that nobody revoked and that have not expired at `at`."""
    return Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=at))


def build_content(detector: Detector, at: datetime) -> dict[str, Any]:
    """The policy as the rows say it now. Raises SpecError for a declaration that is broken."""
    spec = detector.spec()
    versions = RuleVersion.objects.filter(rule__detector=detector, stage__in=IN_FORCE)
    screening = screening_of(detector, spec)
    active = active_watchlists() if screening else {}
    fields = ListEntry.objects.filter(standing(at), detector=detector).order_by()
    # Left out where there is none: policies of before stay what they are called.
    term = detector.review_after()
    review = {"review_after": term} if term else {}
    return {
        **review,
        "format": FORMAT,
        "detector": detector.slug,
        "rules": [
            rule_body(version, spec)
            for version in versions.select_related("rule").order_by("rule__code", "stage")
        ],
        "audit_rate": audit_rate_of(detector, spec),
        "screening": screening_body(screening),
        "watchlists": {
            name: active[name] for name in (screening.lists if screening else ()) if name in active
        },
        "list_fields": sorted(set(fields.values_list("field", flat=True))),
        "has_snoozes": Snooze.objects.filter(standing(at), rule__detector=detector).exists(),
    }


def audit_rate_of(detector: Detector, spec: DetectorSpec) -> float:
    """The share of approved events drawn for audit: as set here, else as declared."""
    return float(detector.policy_settings.get("audit_rate", spec.audit_rate))


def screening_of(detector: Detector, spec: DetectorSpec) -> ScreeningSpec | None:
    """The screening settings: as declared, with what was set here in place of it."""
    declared = screening_body(spec.screening)
    if declared is None:
        return None
    return screening_spec(declared | detector.policy_settings.get("screening", {}))


@transaction.atomic
def publish(detector: Detector, *, author: User | None = None) -> PolicySnapshot:
    """Put what the rows say into force. The same content is the same snapshot, and no news. What
    somebody asked for about what changed is outdated."""
    row = lock(detector.pk)
    if not row.policy_digest:
        # Made before there were policies: its declared rules decide, and must go on deciding.
        adopt_declared_rules(row)
    content = build_content(row, timezone.now())
    digest = digest_of(content)
    snapshot, _ = PolicySnapshot.objects.get_or_create(
        digest=digest, defaults={"detector": row, "content": content, "author": author}
    )
    detector.policy_digest = digest
    if row.policy_digest != digest:
        Detector.objects.filter(pk=row.pk).update(policy_digest=digest)
        record_audit(
            actor=author,
            action="policy.published",
            subject=row,
            detail={"digest": digest, "previous": row.policy_digest},
        )
    end_outdated(row)
    return snapshot


def republish(detector: Detector) -> PolicySnapshot:
    """`publish` on behalf of the platform: a list was synchronised, a declaration was read."""
    return publish(detector)


@dataclass(frozen=True, slots=True)
class DeclaredMove:
    """What a declaration does to one rule. Without `live` it goes live, without `declared` it
    retires; `rule` is None where it is not known yet."""

    code: str
    rule: Rule | None
    live: RuleVersion | None
    declared: RuleSpec | None


def declared_moves(detector: Detector, spec: DetectorSpec) -> list[DeclaredMove]:
    """How the rules follow a declaration of the detector, except those that were changed here.

    A rule with a new code is live at once. One that stands as it was declared takes what the
    declaration says now, as a new live version, or retires with it.
    """
    rules = {rule.code: rule for rule in Rule.objects.filter(detector=detector)}
    live = {
        version.rule_id: version
        for version in RuleVersion.objects.filter(rule__detector=detector, stage=Stage.LIVE)
    }
    found = []
    for declared in spec.rules:
        rule = rules.get(declared.code)
        now = live.get(rule.pk) if rule else None
        stays = now is None or not is_declared(now) or _says(now) == _declared(declared)
        if rule is None or not stays:
            found.append(DeclaredMove(declared.code, rule, now, declared))
    codes = {declared.code for declared in spec.rules}
    for code, rule in rules.items():
        now = live.get(rule.pk)
        if code not in codes and now is not None and is_declared(now):
            found.append(DeclaredMove(code, rule, now, None))
    return found


@transaction.atomic
def adopt_declared_rules(detector: Detector) -> None:
    """Let the rules follow the declaration (declared_moves). Publish afterwards."""
    lock(detector.pk)
    for move in declared_moves(detector, detector.spec()):
        if move.live is not None:
            retire(move.live)
        if move.declared is None:
            continue
        version = move.declared.version
        if move.rule is None:
            _declare(Rule.objects.create(detector=detector, code=move.code), move.declared, version)
        else:
            _declare(move.rule, move.declared, max(version, next_number(move.rule)))


def is_declared(version: RuleVersion) -> bool:
    """Whether the version came from the declaration and not from somebody here."""
    return version.author_id is None and version.note == DECLARED


def next_number(rule: Rule) -> int:
    """The number of the rule's next version."""
    last = rule.versions.aggregate(last=Max("number"))["last"]
    return int(last or 0) + 1


def retire(version: RuleVersion) -> None:
    """Take a version out of force."""
    RuleVersion.objects.filter(pk=version.pk).update(stage=Stage.RETIRED)


def _declare(rule: Rule, declared: RuleSpec, number: int) -> None:
    RuleVersion.objects.create(
        rule=rule, number=number, stage=Stage.LIVE, note=DECLARED, **_declared(declared)
    )


def _declared(declared: RuleSpec) -> dict[str, Any]:
    return {
        "when": declared.when.strip(),
        "parameters": dict(declared.parameters),
        "outcome": declared.outcome,
        "weight": declared.weight,
        "text": declared.text,
    }


def _says(version: RuleVersion) -> dict[str, Any]:
    names = ("when", "parameters", "outcome", "weight", "text")
    return {name: getattr(version, name) for name in names}


@transaction.atomic
def set_policy(
    detector: Detector,
    *,
    audit_rate: float | None = None,
    screening: Mapping[str, Any] | None = None,
    review_after: float | None = None,
    author: User,
) -> PolicySnapshot:
    """Set the audit rate, parts of the screening, and the seconds for which a champion may score
    (0: no end); None leaves what is. Raises PolicyRefused.

    `screening` may hold `review` and `block` (match scores), `embargoed` and `high_risk` (country
    codes). They take the place of what the declaration says.
    """
    row = lock(detector.pk)
    settings = check_settings(
        row, audit_rate=audit_rate, screening=screening, review_after=review_after
    )
    Detector.objects.filter(pk=row.pk).update(policy_settings=settings)
    detector.policy_settings = settings
    snapshot = publish(detector, author=author)
    record_audit(
        actor=author,
        action="policy.settings_changed",
        subject=row,
        detail={"before": row.policy_settings, "after": settings},
    )
    return snapshot


def check_settings(
    detector: Detector,
    *,
    audit_rate: float | None = None,
    screening: Mapping[str, Any] | None = None,
    review_after: float | None = None,
) -> dict[str, Any]:
    """The detector's settings as `set_policy` would leave them. Raises PolicyRefused."""
    spec = detector.spec()
    settings = dict(detector.policy_settings)
    if audit_rate is not None:
        if not (math.isfinite(audit_rate) and 0.0 <= audit_rate <= 1.0):
            raise PolicyRefused(("audit_rate", "A share from 0 to 100 %."))
        settings["audit_rate"] = audit_rate
    if review_after is not None:
        if not (math.isfinite(review_after) and review_after >= 0.0):
            raise PolicyRefused(("review_after", "A time that is not negative."))
        settings["review_after"] = review_after
    if screening is not None:
        if spec.screening is None:
            raise PolicyRefused(("", "This detector screens nothing."))
        settings["screening"] = settings.get("screening", {}) | _checked_screening(
            screening, screening_of(detector, spec)
        )
    return settings


def _checked_screening(given: Mapping[str, Any], now: ScreeningSpec | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in SCREENING_MARKS:
        if name in given:
            mark = float(given[name])
            if not 0.5 <= mark <= 2.0:
                raise PolicyRefused((name, "A match score from 0.5; above 1 means never."))
            found[name] = mark
    for name in ("embargoed", "high_risk"):
        if name in given:
            typed = sorted({str(code).strip().upper() for code in given[name]})
            # As events are read: UK is GB there, and what is no country matches none.
            codes = {code: country_code(code) if len(code) == 2 else "" for code in typed}
            bad = [code for code in typed if not codes[code]]
            if bad:
                raise PolicyRefused((name, f"No two-letter country code: {', '.join(bad)}."))
            found[name] = sorted(set(codes.values()))
    review = found.get("review", now.review if now else 0.0)
    if review > found.get("block", now.block if now else 2.0):
        raise PolicyRefused(("block", "Blocking starts at or above where review starts."))
    return found
