"""The view class of endpoints that score: what DRF promises, without its price for every request.

DRF negotiates parser, renderer and media type anew each time. Here both are known: who sends JSON
and takes JSON is neither asked nor told about other media types, and a handler may return a
finished response. Whoever sends or accepts something else goes DRF's own way, and errors take the
same handler, so all answers look alike.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import APIView

JSON = "application/json"
PLAIN_ACCEPTS = ("", "*/*", JSON)
WITH_BODY = ("POST", "PUT", "PATCH")
_parser: Any = api_settings.DEFAULT_PARSER_CLASSES[0]()  # type: ignore[operator]
_renderer: Any = api_settings.DEFAULT_RENDERER_CLASSES[0]()  # type: ignore[operator]


def answer(data: Any, *, status: int = 200) -> HttpResponse:
    """A finished JSON response of plain values."""
    return HttpResponse(_renderer.render(data), content_type=JSON, status=status)


class ScoringView(APIView):
    """An APIView whose handlers may return `answer(...)`, or a DRF Response as everywhere else.

    The order is DRF's: who asks (401), may they and how often (403, 429), then the body (400, 413).
    """

    on_the_lane = False
    """Whether a POST is one quick event, which the lane (scoring/lane.py) may answer by `reply`
    alone when it brings a key. The handler is then `answer(self.reply(request.data, ...))`."""

    judges_records: str | None = None
    """The key of what a schema of ours judges (an event, or the records of a batch), "" where that
    is the body itself; None where nothing is judged apart. See OrjsonParser."""

    _negotiator = APIView.content_negotiation_class()

    reply: Callable[..., Any]
    """`reply(body, **kwargs of the address)` gives the answer as plain values, or raises what an
    API view may raise."""
    required_scope: str | Mapping[str, str]

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """DRF's request, with the one negotiator that all share."""
        return Request(
            request,
            parsers=[_parser],
            authenticators=self.get_authenticators(),
            negotiator=self._negotiator,
            parser_context={"view": self, "args": args, "kwargs": kwargs},
        )

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Everything that comes before the handler. Raises APIException."""
        self.format_kwarg = None
        if request.META.get("HTTP_ACCEPT", "") in PLAIN_ACCEPTS:
            chosen = (_renderer, JSON)
        else:
            chosen = self.perform_content_negotiation(request)
        request.accepted_renderer, request.accepted_media_type = chosen
        self.perform_authentication(request)
        self.check_permissions(request)
        if request.method in WITH_BODY and request._request.content_type == JSON:
            body = _parser.parse(request._request, JSON, request.parser_context)
            whole: Any = request  # What `request.data` gives from here on; the stubs do not say.
            whole._data = whole._full_data = body

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """A finished response stays as it is.

        DRF's request names itself in its context; without that ring a batch is freed at once, and
        not when the collector comes round to it.
        """
        context: dict[str, Any] = request.parser_context
        context.clear()
        if isinstance(response, Response):
            return super().finalize_response(request, response, *args, **kwargs)
        return response
