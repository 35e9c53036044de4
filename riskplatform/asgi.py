"""The application of the web server: `uvicorn riskplatform.asgi:application`.

riskplatform/supervisor.py has the server's options.
"""

from riskplatform.wsgi import application as django  # isort: skip - sets Django up
from riskplatform.server import Application

application = Application(django)
