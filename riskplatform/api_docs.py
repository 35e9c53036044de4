"""The API's own page: its schema in Swagger UI, served by us."""

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.utils.decorators import method_decorator
from drf_spectacular.views import SpectacularSwaggerSplitView

# Swagger UI writes style attributes and inline SVG; scripts stay ours and strict.
LOOSER = {"style-src": [SELF, UNSAFE_INLINE], "img-src": [SELF, "data:"]}


@method_decorator(csp_update(LOOSER), name="dispatch")
class ApiDocs(SpectacularSwaggerSplitView):
    """Swagger UI, with its script as a file of its own so that no inline script is needed."""

    # What DRF tells of a view to OPTIONS has no template here.
    http_method_names = ["get", "head"]
