"""Is the process in this container doing its work? Exit status 0 says yes.

    python deploy/healthcheck.py web     # ready: it answers and reaches its database
    python deploy/healthcheck.py beat    # it sent a due task within the last ten minutes

Standard library and psycopg alone, so that a check costs milliseconds and not a Django start.
The worker is asked by `celery inspect ping` instead.
"""

import os
import sys
import urllib.error
import urllib.request

import psycopg

BEAT_QUERY = """
select coalesce(max(last_run_at) > now() - interval '10 minutes', false)
from django_celery_beat_periodictask
"""


def local_host_header() -> str:
    """A host name that ALLOWED_HOSTS admits: 127.0.0.1 itself is usually refused."""
    first = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip()
    if first in {"", "*"}:
        return "localhost"
    return first.removeprefix(".")


def web_is_ready() -> bool:
    """The readiness page answers 200 on this machine's own port."""
    port = os.environ.get("PORT", "8000")
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/readyz", headers={"Host": local_host_header()}
    )
    try:
        with urllib.request.urlopen(request, timeout=4) as answer:  # noqa: S310 - as above
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError) as error:
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


if __name__ == "__main__":
    checks = {"web": web_is_ready, "beat": beat_is_sending}
    sys.exit(0 if checks[sys.argv[1]]() else 1)
