"""The timetable that beat follows: a row for each task, shipped by us, its times set by admins.

Every migration makes rows that are missing. Beat itself writes none: it would put back, at each
start, what an admin has changed.
"""

import json
import logging
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any

from celery import current_app
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import QuerySet
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from accounts.models import User
from accounts.services import record_audit
from jobs.dispatch import send_soon
from riskplatform.beat_schedule import BEAT_SCHEDULE, RETIRED

logger = logging.getLogger(__name__)
TIMES = ("interval", "crontab", "solar", "clocked")
"""The fields of a task of which one says when it is due."""


def make_tasks_after_migrate(using: str, **kwargs: Any) -> None:
    """A receiver of post_migrate, which also comes before that app's own tables are there."""
    connection = connections[using]
    if using == DEFAULT_DB_ALIAS and (
        PeriodicTask._meta.db_table in connection.introspection.table_names()
    ):
        make_missing_tasks()


@transaction.atomic
def make_missing_tasks() -> list[str]:
    """Rows for the shipped tasks that have none; their names.

    Rows that are there keep their times and whether they are enabled. Which task a row runs is the
    code's, and rows of what is shipped no more go.
    """
    there = dict(PeriodicTask.objects.values_list("name", "task"))
    missing = [name for name in BEAT_SCHEDULE if name not in there]
    moved = [name for name, entry in BEAT_SCHEDULE.items()
             if there.get(name, entry["task"]) != entry["task"]]  # fmt: skip
    gone = RETIRED & there.keys()
    PeriodicTask.objects.bulk_create(
        (
            PeriodicTask(
                name=name,
                task=BEAT_SCHEDULE[name]["task"],
                interval=_every(int(BEAT_SCHEDULE[name]["schedule"])),
            )
            for name in missing
        ),
        ignore_conflicts=True,  # Two hosts may be brought up to date at the same time.
    )
    for name in moved:
        PeriodicTask.objects.filter(name=name).update(task=BEAT_SCHEDULE[name]["task"])
    PeriodicTask.objects.filter(name__in=gone).delete()
    if missing or moved or gone:
        PeriodicTasks.update_changed()  # Tells a running beat.
    return missing


def _every(seconds: int) -> IntervalSchedule:
    # Not get_or_create: an admin may have made the same one twice.
    wanted = {"every": seconds, "period": IntervalSchedule.SECONDS}
    return IntervalSchedule.objects.filter(**wanted).first() or IntervalSchedule.objects.create(
        **wanted
    )


@transaction.atomic
def switch_tasks(rows: QuerySet[PeriodicTask], *, on: bool | None, actor: User) -> int:
    """Enable or disable tasks (None: each the other way round); how many changed. Audited."""
    changed = 0
    for row in list(rows.select_for_update(of=("self",), no_key=True)):
        wanted = not row.enabled if on is None else on
        if row.enabled != wanted:
            row.enabled = wanted
            save_task(row, changed=("enabled",), actor=actor)
            changed += 1
    return changed


@transaction.atomic
def save_task(row: PeriodicTask, *, changed: Collection[str], actor: User) -> None:
    """Keep a task whose switch or times changed, and tell the audit trail what they were."""
    if not changed:
        return
    before = PeriodicTask.objects.select_related(*TIMES).get(pk=row.pk)
    # Disabling forgets the last run, so that a task which is enabled again waits for its turn.
    forgotten = () if row.enabled else ("last_run_at",)
    row.save(update_fields=["enabled", *TIMES, "date_changed", *forgotten])
    detail = {"task": row.task}
    if before.enabled != row.enabled:
        detail |= {"enabled": row.enabled}
    if str(before.scheduler) != str(row.scheduler):
        detail |= {"before": str(before.scheduler), "after": str(row.scheduler)}
    record_audit(actor=actor, action="schedule.task_changed", subject=row, detail=detail)


@transaction.atomic
def note_run(rows: Iterable[PeriodicTask], *, actor: User) -> None:
    """Tell the audit trail that somebody asks for tasks out of turn; `send_tasks` asks for them."""
    for row in rows:
        record_audit(
            actor=actor, action="schedule.task_run", subject=row, detail={"task": row.task}
        )


def send_tasks(rows: Sequence[PeriodicTask]) -> tuple[int, str]:
    """Ask a worker for tasks as beat does: how many the broker took, and why it took no more.

    Nobody waits long for a broker that is silent, and none is asked for what is left: no sweep
    sends it later, and the task that it was being asked for may still be taken.
    """
    for sent, row in enumerate(rows):
        send = partial(
            current_app.send_task,
            kwargs=json.loads(row.kwargs or "{}"),
            queue=row.queue,
            headers={"periodic_task_name": row.name},
        )
        try:
            if not send_soon(send, row.task, args=json.loads(row.args or "[]")):
                return sent, "it did not answer in time"
        except Exception as problem:  # Each transport raises what its client library raises.
            logger.warning("Task %s was not sent: %s", row.task, problem)
            return sent, str(problem)
    return len(rows), ""
