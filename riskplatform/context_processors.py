"""What every page knows."""

from functools import lru_cache
from time import monotonic

from django.conf import settings
from django.http import HttpRequest

from accounts.models import User
from riskplatform.page_help.pages import PAGES
from scoring.selectors import detectors_without_model

ROLES_KEPT = 60
"""For so many seconds a process remembers somebody's roles, which their menu names."""


def platform(request: HttpRequest) -> dict[str, object]:
    """Version, environment, help and the user's roles for the frame of the page, and what works
    less well than it should.

    `degraded` and `role_names` are functions: a fragment without the frame asks the database
    nothing.
    """
    # Pages have versions of their own, of models and rules.
    found: dict[str, object] = {
        "platform_version": settings.VERSION,
        "environment": settings.ENVIRONMENT,
    }
    if request.user.is_authenticated:
        found["degraded"] = _degraded
        found["role_names"] = lambda: _role_names(request.user.pk, int(monotonic() / ROLES_KEPT))
        route = request.resolver_match
        found["page_help"] = PAGES.get(route.url_name or "") if route else None
    return found


@lru_cache(maxsize=1024)
def _role_names(user_id: int, _when: int) -> str:
    """The roles of somebody, as their menu says them."""
    names = User.objects.filter(pk=user_id, groups__isnull=False).order_by("groups__name")
    return ", ".join(names.values_list("groups__name", flat=True))


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
