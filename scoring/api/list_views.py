"""The allow and deny lists of a detector over the API: read, put on, take off."""

from collections.abc import Sequence
from typing import Any, cast

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_errors import ValidationProblem
from accounts.body import Text, valid
from accounts.models import User
from accounts.query import one_of, whole
from scoring.api.asking import ERRORS, field_errors
from scoring.models import Detector
from scoring.ordering import (
    ABSENT,
    ADDED,
    LONGEST_REASON,
    LONGEST_VALUE,
    MOST_VALUES,
    REMOVED,
    REPEATED,
    SHORTEST_REASON,
    STANDING,
    Outcome,
    add_list_entries,
    listed_entries,
    revoke_list_entry,
    revoke_list_values,
)
from scoring.policies import PolicyRefused
from scoring.policy_models import ListEntry
from scoring.presenting import masked

MOST_ROWS = 1000
MOST_SKIP = 100_000
IN_FORCE, OVER = "in_force", "over"
KINDS = ListEntry.Kind.values


class ListEntryBody(serializers.Serializer[Any]):
    """A value on a list, or one that was."""

    id = serializers.IntegerField()
    kind = serializers.ChoiceField(KINDS, help_text="deny blocks, allow approves.")
    field = serializers.CharField()
    value = serializers.CharField(help_text="Masked where it is personal data.")
    reason = serializers.CharField()
    author = serializers.CharField(allow_blank=True, help_text="A user's name.")
    created_at = serializers.DateTimeField(help_text="Events that arrive from then on are judged.")
    expires_at = serializers.DateTimeField(allow_null=True, help_text="null: never.")
    revoked_at = serializers.DateTimeField(allow_null=True)


class ListEntryPage(serializers.Serializer[Any]):
    entries = ListEntryBody(many=True)
    skip = serializers.IntegerField()
    limit = serializers.IntegerField()


class ListValuesIn(serializers.Serializer[Any]):
    """Values of one field of events, exactly as events carry them."""

    kind = serializers.ChoiceField(KINDS)
    field = Text(max_length=64)
    values = serializers.ListField(
        child=serializers.CharField(max_length=LONGEST_VALUE), min_length=1, max_length=MOST_VALUES
    )


class ListAddIn(ListValuesIn):
    """What is put on a list, why and until when. One wrong value, and none is."""

    reason = Text(min_length=SHORTEST_REASON, max_length=LONGEST_REASON)
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, default=None, help_text="Left out or null: never."
    )


class ListedBody(serializers.Serializer[Any]):
    """What became of one value, in the order sent. `standing`: on the list before, and left as it
    was; `repeated`: an earlier one of the same call is the same value."""

    state = serializers.ChoiceField([ADDED, STANDING, REPEATED])
    entry = ListEntryBody()


class ListedPage(serializers.Serializer[Any]):
    results = ListedBody(many=True)
    added = serializers.IntegerField()


class TakenOffBody(serializers.Serializer[Any]):
    """What became of one value, in the order sent. `absent`: it does not stand on that list."""

    state = serializers.ChoiceField([REMOVED, ABSENT, REPEATED])
    entry = ListEntryBody(allow_null=True)


class TakenOffPage(serializers.Serializer[Any]):
    results = TakenOffBody(many=True)
    removed = serializers.IntegerField()


def entry_body(entry: ListEntry) -> dict[str, Any]:
    """An entry as API clients see it. Personal data is masked."""
    return {
        "id": entry.pk,
        "kind": entry.kind,
        "field": entry.field,
        "value": masked(entry.shown),
        "reason": entry.reason,
        "author": "" if entry.author is None else entry.author.username,
        "created_at": entry.created_at,
        "expires_at": entry.expires_at,
        "revoked_at": entry.revoked_at,
    }


def _results(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    return [
        {"state": one.state, "entry": None if one.entry is None else entry_body(one.entry)}
        for one in outcomes
    ]


class ListEntriesView(APIView):
    """What stands on the lists of a detector; put values on one of them."""

    required_scope = {"GET": "lists:read", "POST": "lists:write"}
    required_permission = {"GET": "scoring.view_listentry", "POST": "scoring.add_listentry"}

    @extend_schema(
        operation_id="list_entries_list",
        parameters=[
            OpenApiParameter("kind", str, enum=KINDS, description="Both lists unless given."),
            OpenApiParameter("field", str),
            OpenApiParameter(
                "state", str, enum=[IN_FORCE, OVER], description="over: expired or revoked."
            ),
            OpenApiParameter("skip", int),
            OpenApiParameter("limit", int),
        ],
        responses={200: ListEntryPage, **ERRORS},
    )
    def get(self, request: Request, slug: str) -> Response:
        """What stands on the lists of a detector, or stood there."""
        skip = whole(request, "skip", 0, least=0, most=MOST_SKIP)
        limit = whole(request, "limit", 100, least=1, most=MOST_ROWS)
        kind, state = one_of(request, "kind", KINDS), one_of(request, "state", (IN_FORCE, OVER))
        rows = listed_entries(_detector(slug), timezone.now(), over=state == OVER)
        if kind:
            rows = rows.filter(kind=kind)
        if field := request.query_params.get("field", "").replace("\0", ""):
            rows = rows.filter(field=field)
        bodies = [entry_body(row) for row in rows[skip : skip + limit]]
        return Response({"entries": bodies, "skip": skip, "limit": limit})

    @extend_schema(
        operation_id="list_entries_add",
        request=ListAddIn,
        responses={200: ListedPage, 201: ListedPage, **ERRORS},
    )
    def post(self, request: Request, slug: str) -> Response:
        """Put values on a list of a detector, all or none."""
        asked = valid(ListAddIn, request)
        done = _done(add_list_entries, slug, asked, request)
        added = sum(one.state == ADDED for one in done)
        body = {"results": _results(done), "added": added}
        return Response(body, status=201 if added else 200)


class ListRemovalView(APIView):
    """Take values off a list."""

    required_scope = "lists:write"
    required_permission = "scoring.change_listentry"

    @extend_schema(
        operation_id="list_entries_remove",
        request=ListValuesIn,
        responses={200: TakenOffPage, **ERRORS},
    )
    def post(self, request: Request, slug: str) -> Response:
        done = _done(revoke_list_values, slug, valid(ListValuesIn, request), request)
        removed = sum(one.state == REMOVED for one in done)
        return Response({"results": _results(done), "removed": removed})


class ListEntryView(APIView):
    """One entry, whether or not it still stands; DELETE takes it off, and may be asked again."""

    required_scope = {"GET": "lists:read", "DELETE": "lists:write"}
    required_permission = {"GET": "scoring.view_listentry", "DELETE": "scoring.change_listentry"}

    @extend_schema(operation_id="list_entry_read", responses={200: ListEntryBody, **ERRORS})
    def get(self, request: Request, slug: str, pk: int) -> Response:
        """One entry of a list, whether or not it still stands."""
        return Response(entry_body(_entry(slug, pk)))

    @extend_schema(operation_id="list_entry_remove", responses={200: ListEntryBody, **ERRORS})
    def delete(self, request: Request, slug: str, pk: int) -> Response:
        """Take an entry off its list; the same answer when it is sent twice."""
        revoke_list_entry(_entry(slug, pk), author=cast(User, request.user))
        return Response(entry_body(_entry(slug, pk)))


def _detector(slug: str) -> Detector:
    return get_object_or_404(Detector, slug=slug)


def _entry(slug: str, pk: int) -> ListEntry:
    rows = ListEntry.objects.select_related("author")
    return get_object_or_404(rows, pk=pk, detector__slug=slug)


def _done(service: Any, slug: str, asked: dict[str, Any], request: Request) -> list[Outcome]:
    """The service, its refusals as answers: 422, and 409 for a declaration that is broken."""
    try:
        done: list[Outcome] = service(_detector(slug), **asked, author=cast(User, request.user))
    except PolicyRefused as refusal:
        raise ValidationProblem(field_errors(refusal.problems)) from refusal
    return done
