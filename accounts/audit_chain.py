"""The audit trail's chain: what a row's hash covers, who signs its end, and how to check it.

Each entry's hash covers its own content and the hash before it, so an edit, a deletion or a swap
breaks the chain at that row. Cutting the end off would not; therefore the end (number and hash) is
signed with a key that the database does not hold.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC

from django.db.models import Subquery

from accounts import vault
from accounts.models import AuditEntry, AuditHead

GENESIS_HASH = "0" * 64
FORGED = (
    "the signature of the trail's end is not ours (it was changed, or RISK_PII_KEYS has not the key"
    " that signed it as its last one)"
)


END_CHANGED = "audit.end_changed"
"""What an entry says that stands behind an end that was not what we had signed."""
CHANGED = "the trail's end before this entry was not what was signed: it was changed from outside"


@dataclass(frozen=True, slots=True)
class AuditBreak:
    """The first place where the trail is not what was written."""

    number: int
    reason: str


def entry_hash(entry: AuditEntry) -> str:
    """SHA-256 over every column of `entry` but the hash itself, as 64 hex digits."""
    content = [
        entry.previous_hash,
        entry.number,
        entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        entry.actor_id,
        entry.action,
        entry.object_type,
        entry.object_id,
        entry.object_label,
        entry.detail_json,
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()


def sign_head(number: int, row_hash: str) -> str:
    """The signature of a chain that ends with entry `number`."""
    return vault.token("audit-head", f"{number}:{row_hash}")


def find_audit_break() -> AuditBreak | None:
    """The first of `audit_breaks`; None when every row is as it was written."""
    return next(audit_breaks(), None)


def audit_breaks() -> Iterator[AuditBreak]:
    """Walk the trail, oldest first: each entry that says that the end before it was changed, for
    work went on behind these, and the first place that nobody has said of.

    It walks to the end that was signed when it began, for the trail grows meanwhile; of what came
    later it looks at the newest end alone.
    """
    head = AuditHead.objects.first()
    if head is None:
        yield from _those(find_end_break())
        return
    if forged := _check_signature(head):
        yield forged
        return
    number, row_hash = 0, GENESIS_HASH
    entries = AuditEntry.objects.filter(number__lte=head.number).order_by("number")
    for entry in entries.iterator(chunk_size=2000):
        if entry.number != number + 1:
            yield AuditBreak(number + 1, "this entry is missing")
            return
        if entry.previous_hash != row_hash:
            yield AuditBreak(entry.number, "it does not follow the entry before it")
            return
        if entry_hash(entry) != entry.row_hash:
            yield AuditBreak(entry.number, "its content was changed")
            return
        if entry.action == END_CHANGED:
            yield AuditBreak(entry.number, CHANGED)
        number, row_hash = entry.number, entry.row_hash
    yield from _those(_check_end(head, number, row_hash) or find_end_break())


def _those(found: AuditBreak | None) -> list[AuditBreak]:
    return [] if found is None else [found]


def find_shown_breaks(entries: Sequence[AuditEntry]) -> dict[int, str]:
    """Number -> reason of those among `entries` that are not as written, or whose place in the
    chain is not. One query, however long the trail is."""
    before = {entry.number - 1 for entry in entries}
    rows = AuditEntry.objects.filter(number__in=before).order_by()
    hashes = {0: GENESIS_HASH} | dict(rows.values_list("number", "row_hash"))
    found = {}
    for entry in entries:
        if entry_hash(entry) != entry.row_hash:
            found[entry.number] = "its content was changed"
        elif entry.number - 1 not in hashes:
            found[entry.number] = "the entry before it is missing"
        elif hashes[entry.number - 1] != entry.previous_hash:
            found[entry.number] = "it does not follow the entry before it"
        elif entry.action == END_CHANGED:
            found[entry.number] = CHANGED
    return found


def find_end_break() -> AuditBreak | None:
    """Whether the trail ends where it was signed to end; None when it does. One query, so that
    what is added meanwhile is seen whole or not at all."""
    newest = AuditEntry.objects.order_by("-number")
    head = AuditHead.objects.annotate(
        last=Subquery(newest.values("number")[:1]),
        last_hash=Subquery(newest.values("row_hash")[:1]),
    ).first()
    if head is not None:
        return _check_end(head, head.last or 0, head.last_hash or GENESIS_HASH)
    last = newest.values_list("number", flat=True).first()
    # A first entry may have come between the two queries, and its head with it.
    if last is None or AuditHead.objects.exists():
        return None
    return AuditBreak(last, "the signed end of the trail is missing")


def is_ours(head: AuditHead) -> bool:
    """Whether this end of the trail was signed with the last key of RISK_PII_KEYS."""
    return _check_signature(head) is None


def _check_end(head: AuditHead, number: int, row_hash: str) -> AuditBreak | None:
    if forged := _check_signature(head):
        return forged
    if head.number > number:
        return AuditBreak(number + 1, "the trail was cut off before this entry")
    if head.number < number:
        return AuditBreak(number, "the trail goes on after its signed end")
    if head.row_hash != row_hash:
        return AuditBreak(number, "it is not what was signed as the trail's end")
    return None


def _check_signature(head: AuditHead) -> AuditBreak | None:
    if hmac.compare_digest(head.signature, sign_head(head.number, head.row_hash)):
        return None
    return AuditBreak(head.number, FORGED)
