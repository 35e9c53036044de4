"""The application of the web server: `uvicorn riskplatform.asgi:application`.

riskplatform/supervisor.py has the server's options.
"""

from riskplatform.wsgi import application as django  # isort: skip - sets Django up
from accounts.own_keys import end_with_other_keys
from riskplatform.server import Application

end_with_other_keys()
application = Application(django)
