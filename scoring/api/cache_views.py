"""Flush cached predictions over the API."""

from typing import Any, cast

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.body import text_in
from accounts.models import User
from scoring.api.asking import ERRORS
from scoring.flushing import flush_cached_predictions
from scoring.models import Detector


class FlushIn(serializers.Serializer[Any]):
    detector = serializers.CharField(
        required=False, allow_null=True, help_text="A slug; every detector without."
    )


class FlushBody(serializers.Serializer[Any]):
    status = serializers.CharField(help_text="flushed")
    detectors = serializers.ListField(child=serializers.CharField())


class CacheFlushView(APIView):
    """Forget what models said about earlier vectors; the next event asks them again."""

    required_scope = "models:write"
    required_permission = "scoring.flush_cache"

    @extend_schema(
        operation_id="cache_flush",
        parameters=[OpenApiParameter("detector", str, description="As in the body.")],
        request=FlushIn,
        responses={200: FlushBody, **ERRORS},
    )
    def post(self, request: Request) -> Response:
        slug = text_in(request, "detector", "is the slug of a detector")
        try:
            flushed = flush_cached_predictions(
                [slug] if slug else [], actor=cast(User, request.user)
            )
        except Detector.DoesNotExist as error:
            raise Http404(f"There is no detector '{error}'.") from error
        return Response({"status": "flushed", "detectors": flushed})
