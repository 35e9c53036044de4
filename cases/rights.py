"""What members of team queues may do: somebody whose role was taken stays in their queues."""

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from accounts.models import User

TRIAGE, WORK = "cases.triage_alert", "cases.work_case"


def with_rights(rows: QuerySet[Any], user: str) -> QuerySet[Any]:
    """The rows with `may_triage` and `may_work` of the active user whose key `user` names."""
    return rows.annotate(
        may_triage=Exists(User.objects.with_perm(TRIAGE).filter(pk=OuterRef(user))),
        may_work=Exists(User.objects.with_perm(WORK).filter(pk=OuterRef(user))),
    )


def lack_of(row: Any) -> str:
    """What a page says of a row of `with_rights`; empty where nothing is lacking."""
    lacking = [
        words for words, may in (("alerts", row.may_triage), ("cases", row.may_work)) if not may
    ]
    return f"may not work on {' or '.join(lacking)}" if lacking else ""
