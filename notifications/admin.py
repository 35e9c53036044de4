"""Notifications in Django's admin, to look at; their services alone move them."""

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from notifications.models import Delivery, Notification, Route


class ReadOnly(admin.ModelAdmin):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Notification)
class NotificationAdmin(ReadOnly):
    list_display = ("kind", "subject", "about", "critical", "created_at")
    list_filter = ("kind", "critical")
    search_fields = ("subject", "key")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly):
    list_display = ("id", "channel", "status", "attempt", "error", "created_at", "sent_at")
    list_filter = ("status", "channel")
    list_select_related = ("notification", "route", "user")
    search_fields = ("notification__subject", "route__name", "user__username")


@admin.register(Route)
class RouteAdmin(ReadOnly):
    list_display = ("name", "channel", "shown_address", "about", "enabled", "removed_at")
    list_filter = ("channel", "enabled")
    search_fields = ("name",)
    exclude = ("sealed_address", "sealed_secret", "sealed_former_secret")
