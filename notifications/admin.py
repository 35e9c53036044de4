"""Notifications in Django's admin, to look at; their services alone move them."""

from django.contrib import admin

from accounts.read_only import ReadOnlyAdmin
from notifications.models import Delivery, Notification, Route


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ("kind", "subject", "about", "critical", "created_at")
    list_filter = ("kind", "critical")
    search_fields = ("subject", "key")


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = ("id", "channel", "status", "attempt", "error", "created_at", "sent_at")
    list_filter = ("status", "channel")
    list_select_related = ("notification", "route", "user")
    search_fields = ("notification__subject", "route__name", "user__username")


@admin.register(Route)
class RouteAdmin(ReadOnlyAdmin):
    list_display = ("name", "channel", "shown_address", "about", "enabled", "removed_at")
    list_filter = ("channel", "enabled")
    search_fields = ("name",)
    exclude = ("sealed_address", "sealed_secret", "sealed_former_secret")
