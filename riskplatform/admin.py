"""The timetable in Django's admin: when a task runs and whether it does; never which, never more.

django-celery-beat's own pages would take any task's name and tell the audit trail nothing.
"""

from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django_celery_beat.admin import PeriodicTaskAdmin  # noqa: F401 - registers what goes below
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from accounts.models import User
from accounts.services import record_audit
from riskplatform.scheduling import TIMES, note_run, save_task, send_tasks, switch_tasks

admin.site.unregister(
    [ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule]
)


class TimetableForm(ModelForm):
    """Whatever is chosen takes the place of a single moment, which is set nowhere here."""

    def clean(self) -> dict[str, Any] | None:
        given = super().clean()
        if given and any(given.get(name) for name in TIMES):
            self.instance.clocked = None
        return given


@admin.register(PeriodicTask)
class ScheduledTaskAdmin(admin.ModelAdmin):
    """Tasks are shipped with the code: none is added, none is deleted."""

    form = TimetableForm
    list_display = ("name", "enabled", "scheduler", "last_run_at")
    list_select_related = TIMES
    list_filter = ("enabled",)
    search_fields = ("name", "task")
    readonly_fields = (
        *("name", "task", "args", "kwargs", "description"),
        *("clocked", "last_run_at", "total_run_count"),
    )
    fields = (
        *("name", "task", "args", "kwargs", "description", "enabled"),
        *(*TIMES, "last_run_at", "total_run_count"),
    )
    actions = ("enable_tasks", "disable_tasks", "toggle_tasks", "run_tasks")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: PeriodicTask, form: ModelForm, change: bool
    ) -> None:
        save_task(obj, changed=form.changed_data, actor=cast(User, request.user))

    @admin.action(description="Enable selected tasks", permissions=["change"])
    def enable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._switch(request, queryset, on=True)

    @admin.action(description="Disable selected tasks", permissions=["change"])
    def disable_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._switch(request, queryset, on=False)

    @admin.action(description="Toggle selected tasks", permissions=["change"])
    def toggle_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        self._switch(request, queryset, on=None)

    def _switch(
        self, request: HttpRequest, queryset: QuerySet[PeriodicTask], *, on: bool | None
    ) -> None:
        changed = switch_tasks(queryset, on=on, actor=cast(User, request.user))
        messages.success(request, f"Tasks that changed: {changed}.")

    @admin.action(description="Run selected tasks now", permissions=["change"])
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        rows = list(queryset)
        note_run(rows, actor=cast(User, request.user))
        sent, problem = send_tasks(rows)
        if problem:
            messages.error(
                request,
                f"A worker is asked for {sent} of {len(rows)} tasks. The broker failed: {problem}."
                " Run the others again once it is back; each runs at its usual time anyway.",
            )
        else:
            messages.success(request, f"Tasks that a worker is asked for: {sent}.")


@admin.register(IntervalSchedule, CrontabSchedule, SolarSchedule)
class TimesAdmin(admin.ModelAdmin):
    """Times that tasks may be given. Tasks share them, and go with them: so none is changed or
    deleted, and a task is given another one instead."""

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Model, form: ModelForm, change: bool) -> None:
        super().save_model(request, obj, form, change)
        record_audit(actor=request.user, action="schedule.times_added", subject=obj)
