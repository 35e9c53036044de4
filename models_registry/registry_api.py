"""The models API beside a version's life: one version, card, comparison, explanation, files."""

from typing import Any, NoReturn, cast

from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_errors import Conflict, ServiceUnavailable, ValidationProblem
from accounts.models import User
from jobs.dispatch import announce_job
from models_registry.api import (
    CONFLICTS,
    ERRORS,
    JobBody,
    VersionBody,
    detector_or_404,
    job_body,
    version_body,
)
from models_registry.bundle_files import MOST_BYTES, ExchangeError
from models_registry.card import model_card
from models_registry.comparing import (
    LEAST,
    MOST,
    CompareError,
    Line,
    chosen_ids,
    compare_versions,
    versions_to_compare,
)
from models_registry.explaining import explanation_of, request_explanation
from models_registry.exporting import export_bundle, file_name
from models_registry.importing import import_bundle, mend_bundle
from models_registry.integrity import check_integrity
from models_registry.integrity_report import FAULT, WARNING
from models_registry.models import ModelVersion
from models_registry.selectors import (
    documented_versions,
    lineage_of,
    tracked_run_of,
    with_guards,
)
from models_registry.tracking import request_tracking
from scoring.core.bundle import BundleNotWritten

TOO_LARGE = ERRORS | {413: ERRORS[400]}


class LineageBody(serializers.Serializer[Any]):
    """Where a version came from."""

    origin = serializers.ChoiceField(["trained", "imported"])
    parent_version = serializers.CharField(allow_null=True, help_text="The champion of that time.")
    code = serializers.DictField()


class TrackedBody(serializers.Serializer[Any]):
    """The version at the MLflow tracking server."""

    status = serializers.CharField(help_text="waiting, logged or failed")
    run_id = serializers.CharField()
    registered_as = serializers.CharField()
    error = serializers.CharField()


class VersionDetailBody(VersionBody):
    """One version with its parameters, curves and lineage."""

    parameters = serializers.DictField()
    curves = serializers.DictField()
    training_seconds = serializers.FloatField()
    lineage = LineageBody(allow_null=True)
    tracked = TrackedBody(allow_null=True)


class CompareCell(serializers.Serializer[Any]):
    name = serializers.CharField()
    values = serializers.ListField(child=serializers.CharField())
    intervals = serializers.ListField(child=serializers.CharField())
    ceilings = serializers.ListField(
        child=serializers.CharField(), help_text="What no ranking is above; empty if unknown."
    )


class CompareBody(serializers.Serializer[Any]):
    """Versions side by side; `values`, `intervals` and `ceilings` in the order of `versions`, as
    text."""

    versions = VersionBody(many=True)
    verdicts = serializers.ListField(child=serializers.CharField())
    metrics = CompareCell(many=True)
    thresholds = CompareCell(many=True)
    parameters = CompareCell(many=True, help_text="Those that differ.")
    features = CompareCell(many=True, help_text="Those that differ.")
    data_spans = CompareCell(many=True)
    faults = serializers.ListField(child=serializers.CharField())


class FindingBody(serializers.Serializer[Any]):
    kind = serializers.CharField()
    severity = serializers.ChoiceField([FAULT, WARNING])
    detector = serializers.CharField()
    subject = serializers.CharField()
    text = serializers.CharField()
    remedy = serializers.CharField()


class IntegrityBody(serializers.Serializer[Any]):
    """What does not hold of all that the registry stands on."""

    checked_at = serializers.DateTimeField()
    checked = serializers.ListField(child=serializers.CharField())
    faults = serializers.IntegerField()
    findings = FindingBody(many=True)


class ExplainedFeatureBody(serializers.Serializer[Any]):
    """What a feature contributes, in units of the margin."""

    feature = serializers.CharField()
    mean_abs = serializers.FloatField()
    mean = serializers.FloatField()
    direction = serializers.FloatField(
        allow_null=True,
        help_text="Rank correlation with its value, -1 to 1; null: it has no order or never "
        "changes.",
    )


class GlobalExplanationBody(serializers.Serializer[Any]):
    """Exact contributions over a sample of unseen events, strongest feature first."""

    version = serializers.CharField()
    rows = serializers.IntegerField()
    base = serializers.FloatField()
    link = serializers.CharField()
    additivity_error = serializers.FloatField()
    features = ExplainedFeatureBody(many=True)


class ImportIn(serializers.Serializer[Any]):
    bundle = serializers.FileField(help_text="A zip that `GET models/{id}/bundle` gave.")


class VersionView(APIView):
    """One version."""

    required_scope = "models:read"
    required_permission = "models_registry.view_modelversion"

    @extend_schema(operation_id="model_version", responses={200: VersionDetailBody, **ERRORS})
    def get(self, request: Request, pk: int) -> Response:
        version = api_version(pk)
        lineage, tracked = lineage_of(version), tracked_run_of(version)
        body = version_body(version) | {
            "parameters": version.parameters,
            "curves": version.curves,
            "training_seconds": version.training_seconds,
            "lineage": lineage
            and {
                "origin": lineage.origin,
                "parent_version": lineage.parent.label if lineage.parent else None,
                "code": lineage.code,
            },
            "tracked": tracked
            and {
                "status": tracked.status,
                "run_id": tracked.run_id,
                "registered_as": tracked.registered_as,
                "error": tracked.error,
            },
        }
        return Response(body)


class CardView(APIView):
    """A version's model card; what was not recorded is null and named under `unknown`."""

    required_scope = "models:read"
    required_permission = "models_registry.view_modelversion"

    @extend_schema(operation_id="model_card", responses={200: OpenApiTypes.OBJECT, **ERRORS})
    def get(self, request: Request, pk: int) -> Response:
        return Response(model_card(api_version(pk)))


class CompareView(APIView):
    """Two or three versions of one detector side by side."""

    required_scope = "models:read"
    required_permission = "models_registry.view_modelversion"

    @extend_schema(
        operation_id="compare_models",
        parameters=[OpenApiParameter("ids", str, required=True, description="`12,10`, 2 or 3.")],
        responses={200: CompareBody, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        try:
            ids = chosen_ids(request.query_params.get("ids", "").split(","))
            if len(ids) < LEAST:
                raise CompareError(f"Give {LEAST} or {MOST} ids, as in ids=12,10.")
            versions = versions_to_compare(ids)
        except CompareError as problem:
            raise ValidationProblem([{"field": "ids", "message": str(problem)}]) from problem
        found = compare_versions(versions)
        tables = {
            name: [_cells(line) for line in getattr(found, name)]
            for name in ("metrics", "thresholds", "parameters", "features")
        }
        return Response(
            {
                "versions": [version_body(version) for version in versions],
                "verdicts": found.verdicts,
                "faults": found.faults,
                "data_spans": [_cells(line) for line in found.data],
                **tables,
            }
        )


def _cells(line: Line) -> dict[str, Any]:
    return {
        "name": line.name,
        "values": [cell.text for cell in line.cells],
        "intervals": [cell.interval for cell in line.cells],
        "ceilings": [cell.ceiling for cell in line.cells],
    }


class ExplanationView(APIView):
    """What a version goes by; POST queues the making of it."""

    required_scope = {"GET": "models:read", "POST": "models:write"}
    required_permission = {
        "GET": "models_registry.view_modelversion",
        "POST": "models_registry.train_model",
    }

    @extend_schema(
        operation_id="model_explanation", responses={200: GlobalExplanationBody, **ERRORS}
    )
    def get(self, request: Request, pk: int) -> Response:
        """What a version goes by."""
        version = api_version(pk)
        artefact, _, _ = explanation_of(version)
        if artefact is None:
            raise Http404(f"{version} has no global explanation yet: POST here to make one.")
        names = ("rows", "base", "link", "additivity_error", "features")
        found = {name: artefact.detail[name] for name in names}
        return Response({"version": version.label, **found})

    @extend_schema(operation_id="explain_model", request=None, responses={202: JobBody, **ERRORS})
    def post(self, request: Request, pk: int) -> Response:
        """Queue the making of what a version goes by."""
        job = request_explanation(api_version(pk), requested_by=cast(User, request.user))
        announce_job(job)
        return Response(job_body(job), status=202)


class TrackView(APIView):
    """Queue the logging of a version at the tracking server; 409 where none is set."""

    required_scope = "models:write"
    required_permission = "models_registry.train_model"

    @extend_schema(operation_id="track_model", request=None, responses={202: JobBody, **CONFLICTS})
    def post(self, request: Request, pk: int) -> Response:
        job = request_tracking(api_version(pk), requested_by=cast(User, request.user))
        if job is None:
            raise Conflict("No tracking server is set (MLFLOW_TRACKING_URI).")
        announce_job(job)
        return Response(job_body(job), status=202)


class BundleView(APIView):
    """A version as one file, byte for byte the same each time."""

    required_scope = "models:write"
    required_permission = "models_registry.exchange_bundle"

    @extend_schema(
        operation_id="export_model",
        responses={(200, "application/zip"): OpenApiTypes.BINARY, **CONFLICTS},
    )
    def get(self, request: Request, pk: int) -> HttpResponse:
        version = api_version(pk)
        try:
            content = export_bundle(version, actor=cast(User, request.user))
        except ExchangeError as problem:
            raise Conflict(str(problem)) from problem
        headers = {"Content-Disposition": f'attachment; filename="{file_name(version)}"'}
        return HttpResponse(content, content_type="application/zip", headers=headers)


class ImportView(APIView):
    """Take in a bundle from elsewhere as a challenger.

    Of a version that is here with a damaged or lost bundle it puts the bundle back: 200.
    """

    required_scope = "models:write"
    required_permission = "models_registry.exchange_bundle"
    parser_classes = (MultiPartParser,)

    @extend_schema(
        operation_id="import_model",
        request={"multipart/form-data": ImportIn},
        responses={200: VersionBody, 201: VersionBody, **TOO_LARGE, 415: ERRORS[400]},
    )
    def post(self, request: Request, slug: str) -> Response:
        detector = detector_or_404(slug)
        form = ImportIn(data=request.data)
        form.is_valid(raise_exception=True)
        file = form.validated_data["bundle"]
        if file.size > MOST_BYTES:
            _refuse(f"is larger than {MOST_BYTES >> 20} MB")
        try:
            content, actor = file.read(), cast(User, request.user)
            mended = mend_bundle(detector, content, actor=actor)
            version = mended or import_bundle(detector, content, actor=actor)
        except ExchangeError as problem:
            _refuse(str(problem))
        except BundleNotWritten as problem:
            raise ServiceUnavailable(f"{problem} Nothing was changed.") from problem
        return Response(version_body(version), status=200 if mended else 201)


def _refuse(message: str) -> NoReturn:
    raise ValidationProblem([{"field": "bundle", "message": message}])


class IntegrityView(APIView):
    """Look at everything that the registry stands on."""

    required_scope = "models:read"
    required_permission = "models_registry.view_modelversion"

    @extend_schema(operation_id="models_integrity", responses={200: IntegrityBody, **ERRORS})
    def get(self, request: Request) -> Response:
        report = check_integrity()
        return Response(
            {
                "checked_at": report.at,
                "checked": list(report.checked),
                "faults": report.faults,
                "findings": [
                    {
                        "kind": found.kind,
                        "severity": found.level,
                        "detector": found.detector,
                        "subject": found.subject,
                        "text": found.text,
                        "remedy": found.remedy,
                    }
                    for found in report.findings
                ],
            }
        )


def api_version(pk: int) -> ModelVersion:
    """The version with its detector and data. Raises Http404."""
    version = with_guards(documented_versions()).filter(pk=pk).first()
    if version is None:
        raise Http404(f"There is no version {pk}.")
    return version
