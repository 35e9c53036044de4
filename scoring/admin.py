"""Detectors to switch off, other names to edit, the rest to look at, in Django's admin."""

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html

from accounts.read_only import ReadOnlyAdmin
from accounts.services import record_audit
from scoring.models import Deployment, Detector, Label, Prediction
from scoring.policy_models import Watchlist
from scoring.rule_request_models import RuleRequest
from scoring.source_models import DetectorAlias, Source
from scoring.sources import how_it_comes

MOST_COUNTED = 10_000


class BoundedPaginator(Paginator):
    """Counts no further than people page: millions of rows need not be read for one page."""

    @cached_property
    def count(self) -> int:
        rows = cast("QuerySet[Model]", self.object_list)
        return rows.order_by()[:MOST_COUNTED].count()


@admin.register(Detector)
class DetectorAdmin(admin.ModelAdmin):
    """To switch a detector off and on; its declaration has a page of its own."""

    list_display = ("name", "slug", "enabled", "updated_at")
    list_filter = ("enabled",)
    search_fields = ("name", "slug")
    fields = ("name", "slug", "description", "enabled", "declaration", "created_at", "updated_at")
    readonly_fields = tuple(name for name in fields if name != "enabled")

    @admin.display(description="Declaration")
    def declaration(self, detector: Detector) -> str:
        address = reverse("detector_declaration", args=[detector.slug])
        return format_html('<a href="{}">{}</a>', address, address)

    def save_model(
        self, request: HttpRequest, obj: Detector, form: forms.ModelForm, change: bool
    ) -> None:
        if form.changed_data:
            obj.save(update_fields=["enabled", "updated_at"])
            record_audit(
                actor=request.user,
                action="detector.changed",
                subject=obj,
                detail={"before": {"enabled": not obj.enabled}, "after": {"enabled": obj.enabled}},
            )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # Switched off, not deleted: predictions and versions name it.
        return False


@admin.register(Prediction)
class PredictionAdmin(ReadOnlyAdmin):
    """Newest arrivals first. Fast on millions of rows: an index serves every order and search."""

    list_display = (
        "external_id",
        "detector",
        "event_time",
        "risk_level",
        "decision",
        "model_version",
        "degraded",
    )
    list_select_related = ("detector",)
    list_filter = ("detector",)
    # The id begins with the time of arrival.
    ordering = ("-id",)
    sortable_by = ()
    search_fields = ("external_id",)
    search_help_text = "A whole external id"
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    # Events hold encrypted personal data; they are shown, and revealed, on the platform's pages.
    exclude = ("event", "vector", "contributions", "body_digest")
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Prediction]:
        return super().get_queryset(request).defer("event", "vector", "contributions", "reasons")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Prediction], search_term: str
    ) -> tuple[QuerySet[Prediction], bool]:
        if not search_term.strip():
            return queryset, False
        # The index on external ids begins with the detector, so every detector is named.
        detectors = list(Detector.objects.values_list("pk", flat=True))
        # Ids are kept as sent, with their blanks; who pastes one may bring others along.
        names = {search_term, search_term.strip()}
        found = queryset.filter(detector__in=detectors, external_id__in=names)
        return found, False


@admin.register(Label)
class LabelAdmin(ReadOnlyAdmin):
    list_display = (
        *("prediction_id", "detector", "is_fraud", "source", "label_time", "author"),
        "retracted_at",
    )
    list_select_related = ("detector", "author")
    list_filter = ("detector",)
    ordering = ("-id",)
    sortable_by = ()
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Label]:
        """Those that were taken back too."""
        return Label.history.order_by(*self.ordering)


@admin.register(Deployment)
class DeploymentAdmin(ReadOnlyAdmin):
    list_display = ("detector", "slot", "version", "digest", "installed_at")
    list_select_related = ("detector",)
    list_filter = ("detector", "slot")


@admin.register(Source)
class SourceAdmin(ReadOnlyAdmin):
    """Declared by `manage.py load_source` or POST /api/v1/sources, which check them."""

    list_display = ("name", "slug", "source_type", "detector", "how", "updated_at")
    list_select_related = ("detector",)
    list_filter = ("source_type", "detector")
    search_fields = ("name", "slug")

    @admin.display(description="How its events come")
    def how(self, source: Source) -> str:
        return how_it_comes(source)


@admin.register(DetectorAlias)
class DetectorAliasAdmin(admin.ModelAdmin):
    """Other names under which clients ask for a detector."""

    list_display = ("alias", "detector")
    list_select_related = ("detector",)
    search_fields = ("alias",)

    def save_model(
        self, request: HttpRequest, obj: DetectorAlias, form: forms.ModelForm, change: bool
    ) -> None:
        former = DetectorAlias.objects.select_related("detector").filter(pk=obj.pk).first()
        if former is None or form.changed_data:
            super().save_model(request, obj, form, change)
            _audit_alias(request, "changed" if change else "added", obj, former)

    def delete_model(self, request: HttpRequest, obj: DetectorAlias) -> None:
        _audit_alias(request, "deleted", obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[DetectorAlias]) -> None:
        with transaction.atomic():
            for alias in queryset.select_related("detector"):
                self.delete_model(request, alias)


def _audit_alias(
    request: HttpRequest, what: str, alias: DetectorAlias, former: DetectorAlias | None = None
) -> None:
    """Say what became of another name; of one that was changed also what it was."""
    detail: dict[str, Any] = {"detector": alias.detector.slug}
    if former is not None:
        before, after = (
            {"alias": one.alias, "detector": one.detector.slug} for one in (former, alias)
        )
        detail |= {"before": before, "after": after}
    record_audit(actor=request.user, action=f"detector_alias.{what}", subject=alias, detail=detail)


@admin.register(Watchlist)
class WatchlistAdmin(ReadOnlyAdmin):
    """Readings of sanctions lists, taken in by `manage.py sync_watchlist`."""

    list_display = ("name", "title", "digest", "entries", "names", "active", "synced_at")
    list_filter = ("name", "active")
    # Packed, and large.
    exclude = ("content",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Watchlist]:
        return super().get_queryset(request).defer("content")


@admin.register(RuleRequest)
class RuleRequestAdmin(ReadOnlyAdmin):
    list_display = (
        *("requested_at", "detector", "kind", "rule", "to", "status", "alone"),
        *("requested_by", "decided_by"),
    )
    list_select_related = ("detector", "rule", "requested_by", "decided_by")
    list_filter = ("detector", "kind", "status", "alone")
    search_fields = ("rule__code", "reason", "requested_by__username")
