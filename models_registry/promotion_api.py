"""Promotions over the API: ask, list, approve, refuse, withdraw, reject; challengers in shadow."""

from typing import Any, cast

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_errors import Conflict, ValidationProblem
from accounts.body import Text, valid
from accounts.models import User
from accounts.query import one_of, whole
from jobs.dispatch import announce_job
from models_registry.api import (
    CONFLICTS,
    ERRORS,
    MOST_ROWS,
    MOST_SKIP,
    NARROW,
    DecisionBody,
    JobBody,
    VersionBody,
    asked_detector,
    decision_body,
    job_body,
    version_body,
)
from models_registry.approvals import (
    ReasonNeeded,
    SelfApproval,
    approve_promotion,
    refuse_promotion,
    request_promotion,
    withdraw_promotion,
)
from models_registry.models import ModelVersion
from models_registry.promotion import PromotionRefused, reject
from models_registry.promotion_models import PromotionRequest
from models_registry.shadow_judging import judge_now
from models_registry.shadow_models import Shadow
from models_registry.shadowing import ShadowRefused, start_shadow, stop_shadow
from scoring.core.bundle import BundleError


class PromoteIn(serializers.Serializer[Any]):
    reason = Text(required=False, default="", allow_blank=True, allow_null=True, max_length=2000)
    override = serializers.BooleanField(
        required=False,
        default=False,
        allow_null=True,
        help_text="Without a passing comparison; needs a reason.",
    )


class RejectIn(serializers.Serializer[Any]):
    reason = Text(required=False, default="", allow_blank=True, allow_null=True, max_length=2000)


class NoteIn(serializers.Serializer[Any]):
    note = Text(required=False, default="", allow_blank=True, allow_null=True, max_length=2000)


class EvidenceBody(serializers.Serializer[Any]):
    """What spoke for a promotion when it was asked for."""

    kind = serializers.ChoiceField(["first", "live", "offline", "none"])
    passed = serializers.BooleanField()
    text = serializers.CharField()
    against = serializers.CharField(
        allow_blank=True, help_text="What was found and does not suffice."
    )


class PromotionRequestBody(serializers.Serializer[Any]):
    """A promotion that was asked for."""

    id = serializers.IntegerField()
    detector = serializers.CharField()
    version = serializers.CharField()
    version_id = serializers.IntegerField()
    in_place_of = serializers.CharField(allow_null=True, help_text="null: rules alone.")
    status = serializers.ChoiceField(PromotionRequest.Status.choices)
    override = serializers.BooleanField()
    alone = serializers.BooleanField(help_text="Decided by the one who asked.")
    evidence = EvidenceBody()
    requested_by = serializers.CharField()
    requested_at = serializers.DateTimeField()
    reason = serializers.CharField()
    decided_by = serializers.CharField(allow_null=True)
    decided_at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField()


class PromotionPage(serializers.Serializer[Any]):
    promotions = PromotionRequestBody(many=True)
    skip = serializers.IntegerField()
    limit = serializers.IntegerField()


class ShadowBody(serializers.Serializer[Any]):
    """A challenger in shadow; counts are of events that today's champion scored."""

    version = serializers.CharField()
    state = serializers.ChoiceField(Shadow.State.choices)
    fault = serializers.CharField()
    rows = serializers.IntegerField()
    agreement = serializers.FloatField(allow_null=True)
    more_alerts = serializers.IntegerField()
    fewer_alerts = serializers.IntegerField()
    scored_at = serializers.DateTimeField(allow_null=True)
    comparison = serializers.DictField()
    compared_at = serializers.DateTimeField(allow_null=True)


def request_body(asked: PromotionRequest) -> dict[str, Any]:
    """A request as API clients see it."""
    return {
        "id": asked.pk,
        "detector": asked.detector.slug,
        "version": asked.version.label,
        "version_id": asked.version_id,
        "in_place_of": asked.champion.label if asked.champion else None,
        "status": asked.status,
        "override": asked.override,
        "alone": asked.alone,
        "evidence": asked.evidence,
        "requested_by": asked.requested_by.username,
        "requested_at": asked.requested_at,
        "reason": asked.reason,
        "decided_by": asked.decided_by.username if asked.decided_by else None,
        "decided_at": asked.decided_at,
        "note": asked.note,
    }


def shadow_body(version: ModelVersion, shadow: Shadow) -> dict[str, Any]:
    """A shadow as API clients see it."""
    return {
        "version": version.label,
        "state": shadow.state,
        "fault": shadow.fault,
        "rows": shadow.rows,
        "agreement": shadow.agreement,
        "more_alerts": shadow.more,
        "fewer_alerts": shadow.less,
        "scored_at": shadow.scored_at,
        "comparison": shadow.comparison,
        "compared_at": shadow.compared_at,
    }


class PromoteView(APIView):
    """Ask for a version to serve. 202: a second person has to approve it. 200: this installation
    lets one person decide, and it serves from the next event on."""

    required_scope = "models:write"
    required_permission = "models_registry.promote_model"

    @extend_schema(
        request=PromoteIn, responses={200: DecisionBody, 202: PromotionRequestBody, **CONFLICTS}
    )
    def post(self, request: Request, pk: int) -> Response:
        version = get_object_or_404(ModelVersion.objects.select_related("detector"), pk=pk)
        given = valid(PromoteIn, request)
        try:
            asked = request_promotion(version, actor=cast(User, request.user), **given)
        except ReasonNeeded as problem:
            raise ValidationProblem([{"field": "reason", "message": str(problem)}]) from problem
        except (PromotionRefused, BundleError) as problem:
            raise Conflict(str(problem)) from problem
        if asked.decision is not None:
            return Response(decision_body(asked.decision, version.detector))
        return Response(request_body(asked), status=202)


class PromotionListView(APIView):
    """Promotions that were asked for, newest first."""

    required_scope = "models:read"
    required_permission = "models_registry.view_modelversion"

    @extend_schema(
        parameters=[
            OpenApiParameter("detector", str),
            OpenApiParameter("status", str, enum=PromotionRequest.Status.values),
            OpenApiParameter("skip", int),
            OpenApiParameter("limit", int),
        ],
        responses={200: PromotionPage, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        skip = whole(request, "skip", 0, least=0, most=MOST_SKIP, beyond=NARROW)
        limit = whole(request, "limit", 50, least=1, most=MOST_ROWS)
        rows = _requests()
        if detector := asked_detector(request):
            rows = rows.filter(detector=detector)
        if status := one_of(request, "status", PromotionRequest.Status.values):
            rows = rows.filter(status=status)
        bodies = [request_body(asked) for asked in rows[skip : skip + limit]]
        return Response({"promotions": bodies, "skip": skip, "limit": limit})


class ApproveView(APIView):
    """Approve as the second person: never who asked for it or trained the version (403)."""

    required_scope = "models:write"
    required_permission = "models_registry.promote_model"

    @extend_schema(request=NoteIn, responses={200: DecisionBody, **CONFLICTS})
    def post(self, request: Request, pk: int) -> Response:
        asked = get_object_or_404(_requests(), pk=pk)
        note = valid(NoteIn, request)["note"]
        try:
            decision = approve_promotion(asked, actor=cast(User, request.user), note=note)
        except SelfApproval as problem:
            raise PermissionDenied(str(problem)) from problem
        except (PromotionRefused, BundleError) as problem:
            raise Conflict(str(problem)) from problem
        return Response(decision_body(decision, asked.detector))


class RefuseView(APIView):
    """Refuse with a note: anybody but who asked (403), who trained the version too."""

    required_scope = "models:write"
    required_permission = "models_registry.promote_model"

    @extend_schema(request=NoteIn, responses={200: PromotionRequestBody, **CONFLICTS})
    def post(self, request: Request, pk: int) -> Response:
        asked = get_object_or_404(_requests(), pk=pk)
        note = valid(NoteIn, request)["note"]
        try:
            refuse_promotion(asked, actor=cast(User, request.user), note=note)
        except ReasonNeeded as problem:
            raise ValidationProblem([{"field": "note", "message": str(problem)}]) from problem
        except SelfApproval as problem:
            raise PermissionDenied(str(problem)) from problem
        except PromotionRefused as problem:
            raise Conflict(str(problem)) from problem
        return Response(request_body(asked))


class WithdrawView(APIView):
    """Take one's own request back."""

    required_scope = "models:write"
    required_permission = "models_registry.promote_model"

    @extend_schema(request=None, responses={200: PromotionRequestBody, **CONFLICTS})
    def post(self, request: Request, pk: int) -> Response:
        asked = get_object_or_404(_requests(), pk=pk)
        try:
            withdraw_promotion(asked, actor=cast(User, request.user))
        except SelfApproval as problem:
            raise PermissionDenied(str(problem)) from problem
        except PromotionRefused as problem:
            raise Conflict(str(problem)) from problem
        return Response(request_body(asked))


class ShadowView(APIView):
    """A challenger in shadow: look, start (POST), stop (DELETE)."""

    required_scope = {"GET": "models:read", "POST": "models:write", "DELETE": "models:write"}
    required_permission = {
        "GET": "models_registry.view_modelversion",
        "POST": "models_registry.promote_model",
        "DELETE": "models_registry.promote_model",
    }

    @extend_schema(responses={200: ShadowBody, **ERRORS})
    def get(self, request: Request, pk: int) -> Response:
        """How a challenger does in shadow."""
        shadow = get_object_or_404(Shadow.objects.select_related("version"), version__pk=pk)
        return Response(shadow_body(shadow.version, shadow))

    @extend_schema(request=None, responses={200: ShadowBody, **CONFLICTS})
    def post(self, request: Request, pk: int) -> Response:
        """Start a challenger in shadow."""
        return self._move(request, pk, start_shadow)

    @extend_schema(request=None, responses={200: ShadowBody, **CONFLICTS})
    def delete(self, request: Request, pk: int) -> Response:
        """Stop a challenger in shadow."""
        return self._move(request, pk, stop_shadow)

    def _move(self, request: Request, pk: int, act: Any) -> Response:
        version = get_object_or_404(ModelVersion.objects.select_related("detector"), pk=pk)
        try:
            shadow = act(version, actor=cast(User, request.user))
        except ShadowRefused as problem:
            raise Conflict(str(problem)) from problem
        return Response(shadow_body(version, shadow))


class ShadowJudgeView(APIView):
    """Catch up with live traffic and compare with the champion now; the job that does so already,
    if there is one. 409 for a version that is no challenger, or was never in shadow."""

    required_scope = "models:write"
    required_permission = "models_registry.promote_model"

    @extend_schema(request=None, responses={202: JobBody, **CONFLICTS})
    def post(self, request: Request, pk: int) -> Response:
        version = get_object_or_404(
            ModelVersion.objects.select_related("detector", "shadow"), pk=pk
        )
        try:
            job = judge_now(version, actor=cast(User, request.user))
        except ShadowRefused as problem:
            raise Conflict(str(problem)) from problem
        announce_job(job)
        return Response(job_body(job), status=202)


class RejectView(APIView):
    """Put a challenger aside for good; the same answer when it is sent twice. 409 for a version
    that is no challenger."""

    required_scope = "models:write"
    required_permission = "models_registry.promote_model"

    @extend_schema(request=RejectIn, responses={200: VersionBody, **CONFLICTS})
    def post(self, request: Request, pk: int) -> Response:
        version = get_object_or_404(
            ModelVersion.objects.select_related("detector", "dataset"), pk=pk
        )
        reason = valid(RejectIn, request)["reason"]
        try:
            reject(version, actor=cast(User, request.user), reason=reason)
        except PromotionRefused as problem:
            if version.stage != ModelVersion.Stage.REJECTED:
                raise Conflict(str(problem)) from problem
        return Response(version_body(version))


def _requests() -> Any:
    return PromotionRequest.objects.select_related(
        "detector", "version__detector", "champion", "requested_by", "decided_by"
    ).defer("version__curves", "champion__curves")
