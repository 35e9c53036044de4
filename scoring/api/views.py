"""The scoring API: parse, one service call, render."""

from collections.abc import Collection, Iterable
from typing import Any

from django.http import Http404, HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_errors import Conflict, ServiceUnavailable, ValidationProblem
from accounts.query import moment, truth, whole
from scoring.answers import predict_answer
from scoring.api import serializers as shapes
from scoring.api.asking import ERRORS, ask, batch_answer, field_errors
from scoring.api.base import ScoringView, answer
from scoring.feature_store.base import WindowsBusy
from scoring.labelling import record_label
from scoring.models import Label, Prediction
from scoring.selectors import detector_id_of, find_prediction_by, predictions_page
from scoring.services import PATIENCE, Conflicting, Refused, Scored

MOST_EVENTS = 1000
MOST_ROWS = 1000
MOST_SKIP = 100_000
MOST_NAMES, LONGEST_NAME = 20, 64
BY_TIME = "read on by event time, with since and until"
CREDITCARD = "creditcard"
EVERY = "*"
"""In place of a slug: every detector. No slug is written like this."""


class ScoreView(ScoringView):
    """Score one event; the answer is sent after the prediction is stored."""

    on_the_lane = True
    judges_records = ""
    required_scope = "score"
    required_permission = "scoring.score_event"

    @extend_schema(request=OpenApiTypes.OBJECT, responses={200: shapes.ScoredBody, **ERRORS})
    def post(self, request: Request, slug: str) -> HttpResponse:
        return answer(self.reply(request.data, slug=slug))

    def reply(self, data: Any, *, slug: str) -> dict[str, Any]:
        """See ScoringView."""
        [outcome] = ask(slug, [data])
        match outcome:
            case Scored(prediction):
                return shapes.scored_body(prediction, slug=slug)
            case Refused(problems):
                raise ValidationProblem(field_errors(problems))
            case Conflicting(external_id):
                raise Conflict(f"Event '{external_id}' was scored before with another body.")


class ScoreBatchView(ScoringView):
    """Score up to 1,000 events; a bad one gets its own errors and does not fail the others."""

    judges_records = "events"
    required_scope = "score"
    required_permission = "scoring.score_event"

    @extend_schema(request=shapes.BatchIn, responses={200: shapes.BatchBody, **ERRORS})
    def post(self, request: Request, slug: str) -> HttpResponse:
        body = request.data
        events = body.get("events") if isinstance(body, dict) else None
        if not isinstance(events, list):
            raise ValidationProblem([{"field": "events", "message": "must be a list of events"}])
        if len(events) > MOST_EVENTS:
            message = f"has at most {MOST_EVENTS} events, not {len(events)}"
            raise ValidationProblem([{"field": "events", "message": message}])
        return answer(batch_answer(ask(slug, events), slug))


class PredictionListView(APIView):
    """Stored predictions, newest event first.

    Those of `?detector=`, `*` for all; of `creditcard` unless given, as the clients of contract C
    have always read them.
    """

    required_scope = "predictions:read"
    required_permission = "scoring.view_prediction"

    @extend_schema(
        operation_id="v1_predictions_list",
        parameters=[
            OpenApiParameter("detector", str),
            OpenApiParameter("skip", int, description=f"At most {MOST_SKIP}; then {BY_TIME}."),
            OpenApiParameter("limit", int),
            OpenApiParameter("fraud_only", bool),
            OpenApiParameter("since", OpenApiTypes.DATETIME, description="Events from then on."),
            OpenApiParameter("until", OpenApiTypes.DATETIME, description="Events before then."),
        ],
        responses={200: shapes.PredictionPage, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        skip = whole(request, "skip", 0, least=0, most=MOST_SKIP, beyond=BY_TIME)
        limit = whole(request, "limit", 100, least=1, most=MOST_ROWS)
        since, until = moment(request, "since"), moment(request, "until")
        flagged = truth(request, "fraud_only")
        asked = request.query_params.get("detector", "")
        detector_id = None if asked == EVERY else detector_id_of(asked or CREDITCARD)
        if asked not in ("", EVERY) and detector_id is None:
            raise Http404(f"There is no detector '{asked}'.")
        rows: Iterable[Prediction] = ()  # Whose detector is not loaded has none.
        if asked == EVERY or detector_id is not None:
            rows = predictions_page(
                detector_id=detector_id,
                flagged_only=flagged,
                since=since,
                until=until,
                skip=skip,
                limit=limit,
            )
        bodies = [_stored_body(row) for row in rows]
        return Response({"predictions": bodies, "skip": skip, "limit": limit})


def _stored_body(row: Prediction) -> dict[str, Any]:
    """The prediction in our words and in those of contract C, whose clients read the same list."""
    return predict_answer(row) | shapes.prediction_body(row, slug=row.detector.slug)


class PredictionView(APIView):
    """One stored prediction, by its own id or by the id that the client gave its event.

    Ids of events are unique within a detector: `?detector=` says which one, `creditcard` unless
    given.
    """

    required_scope = "predictions:read"
    required_permission = "scoring.view_prediction"

    @extend_schema(
        operation_id="v1_predictions_retrieve",
        parameters=[OpenApiParameter("detector", str)],
        responses={200: shapes.StoredPredictionBody, **ERRORS},
    )
    def get(self, request: Request, pk: str) -> Response:
        return Response(_stored_body(_asked_for(request, pk)))


def _asked_for(request: Request, name: str) -> Prediction:
    """The prediction of that id, or of the event with it of `?detector=`. Raises Http404."""
    slug = request.query_params.get("detector") or CREDITCARD
    prediction = find_prediction_by(name, slug)
    if prediction is not None:
        return prediction
    if detector_id_of(slug) is None:
        raise Http404(f"There is no detector '{slug}'.")
    raise Http404(f"There is no such prediction, and no event with this id of '{slug}'.")


def _unknown(said: Any, known: Collection[str]) -> list[str]:
    """Names in a body that nothing was made of, shortened."""
    return sorted({str(name)[:LONGEST_NAME] for name in said if name not in known})[:MOST_NAMES]


class FeedbackView(APIView):
    """Say what turned out to be true. Earlier feedback is kept; the newest counts.

    `?detector=` says whose event a client's own id names, `creditcard` unless given.
    Clients of earlier services may say more than is known here: that is no error, and is told.
    """

    required_scope = "feedback:write"
    required_permission = "scoring.label_prediction"

    @extend_schema(
        parameters=[OpenApiParameter("detector", str)],
        request=shapes.FeedbackIn,
        responses={201: shapes.FeedbackBody, **ERRORS},
    )
    def post(self, request: Request) -> Response:
        form = shapes.FeedbackIn(data=request.data)
        form.is_valid(raise_exception=True)
        prediction = _asked_for(request, form.validated_data["prediction_id"])
        # A clock that runs a little ahead of ours may have dated the event after now.
        latest = max(timezone.now(), prediction.event_time)
        label_time = form.validated_data.get("label_time") or latest
        if not prediction.event_time <= label_time <= latest:
            message = "must lie between the event's time and now"
            raise ValidationProblem([{"field": "label_time", "message": message}])
        said = (form.validated_data["feedback_source"], form.validated_data["notes"])
        try:
            label = record_label(
                prediction,
                is_fraud=form.validated_data["actual_label"],
                source=Label.Source.FEEDBACK,
                label_time=label_time,
                author=request.user if request.user.is_authenticated else None,
                reason_code=form.validated_data["reason_code"] or "",
                notes=": ".join(filter(None, said)),
                patience=PATIENCE,
            )
        except WindowsBusy as error:
            raise ServiceUnavailable(str(error)) from error
        body = {
            "label_id": label.pk,
            "prediction_id": str(prediction.pk),
            "actual_label": label.is_fraud,
            "label_time": label.label_time,
            "ignored_fields": _unknown(request.data, form.fields),
        }
        return Response(body, status=201)
