"""Run Django's `check --deploy` as production runs: settings from the environment, fresh secrets.

No server is contacted. Any warning fails.
"""

import base64
import os
import secrets
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def production_environment() -> dict[str, str]:
    """Every variable that production requires, the secrets made for this one run."""
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return {
        "SECRET_KEY": secrets.token_urlsafe(64),
        "RISK_PII_KEYS": f"check:{key}",
        "ALLOWED_HOSTS": "risk.example.com",
        "CSRF_TRUSTED_ORIGINS": "https://risk.example.com",
        "DATABASE_URL": "postgres://risk@127.0.0.1/risk",
        "REDIS_URL": "redis://127.0.0.1/0",
        "SECURE_PROXY": "true",
        "DEBUG": "false",
    }


if __name__ == "__main__":
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    checked = subprocess.run(
        command, cwd=ROOT, env=os.environ | production_environment(), check=False
    )
    sys.exit(checked.returncode)
