"""`python -m benchmarks.pages`: what every page and readable endpoint takes with a full database.

A new PostgreSQL database (RISK_TEST_POSTGRES_URL names the server): the demo's own detectors,
champions, alerts and case on a shorter history, then copied inside the database, entity by entity,
until it holds as many predictions, alerts and cases as asked. Every route of the platform that
answers an administrator's GET is then read in turns, in a process that is set up as those of the
web server and holds nothing of what filled the database: server time without the network, from
request to rendered body.
"""

import argparse
import base64
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.databases import new_database
from benchmarks.measure import Row, table

HERE = Path(__file__).resolve().parent
PREDICTIONS, ALERTS, CASES = 1_000_000, 100_000, 20_000
ROUNDS = 40
TARGET_MS, QUEUE_MS, HTML_KB = 150.0, 100.0, 150.0
COLUMNS = ("page", "address", "p50 ms", "p95 ms", "queries", "kB")
NOT_PAGES = (
    "metrics",
    "api_schema",
    "model_export",
    "api_model_bundle",
    "dataset_rows",
    "queue_export",
    "case_export",
    "case_alerts_export",
)
"""Routes that give a file or the process's own counts."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages", description=__doc__)
    parser.add_argument("--predictions", type=int, default=PREDICTIONS)
    parser.add_argument("--alerts", type=int, default=ALERTS)
    parser.add_argument("--cases", type=int, default=CASES)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", action="store_true", help="Only fill; print the address; wait.")
    parser.add_argument("--inside", choices=INSIDE, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return INSIDE[options.inside](options)
    server = os.environ.get("RISK_TEST_POSTGRES_URL", "")
    if not server:
        print("Pages are not measured: RISK_TEST_POSTGRES_URL names no server.")
        return 0
    with new_database(server) as url, tempfile.TemporaryDirectory(prefix="risk-pages-") as folder:
        out = options.json or Path(folder) / "found.json"
        command = [
            *(sys.executable, "-m", "benchmarks.pages", "--json", str(out)),
            *("--predictions", str(options.predictions), "--alerts", str(options.alerts)),
            *("--cases", str(options.cases), *(("--keep",) if options.keep else ())),
        ]
        environment = {k: v for k, v in os.environ.items() if k != "REDIS_URL"} | {
            "DATABASE_URL": url,
            "SECRET_KEY": secrets.token_urlsafe(48),
            "ALLOWED_HOSTS": "*",
            "RISK_PII_KEYS": f"bench:{base64.b64encode(secrets.token_bytes(32)).decode()}",
            "RISK_VAR_DIR": folder,
            "LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "riskplatform.settings",
        }
        for part in INSIDE:
            done = subprocess.run(
                [*command, "--inside", part], cwd=HERE.parent, env=environment, check=False
            )
            if done.returncode:
                return done.returncode
    return 0


def _fill(options: argparse.Namespace) -> int:
    """In a process whose settings name the new database: make the rows."""
    import django

    django.setup()
    from benchmarks.multiplying import multiply

    begun = time.monotonic()
    held = multiply(options.predictions, options.alerts, options.cases)
    print(f"Filled in {time.monotonic() - begun:.0f} s: {held}", flush=True)
    options.json.write_text(json.dumps({"held": held}))
    if options.keep:
        for name in ("DATABASE_URL", "RISK_VAR_DIR", "RISK_PII_KEYS", "SECRET_KEY"):
            print(f"{name}={os.environ[name]}", flush=True)
        time.sleep(100_000)
    return 0


def _judge(options: argparse.Namespace) -> int:
    """In a new process, set up as those of the web server: read the pages."""
    import riskplatform.wsgi  # noqa: F401 - sets up Django and the collector, as for the web
    from benchmarks.addresses import shown_rows

    rows = _measure(shown_rows("payments"))
    rows.sort(key=lambda row: -row["p95 ms"])
    print(table("Every page, by its 95th percentile", rows, COLUMNS))
    slow = [row["page"] for row in rows if row["p95 ms"] > _target(row["page"])]
    heavy = [row["page"] for row in rows if row["kB"] > HTML_KB and "api" not in row["page"]]
    print(f"Over their target ({TARGET_MS:g} ms, queue {QUEUE_MS:g}): {', '.join(slow) or 'none'}.")
    print(f"HTML over {HTML_KB:g} kB: {', '.join(heavy) or 'none'}.")
    found = json.loads(options.json.read_text()) if options.json.exists() else {}
    found |= {"rows": rows, "slow": slow, "heavy": heavy}
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


INSIDE = {"fill": _fill, "judge": _judge}


def _target(page: str) -> float:
    return QUEUE_MS if page.startswith("queue") else TARGET_MS


def _measure(shown: Any) -> list[Row]:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    from accounts.api_keys import create_api_key
    from accounts.models import User
    from accounts.scopes import SCOPES
    from benchmarks.addresses import dashboard_addresses, queue_addresses, readable_pages

    admin = User.objects.get(username="admin")
    client = Client()
    client.force_login(admin)
    _, key = create_api_key(
        user=admin, label="bench", scopes=tuple(SCOPES), rate="none", actor=None
    )
    rows: list[Row] = []
    for name, address in [*readable_pages(shown), *queue_addresses(), *dashboard_addresses()]:
        headers = {"authorization": f"Token {key}"} if address.startswith("/api/") else {}
        if name in NOT_PAGES or client.get(address, headers=headers).status_code != 200:
            continue
        with CaptureQueriesContext(connection) as queries:
            body = client.get(address, headers=headers).getvalue()
            made = len(queries)
        times = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            client.get(address, headers=headers).getvalue()
            times.append(1000 * (time.perf_counter() - begun))
        times.sort()
        rows.append(
            {
                "page": name,
                "address": address[:60],
                "p50 ms": round(times[ROUNDS // 2], 1),
                "p95 ms": round(times[int(0.95 * ROUNDS) - 1], 1),
                "queries": made,
                "kB": round(len(body) / 1000, 1),
            }
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
