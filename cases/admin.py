"""Alerts and cases in the admin: to look things up. History is read, never written, here."""

from typing import Any, cast

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest

from accounts.models import User
from accounts.read_only import ReadOnly, ReadOnlyAdmin
from cases.case_models import (
    CaseApproval,
    CaseAttachment,
    CaseCheck,
    CaseHandover,
    CaseMention,
    CaseMerge,
    CaseType,
    ChecklistItem,
    Tag,
)
from cases.models import Alert, AlertPrediction, Case, CaseEvent, Touch
from cases.queue_models import (
    AlertComment,
    Closing,
    HandlingTime,
    HandOut,
    QueueBudget,
    SavedView,
)
from cases.rate_forms import RateForm
from cases.rate_models import ExchangeRate
from cases.report_models import ReportRun, ReportSubscription
from cases.tasks import reorder_soon
from cases.work_queue_models import Escalation, QueueMember, WorkQueue


class TimelineInline(ReadOnly, admin.TabularInline):
    model = CaseEvent
    fields = ("at", "kind", "actor", "text")
    readonly_fields = ("at",)
    extra = 0


class LinkInline(ReadOnly, admin.TabularInline):
    model = AlertPrediction
    fields = ("prediction", "added_at")
    readonly_fields = ("added_at",)
    extra = 0


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("id", "detector", "level", "status", "risk", "exposure", "owner", "opened_at")
    list_filter = ("status", "level", "detector")
    list_select_related = ("detector", "owner")
    search_fields = ("=id", "=entity")
    inlines = (LinkInline,)


@admin.register(Case)
class CaseAdmin(ReadOnlyAdmin):
    list_display = (
        *("id", "title", "status", "disposition", "priority", "work_queue", "owner"),
        *("opened_at", "due_at", "closed_at"),
    )
    list_filter = ("status", "disposition", "priority", "work_queue")
    list_select_related = ("owner", "work_queue")
    search_fields = ("=id", "title")
    inlines = (TimelineInline,)


@admin.register(AlertPrediction)
class AlertPredictionAdmin(ReadOnlyAdmin):
    list_display = ("alert", "prediction", "added_at")
    list_select_related = ("alert", "prediction")
    search_fields = ("=alert__id", "=prediction__external_id")


@admin.register(CaseEvent)
class CaseEventAdmin(ReadOnlyAdmin):
    list_display = ("case", "kind", "actor", "at")
    list_filter = ("kind",)
    list_select_related = ("case", "actor")
    search_fields = ("=case__id", "text")


@admin.register(Touch)
class TouchAdmin(ReadOnlyAdmin):
    list_display = ("user", "alert", "case", "opened_at", "closed_at")
    list_select_related = ("user", "alert", "case")
    date_hierarchy = "opened_at"


@admin.register(HandOut)
class HandOutAdmin(ReadOnlyAdmin):
    list_display = ("alert", "user", "reason", "share", "propensity", "at")
    list_filter = ("reason",)
    list_select_related = ("alert", "user")
    search_fields = ("=alert__id",)


@admin.register(Closing)
class ClosingAdmin(ReadOnlyAdmin):
    list_display = ("alert", "user", "at", "undone_at", "undone_by")
    list_select_related = ("alert", "user", "undone_by")
    search_fields = ("=alert__id",)


@admin.register(AlertComment)
class AlertCommentAdmin(ReadOnlyAdmin):
    list_display = ("alert", "author", "at", "text")
    list_select_related = ("alert",)
    search_fields = ("=alert__id", "text")


@admin.register(HandlingTime)
class HandlingTimeAdmin(ReadOnlyAdmin):
    list_display = ("detector", "level", "size", "minutes", "alerts", "measured_at")
    list_select_related = ("detector",)


@admin.register(QueueBudget)
class QueueBudgetAdmin(ReadOnlyAdmin):
    list_display = ("user", "uncertain", "audit")
    list_select_related = ("user",)


@admin.register(SavedView)
class SavedViewAdmin(ReadOnlyAdmin):
    list_display = ("name", "owner", "shared", "query", "created_at")
    list_filter = ("shared",)
    list_select_related = ("owner",)


class ItemInline(ReadOnly, admin.TabularInline):
    model = ChecklistItem
    fields = ("position", "text")
    extra = 0


class MemberInline(ReadOnly, admin.TabularInline):
    model = QueueMember
    fields = ("user", "capacity", "skills", "is_available", "away_until", "last_assigned_at")
    readonly_fields = ("last_assigned_at",)
    extra = 0


@admin.register(WorkQueue)
class WorkQueueAdmin(ReadOnlyAdmin):
    """Changed on the product's own page, which audits every change."""

    list_display = ("name", "position", "is_active", "assignment", "due_after", "lead")
    list_filter = ("is_active", "assignment")
    list_select_related = ("lead",)
    search_fields = ("name",)
    inlines = (MemberInline,)


@admin.register(CaseType)
class CaseTypeAdmin(ReadOnlyAdmin):
    """Changed on the product's own page, which audits every change."""

    list_display = ("name", "is_active")
    list_filter = ("is_active",)
    search_fields = ("name",)
    inlines = (ItemInline,)


@admin.register(CaseApproval)
class CaseApprovalAdmin(ReadOnlyAdmin):
    list_display = (
        *("case", "status", "disposition", "amount", "currency", "requested_by"),
        *("requested_at", "decided_by", "decided_at"),
    )
    list_filter = ("status", "disposition")
    list_select_related = ("case", "requested_by", "decided_by")
    search_fields = ("=case__id",)
    date_hierarchy = "requested_at"


@admin.register(CaseAttachment)
class CaseAttachmentAdmin(ReadOnlyAdmin):
    list_display = ("name", "case", "content_type", "size", "added_by", "added_at")
    list_filter = ("content_type",)
    list_select_related = ("case", "added_by")
    search_fields = ("=case__id", "name", "=sha256")


@admin.register(CaseMerge)
class CaseMergeAdmin(ReadOnlyAdmin):
    list_display = ("source", "target", "merged_by", "merged_at", "undone_by", "undone_at")
    list_select_related = ("source", "target", "merged_by", "undone_by")
    search_fields = ("=source__id", "=target__id")


@admin.register(CaseHandover)
class CaseHandoverAdmin(ReadOnlyAdmin):
    list_display = ("case", "from_user", "to_user", "status", "at", "answered_at")
    list_filter = ("status",)
    list_select_related = ("case", "from_user", "to_user")
    search_fields = ("=case__id",)


@admin.register(CaseCheck)
class CaseCheckAdmin(ReadOnlyAdmin):
    list_display = ("case", "text", "done_by", "done_at")
    list_select_related = ("case", "done_by")
    search_fields = ("=case__id", "text")


@admin.register(CaseMention)
class CaseMentionAdmin(ReadOnlyAdmin):
    list_display = ("event", "user")
    list_select_related = ("event", "user")
    search_fields = ("=event__case__id", "user__username")


@admin.register(Tag)
class TagAdmin(ReadOnlyAdmin):
    list_display = ("name",)
    search_fields = ("name",)


@admin.register(Escalation)
class EscalationAdmin(ReadOnlyAdmin):
    list_display = ("id", "queue", "alert", "case", "recipient", "notify", "at")
    list_filter = ("queue", "notify")
    list_select_related = ("queue", "alert", "case", "recipient")
    date_hierarchy = "at"


@admin.register(ReportRun)
class ReportRunAdmin(ReadOnlyAdmin):
    list_display = ("subscription_id", "key", "first", "last", "made_at")
    search_fields = ("=subscription__id",)


@admin.register(ReportSubscription)
class ReportSubscriptionAdmin(ReadOnlyAdmin):
    """Changed on the product's own page by its owner, which audits every change."""

    list_display = ("owner", "detector", "days", "often", "hour", "is_paused", "handled_until")
    list_filter = ("often", "is_paused")
    list_select_related = ("owner", "detector")
    search_fields = ("owner__username",)


@admin.register(ExchangeRate)
class ExchangeRateAdmin(ReadOnly, admin.ModelAdmin):
    """A rate is added, by the service of the product's own page; the one before stays on record."""

    form = RateForm
    fields = ("currency", "rate", "sure")
    list_display = ("currency", "rate", "to", "set_by", "set_at", "replaced_at")
    list_filter = (("replaced_at", admin.EmptyFieldListFilter), "currency")
    list_select_related = ("set_by",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return cast(User, request.user).has_perm("cases.add_exchangerate")

    def save_model(
        self, request: HttpRequest, obj: ExchangeRate, form: ModelForm, change: bool
    ) -> None:
        obj.pk = cast(RateForm, form).set_rate(actor=cast(User, request.user)).pk
        reorder_soon()
