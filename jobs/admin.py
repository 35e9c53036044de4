"""Jobs in Django's admin, to look at; they are moved by their services alone."""

from django.contrib import admin

from accounts.read_only import ReadOnlyAdmin
from jobs.models import Job


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "subject", "status", "attempt", "queued_at", "finished_at")
    list_filter = ("status", "kind")
    search_fields = ("kind", "subject", "unique_key")
    # Pages tell what it was asked to do without what leads to a person who is being erased.
    exclude = ("params",)
