"""The WSGI application of the web server."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.wsgi import get_wsgi_application

# A batch makes some hundred thousand small objects that live until its answer is sent. Collecting
# for every 700 of them walked what is alive again and again: about a third of a batch's CPU time
# (measured). What was imported until here never goes, so it is not walked at all.
COLLECT_EVERY = (10_000, 20, 10)

# Where they are installed, Django REST framework and Django's test client load them, for pages and
# tests that no web server has: 6 MB.
NOT_SERVED_BY = ("requests", "pygments", "jinja2")


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """They count as not installed meanwhile, so that whoever can do without them does."""
    hidden = [name for name in packages if name not in sys.modules]
    for name in hidden:
        # Python's own way to say so (reference, 5.3.1); typeshed knows modules alone.
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "riskplatform.settings")
with without(*NOT_SERVED_BY):
    application = get_wsgi_application()

gc.collect()
gc.freeze()
gc.set_threshold(*COLLECT_EVERY)
