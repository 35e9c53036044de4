"""Declared sources over the API, and the door through which webhooks bring events."""

from collections.abc import Sequence
from typing import Any, cast

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiTypes, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_errors import Conflict, ServiceUnavailable, ValidationProblem
from accounts.models import User
from scoring.api.asking import ERRORS, batch_answer, field_errors, scored_one
from scoring.api.base import ScoringView, answer
from scoring.api.serializers import BatchBody
from scoring.core.windows import WindowStateError
from scoring.deployment import UnknownDetector
from scoring.services import Outcome
from scoring.source_declaration import SourceError, read_mapping
from scoring.source_models import PUSHED, SOURCE_TYPES, Source
from scoring.source_tallies import Activity, Came, activities_of, came_of, note_soon
from scoring.sources import NoDetector, how_it_comes, save_source, score_source_events

MOST_EVENTS = 1000
MOST_SOURCES = 500
TOLD = frozenset(("status", "how", "activity"))
"""What an answer says beside the declaration; passed over where it is sent back."""


class SourceIn(serializers.Serializer[Any]):
    """What docs/api.md describes; the same as in a YAML file for `manage.py load_source`."""

    name = serializers.CharField(max_length=100)
    slug = serializers.CharField(required=False, max_length=60)
    source_type = serializers.ChoiceField(SOURCE_TYPES)
    detector = serializers.CharField(required=False)
    config = serializers.DictField(required=False)
    schema = serializers.DictField(help_text="JSON Schema 2020-12 of one event.")
    mapping = serializers.DictField(required=False, child=serializers.CharField())
    pii_fields = serializers.ListField(required=False, child=serializers.CharField())


class CameBody(serializers.Serializer[Any]):
    received = serializers.IntegerField()
    scored = serializers.IntegerField()
    refused = serializers.IntegerField()
    repeated = serializers.IntegerField(help_text="Stored from before.")


class ActivityBody(serializers.Serializer[Any]):
    """What came by a source, counted as it comes, by the hour."""

    last_event_at = serializers.DateTimeField(allow_null=True, help_text="null: none came.")
    per_minute = serializers.FloatField(help_text="Since the hour before this one began.")
    last_24_hours = CameBody()
    in_all = CameBody()


class SourceBody(SourceIn):
    status = serializers.ChoiceField(["ready", "declared"])
    how = serializers.CharField(help_text="What brings its events here.")
    activity = ActivityBody()


class SourcePage(serializers.Serializer[Any]):
    sources = SourceBody(many=True)


def source_bodies(sources: Sequence[Source]) -> list[dict[str, Any]]:
    """Sources as API clients see them, one query for all. `ready`: a source's events are taken here
    and now."""
    activities = activities_of(sources)
    return [
        {
            "name": source.name,
            "slug": source.slug,
            "source_type": source.source_type,
            "detector": "" if source.detector is None else source.detector.slug,
            "config": source.config,
            "schema": source.schema,
            "mapping": source.mapping,
            "pii_fields": source.pii_fields,
            "status": "ready" if source.source_type in PUSHED and source.detector else "declared",
            "how": how_it_comes(source),
            "activity": _activity_body(activities[source.pk]),
        }
        for source in sources
    ]


def _activity_body(activity: Activity) -> dict[str, Any]:
    return {
        "last_event_at": activity.last_at,
        "per_minute": round(activity.rate, 3),
        "last_24_hours": _came_body(activity.day),
        "in_all": _came_body(activity.ever),
    }


def _came_body(came: Came) -> dict[str, int]:
    return {
        "received": came.received,
        "scored": came.scored,
        "refused": came.refused,
        "repeated": came.repeated,
    }


class SourceListView(APIView):
    """Sources by name; declare one, or change the one of its slug."""

    required_scope = {"GET": "models:read", "POST": "sources:write"}
    required_permission = {"GET": "scoring.view_source", "POST": "scoring.add_source"}

    @extend_schema(operation_id="sources_list", responses={200: SourcePage, **ERRORS})
    def get(self, request: Request) -> Response:
        """Sources by name."""
        rows = Source.objects.select_related("detector").order_by("name", "pk")[:MOST_SOURCES]
        return Response({"sources": source_bodies(list(rows))})

    @extend_schema(
        operation_id="sources_declare",
        request=SourceIn,
        responses={200: SourceBody, 201: SourceBody, **ERRORS},
    )
    def post(self, request: Request) -> Response:
        """Declare a source, or change the one of its slug."""
        try:
            source, created = save_source(
                read_mapping(_declared(request.data)), actor=cast(User, request.user)
            )
        except SourceError as error:
            raise ValidationProblem(field_errors(error.problems)) from error
        [body] = source_bodies([source])
        return Response(body, status=201 if created else 200)


class SourceDetailView(APIView):
    """One declared source."""

    required_scope = "models:read"
    required_permission = "scoring.view_source"

    @extend_schema(operation_id="sources_read", responses={200: SourceBody, **ERRORS})
    def get(self, request: Request, slug: str) -> Response:
        [body] = source_bodies([_source_or_404(slug)])
        return Response(body)


class SourceEventsView(ScoringView):
    """Take one event (an object) or up to 1,000 (a list) from a webhook or rest source."""

    judges_records = ""
    required_scope = "score"
    required_permission = "scoring.score_event"

    @extend_schema(
        operation_id="sources_events",
        request=OpenApiTypes.OBJECT,
        responses={200: BatchBody, **ERRORS},
    )
    def post(self, request: Request, slug: str) -> HttpResponse:
        source = _source_or_404(slug)
        if source.source_type not in PUSHED:
            raise Conflict(f"A {source.source_type} source is not sent to. {how_it_comes(source)}")
        events = request.data if isinstance(request.data, list) else [request.data]
        if len(events) > MOST_EVENTS:
            message = f"at most {MOST_EVENTS} events at a time, not {len(events)}"
            raise ValidationProblem([{"field": "", "message": message}])
        outcomes = _scored(source, events)
        note_soon(source, came_of(outcomes))
        if not isinstance(request.data, list):
            scored_one(outcomes[0])  # 422 or 409: whoever sends one event looks at no results.
        slug = "" if source.detector is None else source.detector.slug
        return answer(batch_answer(outcomes, slug))


def _declared(data: object) -> object:
    """What was sent without what we tell: whoever changes what they read sends that too."""
    if not isinstance(data, dict):
        return data
    return {name: value for name, value in data.items() if name not in TOLD}


def _source_or_404(slug: str) -> Source:
    return get_object_or_404(Source.objects.select_related("detector"), slug=slug)


def _scored(source: Source, events: list[object]) -> list[Outcome]:
    try:
        return score_source_events(source, events)
    except NoDetector as error:
        raise Conflict(how_it_comes(source)) from error
    except UnknownDetector as error:
        raise Http404(f"The detector '{error}' of this source is switched off.") from error
    except WindowStateError as error:
        raise ServiceUnavailable(str(error)) from error
