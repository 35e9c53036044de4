"""What a store of windows costs an event: `.ci/run .venv/bin/python -m benchmarks.stores`.

One customer and one terminal with 10 to 10,000 events in their windows; an event loads both under
lock, teaches them and saves them, in a transaction of its own. SQLite always, PostgreSQL and Redis
where RISK_TEST_POSTGRES_URL and RISK_TEST_REDIS_URL name them. `read again`: the windows are lost
and learnt from the stored predictions. Times are medians; the database commits as in production.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from statistics import median
from urllib.parse import urlsplit, urlunsplit

SIZES = (10, 100, 1_000, 10_000)
REPEATS = 60
END = datetime(2026, 6, 1, tzinfo=UTC)
DATABASE = "risk_bench_stores"


def main() -> None:
    """Measure each database in a process of its own and print one table."""
    servers = {"SQLite": ""}
    if url := os.environ.get("RISK_TEST_POSTGRES_URL"):
        servers["PostgreSQL"] = url
    print(f"{'database':<12}{'store':<10}{'events':>8}{'load us':>10}{'save us':>10}"
          f"{'all us':>10}{'read again us':>15}")  # fmt: skip
    for name, url in servers.items():
        for row in _measured(url):
            print(f"{name:<12}{row['store']:<10}{row['events']:>8,}{row['load']:>10,.0f}"
                  f"{row['save']:>10,.0f}{row['all']:>10,.0f}{row['again']:>15,.0f}")  # fmt: skip


def _measured(server: str) -> list[dict[str, float]]:
    url = ""
    if server:
        _admin(server, f"DROP DATABASE IF EXISTS {DATABASE}", f"CREATE DATABASE {DATABASE}")
        url = urlunsplit(urlsplit(server)._replace(path=f"/{DATABASE}"))
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "RISK_VAR_DIR": folder,
            "DATABASE_URL": url or f"sqlite:///{folder}/bench.db",
            "REDIS_URL": os.environ.get("RISK_TEST_REDIS_URL", ""),
            "DJANGO_SETTINGS_MODULE": "riskplatform.settings",
            "SECRET_KEY": "x" * 50,
            "ALLOWED_HOSTS": "localhost",
            "RISK_PII_KEYS": "one:" + "A" * 43 + "=",
            "LOG_LEVEL": "ERROR",
        }
        command = [sys.executable, "-m", "benchmarks.stores", "--measure"]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    if server:
        _admin(server, f"DROP DATABASE {DATABASE}")
    found: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def _admin(server: str, *statements: str) -> None:
    import psycopg

    with psycopg.connect(server, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def measure() -> None:
    """In the process of one database: print the rows as JSON."""
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    from scoring.declarations import SHIPPED, load_detector

    call_command("migrate", verbosity=0)
    detector = load_detector(SHIPPED / "cards.yaml")[0]
    rows = []
    for store in ("database", "redis") if settings.REDIS_URL else ("database",):
        settings.FEATURE_STORE = store
        for size in SIZES:
            rows.append({"store": store, "events": size} | _cost(detector, store, size))
    print(json.dumps(rows))


def _cost(detector, store, size):  # type: ignore[no-untyped-def]
    from django.db import transaction

    from accounts import vault
    from scoring.deployment import serving
    from scoring.feature_store import history
    from scoring.feature_store.base import Learnt
    from scoring.feature_store.choosing import feature_store
    from scoring.models import Prediction
    from scoring.services import score_events

    entity = size * 10 + (store == "redis")
    raws = [
        {
            "TRANSACTION_ID": entity * 1_000_000 + i,
            "TX_DATETIME": (END - timedelta(days=29) * (1 - i / size)).isoformat(),
            "CUSTOMER_ID": entity,
            "TERMINAL_ID": entity,
            "TX_AMOUNT": 25.0 + i % 7,
        }
        for i in range(size)
    ]
    for first in range(0, size, 2500):
        score_events("cards", raws[first : first + 2500], announce=False)
    plan = serving("cards").bundle.plan
    keys = [(name, vault.token(name, str(entity))) for name in ("CUSTOMER_ID", "TERMINAL_ID")]
    prediction = Prediction.objects.filter(detector=detector).first()
    windows_of = feature_store()
    times = {"load": [], "save": [], "all": [], "again": []}
    for i in range(REPEATS):
        begun = time.perf_counter()
        with transaction.atomic():
            windows = windows_of.load(detector.pk, plan, keys, lock=True)
            loaded = time.perf_counter()
            for entity_plan in plan.entities:
                key = next(key for key in keys if key[0] == entity_plan.key)
                row = windows[key].rows[-1].copy()
                row[0] = END.timestamp() + i
                windows[key] = windows[key].learn(row, horizon=entity_plan.horizon)
            learnt = [Learnt(key, END + timedelta(seconds=i), prediction.pk) for key in keys]
            taught = time.perf_counter()
            windows_of.save(detector.pk, plan, windows, learnt)
            saved = time.perf_counter()
        done = time.perf_counter()
        for name, seconds in (
            ("load", loaded - begun), ("save", saved - taught), ("all", done - begun)
        ):  # fmt: skip
            times[name].append(seconds * 1e6)
    if store == "redis":
        for _ in range(3):
            begun = time.perf_counter()
            history.read_windows(detector.pk, plan, keys)
            times["again"].append((time.perf_counter() - begun) * 1e6)
    return {name: median(values) if values else 0.0 for name, values in times.items()}


if __name__ == "__main__":
    measure() if "--measure" in sys.argv else main()
