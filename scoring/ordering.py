"""Standing orders: values on the allow and deny lists, rules snoozed for an entity.

An order counts for events that are received a moment after it was given, when it is committed for
certain: so a replay as of an event's arrival finds what the event itself found.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import vault
from accounts.models import User
from accounts.services import record_audit
from scoring.core.spec import DetectorSpec
from scoring.models import Detector
from scoring.policies import PolicyRefused, lock, publish, standing
from scoring.policy_models import ListEntry, Rule, Snooze
from scoring.policy_store import list_token

SETTLING = timedelta(seconds=1)
LONGEST = timedelta(days=366)
SHORTEST_REASON, LONGEST_REASON = 3, 300
LONGEST_VALUE = 300


def listable(spec: DetectorSpec) -> list[str]:
    """The event fields whose values may stand on a list: texts and whole numbers, no times."""
    return [
        name
        for name, rule in spec.schema["properties"].items()
        if rule["type"] in ("string", "integer") and name not in (spec.time_field, spec.id_field)
    ]


@transaction.atomic
def add_list_entry(
    detector: Detector,
    *,
    kind: str,
    field: str,
    value: str,
    reason: str,
    expires_at: datetime | None,
    author: User,
) -> ListEntry:
    """Put a value of a field on the allow or the deny list. Raises PolicyRefused."""
    row = lock(detector.pk)
    spec, now = row.spec(), timezone.now()
    if kind not in ListEntry.Kind.values:
        raise PolicyRefused(("kind", "Allow or deny."))
    if field not in listable(spec):
        raise PolicyRefused(("field", "Values of this field cannot stand on a list."))
    plain = _value(spec, field, value)
    reason = _reason(reason)
    _check_end("expires_at", expires_at, now, longest=None)
    token = list_token(field, plain)
    known = ListEntry.objects.filter(standing(now), detector=row, field=field, token=token).first()
    if known is not None:
        raise PolicyRefused(("value", f"It stands on the {known.kind} list already."))
    entry = ListEntry.objects.create(
        detector=row,
        kind=kind,
        field=field,
        token=token,
        shown=vault.encrypt(str(plain)) if field in spec.pii_fields else str(plain),
        reason=reason,
        author=author,
        created_at=now + SETTLING,
        expires_at=expires_at,
    )
    publish(row, author=author)
    record_audit(
        actor=author,
        action="list.added",
        subject=row,
        detail={"entry": entry.pk, "kind": kind, "field": field, "token": token, "reason": reason},
    )
    return entry


@transaction.atomic
def snooze_rule(
    rule: Rule, *, token: str, shown: str, reason: str, until: datetime, author: User
) -> Snooze:
    """Let the rule's matches count for nothing for an entity, until then. Raises PolicyRefused.

    `shown` is the entity's name as the event stores it: encrypted where it is personal data.
    """
    row, now = lock(rule.detector_id), timezone.now()
    reason = _reason(reason)
    _check_end("until", until, now, longest=LONGEST)
    if Snooze.objects.filter(standing(now), rule=rule, token=token).exists():
        raise PolicyRefused(("", f"{rule.code} is snoozed for this entity already."))
    snooze = Snooze.objects.create(
        rule=rule,
        token=token,
        shown=shown,
        reason=reason,
        author=author,
        created_at=now + SETTLING,
        expires_at=until,
    )
    publish(row, author=author)
    record_audit(
        actor=author,
        action="rule.snoozed",
        subject=rule,
        detail={"snooze": snooze.pk, "token": token, "until": until, "reason": reason},
    )
    return snooze


def revoke_list_entry(entry: ListEntry, *, author: User) -> bool:
    """Take a value off its list. False when it was off already."""
    return _revoke(entry, ListEntry.objects.all(), entry.detector_id, "list.revoked", author)


def revoke_snooze(snooze: Snooze, *, author: User) -> bool:
    """Let the rule count again. False when it did already."""
    return _revoke(
        snooze, Snooze.objects.all(), snooze.rule.detector_id, "rule.snooze_revoked", author
    )


@transaction.atomic
def _revoke(
    order: ListEntry | Snooze,
    rows: "QuerySet[ListEntry] | QuerySet[Snooze]",
    detector_id: int,
    action: str,
    author: User,
) -> bool:
    row, now = lock(detector_id), timezone.now()
    # Never before it began, or it would have stood for a time that never was.
    end = max(now + SETTLING, order.created_at)
    if not rows.filter(pk=order.pk, revoked_at=None).update(revoked_at=end):
        return False
    publish(row, author=author)
    record_audit(actor=author, action=action, subject=row, detail={"order": order.pk})
    return True


def _value(spec: DetectorSpec, field: str, value: str) -> str | int:
    text = value.replace("\0", "").strip()
    if not text or len(text) > LONGEST_VALUE:
        raise PolicyRefused(("value", f"1 to {LONGEST_VALUE} characters."))
    if spec.schema["properties"][field]["type"] != "integer":
        return text
    try:
        return int(text)
    except ValueError as error:
        raise PolicyRefused(("value", "A whole number.")) from error


def _reason(text: str) -> str:
    reason = text.replace("\0", "").strip()
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise PolicyRefused(("reason", "Say why; others will have to judge it."))
    return reason


def _check_end(
    name: str, end: datetime | None, now: datetime, *, longest: timedelta | None
) -> None:
    if end is None:
        return
    if end <= now + SETTLING:
        raise PolicyRefused((name, "This time has passed already."))
    if longest is not None and end > now + longest:
        raise PolicyRefused((name, f"At most {longest.days} days from now."))
