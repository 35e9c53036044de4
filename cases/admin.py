"""Alerts and cases in the admin: to look things up. History is read, never written, here."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from cases.models import Alert, AlertPrediction, Case, CaseEvent, Touch
from cases.queue_models import (
    AlertComment,
    Closing,
    HandlingTime,
    HandOut,
    QueueBudget,
    SavedView,
)


class ReadOnly:
    """Rows that only the services write: labels, audit and timelines hang on every change."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


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
class AlertAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "detector", "level", "status", "risk", "exposure", "owner", "opened_at")
    list_filter = ("status", "level", "detector")
    list_select_related = ("detector", "owner")
    search_fields = ("=id", "=entity")
    inlines = (LinkInline,)


@admin.register(Case)
class CaseAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("id", "title", "status", "disposition", "owner", "opened_at", "closed_at")
    list_filter = ("status", "disposition")
    list_select_related = ("owner",)
    search_fields = ("=id", "title")
    inlines = (TimelineInline,)


@admin.register(AlertPrediction)
class AlertPredictionAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("alert", "prediction", "added_at")
    list_select_related = ("alert", "prediction")
    search_fields = ("=alert__id", "=prediction__external_id")


@admin.register(CaseEvent)
class CaseEventAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("case", "kind", "actor", "at")
    list_filter = ("kind",)
    list_select_related = ("case", "actor")
    search_fields = ("=case__id", "text")


@admin.register(Touch)
class TouchAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("user", "alert", "case", "opened_at", "closed_at")
    list_select_related = ("user", "alert", "case")
    date_hierarchy = "opened_at"


@admin.register(HandOut)
class HandOutAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("alert", "user", "reason", "share", "propensity", "at")
    list_filter = ("reason",)
    list_select_related = ("alert", "user")
    search_fields = ("=alert__id",)


@admin.register(Closing)
class ClosingAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("alert", "user", "at", "undone_at", "undone_by")
    list_select_related = ("alert", "user", "undone_by")
    search_fields = ("=alert__id",)


@admin.register(AlertComment)
class AlertCommentAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("alert", "author", "at", "text")
    list_select_related = ("alert",)
    search_fields = ("=alert__id", "text")


@admin.register(HandlingTime)
class HandlingTimeAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("detector", "level", "size", "minutes", "alerts", "measured_at")
    list_select_related = ("detector",)


@admin.register(QueueBudget)
class QueueBudgetAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("user", "uncertain", "audit")
    list_select_related = ("user",)


@admin.register(SavedView)
class SavedViewAdmin(ReadOnly, admin.ModelAdmin):
    list_display = ("name", "owner", "shared", "query", "created_at")
    list_filter = ("shared",)
    list_select_related = ("owner",)
