"""Tags of cases: short words, the same for everybody."""

import re
from collections.abc import Iterable

from django.db import transaction

from accounts.models import User
from accounts.services import record_audit
from cases.case_events import Kind, add_event
from cases.case_models import Tag
from cases.models import Case
from cases.workflow import CaseStatus, MoveRefused

MOST = 12
_WORD = re.compile(r"[\w][\w .:/+-]{0,39}")


def tag_names(text: str) -> list[str]:
    """The tags in what somebody typed, divided by commas: lower case, each once.

    Raises MoveRefused.
    """
    names = [" ".join(part.split()).lower() for part in text.split(",")]
    names = list(dict.fromkeys(filter(None, names)))
    if len(names) > MOST:
        raise MoveRefused(f"A case has {MOST} tags at most.")
    for name in names:
        if not _WORD.fullmatch(name):
            raise MoveRefused(
                f"“{name[:50]}” is no tag: up to 40 letters, digits, spaces and . : / + - _."
            )
    return names


@transaction.atomic
def set_tags(case: Case, *, names: Iterable[str], actor: User) -> Case:
    """Make these the tags of the case. Raises MoveRefused."""
    row = Case.objects.select_for_update().get(pk=case.pk)
    if not actor.has_perm("cases.work_case"):
        raise MoveRefused("You may not work on cases.")
    if row.status == CaseStatus.MERGED:
        raise MoveRefused("This case went into another one: tag that one.")
    wanted = sorted(set(names))
    before = sorted(row.tags.values_list("name", flat=True))
    if wanted == before:
        return row
    Tag.objects.bulk_create([Tag(name=name) for name in wanted], ignore_conflicts=True)
    row.tags.set(Tag.objects.filter(name__in=wanted))
    add_event(row, Kind.TAGGED, actor=actor, tags=wanted)
    record_audit(
        actor=actor,
        action="case.tagged",
        subject=row,
        detail={"before": before, "after": wanted},
    )
    return row
