"""The project's own settings over throw-away folders and databases.

SQLite, in a file because threads share it; PostgreSQL at RISK_TEST_POSTGRES_URL when
TEST_DATABASE=postgres. What a developer has set for a real installation is left aside.
"""

import base64
import os
import shutil
import tempfile
from pathlib import Path

import environ

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
FOLDER = tempfile.mkdtemp(prefix=f"risk-tests-{WORKER}.")
for name in (
    *("DATABASE_URL", "REDIS_URL", "RISK_BUNDLE_DIR", "SECURE_PROXY", "DEBUG"),
    *("SECRET_KEY", "RISK_PII_KEYS"),
):
    os.environ.pop(name, None)
os.environ["RISK_VAR_DIR"] = FOLDER
# Which events the random audit draws depends on this key: the same ones in every run, for a test
# whose event is drawn once in 200 runs fails by chance.
Path(FOLDER, "pii_keys").write_text(f"tests:{base64.b64encode(bytes(range(32))).decode()}")

from riskplatform.settings import *  # noqa: E402, F403 - everything, once the environment is set
from riskplatform.settings import DATABASES, STORAGES, VAR_DIR  # noqa: E402

if os.environ.get("TEST_DATABASE", "sqlite") == "postgres":
    DATABASES["default"] = environ.Env().db("RISK_TEST_POSTGRES_URL")
else:
    DATABASES["default"]["TEST"] = {"NAME": str(VAR_DIR / "test.db")}
    # Nothing here outlives the run, so nothing needs to reach the disk.
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL;PRAGMA synchronous=OFF;"
    )
DATABASES["default"]["CONN_MAX_AGE"] = 0

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {
    "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage",
}
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(exist_ok=True)
SECOND_LOOK_SHARE = 0.0  # Chance has no place where queries are counted; tests of it say so.
API_KEY_CACHE_SECONDS = 0.0  # What a test changes counts at once.
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {}
CELERY_TASK_ALWAYS_EAGER = True
CELERY_TASK_EAGER_PROPAGATES = True


def remove_folder() -> None:
    """Called when the run ends."""
    shutil.rmtree(FOLDER, ignore_errors=True)
