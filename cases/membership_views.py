"""Who works on which team queue: people by queues, with room, skills and absence."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.models import User
from accounts.pages import asked_choice, asked_text, template
from cases.assigning import loads_of
from cases.rights import lack_of, with_rights
from cases.selectors import assignable_users
from cases.views import signed_in
from cases.work_queue_models import QueueMember, WorkQueue

IN_NONE, AWAY = "none", "away"
PAGE_SIZE = 25
MOST_QUEUES = 8
"""Columns of the table; one queue more is chosen by the filter."""


@login_required
@permission_required("cases.view_case", raise_exception=True)
@require_GET
def membership_list(request: HttpRequest) -> HttpResponse:
    """Context: page_obj, queues (columns), rows [{user, load, lack, cells}], filters, q,
    left_out."""
    queues = list(WorkQueue.objects.all())
    known = {str(queue.pk): queue.name for queue in queues}
    q, queue = asked_text(request, "q"), asked_choice(request, "queue", {**known, IN_NONE: ""})
    state = asked_choice(request, "state", {AWAY: ""})
    away = _away(queues, timezone.now()) if state else Q()
    page = Paginator(_people(q, queue, away), PAGE_SIZE).get_page(request.GET.get("page"))
    shown = [one for one in queues if queue in ("", IN_NONE, str(one.pk))][:MOST_QUEUES]
    context = {
        "title": "Memberships",
        "crumbs": [("Cases", "/cases/"), ("Team queues", "/cases/team-queues/")],
        "page_obj": page,
        "queues": shown,
        "left_out": len(queues) - len(shown) if not queue else 0,
        "rows": _rows(list(page.object_list), shown),
        "filters": [
            {
                "name": "queue",
                "label": "Queue",
                "value": queue,
                "options": [(IN_NONE, "In none"), *known.items()],
            },
            {
                "name": "state",
                "label": "Away",
                "value": state,
                "options": [(AWAY, "Away somewhere")],
            },
        ],
        "q": q,
        "narrowed": bool(q or queue or state),
        "may_change": signed_in(request).has_perm("cases.change_workqueue"),
    }
    return render(request, template(request, "cases/membership_list.html", "list"), context)


def _away(queues: Sequence[WorkQueue], now: datetime) -> Q:
    """Which members take no work now: each queue has the day of where it works."""
    zones = defaultdict(list)  # By day: it is one of three.
    for queue in {queue.time_zone: queue for queue in queues}.values():
        zones[queue.day_at(now)].append(queue.time_zone)
    found = Q(is_available=False)
    for day, names in zones.items():
        found |= Q(queue__time_zone__in=names, away_until__gte=day)
    return found


def _people(q: str, queue: str, away: Q) -> QuerySet[User]:
    """Who may be in a queue, and who is in one still; of those who are `away`, where asked."""
    members = QueueMember.objects.filter(user=OuterRef("pk"))
    may = {user.pk for user in assignable_users()}
    people = User.objects.filter(Q(pk__in=may) | Exists(members)).order_by("username")
    people = with_rights(people, "pk")
    if q:
        people = people.filter(
            Q(username__icontains=q)
            | Q(display_name__icontains=q)
            | Q(first_name__icontains=q)
            | Q(last_name__icontains=q)
        )
    if queue == IN_NONE:
        people = people.exclude(Exists(members))
    elif queue:
        people = people.filter(Exists(members.filter(queue=int(queue))))
    if away:
        here = members.filter(queue=int(queue)) if queue not in ("", IN_NONE) else members
        people = people.filter(Exists(here.filter(away)))
    return people


def _rows(people: list[User], queues: list[WorkQueue]) -> list[dict[str, Any]]:
    """A row for each person with a cell for each queue. Three queries."""
    ids = [user.pk for user in people]
    places = {
        (member.user_id, member.queue_id): member
        for member in QueueMember.objects.filter(user__in=ids, queue__in=queues)
    }
    now = timezone.now()
    loads = loads_of(ids, now)
    return [
        {
            "user": user,
            "load": loads.get(user.pk, 0),
            "lack": lack_of(user) if user.is_active else "",
            "cells": [_cell(queue, places.get((user.pk, queue.pk)), now) for queue in queues],
        }
        for user in people
    ]


def _cell(queue: WorkQueue, member: QueueMember | None, now: datetime) -> dict[str, Any]:
    return {
        "queue": queue,
        "member": member,
        "away": member is not None and not member.works_on(queue.day_at(now)),
    }
