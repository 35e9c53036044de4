"""Checklists: a type's template, copied into each of its cases; who ticked what, and when."""

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from cases.as_read import check_as_read, mark_of
from cases.case_events import Kind, add_event
from cases.case_models import CaseCheck, CaseType, ChecklistItem
from cases.models import Case
from cases.workflow import LIVE_CASES, MoveRefused

MOST_ITEMS = 30


def type_for(detector_id: int) -> CaseType | None:
    """The type that a new case of this detector gets: its own, else one for every detector."""
    rows = CaseType.objects.filter(is_active=True)
    own = rows.filter(detectors=detector_id).first()
    return own or rows.filter(detectors=None).first()


def start_checklist(case: Case, *, detector_id: int) -> None:
    """Give a new case its type and checklist, and save it. Inside a transaction."""
    case.case_type = type_for(detector_id)
    case.save()
    if case.case_type is not None:
        _copy(case, list(case.case_type.items.all()), after=0)


def _copy(case: Case, items: Sequence[ChecklistItem], *, after: int) -> None:
    CaseCheck.objects.bulk_create(
        [CaseCheck(case=case, text=item.text, position=after + i) for i, item in enumerate(items)]
    )


@transaction.atomic
def set_case_type(case: Case, *, case_type: CaseType, actor: User) -> Case:
    """Change a case's type: what is ticked stays, what is not gives way to the new type's items.

    Raises MoveRefused.
    """
    row = _workable(case, actor)
    if not case_type.is_active:
        raise MoveRefused("This type is not offered any more.")
    if row.case_type_id == case_type.pk:
        return row
    row.case_type = case_type
    row.save(update_fields=["case_type"])
    row.checks.filter(done_at=None).delete()
    kept = set(row.checks.values_list("text", flat=True))
    items = [item for item in case_type.items.all() if item.text not in kept]
    _copy(row, items, after=len(kept))
    add_event(row, Kind.TYPED, actor=actor, type=case_type.name)
    record_audit(
        actor=actor, action="case.type_changed", subject=row, detail={"type": case_type.name}
    )
    return row


@transaction.atomic
def tick(check: CaseCheck, *, done: bool, actor: User) -> CaseCheck:
    """Tick an item or take the tick back; again changes nothing. Raises MoveRefused."""
    _workable(check.case, actor)
    row = CaseCheck.objects.select_for_update().get(pk=check.pk)
    if (row.done_at is not None) == done:
        return row
    row.done_by, row.done_at = (actor, timezone.now()) if done else (None, None)
    row.save(update_fields=["done_by", "done_at"])
    kind = Kind.CHECKED if done else Kind.UNCHECKED
    add_event(row.case, kind, actor=actor, item=row.text)
    return row


def type_mark(case_type: CaseType) -> str:
    """The mark of a type as it is stored, for whoever reads it to change it."""
    if case_type.pk is None:
        return ""
    detectors = sorted(row.pk for row in case_type.detectors.all())
    return mark_of(case_type, detectors, list(case_type.items.values_list("text", flat=True)))


@transaction.atomic
def write_template(
    case_type: CaseType,
    *,
    items: Sequence[str],
    detectors: Sequence[int],
    actor: User,
    read: str | None = None,
) -> CaseType:
    """Save a type with the items of its checklist, in order. Cases that are open keep theirs.
    Raises ChangedSince where `read`, the mark that the form was opened with, is not that of the
    type any more."""
    if case_type.pk is not None:
        check_as_read(type_mark(CaseType.objects.select_for_update().get(pk=case_type.pk)), read)
    case_type.save()
    case_type.detectors.set(detectors)
    before = list(case_type.items.values_list("text", flat=True))
    if before != list(items):
        case_type.items.all().delete()
        ChecklistItem.objects.bulk_create(
            [
                ChecklistItem(case_type=case_type, text=text, position=i)
                for i, text in enumerate(items)
            ]
        )
    record_audit(
        actor=actor,
        action="case_type.saved",
        subject=case_type,
        detail={"before": before, "after": list(items), "offered": case_type.is_active},
    )
    return case_type


def _workable(case: Case, actor: User) -> Case:
    row = Case.objects.select_for_update().get(pk=case.pk)
    if not actor.has_perm("cases.work_case"):
        raise MoveRefused("You may not work on cases.")
    if row.status not in LIVE_CASES:
        raise MoveRefused("This case is not open: its checklist stays as it is.")
    return row
