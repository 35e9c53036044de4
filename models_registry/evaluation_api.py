"""Judging a version again, and what was found, for API clients."""

from typing import Any, cast

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_errors import Conflict
from accounts.body import valid
from accounts.models import User
from accounts.query import whole
from jobs.dispatch import announce_job
from models_registry.api import CONFLICTS, ERRORS, JobBody, job_body
from models_registry.core.kept_metrics import as_told
from models_registry.evaluation_jobs import (
    SHOWN,
    EvaluationUnderWay,
    evaluations_of,
    request_evaluation,
)
from models_registry.evaluation_models import Evaluation
from models_registry.registry_api import api_version

MOST_EVALUATIONS = 50
KINDS = (
    "as_of: its own bundle on every event after those that it learnt from; folds: its algorithm "
    "trained anew on earlier weeks, each judged on the next."
)


class EvaluationBody(serializers.Serializer[Any]):
    """A version judged again; a metric that has no answer is null."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(
        Evaluation.Kind.choices,
        help_text=KINDS,
    )
    known_at = serializers.DateTimeField(help_text="Labels known at this time were used.")
    first_event_at = serializers.DateTimeField()
    last_event_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField()
    metrics = serializers.DictField(
        help_text="By name, with `intervals` [low, high] at 95 % and `ceilings`, what no "
        "ranking is above; of folds `folds`, each with all of these, `mean` and `std`."
    )


class EvaluationPage(serializers.Serializer[Any]):
    evaluations = EvaluationBody(many=True)


class EvaluateIn(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(
        Evaluation.Kind.choices,
        required=False,
        default=Evaluation.Kind.AS_OF,
        allow_null=True,
        help_text=f"{KINDS} `as_of` unless given.",
    )


class EvaluationListView(APIView):
    """The evaluations of a version, newest first; POST queues another one."""

    required_scope = {"GET": "models:read", "POST": "models:write"}
    required_permission = {
        "GET": "models_registry.view_modelversion",
        "POST": "models_registry.train_model",
    }

    @extend_schema(
        operation_id="model_evaluations",
        parameters=[OpenApiParameter("limit", int, description=f"{SHOWN} unless given.")],
        responses={200: EvaluationPage, **ERRORS},
    )
    def get(self, request: Request, pk: int) -> Response:
        """The evaluations of a version, newest first."""
        limit = whole(request, "limit", SHOWN, least=1, most=MOST_EVALUATIONS)
        rows = evaluations_of(api_version(pk)).defer("curves")[:limit]
        return Response({"evaluations": [evaluation_body(one) for one in rows]})

    @extend_schema(
        operation_id="evaluate_model", request=EvaluateIn, responses={202: JobBody, **CONFLICTS}
    )
    def post(self, request: Request, pk: int) -> Response:
        """Queue an evaluation of a version; the one that is under way already, if it is of the
        same kind. 409 while one of the other kind waits or runs."""
        version = api_version(pk)
        kind = valid(EvaluateIn, request)["kind"]
        try:
            job = request_evaluation(version, kind=kind, requested_by=cast(User, request.user))
        except EvaluationUnderWay as other:
            raise Conflict(str(other)) from other
        announce_job(job)
        return Response(job_body(job), status=202)


def evaluation_body(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as API clients see it."""
    return {
        "id": evaluation.pk,
        "kind": evaluation.kind,
        "known_at": evaluation.known_at,
        "first_event_at": evaluation.first_event_at,
        "last_event_at": evaluation.last_event_at,
        "created_at": evaluation.created_at,
        "metrics": as_told(evaluation.metrics),
    }
