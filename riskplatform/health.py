"""For load balancers and supervisors: alive, and ready to serve."""

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

RETRY_AFTER = "5"


def livez(request: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """The database answers too; 503 until it does."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        body = {"status": "unavailable", "database": "unreachable"}
        return JsonResponse(body, status=503, headers={"Retry-After": RETRY_AFTER})
    return JsonResponse({"status": "ok", "database": "ok"})


def health(request: HttpRequest) -> JsonResponse:
    """The same as `readyz`, under the name that load balancers commonly ask for."""
    return readyz(request)
