"""Jobs in Django's admin, to look at; they are moved by their services alone."""

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from jobs.models import Job


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):
    list_display = ("id", "kind", "subject", "status", "attempt", "queued_at", "finished_at")
    list_filter = ("status", "kind")
    search_fields = ("kind", "subject", "unique_key")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
