"""The models API: list versions, train, roll back, follow a job."""

from typing import Any, cast

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_errors import Conflict, ValidationProblem, field_error
from accounts.body import Number, Text, valid
from accounts.models import User
from accounts.query import one_of, whole
from jobs.dispatch import announce_job
from jobs.models import Job
from jobs.selectors import get_job
from jobs.services import cancel_job
from models_registry.core.kept_metrics import as_told
from models_registry.forms import LEARNER_TITLES
from models_registry.models import ModelVersion, PromotionDecision
from models_registry.promotion import PromotionRefused, review_over, roll_back
from models_registry.promotion_models import PromotionGuard
from models_registry.rare_class import TITLES
from models_registry.retraining import ImbalanceRefused, TrainingUnderWay, request_training
from models_registry.selectors import told_guard, version_list, with_guards
from scoring.core.bundle import BundleError
from scoring.models import Detector

MOST_ROWS = 200
MOST_LINES = 20
MOST_SKIP = 100_000
NARROW = "narrow the list, by its detector for instance"


class GuardBody(serializers.Serializer[Any]):
    """What watches, or watched, a version after its promotion in place of a champion."""

    state = serializers.ChoiceField(
        PromotionGuard.State.choices, help_text="broken: rolled back; ended: over, unjudged."
    )
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    not_rolled_back = serializers.CharField(
        help_text="The version broke its guard, serves still, and why; empty otherwise."
    )
    not_watched = serializers.CharField(
        help_text="The version serves, its guard could not look at it when it last tried, and why; "
        "empty otherwise."
    )


class VersionBody(serializers.Serializer[Any]):
    """One trained version."""

    id = serializers.IntegerField()
    detector = serializers.CharField()
    version = serializers.CharField(help_text="What predictions carry as model_version.")
    stage = serializers.ChoiceField(ModelVersion.Stage.choices)
    learner = serializers.CharField()
    bundle_digest = serializers.CharField()
    trained_at = serializers.DateTimeField()
    dataset = serializers.DictField(help_text="digest, rows, positives, known_at")
    metrics = serializers.DictField(help_text="On events that the version had not learnt from.")
    comparison = serializers.DictField(help_text="With the champion of that time, same events.")
    guard = GuardBody(allow_null=True, help_text="Its newest; null: it never had one.")


class VersionPage(serializers.Serializer[Any]):
    models = VersionBody(many=True)
    skip = serializers.IntegerField()
    limit = serializers.IntegerField()


LONGEST_SEARCH = 6 * 3600.0


class TrainIn(serializers.Serializer[Any]):
    learner = serializers.ChoiceField(
        list(LEARNER_TITLES),
        required=False,
        default="",
        allow_null=True,
        help_text="As declared unless given.",
    )
    imbalance = serializers.ChoiceField(
        list(TITLES),
        required=False,
        default="",
        allow_null=True,
        help_text="What is done about a rare class; as declared unless given. The declared method "
        "has its declared options, others their defaults. 422 with a learner that needs no labels.",
    )
    tune_for = Number(
        required=False,
        default=None,
        allow_null=True,
        min_value=0.0,
        max_value=LONGEST_SEARCH,
        help_text="Seconds for which parameters are searched; as declared unless given.",
    )


class RollBackIn(serializers.Serializer[Any]):
    reason = Text(required=False, default="", allow_blank=True, allow_null=True, max_length=2000)
    champion = serializers.IntegerField(
        required=False,
        default=None,
        allow_null=True,
        help_text="Id of the version that is to leave: 409 when another one serves by now. Left "
        "out, whichever serves leaves, unless it was rolled back to already (409): a request sent "
        "twice goes back one step.",
    )


class LineBody(serializers.Serializer[Any]):
    """A line of a job's log."""

    at = serializers.DateTimeField()
    text = serializers.CharField()


class JobBody(serializers.Serializer[Any]):
    """Work in the background."""

    job_id = serializers.IntegerField()
    kind = serializers.CharField()
    subject = serializers.CharField()
    status = serializers.ChoiceField(["queued", "running", "succeeded", "failed", "cancelled"])
    progress = serializers.FloatField(help_text="0 to 1")
    stage = serializers.CharField(help_text="What it is doing now.")
    remaining_seconds = serializers.IntegerField(
        allow_null=True,
        help_text="About how long it will still run: an estimate from its pace, a search for "
        "parameters by the time that it is given. Null while nobody knows, and when it does not "
        "run.",
    )
    remaining_text = serializers.CharField(
        help_text="The same in words, as `about 3 min left`; `at least 4 min left` where no more "
        "is known than what is left of a search, and `nothing heard of its worker for 40 s` where "
        "that may be dead, both with `remaining_seconds` null. Else empty.",
    )
    log = LineBody(many=True, help_text=f"Its last {MOST_LINES} lines at most, oldest first.")
    attempt = serializers.IntegerField()
    queued_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    result = serializers.DictField(allow_null=True)
    error = serializers.CharField()


class DecisionBody(serializers.Serializer[Any]):
    """A version was put into service."""

    action = serializers.ChoiceField(PromotionDecision.Action.choices)
    detector = serializers.CharField()
    version = serializers.CharField()
    previous = serializers.CharField(allow_null=True)
    at = serializers.DateTimeField()
    reason = serializers.CharField()
    warning = serializers.CharField(
        help_text="What is not as it should be with what serves now; empty otherwise."
    )


ProblemBody = inline_serializer(
    "ModelsProblem",
    {
        "detail": serializers.CharField(),
        "errors": serializers.ListField(child=serializers.DictField(), required=False),
    },
)
ERRORS = dict.fromkeys((400, 401, 403, 404, 413, 415, 422, 429, 503), ProblemBody)
CONFLICTS = ERRORS | {409: ProblemBody}


def version_body(version: ModelVersion) -> dict[str, Any]:
    """A version as API clients see it."""
    return {
        "id": version.pk,
        "detector": version.detector.slug,
        "version": version.label,
        "stage": version.stage,
        "learner": version.learner,
        "bundle_digest": version.digest,
        "trained_at": version.trained_at,
        "dataset": {
            "digest": version.dataset.digest,
            "rows": version.dataset.rows,
            "positives": version.dataset.positives,
            "known_at": version.dataset.known_at,
        },
        "metrics": as_told(version.metrics),
        "comparison": version.comparison,
        "guard": told_guard(version),
    }


def job_body(job: Job) -> dict[str, Any]:
    """A job as API clients see it."""
    left = job.remaining
    return {
        "job_id": job.pk,
        "kind": job.kind,
        "subject": job.subject,
        "status": job.status,
        "progress": job.progress,
        "stage": job.doing,
        "remaining_seconds": None if left is None or left.is_bound else round(left.seconds),
        "remaining_text": job.remaining_text,
        "log": [{"at": line["at"], "text": line["text"]} for line in job.log[-MOST_LINES:]],
        "attempt": job.attempt,
        "queued_at": job.queued_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "result": job.result,
        "error": job.error,
    }


class ModelListView(APIView):
    """Versions, newest first within a detector."""

    required_scope = "models:read"
    required_permission = "models_registry.view_modelversion"

    @extend_schema(
        parameters=[
            OpenApiParameter("detector", str),
            OpenApiParameter("stage", str, enum=ModelVersion.Stage.values),
            OpenApiParameter("skip", int),
            OpenApiParameter("limit", int),
        ],
        responses={200: VersionPage, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        skip = whole(request, "skip", 0, least=0, most=MOST_SKIP, beyond=NARROW)
        limit = whole(request, "limit", 50, least=1, most=MOST_ROWS)
        rows = with_guards(version_list()).defer("curves", "parameters")
        if detector := asked_detector(request):
            rows = rows.filter(detector=detector)
        if stage := one_of(request, "stage", ModelVersion.Stage.values):
            rows = rows.filter(stage=stage)
        bodies = [version_body(version) for version in rows[skip : skip + limit]]
        return Response({"models": bodies, "skip": skip, "limit": limit})


class TrainView(APIView):
    """Queue a training; the one that is under way already, if it was asked to do the same. 409
    while another one of the detector waits or runs."""

    required_scope = "models:write"
    required_permission = "models_registry.train_model"

    @extend_schema(request=TrainIn, responses={202: JobBody, **CONFLICTS})
    def post(self, request: Request, slug: str) -> Response:
        detector = detector_or_404(slug)
        given = valid(TrainIn, request)
        try:
            job = request_training(
                detector,
                requested_by=cast(User, request.user),
                learner=given["learner"] or "",
                imbalance=given["imbalance"] or "",
                tune_for=given.get("tune_for"),
            )
        except ImbalanceRefused as problem:
            raise ValidationProblem([field_error("imbalance", str(problem))]) from problem
        except TrainingUnderWay as problem:
            raise Conflict(str(problem)) from problem
        announce_job(job)
        return Response(job_body(job), status=202)


class RollBackView(APIView):
    """Bring back the version that served before the champion."""

    required_scope = "models:write"
    required_permission = "models_registry.promote_model"

    @extend_schema(request=RollBackIn, responses={200: DecisionBody, **CONFLICTS})
    def post(self, request: Request, slug: str) -> Response:
        detector = detector_or_404(slug)
        given = valid(RollBackIn, request)
        try:
            decision = roll_back(
                detector,
                actor=cast(User, request.user),
                reason=given["reason"],
                expected=given["champion"],
            )
        except (PromotionRefused, BundleError) as problem:
            raise Conflict(str(problem)) from problem
        return Response(decision_body(decision, detector))


def decision_body(decision: PromotionDecision, detector: Detector) -> dict[str, Any]:
    """A decision as API clients see it."""
    return {
        "action": decision.action,
        "detector": detector.slug,
        "version": decision.version.label,
        "previous": decision.previous.label if decision.previous else None,
        "at": decision.at,
        "reason": decision.reason,
        "warning": review_over(decision.version, detector),
    }


class JobView(APIView):
    """How far a job is."""

    required_scope = "models:read"
    required_permission = "jobs.view_job"

    @extend_schema(responses={200: JobBody, **ERRORS})
    def get(self, request: Request, pk: int) -> Response:
        return Response(job_body(_job_or_404(pk)))


class JobCancelView(APIView):
    """Cancel a job: one that waits at once, one that runs stops at its next step. The same answer
    when it is sent twice; 409 for a job that was over before anybody asked."""

    required_scope = "models:write"
    required_permission = "jobs.cancel_job"

    @extend_schema(request=None, responses={200: JobBody, **CONFLICTS})
    def post(self, request: Request, pk: int) -> Response:
        job = _job_or_404(pk)
        asked = cancel_job(job, actor=cast(User, request.user))
        if not asked and job.cancel_requested_at is None:
            raise Conflict(f"Job {job.pk} is over already, as {job.status}.")
        return Response(job_body(job))


def _job_or_404(pk: int) -> Job:
    job = get_job(pk)
    if job is None:
        raise Http404("There is no such job.")
    return job


def detector_or_404(slug: str) -> Detector:
    """The detector. Raises Http404 saying which one there is not."""
    # PostgreSQL has no text with a NUL.
    detector = None if "\0" in slug else Detector.objects.filter(slug=slug).first()
    if detector is None:
        raise Http404(f"There is no detector '{slug}'.")
    return detector


def asked_detector(request: Request) -> Detector | None:
    """The detector that `?detector=` names; None where it names none. Raises Http404."""
    slug = request.query_params.get("detector", "")
    return detector_or_404(slug) if slug else None
