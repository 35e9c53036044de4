"""What every page knows."""

from django.conf import settings
from django.http import HttpRequest

from riskplatform.page_help import PAGES
from scoring.selectors import detectors_without_model


def platform(request: HttpRequest) -> dict[str, object]:
    """Version, environment and help for the frame of the page, and what works less well than it
    should.

    `degraded` is a function, so that a fragment without the frame asks the database nothing.
    """
    found: dict[str, object] = {"version": settings.VERSION, "environment": settings.ENVIRONMENT}
    if request.user.is_authenticated:
        found["degraded"] = _degraded
        route = request.resolver_match
        found["page_help"] = PAGES.get(route.url_name or "") if route else None
    return found


def _degraded() -> list[str]:
    """One sentence, however many detectors it is about: it stands on every page."""
    names = detectors_without_model()
    if not names:
        return []
    together = " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
    has, whose = ("has", "its") if len(names) == 1 else ("have", "their")
    return [
        f"{together} {has} no model in service: {whose} rules decide alone until a version is"
        " promoted."
    ]
