"""What every scoring endpoint does around the service: its outcomes as answers or as errors."""

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from time import perf_counter, time, time_ns
from typing import Any

from django.http import Http404
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers

from accounts.api_errors import Conflict, ServiceUnavailable, ValidationProblem, field_error
from accounts.seldom import Seldom
from scoring import deployment
from scoring.api.serializers import Problem, scored_body
from scoring.calls import read_event
from scoring.core.ids import IdSequence
from scoring.core.schema import SchemaError
from scoring.core.windows import WindowStateError
from scoring.deployment import UnknownDetector
from scoring.measuring import note_scored
from scoring.models import Prediction
from scoring.services import Conflicting, Outcome, Refused, Scored, score_events

_ids = IdSequence()
Problems = Sequence[tuple[str, str]]
Place = Callable[[str], str]
ERRORS = dict.fromkeys((400, 401, 403, 404, 409, 413, 415, 422, 429, 503), Problem)


@lru_cache(maxsize=64)
def _told(slug: str) -> Seldom:
    """What is told of a detector; all of its requests meet it at every turn."""
    return Seldom(logging.getLogger(__name__))


def new_id() -> str:
    """An id for an event whose client gives none; later ones sort later."""
    return str(_ids.next(time_ns()))


def field_errors(problems: Problems, place: Place = lambda field: field) -> list[dict[str, object]]:
    """Schema problems as the entries of a 422; `place` says where the client wrote a field."""
    return [field_error(place(field), message) for field, message in problems]


def ask(slug: str, raws: Sequence[object]) -> list[Outcome]:
    """The service, its errors as answers: 404, and 503 while windows wait to be rebuilt."""
    started = perf_counter()
    try:
        outcomes = score_events(slug, raws)
    except UnknownDetector as error:
        raise Http404(f"There is no detector '{slug}'.") from error
    except WindowStateError as error:
        _told(slug).warning("%s is not scored, which the API tells as 503: %s", slug, error)
        raise ServiceUnavailable(str(error)) from error
    note_scored(slug, perf_counter() - started)
    return outcomes


def ask_one(slug: str, raw: object, place: Place = lambda field: field) -> Prediction:
    """The prediction of one event. Raises ValidationProblem (422) and Conflict (409)."""
    [outcome] = ask(slug, [raw])
    return scored_one(outcome, place)


def scored_one(outcome: Outcome, place: Place = lambda field: field) -> Prediction:
    """The prediction of an event that came alone. Raises as `ask_one`."""
    match outcome:
        case Scored(prediction):
            return prediction
        case Refused(problems):
            raise ValidationProblem(field_errors(problems, place))
        case Conflicting(external_id):
            raise Conflict(f"'{external_id}' was scored before with another body.")


def ask_all_or_none(
    slug: str, raws: Sequence[object], place: Callable[[int, str], str]
) -> list[Prediction]:
    """Predictions in the order sent; when any event breaks the schema, 422 and nothing is stored.

    An id that was scored before with another body is a 409; the other events are stored then, and
    sent again they give the same answers.
    """
    try:
        parser = deployment.serving(slug).bundle.parser
    except UnknownDetector as error:
        raise Http404(f"There is no detector '{slug}'.") from error
    wrong = []
    for i, raw in enumerate(raws):
        try:
            read_event(parser, raw, time())
        except SchemaError as error:
            wrong += [(place(i, field), message) for field, message in error.problems]
    if wrong:
        raise ValidationProblem(field_errors(wrong))
    return _all_scored(ask(slug, raws) if raws else [], place)


def _all_scored(outcomes: Sequence[Outcome], place: Callable[[int, str], str]) -> list[Prediction]:
    wrong: list[tuple[str, str]] = []
    conflicts: list[str] = []
    found: list[Prediction] = []
    for i, outcome in enumerate(outcomes):
        match outcome:
            case Scored(prediction):
                found.append(prediction)
            case Refused(problems):
                wrong += [(place(i, field), message) for field, message in problems]
            case Conflicting(external_id):
                conflicts.append(external_id)
    if wrong:
        raise ValidationProblem(field_errors(wrong))
    if conflicts:
        raise Conflict(_contradicted(conflicts, len(found)))
    return found


def _contradicted(conflicts: Sequence[str], others: int) -> str:
    """What a client reads whose batch has ids of stored events, and what it can do."""
    names = ", ".join(f"'{external_id}'" for external_id in dict.fromkeys(conflicts))
    told = f"Scored before with another body: {names}."
    if others:
        told += (
            f" The other {others} {'are' if others > 1 else 'is'} scored and stored: the batch is"
            " answered when it is sent again without what contradicts."
        )
    return told


def batch_answer(outcomes: Sequence[Outcome], slug: str) -> dict[str, Any]:
    """What becomes of each event of a batch, in the order sent, and how many were scored."""
    results = [_result(outcome, slug) for outcome in outcomes]
    scored = sum("prediction" in result for result in results)
    return {"results": results, "scored": scored, "refused": len(results) - scored}


def _result(outcome: Outcome, slug: str) -> dict[str, Any]:
    match outcome:
        case Scored(prediction):
            return {"prediction": scored_body(prediction, slug=slug)}
        case Refused(problems):
            return {"errors": field_errors(problems)}
        case Conflicting(external_id):
            message = f"'{external_id}' was scored before with another body"
            return {"errors": field_errors([("", message)])}


def whole_body(data: object) -> dict[str, Any]:
    """The body as a mapping. Raises ValidationProblem when it is none."""
    if not isinstance(data, dict):
        raise ValidationProblem([{"field": "", "message": "The body is a JSON object."}])
    return data


def without_unread(slug: str, body: dict[str, Any]) -> dict[str, Any]:
    """The event of an earlier service's client, as `EventParser.without_unread` leaves it: those
    services passed over what they did not read."""
    try:
        return deployment.latest(slug).bundle.parser.without_unread(body)
    except UnknownDetector:
        return body


def documented(
    request: Any, answer: type[serializers.Serializer[Any]] | Any, example: object, **more: Any
) -> Any:
    """The OpenAPI entry of a scoring endpoint: shapes, every error, and a request that works."""
    return extend_schema(
        request=request,
        responses={200: answer, **ERRORS},
        examples=[OpenApiExample("A request", value=example, request_only=True)],
        **more,
    )
