"""For load balancers and supervisors: alive, ready to serve, and what state the parts are in."""

import logging
from contextlib import suppress
from shutil import disk_usage
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from scoring import breakers, outages
from scoring.deployment import RULES_ONLY, NothingServes, version_in_service
from scoring.models import Deployment
from scoring.shortfalls import Shortfall, all_shortfalls

logger = logging.getLogger(__name__)
RETRY_AFTER = "5"
OK, GONE, FULL, DEGRADED = "ok", "unreachable", "full", "degraded"
LEAST_ROOM = 1 << 24
"""Bytes that must be free: what SQLite writes beside the database before it empties it there, four
times."""
KINDS = ("rule", "list", "bundle", "declaration", "review")
"""Of what a shortfall is (scoring/shortfalls.py)."""
NAMED = {"fraud_model": "fraud", "anomaly_model": "anomaly"}
CREDITCARD = "creditcard"
BROKER_SECONDS = 1.0


@csrf_exempt
@require_safe
def livez(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": OK})


@csrf_exempt
@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """The database answers too, and has room for what is scored; 503 until both hold."""
    state = _database()
    if state != OK:
        return _unavailable(state)
    return JsonResponse({"status": OK, "database": OK})


@csrf_exempt
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """As `readyz`, with the environment and the versions that answer now (contract A)."""
    try:
        versions = versions_in_service(*NAMED.values())
    except DatabaseError:
        return _unavailable()
    if not _has_room():
        return _unavailable(FULL)
    models = {name: versions.get(slug) for name, slug in NAMED.items()}
    return JsonResponse(
        {"status": OK, "database": OK, "environment": settings.ENVIRONMENT, **models}
    )


def serving_versions() -> dict[str, str]:
    """Versions that are to serve, by slug of the enabled detectors: the same in every process.

    Raises DatabaseError.
    """
    return dict(_champions().values_list("detector__slug", "version"))


def versions_in_service(*slugs: str) -> dict[str, str]:
    """What clients of this process see as model_version, by slug of the enabled detectors; without
    those on whose events nothing decides.

    `slugs`: of these alone. Raises DatabaseError.
    """
    rows = _champions().select_related("detector")
    rows = rows.filter(detector__slug__in=slugs) if slugs else rows
    found = {}
    for row in rows:
        with suppress(NothingServes):
            found[row.detector.slug] = version_in_service(row)
    return found


def _champions() -> QuerySet[Deployment]:
    return Deployment.objects.filter(slot=Deployment.Slot.CHAMPION, detector__enabled=True)


def _unavailable(state: str = GONE) -> JsonResponse:
    body = {"status": "unavailable", "database": state}
    return JsonResponse(body, status=503, headers={"Retry-After": RETRY_AFTER})


class ShortfallBody(serializers.Serializer[Any]):
    """Something in force that does not do what it says."""

    detector = serializers.CharField()
    kind = serializers.ChoiceField(KINDS)
    subject = serializers.CharField()
    text = serializers.CharField()


class HealthBody(serializers.Serializer[Any]):
    """`degraded` when a part is missing that scoring can go on without, a live rule, a bundle or a
    fresh reading of a list among them. A list that was never synchronised is a warning alone."""

    status = serializers.ChoiceField([OK, DEGRADED, "unavailable"])
    environment = serializers.CharField()
    version = serializers.CharField()
    model = serializers.DictField(help_text="creditcard: state and model_version.")
    models = serializers.DictField(
        child=serializers.CharField(), help_text="The version that answers now, by detector."
    )
    cache = serializers.ChoiceField([OK, GONE])
    broker = serializers.ChoiceField([OK, GONE])
    database = serializers.ChoiceField([OK, GONE, FULL])
    circuit_breakers = serializers.DictField(
        child=serializers.ChoiceField(["CLOSED", "OPEN", "HALF_OPEN"])
    )
    warnings = ShortfallBody(many=True)
    integrity = serializers.CharField(help_text="Where everything is looked at closely.")


class HealthProblem(serializers.Serializer[Any]):
    """Why nothing else could be told."""

    detail = serializers.CharField()


REFUSED = dict.fromkeys((401, 403, 429, 503), HealthProblem)


class ApiHealthView(APIView):
    """Model, cache, broker, database and circuit breakers, for who operates the platform."""

    required_scope = "models:read"
    required_permission = "scoring.view_detector"

    @extend_schema(operation_id="api_health", responses={200: HealthBody, **REFUSED})
    def get(self, request: Request) -> Response:
        versions = versions_in_service()
        states = breakers.states()
        parts = {"cache": _cache(), "broker": _broker()}
        parts["database"] = OK if _stores() else FULL
        shortfalls = all_shortfalls()
        model = _model(versions.get(CREDITCARD), states, shortfalls)
        well = (
            all(state == OK for state in parts.values())
            and "OPEN" not in states.values()
            and not any(found.degrades for found in shortfalls)
        )
        body = {
            "status": OK if well else DEGRADED,
            "environment": settings.ENVIRONMENT,
            "version": settings.VERSION,
            "model": model,
            "models": versions,
            **parts,
            "circuit_breakers": states,
            "integrity": reverse("model_integrity"),
            "warnings": [
                {
                    "detector": found.detector,
                    "kind": found.kind,
                    "subject": found.subject,
                    "text": found.text,
                }
                for found in shortfalls
            ],
        }
        return Response(body)


def _model(
    version: str | None, states: dict[str, str], shortfalls: list[Shortfall]
) -> dict[str, Any]:
    """`missing`, `rules-only`, `overdue` past its review date, `ok`, or the state of its breaker
    where that is not closed."""
    found = {(shortfall.detector, shortfall.kind) for shortfall in shortfalls}
    if version is None:
        state = "missing"
    elif version == RULES_ONLY:
        state = RULES_ONLY
    elif (CREDITCARD, "review") in found:
        state = "overdue"
    else:
        breaker = states.get(f"model:{CREDITCARD}", "CLOSED")
        state = OK if breaker == "CLOSED" else breaker
    return {"detector": CREDITCARD, "state": state, "model_version": version}


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return GONE
    return OK if _has_room() else FULL


def _has_room() -> bool:
    """Whether the disk that holds the file of the embedded database takes more; that of a server is
    the server's to watch. Of a disk that cannot be looked at, as where the database has no file,
    the database's own answer counts."""
    if connection.vendor != "sqlite":
        return True
    try:
        return disk_usage(connection.settings_dict["NAME"]).free >= LEAST_ROOM
    except OSError:
        return True


def _stores() -> bool:
    """Whether there is room, as far as it is seen, and no score failed of late for want of it: so
    the full disk of a server is told too, by a process that met it."""
    circuit = breakers.breaker("database")
    met = circuit.state != breakers.State.CLOSED and circuit.why == outages.FULL
    return _has_room() and not met


def _cache() -> str:
    try:
        cache.get("riskplatform.health")
    except Exception:  # Each backend raises what its client library raises.
        logger.warning("The cache is gone.", exc_info=True)
        return GONE
    return OK


def _broker() -> str:
    try:
        with current_app.connection_for_write(connect_timeout=BROKER_SECONDS) as broker:
            broker.ensure_connection(max_retries=1, timeout=BROKER_SECONDS)
    except Exception:  # Each transport raises what its client library raises.
        logger.warning("The broker is gone.", exc_info=True)
        return GONE
    return OK
