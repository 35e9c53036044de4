"""Detectors to edit, the rest to look at, in Django's admin."""

import json
from collections.abc import Mapping
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property

from accounts.read_only import ReadOnlyAdmin
from accounts.services import record_audit
from scoring.core.bundle import compile_rules
from scoring.core.json_values import is_too_deep, with_nul, without_value
from scoring.core.reader import SpecError
from scoring.core.spec import parse_spec
from scoring.core.vocabulary import RuleError
from scoring.declarations import deploy_rules, govern
from scoring.deployment import RULES_ONLY
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


class StrictDecoder(json.JSONDecoder):
    """Refuses what a body of the API may not hold either (scoring/core/json_values.py)."""

    def decode(self, s: str, *args: Any) -> Any:
        try:
            found = super().decode(s, *args)
        except RecursionError as error:
            raise json.JSONDecodeError("is nested too deeply", s, 0) from error
        if is_too_deep(s.encode(), found) or [*without_value(found), *with_nul(found)]:
            raise json.JSONDecodeError("is nothing that a database holds", s, 0)
        return found


class DeclarationField(forms.JSONField):
    """JSON as people edit it: one entry a line."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(decoder=StrictDecoder, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, dict):
            return json.dumps(value, indent=2, ensure_ascii=False)
        return super().prepare_value(value)


GOVERNED = ("rules", "audit_rate", "screening")


class DetectorForm(forms.ModelForm):
    """The declaration as JSON; every mistake in it is shown with the place where it stands."""

    config = DeclarationField(
        label="Declaration",
        help_text="What docs/detectors.md describes, as JSON. Name and description stand in it.",
        widget=forms.Textarea(attrs={"rows": 40, "cols": 110, "spellcheck": "false"}),
    )

    class Meta:
        model = Detector
        fields = ("config", "enabled")

    def clean_config(self) -> dict[str, Any]:
        config = self.cleaned_data["config"]
        if not isinstance(config, dict):
            raise ValidationError("A detector is a mapping.")
        try:
            spec = parse_spec(config)
            compile_rules(spec)
        except SpecError as error:
            raise ValidationError([f"{place}: {said}" for place, said in error.problems]) from error
        except RuleError as error:
            raise ValidationError(f"rules: {error}") from error
        self._check_slug(spec.slug)
        self._check_policy(config)
        self.instance.slug, self.instance.name = spec.slug, spec.name
        self.instance.description = spec.description
        return config

    def _check_policy(self, config: Mapping[str, Any]) -> None:
        """What decides besides the model changes by requests that a second person approves."""
        if self.instance.pk is None or not settings.FOUR_EYES:
            return
        changed = [name for name in GOVERNED if config.get(name) != self.instance.config.get(name)]
        if changed:
            raise ValidationError(
                f"{', '.join(changed)}: a second person has to approve such a change. Ask for it on"
                " the pages of the detector's rules and policy."
            )

    def _check_slug(self, slug: str) -> None:
        if self.instance.pk and slug != self.instance.slug:
            raise ValidationError(
                f"slug: stays '{self.instance.slug}'; make a new detector instead"
            )
        if not self.instance.pk and Detector.objects.filter(slug=slug).exists():
            raise ValidationError(f"slug: there is a detector '{slug}' already")


@admin.register(Detector)
class DetectorAdmin(admin.ModelAdmin):
    """Name, slug and description stand in the declaration, so it alone is edited."""

    form = DetectorForm
    list_display = ("name", "slug", "enabled", "updated_at")
    list_filter = ("enabled",)
    search_fields = ("name", "slug")
    readonly_fields = ("slug", "name", "description", "created_at", "updated_at")
    fields = ("name", "slug", "description", "enabled", "config", "created_at", "updated_at")

    def save_model(
        self, request: HttpRequest, obj: Detector, form: forms.ModelForm, change: bool
    ) -> None:
        super().save_model(request, obj, form, change)
        # A champion goes on with the declaration that it was trained with.
        champion = obj.deployments.filter(slot=Deployment.Slot.CHAMPION).first()
        if champion is None or champion.version == RULES_ONLY:
            deploy_rules(obj)
        govern(obj)
        record_audit(
            actor=request.user,
            action="detector.changed" if change else "detector.added",
            subject=obj,
            detail={"fields": form.changed_data},
        )

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
        super().save_model(request, obj, form, change)
        _audit_alias(request, "changed" if change else "added", obj)

    def delete_model(self, request: HttpRequest, obj: DetectorAlias) -> None:
        _audit_alias(request, "deleted", obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[DetectorAlias]) -> None:
        with transaction.atomic():
            for alias in queryset.select_related("detector"):
                self.delete_model(request, alias)


def _audit_alias(request: HttpRequest, what: str, alias: DetectorAlias) -> None:
    record_audit(
        actor=request.user,
        action=f"detector_alias.{what}",
        subject=alias,
        detail={"detector": alias.detector.slug},
    )


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
