"""What every page knows."""

from django.conf import settings
from django.http import HttpRequest

from scoring.selectors import detectors_without_model


def platform(request: HttpRequest) -> dict[str, object]:
    """Version and environment for the frame of the page, and what works less well than it should.

    `degraded` is a function, so that a fragment without the frame asks the database nothing.
    """
    found: dict[str, object] = {"version": settings.VERSION, "environment": settings.ENVIRONMENT}
    if request.user.is_authenticated:
        found["degraded"] = _degraded
    return found


def _degraded() -> list[str]:
    return [
        f"{name} has no model in service: its rules decide alone until a version is promoted."
        for name in detectors_without_model()
    ]
