"""What pages of scoring must not show to whom: they ask the request, which gets the answer here.

Imports point upstream: scoring knows no second look.
"""

from collections.abc import Callable
from functools import partial

from django.http import HttpRequest, HttpResponseBase

from cases.second_looks import blind_since, untold_entity

Handler = Callable[[HttpRequest], HttpResponseBase]


class BlindingMiddleware:
    """Gives a request `labels_hidden_since(detector_id, entity)`, a moment or None, and for lists
    `untold_entity(detector_id)`. Asks nothing itself: pages that show no label cost no query."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.labels_hidden_since = partial(blind_since, request.user)  # type: ignore[attr-defined]
        request.untold_entity = partial(untold_entity, request.user)  # type: ignore[attr-defined]
        return self.get_response(request)
