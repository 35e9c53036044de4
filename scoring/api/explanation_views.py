"""`/api/v1/predictions/<id>/explanation`: why a score, and what would have been approved."""

from typing import Any
from uuid import UUID

from django.http import Http404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_errors import ValidationProblem
from scoring.api.serializers import Problem
from scoring.core.inference import LINKS
from scoring.explaining import explanation_body
from scoring.margins import WORDS
from scoring.selectors import find_prediction

ERRORS = dict.fromkeys((400, 401, 403, 404, 422, 429, 503), Problem)


class ContributionBody(serializers.Serializer[Any]):
    feature = serializers.CharField()
    value = serializers.JSONField(allow_null=True, help_text="Null: missing, or personal data.")
    contribution = serializers.FloatField(help_text="Share of the margin; positive raises risk.")


class ChangeBody(serializers.Serializer[Any]):
    field = serializers.CharField()
    before = serializers.JSONField(allow_null=True)
    after = serializers.JSONField()
    bound = serializers.ChoiceField(
        ["at most", "at least", ""], help_text="Every plausible value beyond was tried too."
    )


class CounterfactualBody(serializers.Serializer[Any]):
    found = serializers.BooleanField()
    text = serializers.CharField(help_text="The change as a sentence, or why there is none.")
    changes = ChangeBody(many=True)
    risk_before = serializers.FloatField(allow_null=True)
    risk_after = serializers.FloatField(allow_null=True)
    free_fields = serializers.ListField(child=serializers.CharField())
    unknown_fields = serializers.ListField(
        child=serializers.CharField(),
        help_text="Not changed: what they do to history cannot be told any more.",
    )
    with_history = serializers.BooleanField(help_text="The windows of then were still there.")
    candidates_tried = serializers.IntegerField()


class WeightBody(serializers.Serializer[Any]):
    feature = serializers.CharField()
    per_step = serializers.FloatField(help_text="Added to the margin by one step more.")
    step = serializers.FloatField(help_text="In the feature's unit; 0 for a category as it is.")


class SurrogateBody(serializers.Serializer[Any]):
    weights = WeightBody(many=True)
    intercept = serializers.FloatField()
    predicted = serializers.FloatField(help_text="What the line says of the event.")
    margin = serializers.FloatField(help_text="What the model says.")
    link = serializers.ChoiceField(LINKS)
    fit = serializers.FloatField(allow_null=True, help_text="Weighted R squared, at most 1.")
    samples = serializers.IntegerField()
    seed = serializers.IntegerField()
    statement = serializers.CharField()


class ExplanationBody(serializers.Serializer[Any]):
    """Base value + contributions = margin, to `additivity_error`."""

    prediction_id = serializers.UUIDField()
    decision = serializers.ChoiceField(["APPROVE", "REVIEW", "BLOCK"])
    bundle_digest = serializers.CharField()
    policy_digest = serializers.CharField(allow_blank=True)
    base_value = serializers.FloatField(allow_null=True)
    margin = serializers.FloatField(allow_null=True)
    margin_space = serializers.ChoiceField(
        [words.space for words in WORDS.values()], allow_null=True
    )
    contributions = ContributionBody(many=True)
    additivity_error = serializers.FloatField(allow_null=True)
    exact = serializers.BooleanField(allow_null=True)
    counterfactual = CounterfactualBody(allow_null=True)
    surrogate = SurrogateBody(required=False, allow_null=True)
    unavailable = serializers.DictField(
        child=serializers.CharField(), help_text="What is null, and why."
    )


class ExplanationView(APIView):
    """Contributions of all features, a counterfactual and, if asked for, a local surrogate."""

    required_scope = "predictions:read"
    required_permission = "scoring.view_prediction"

    @extend_schema(
        operation_id="v1_predictions_explanation",
        parameters=[OpenApiParameter("surrogate", bool)],
        responses={200: ExplanationBody, **ERRORS},
    )
    def get(self, request: Request, pk: UUID) -> Response:
        wanted = request.query_params.get("surrogate", "false").lower()
        if wanted not in ("true", "false"):
            raise ValidationProblem([{"field": "surrogate", "message": "is true or false"}])
        prediction = find_prediction(pk)
        if prediction is None:
            raise Http404("There is no such prediction.")
        return Response(explanation_body(prediction, surrogate=wanted == "true"))
