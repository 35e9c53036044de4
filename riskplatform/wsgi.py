"""The WSGI application of the web server."""

import gc
import os

from django.core.wsgi import get_wsgi_application

# A batch makes some hundred thousand small objects that live until its answer is sent. Collecting
# for every 700 of them walked what is alive again and again: about a third of a batch's CPU time
# (measured). What was imported until here never goes, so it is not walked at all.
COLLECT_EVERY = (10_000, 20, 10)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "riskplatform.settings")
application = get_wsgi_application()

gc.collect()
gc.freeze()
gc.set_threshold(*COLLECT_EVERY)
