"""The API's OpenAPI schema, and its own page, which shows it in Swagger UI, served by us."""

from functools import lru_cache
from typing import Any

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.http import HttpResponse
from django.utils.decorators import method_decorator
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

# Swagger UI writes style attributes and inline SVG; scripts stay ours and strict.
LOOSER = {"style-src": [SELF, UNSAFE_INLINE], "img-src": [SELF, "data:"]}
RENDERERS: dict[str, Any] = {
    renderer.media_type: renderer
    for renderer in (
        OpenApiYamlRenderer,
        OpenApiYamlRenderer2,
        OpenApiJsonRenderer,
        OpenApiJsonRenderer2,
    )
}


@method_decorator(csp_update(LOOSER), name="dispatch")
class ApiDocs(SpectacularSwaggerSplitView):
    """Swagger UI, with its script as a file of its own so that no inline script is needed."""

    # What DRF tells of a view to OPTIONS has no template here.
    http_method_names = ["get", "head"]


class ApiSchema(APIView):
    """The schema as YAML or JSON, for anybody, made once a process.

    It is of the code alone, and half a second of work: asked for again and again, it would hold up
    scoring.
    """

    renderer_classes = tuple(RENDERERS.values())
    permission_classes = (AllowAny,)

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponse:
        """No parameters: what is asked besides the format counts for nothing."""
        renderer: Any = request.accepted_renderer
        charset = f"; charset={renderer.charset}" if renderer.charset else ""
        return HttpResponse(
            _schema_as(renderer.media_type),
            content_type=f"{renderer.media_type}{charset}",
            headers={"Content-Disposition": f'inline; filename="riskplatform.{renderer.format}"'},
        )


@lru_cache
def _schema_as(media_type: str) -> bytes:
    schema = SchemaGenerator().get_schema(request=None, public=True)
    return bytes(RENDERERS[media_type]().render(schema, renderer_context={}))
