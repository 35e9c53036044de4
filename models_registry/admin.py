"""The lineage of models in Django's admin, to look at; training and promotion are pages' work."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.read_only import ReadOnlyAdmin
from models_registry.backtest_models import Backtest
from models_registry.drift_models import DriftCheck
from models_registry.models import Dataset, ModelVersion, PromotionDecision
from models_registry.promotion_models import PromotionGuard, PromotionRequest
from models_registry.retraining_models import RetrainingPolicy
from models_registry.shadow_models import Shadow


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    list_display = ("label", "detector", "stage", "learner", "trained_at", "trained_by", "digest")
    list_select_related = ("detector", "trained_by")
    list_filter = ("detector", "stage", "learner")
    search_fields = ("digest",)
    # Drawn on the version's page; as text they fill screens.
    exclude = ("curves",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelVersion]:
        return super().get_queryset(request).defer("curves")


@admin.register(Dataset)
class DatasetAdmin(ReadOnlyAdmin):
    list_display = ("digest", "detector", "rows", "positives", "known_at", "created_at")
    list_select_related = ("detector",)
    list_filter = ("detector",)
    search_fields = ("digest",)


@admin.register(PromotionDecision)
class PromotionDecisionAdmin(ReadOnlyAdmin):
    list_display = ("at", "detector", "action", "version", "previous", "actor", "reason")
    list_select_related = ("detector", "version__detector", "previous__detector", "actor")
    list_filter = ("detector", "action")


@admin.register(DriftCheck)
class DriftCheckAdmin(ReadOnlyAdmin):
    list_display = ("checked_at", "detector", "model_version", "status", "max_psi", "rows")
    list_select_related = ("detector",)
    list_filter = ("detector", "status")


@admin.register(RetrainingPolicy)
class RetrainingPolicyAdmin(ReadOnlyAdmin):
    """To look at: it is put into force with its timetable and audited, on its page."""

    list_display = ("detector", "on_labels", "on_drift", "on_age", "quiet_hours", "updated_at")
    list_select_related = ("detector",)


@admin.register(PromotionRequest)
class PromotionRequestAdmin(ReadOnlyAdmin):
    list_display = (
        *("requested_at", "detector", "version", "status", "override", "alone"),
        *("requested_by", "decided_by"),
    )
    list_select_related = ("detector", "version__detector", "requested_by", "decided_by")
    list_filter = ("detector", "status", "override", "alone")


@admin.register(PromotionGuard)
class PromotionGuardAdmin(ReadOnlyAdmin):
    list_display = ("since", "detector", "version", "former", "state", "checked_at", "fault")
    list_select_related = ("detector", "version__detector", "former__detector")
    list_filter = ("detector", "state")


@admin.register(Shadow)
class ShadowAdmin(ReadOnlyAdmin):
    list_display = ("version", "state", "rows", "agreed", "more", "less", "scored_at", "fault")
    list_select_related = ("version__detector",)
    list_filter = ("detector", "state")


@admin.register(Backtest)
class BacktestAdmin(ReadOnlyAdmin):
    list_display = ("known_at", "detector", "kind", "rule", "requested_by", "finished_at")
    list_select_related = ("detector", "rule", "requested_by")
    list_filter = ("detector", "kind")
    search_fields = ("rule__code", "requested_by__username")
