"""What serves, and whether the world still looks as it did in training (contract C, part two)."""

from typing import Any, cast

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_errors import Conflict
from accounts.body import text_in
from accounts.models import User
from jobs.dispatch import announce_job
from models_registry.api import CONFLICTS, ERRORS, GuardBody, JobBody, detector_or_404, job_body
from models_registry.core.kept_metrics import as_told
from models_registry.drift_selectors import NUMBERS, drift_status
from models_registry.models import ModelVersion
from models_registry.monitoring import NoModel, request_drift_check
from models_registry.selectors import told_guard, with_guards
from scoring.deployment import Serving, serving_of
from scoring.models import Detector
from scoring.shortfalls import fault_of

CREDITCARD = "creditcard"
WHICH = OpenApiParameter("detector", str, description=f"`{CREDITCARD}` unless given.")


class ModelInfoBody(serializers.Serializer[Any]):
    """The bundle in service: metadata and how well it judged events that it had not learnt from."""

    detector = serializers.CharField()
    model_version = serializers.CharField()
    learner = serializers.CharField(help_text="Empty while rules alone serve.")
    bundle_digest = serializers.CharField()
    degraded = serializers.BooleanField(
        help_text="No model is asked: there is none, or it is past its review."
    )
    fault = serializers.CharField(help_text="Why not the model that was installed decides, if so.")
    features = serializers.ListField(child=serializers.CharField())
    thresholds = serializers.DictField(child=serializers.FloatField(), allow_null=True)
    calibration = serializers.CharField(allow_null=True)
    parameters = serializers.DictField()
    training = serializers.DictField()
    metrics = serializers.DictField()
    trained_at = serializers.DateTimeField(allow_null=True)
    guard = GuardBody(allow_null=True, help_text="null: the version in service never had one.")


STATUSES = ["stable", "moderate", "major", "unknown"]
MEANINGS = {
    "bound": "What PSI stays under by chance, in 99 of 100 checks.",
    "ks": "Two-sample Kolmogorov-Smirnov distance; a lower bound where basis is binned.",
    "ks_error": "What ks may be wrong by, as the bundle keeps points of the training window.",
    "wasserstein": "In standard deviations of the training window.",
    "wasserstein_error": "What wasserstein may be wrong by, likewise.",
    "p": "Adjusted (Holm) for all that was checked.",
    "missing": "Share of recent events.",
    "reference_missing": "Share of the training window.",
    "change": "Factor between the rates.",
}


class MeasuredBody(serializers.Serializer[Any]):
    """What was measured; null where it does not apply or cannot be told."""

    kind = serializers.ChoiceField(["number", "category", "rate"])
    status = serializers.ChoiceField(STATUSES)
    reason = serializers.CharField(help_text="Why unknown; empty otherwise.")
    rows = serializers.IntegerField()
    reference_rows = serializers.IntegerField()
    basis = serializers.ChoiceField(["", "exact", "sketch", "binned"])

    def get_fields(self) -> dict[str, Any]:
        """The numbers too."""
        numbers = {
            name: serializers.FloatField(allow_null=True, help_text=MEANINGS.get(name, ""))
            for name in NUMBERS
        }
        return {**super().get_fields(), **numbers}


class FeatureDriftBody(MeasuredBody):
    feature = serializers.CharField()


class OutcomeDriftBody(MeasuredBody):
    name = serializers.CharField(help_text="score, alert rate or fraud rate")


class DriftBody(serializers.Serializer[Any]):
    """The newest finished check; status `unknown` before the first."""

    detector = serializers.CharField()
    model_version = serializers.CharField(allow_null=True)
    bundle_digest = serializers.CharField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True)
    rows = serializers.IntegerField()
    to = serializers.DateTimeField(allow_null=True)
    status = serializers.ChoiceField(STATUSES)
    alarm_since = serializers.DateTimeField(allow_null=True)
    max_psi = serializers.FloatField(allow_null=True)
    features = FeatureDriftBody(many=True)
    outcomes = OutcomeDriftBody(many=True)
    job_id = serializers.IntegerField(allow_null=True, help_text="The check under way, if any.")

    def get_fields(self) -> dict[str, Any]:
        """`from` is a word of Python's, so it cannot be an attribute."""
        return {**super().get_fields(), "from": serializers.DateTimeField(allow_null=True)}


class DriftCheckIn(serializers.Serializer[Any]):
    detector = serializers.CharField(
        required=False, allow_null=True, help_text=f"`{CREDITCARD}` unless given."
    )


class ModelInfoView(APIView):
    """What serves a detector now."""

    required_scope = "models:read"
    required_permission = "models_registry.view_modelversion"

    @extend_schema(
        operation_id="model_info", parameters=[WHICH], responses={200: ModelInfoBody, **ERRORS}
    )
    def get(self, request: Request) -> Response:
        return Response(_info(serving_of(_asked(request))))


def _info(serving: Serving) -> dict[str, Any]:
    bundle, manifest = serving.bundle, serving.bundle.manifest
    rows = ModelVersion.objects.filter(digest=bundle.digest).order_by("-number")
    version = with_guards(rows).first()
    predictor = bundle.predictor
    return {
        "detector": serving.slug,
        "model_version": serving.version,
        "learner": str(manifest.get("learner", "")),
        "bundle_digest": bundle.digest,
        "degraded": serving.degraded,
        "fault": fault_of(serving),
        "features": list(bundle.plan.names),
        "thresholds": None if predictor is None else predictor.thresholds.to_dict(),
        "calibration": None if predictor is None else predictor.calibration.kind,
        "parameters": dict(manifest.get("parameters", {})),
        "training": dict(manifest.get("training", {})),
        "metrics": as_told(manifest.get("metrics", {})),
        "trained_at": None if version is None else version.trained_at,
        "guard": None if version is None else told_guard(version),
    }


class DriftStatusView(APIView):
    """What the newest drift check found."""

    required_scope = "models:read"
    required_permission = "models_registry.view_modelversion"

    @extend_schema(
        operation_id="drift_status", parameters=[WHICH], responses={200: DriftBody, **ERRORS}
    )
    def get(self, request: Request) -> Response:
        return Response(drift_status(_asked(request)))


class DriftCheckView(APIView):
    """Queue a drift check; the one that is under way already, if there is one."""

    required_scope = "models:write"
    required_permission = "models_registry.train_model"

    @extend_schema(
        operation_id="drift_check",
        parameters=[WHICH],
        request=DriftCheckIn,
        responses={202: JobBody, **CONFLICTS},
    )
    def post(self, request: Request) -> Response:
        slug = text_in(request, "detector", "is the slug of a detector") or CREDITCARD
        try:
            job = request_drift_check(detector_or_404(slug), requested_by=cast(User, request.user))
        except NoModel as error:
            raise Conflict(str(error)) from error
        announce_job(job)
        return Response(job_body(job), status=202)


def _asked(request: Request) -> Detector:
    return detector_or_404(request.query_params.get("detector", CREDITCARD))
