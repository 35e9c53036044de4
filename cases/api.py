"""Alerts and cases over the API, to be read: lists with a cursor, and one of each."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.api_errors import ValidationProblem
from accounts.query import moment, one_of, whole
from accounts.typed import is_whole
from cases.case_rows import totals_of
from cases.case_selectors import AlertSum, alert_sums, case_rows_query
from cases.models import Alert, Case
from cases.rows import alert_row
from cases.second_looks import hidden_look, hide_cases, hide_held, untold_cases
from cases.selectors import ids_of_alert
from cases.workflow import PRIORITIES, AlertStatus, CaseStatus, Disposition
from scoring.core.types import RISK_LEVELS
from scoring.models import Detector
from scoring.presenting import SpecCache

MOST_ROWS = 200
MOST_WITHIN = 200
"""Predictions of an alert, and alerts of a case, that one answer names."""
FOUND = ["", *(found.value for found in Disposition)]

CasesProblem = inline_serializer(
    "CasesProblem",
    {
        "detail": serializers.CharField(),
        "errors": serializers.ListField(child=serializers.DictField(), required=False),
    },
)
ERRORS = dict.fromkeys((400, 401, 403, 404, 422, 429, 503), CasesProblem)


class AlertBody(serializers.Serializer[Any]):
    """Predictions of one entity that need a human."""

    id = serializers.IntegerField()
    detector = serializers.CharField()
    entity = serializers.CharField(help_text="Masked where it is personal data.")
    entity_token = serializers.CharField(help_text="The same for every alert of the entity.")
    status = serializers.ChoiceField([status.value for status in AlertStatus])
    level = serializers.ChoiceField(list(RISK_LEVELS))
    probability = serializers.FloatField(allow_null=True, help_text="Of its riskiest prediction.")
    reason = serializers.CharField(help_text="The first reason of that prediction.")
    top_prediction = serializers.UUIDField()
    predictions_count = serializers.IntegerField()
    exposure = serializers.DecimalField(
        max_digits=18, decimal_places=2, allow_null=True, help_text="At risk, in its currency."
    )
    currency = serializers.CharField(allow_blank=True)
    owner = serializers.CharField(allow_blank=True, help_text="A user's name.")
    case = serializers.IntegerField(allow_null=True)
    disposition = serializers.ChoiceField(FOUND, help_text="How it ended.")
    reason_code = serializers.CharField(allow_blank=True)
    first_event_at = serializers.DateTimeField()
    last_event_at = serializers.DateTimeField()
    opened_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(allow_null=True)
    snoozed_until = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)


class AlertDetailBody(AlertBody):
    predictions = serializers.ListField(
        child=serializers.UUIDField(), help_text=f"The newest {MOST_WITHIN}."
    )


class AlertPage(serializers.Serializer[Any]):
    alerts = AlertBody(many=True)
    next_cursor = serializers.CharField(allow_null=True, help_text="null: there are no more.")


class AmountBody(serializers.Serializer[Any]):
    currency = serializers.CharField(allow_blank=True)
    amount = serializers.DecimalField(max_digits=24, decimal_places=2)


class CaseBody(serializers.Serializer[Any]):
    """An investigation over alerts."""

    id = serializers.IntegerField()
    title = serializers.CharField()
    status = serializers.ChoiceField([status.value for status in CaseStatus])
    priority = serializers.ChoiceField([name.lower() for name in PRIORITIES])
    case_type = serializers.CharField(allow_blank=True)
    work_queue = serializers.CharField(allow_blank=True, help_text="Of which team.")
    owner = serializers.CharField(allow_blank=True, help_text="A user's name.")
    tags = serializers.ListField(child=serializers.CharField())
    level = serializers.ChoiceField(
        ["", *RISK_LEVELS], help_text="The highest of its alerts; empty without any."
    )
    alerts_count = serializers.IntegerField()
    predictions_count = serializers.IntegerField()
    exposure = AmountBody(many=True, help_text="At risk, by currency, the largest first.")
    disposition = serializers.ChoiceField(FOUND, help_text="How it ended.")
    reason_code = serializers.CharField(allow_blank=True)
    merged_into = serializers.IntegerField(allow_null=True)
    opened_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(allow_null=True)
    closed_at = serializers.DateTimeField(allow_null=True)


class CaseDetailBody(CaseBody):
    alerts = serializers.ListField(
        child=serializers.IntegerField(), help_text=f"The newest {MOST_WITHIN}."
    )


class CasePage(serializers.Serializer[Any]):
    cases = CaseBody(many=True)
    next_cursor = serializers.CharField(allow_null=True, help_text="null: there are no more.")


def _parameters(statuses: Sequence[str]) -> list[OpenApiParameter]:
    return [
        OpenApiParameter("status", str, enum=list(statuses), description="All unless given."),
        OpenApiParameter("detector", str, description="Of all unless given."),
        OpenApiParameter("since", OpenApiTypes.DATETIME, description="Opened from then on."),
        OpenApiParameter("limit", int, description=f"1 to {MOST_ROWS}, 100 unless given."),
        OpenApiParameter("cursor", str, description="`next_cursor` of the page before."),
    ]


def _detector_asked(request: Request) -> int | None:
    """The id of the detector asked for; None for all. Raises Http404."""
    slug = request.query_params.get("detector", "").replace("\0", "")
    if not slug:
        return None
    found = Detector.objects.filter(slug=slug).values_list("pk", flat=True).first()
    if found is None:
        raise Http404(f"There is no detector '{slug[:100]}'.")
    return found


def _page(request: Request, rows: "QuerySet[Any]") -> tuple[list[Any], str | None]:
    """The rows after the cursor, newest first, and the next cursor. What is opened or moved while
    somebody turns the pages shifts nothing: a cursor names the row that it stands behind."""
    limit = whole(request, "limit", 100, least=1, most=MOST_ROWS)
    if since := moment(request, "since"):
        rows = rows.filter(opened_at__gte=since)
    if cursor := request.query_params.get("cursor", ""):
        if not is_whole(cursor):
            problem = "is no cursor: send the next_cursor of the page before, or none to begin"
            raise ValidationProblem([{"field": "cursor", "message": problem}])
        rows = rows.filter(pk__lt=int(cursor))
    found = list(rows.order_by("-pk")[: limit + 1])
    more = len(found) > limit
    return found[:limit], str(found[limit - 1].pk) if more else None


# --- Alerts --------------------------------------------------------------------------------------


def alert_body(alert: Alert, specs: SpecCache) -> dict[str, Any]:
    """An alert as API clients see it, of one that came with detector, owner and top prediction."""
    row = alert_row(alert, specs)
    return {
        "id": alert.pk,
        "detector": alert.detector.slug,
        "entity": row.entity,
        "entity_token": alert.entity,
        "status": alert.status,
        "level": alert.level_name,
        "probability": alert.risk,
        "reason": row.reason,
        "top_prediction": alert.top_prediction_id,
        "predictions_count": alert.predictions_count,
        "exposure": None if alert.exposure is None else f"{alert.exposure:.2f}",
        "currency": alert.currency,
        "owner": alert.owner.get_username() if alert.owner else "",
        "case": alert.case_id,
        "disposition": alert.disposition,
        "reason_code": alert.reason_code,
        "first_event_at": alert.first_event_at,
        "last_event_at": alert.last_event_at,
        "opened_at": alert.opened_at,
        "due_at": alert.due_at,
        "snoozed_until": alert.snoozed_until,
        "closed_at": alert.closed_at,
    }


def _alerts() -> "QuerySet[Alert]":
    rows = Alert.objects.select_related("owner", "top_prediction")
    return rows.prefetch_related("detector")


class AlertListView(APIView):
    """Alerts, the newest first, a page at a time."""

    required_scope = "cases:read"
    required_permission = "cases.view_alert"

    @extend_schema(
        operation_id="alerts_list",
        parameters=_parameters(list(AlertStatus)),
        responses={200: AlertPage, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        rows, detector = _alerts(), _detector_asked(request)
        if status := one_of(request, "status", list(AlertStatus)):
            rows = rows.filter(status=status)
        if detector is not None:
            rows = rows.filter(detector=detector)
        found, cursor = _page(request, rows)
        hide_held(found, hidden_look(request.user))
        specs = SpecCache()
        bodies = [alert_body(alert, specs) for alert in found]
        return Response({"alerts": bodies, "next_cursor": cursor})


class AlertView(APIView):
    """One alert, with the predictions that it holds."""

    required_scope = "cases:read"
    required_permission = "cases.view_alert"

    @extend_schema(operation_id="alert_read", responses={200: AlertDetailBody, **ERRORS})
    def get(self, request: Request, pk: int) -> Response:
        alert = _alerts().filter(pk=pk).first()
        if alert is None:
            raise Http404("There is no such alert.")
        hide_held([alert], hidden_look(request.user))
        held = ids_of_alert(alert, limit=MOST_WITHIN)
        return Response(alert_body(alert, SpecCache()) | {"predictions": held})


# --- Cases ---------------------------------------------------------------------------------------


def case_body(case: Case, sums: Sequence[AlertSum]) -> dict[str, Any]:
    """A case as API clients see it, with the sums of its alerts."""
    return {
        "id": case.pk,
        "title": case.title,
        "status": case.status,
        "priority": PRIORITIES[case.priority].lower(),
        "case_type": case.case_type.name if case.case_type else "",
        "work_queue": case.work_queue.name if case.work_queue else "",
        "owner": case.owner.get_username() if case.owner else "",
        "tags": [tag.name for tag in case.tags.all()],
        "level": RISK_LEVELS[max(one.level for one in sums)].value if sums else "",
        "alerts_count": sum(one.alerts for one in sums),
        "predictions_count": sum(one.events for one in sums),
        "exposure": [
            {"currency": currency, "amount": f"{amount:.2f}"}
            for currency, amount in totals_of(sums)
        ],
        "disposition": case.disposition,
        "reason_code": case.reason_code,
        "merged_into": case.merged_into_id,
        "opened_at": case.opened_at,
        "due_at": case.due_at,
        "closed_at": case.closed_at,
    }


def _cases() -> "QuerySet[Case]":
    return case_rows_query().select_related("case_type")


class CaseListView(APIView):
    """Cases, the newest first, a page at a time; those of a detector have an alert of it."""

    required_scope = "cases:read"
    required_permission = "cases.view_case"

    @extend_schema(
        operation_id="cases_list",
        parameters=_parameters(list(CaseStatus)),
        responses={200: CasePage, **ERRORS},
    )
    def get(self, request: Request) -> Response:
        """Cases, the newest first, a page at a time."""
        rows, detector = _cases(), _detector_asked(request)
        if status := one_of(request, "status", list(CaseStatus)):
            rows = rows.filter(status=status)
        if detector is not None:
            own = Alert.objects.filter(case=OuterRef("pk"), detector=detector).order_by()
            rows = rows.filter(Exists(own))
        found, cursor = _page(request, rows)
        hide_cases(found, untold_cases(hidden_look(request.user)))
        sums = alert_sums([case.pk for case in found])
        bodies = [case_body(case, sums.get(case.pk, ())) for case in found]
        return Response({"cases": bodies, "next_cursor": cursor})


class CaseView(APIView):
    """One case, with the alerts that it holds."""

    required_scope = "cases:read"
    required_permission = "cases.view_case"

    @extend_schema(operation_id="case_read", responses={200: CaseDetailBody, **ERRORS})
    def get(self, request: Request, pk: int) -> Response:
        case = _cases().filter(pk=pk).first()
        if case is None:
            raise Http404("There is no such case.")
        hide_cases([case], untold_cases(hidden_look(request.user)))
        held = case.alerts.order_by("-pk").values_list("pk", flat=True)[:MOST_WITHIN]
        body = case_body(case, alert_sums([case.pk]).get(case.pk, ()))
        return Response(body | {"alerts": list(held)})
