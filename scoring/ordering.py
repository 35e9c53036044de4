"""Standing orders: values on the allow and deny lists, rules snoozed for an entity.

An order counts for events that are received a moment after it was given, when it is committed for
certain: so a replay as of an event's arrival finds what the event itself found.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import vault
from accounts.models import User
from accounts.services import record_audit
from scoring.core.field_checks import field_check
from scoring.core.spec import DetectorSpec
from scoring.core.transliteration import first_unseen
from scoring.models import Detector
from scoring.policies import PolicyRefused, lock, publish, standing
from scoring.policy_models import ListEntry, Rule, Snooze
from scoring.policy_store import list_token

SETTLING = timedelta(seconds=1)
LONGEST = timedelta(days=366)
SHORTEST_REASON, LONGEST_REASON = 3, 300
LONGEST_VALUE = 300
MOST_VALUES: Final = 500
"""Values put on a list, or taken off, in one transaction."""
WHOLE = re.compile(r"[+-]?[0-9]+")
ADDED, STANDING, REMOVED, ABSENT = "added", "standing", "removed", "absent"
REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one value. `state`: `added` or `removed` now, `standing` on the list before,
    `absent` from it, or `repeated`: an earlier one of the same call is the same value. `entry` is
    None where nothing stands, or stood, on the list."""

    state: str
    entry: ListEntry | None


def listable(spec: DetectorSpec) -> list[str]:
    """The event fields whose values may stand on a list: texts and whole numbers, no times."""
    return [
        name
        for name, rule in spec.schema["properties"].items()
        if rule["type"] in ("string", "integer") and name not in (spec.time_field, spec.id_field)
    ]


def listed_entries(detector: Detector, now: datetime, *, over: bool = False) -> QuerySet[ListEntry]:
    """What stands on the detector's lists at `now`, or did before (`over`), newest first."""
    rows = ListEntry.objects.filter(detector=detector).select_related("author")
    return rows.exclude(standing(now)) if over else rows.filter(standing(now))


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
    """Put a value that an event carries on a list. Raises PolicyRefused, also where it stands
    there already."""
    [done] = add_list_entries(
        detector,
        kind=kind,
        field=field,
        values=[value],
        reason=reason,
        expires_at=expires_at,
        author=author,
        typed=False,
    )
    if done.state != ADDED or done.entry is None:
        raise PolicyRefused(("values.0", f"It stands on the {kind} list already."))
    return done.entry


@transaction.atomic
def add_list_entries(
    detector: Detector,
    *,
    kind: str,
    field: str,
    values: Sequence[str],
    reason: str,
    expires_at: datetime | None,
    author: User,
    typed: bool = True,
) -> list[Outcome]:
    """Put values of a field on the allow or the deny list, all of them or none.

    One outcome for each value, in order; what stands on the list already stays as it is. `typed`:
    a value with a character that nobody sees is refused, for it was copied along from somewhere,
    and so is one that the schema lets no event carry, which would stop and let pass nothing.
    Raises PolicyRefused, of the value at place 3 as `values.3`.
    """
    row = lock(detector.pk)
    spec, now = row.spec(), timezone.now()
    plain = _values(spec, kind, field, values, typed=typed)
    reason = _reason(reason)
    _check_end("expires_at", expires_at, now, longest=None)
    tokens = [list_token(field, value) for value in plain]
    known = _standing(row, field, tokens, now)
    _refuse_elsewhere(kind, tokens, known)
    fresh = {token: value for token, value in zip(tokens, plain, strict=True) if token not in known}
    made = ListEntry.objects.bulk_create(
        ListEntry(
            detector=row,
            kind=kind,
            field=field,
            token=token,
            shown=vault.encrypt(str(value)) if field in spec.pii_fields else str(value),
            reason=reason,
            author=author,
            created_at=now + SETTLING,
            expires_at=expires_at,
        )
        for token, value in fresh.items()
    )
    if made:
        publish(row, author=author)
        what = {"kind": kind, "field": field, "reason": reason, "expires_at": expires_at}
        _record(row, "list.added", made, author, **what)
    return _outcomes(tokens, known | {entry.token: entry for entry in made}, fresh.keys(), ADDED)


@transaction.atomic
def revoke_list_values(
    detector: Detector, *, kind: str, field: str, values: Sequence[str], author: User
) -> list[Outcome]:
    """Take values of a field off a list; what does not stand there is told. One outcome for each
    value, in order. Raises PolicyRefused as `add_list_entries`."""
    row = lock(detector.pk)
    spec, now = row.spec(), timezone.now()
    plain = _values(spec, kind, field, values, typed=False)
    tokens = [list_token(field, value) for value in plain]
    found = _standing(row, field, tokens, now)
    known = {token: entry for token, entry in found.items() if entry.kind == kind}
    if known:
        entries = list(known.values())
        for entry in entries:
            entry.revoked_at = _end_of(entry, now)
        ListEntry.objects.bulk_update(entries, ["revoked_at"])
        publish(row, author=author)
        _record(row, "list.revoked", entries, author, kind=kind, field=field)
    return _outcomes(tokens, known, known.keys(), REMOVED)


def _record(
    detector: Detector, action: str, entries: Iterable[ListEntry], author: User, **what: Any
) -> None:
    """One act, one entry of the trail, whatever the number of values."""
    told = [{"entry": entry.pk, "token": entry.token} for entry in entries]
    record_audit(actor=author, action=action, subject=detector, detail=what | {"entries": told})


def _standing(
    detector: Detector, field: str, tokens: Iterable[str], now: datetime
) -> dict[str, ListEntry]:
    """By token, what stands on either list."""
    rows = ListEntry.objects.filter(standing(now), detector=detector, field=field)
    return {entry.token: entry for entry in rows.filter(token__in=set(tokens))}


def _refuse_elsewhere(kind: str, tokens: Sequence[str], known: dict[str, ListEntry]) -> None:
    """A value stands on one list at most."""
    problems = [
        (f"values.{place}", f"It stands on the {known[token].kind} list already.")
        for place, token in enumerate(tokens)
        if token in known and known[token].kind != kind
    ]
    if problems:
        raise PolicyRefused(*problems)


def _outcomes(
    tokens: Sequence[str], entries: dict[str, ListEntry], changed: Iterable[str], state: str
) -> list[Outcome]:
    """One for each token: `state` where it was changed now, told once."""
    found, seen, now = [], set[str](), set(changed)
    for token in tokens:
        entry = entries.get(token)
        if token in seen:
            word = REPEATED
        elif token in now:
            word = state
        else:
            word = ABSENT if entry is None else STANDING
        seen.add(token)
        found.append(Outcome(word, entry))
    return found


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
    if not rows.filter(pk=order.pk, revoked_at=None).update(revoked_at=_end_of(order, now)):
        return False
    publish(row, author=author)
    record_audit(actor=author, action=action, subject=row, detail={"order": order.pk})
    return True


def _end_of(order: ListEntry | Snooze, now: datetime) -> datetime:
    """Never before it began, or it would have stood for a time that never was."""
    return max(now + SETTLING, order.created_at)


def _values(
    spec: DetectorSpec, kind: str, field: str, values: Sequence[str], *, typed: bool
) -> list[str | int]:
    """The values as events carry them. Raises PolicyRefused with all that is wrong."""
    if kind not in ListEntry.Kind.values:
        raise PolicyRefused(("kind", "Allow or deny."))
    if field not in listable(spec):
        raise PolicyRefused(("field", "Values of this field cannot stand on a list."))
    if not 1 <= len(values) <= MOST_VALUES:
        raise PolicyRefused(("values", f"1 to {MOST_VALUES} values at a time, not {len(values)}."))
    is_whole = spec.type_of(field) == "integer"
    check = field_check(spec.schema["properties"][field])
    found: list[str | int] = []
    problems = []
    for place, given in enumerate(values):
        text = given.strip() if typed else given.replace("\0", "").strip()
        problem = _problem_of(text, is_whole=is_whole, typed=typed)
        value = int(text) if is_whole and not problem else text
        if typed and not problem and (wrong := check(value)):
            problem = f"No event carries it: {field} {wrong}."
        if problem:
            problems.append((f"values.{place}", problem))
        else:
            found.append(value)
    if problems:
        raise PolicyRefused(*problems)
    return found


def _problem_of(text: str, *, is_whole: bool, typed: bool) -> str:
    """Why a value cannot stand on a list; empty where it can."""
    if not text or len(text) > LONGEST_VALUE:
        return f"1 to {LONGEST_VALUE} characters."
    if is_whole and not WHOLE.fullmatch(text):
        return "A whole number."
    if typed and (unseen := first_unseen(text)):
        return (
            f"It has a character that nobody sees ({unseen}); write it without. A value that an"
            " event carries so is put on a list from the event's page."
        )
    return ""


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
