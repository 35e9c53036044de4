"""Is the process in this container doing its work? Exit status 0 says yes.

    python deploy/healthcheck.py web     # ready: it answers and reaches its database
    python deploy/healthcheck.py beat    # it sent a due task within the last ten minutes
    python deploy/healthcheck.py consumer  # a stream's consumer went round within the last minute

Standard library and psycopg alone, so that a check costs milliseconds and not a Django start.
The worker is asked by `celery inspect ping` instead.
"""

import os
import sys
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path

import psycopg

CONSUMER_SECONDS = 60.0
BEAT_QUERY = """
select coalesce(max(last_run_at) > now() - interval '10 minutes', false)
from django_celery_beat_periodictask where last_run_at < now() + interval '1 minute'
"""


def local_host_header() -> str:
    """A host name that ALLOWED_HOSTS admits: 127.0.0.1 itself is usually refused."""
    first = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip()
    if first in {"", "*"}:
        return "localhost"
    return first.removeprefix(".")


def web_is_ready() -> bool:
    """The readiness page answers 200 on this machine's own port."""
    port = os.environ.get("PORT") or "8000"
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/readyz", headers={"Host": local_host_header()}
    )
    try:
        with urllib.request.urlopen(request, timeout=4) as answer:  # noqa: S310 - as above
            return bool(answer.status == 200)
    except (OSError, HTTPException) as error:
        print(error, file=sys.stderr)
        return False


def beat_is_sending() -> bool:
    """The schedule in the database shows a recent run."""
    try:
        with psycopg.connect(os.environ["DATABASE_URL"], connect_timeout=4) as connection:
            row = connection.execute(BEAT_QUERY).fetchone()
    except psycopg.Error as error:
        print(error, file=sys.stderr)
        return False
    return row is not None and bool(row[0])


def consumer_is_alive() -> bool:
    """The file in which a consumer counts (scoring/ingestion/stream.py) is being written.

    A consumer that waits for its database writes it too: to start it again would not help.
    """
    folder = Path(os.environ["RISK_VAR_DIR"]) / "consumers"
    written = [path.stat().st_mtime for path in folder.glob("*.json")]
    return bool(written) and time.time() - max(written) < CONSUMER_SECONDS


if __name__ == "__main__":
    checks = {"web": web_is_ready, "beat": beat_is_sending, "consumer": consumer_is_alive}
    sys.exit(0 if checks[sys.argv[1]]() else 1)
