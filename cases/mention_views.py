"""Who can be named while somebody types `@` in a comment."""

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from cases.mentioning import people_to_mention
from cases.views import signed_in

PLACES = {"alert": "view_alert", "case": "view_case"}
"""Where a comment stands: what its readers must be allowed."""
LONGEST = 40


@login_required
@require_GET
def mention_names(request: HttpRequest) -> JsonResponse:
    """`{"people": [{"username", "name"}]}`: at most eight who may see alerts or cases (`in`) and
    whose names begin with `q`; for those who may see them too."""
    place = request.GET.get("in", "alert")
    permission = PLACES.get(place)
    if permission is None:
        problem = {"field": "in", "error": f"Choose one of {', '.join(PLACES)}."}
        return JsonResponse(problem, status=400)
    user, text = signed_in(request), request.GET.get("q", "").replace("\0", "").strip()
    if not user.has_perm(f"cases.{permission}"):
        raise PermissionDenied
    if len(text) > LONGEST:
        problem = {"field": "q", "error": f"At most {LONGEST} characters."}
        return JsonResponse(problem, status=400)
    people = people_to_mention(text, permission=permission, asker=user)
    found = [{"username": one.username, "name": one.name} for one in people]
    response = JsonResponse({"people": found})
    response["Cache-Control"] = "private, no-store"
    return response
