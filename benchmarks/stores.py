"""What a store of windows costs an event: `.ci/run .venv/bin/python -m benchmarks.stores`.

One customer and one terminal with 10 to 10,000 events in their windows; an event loads both under
lock, teaches them and saves them, in a transaction of its own (`all`); `event` is a whole call of
`score_event`. SQLite always, PostgreSQL and Redis where RISK_TEST_POSTGRES_URL and
RISK_TEST_REDIS_URL name them. `whole` is the database's store made to write every window whole, as
before docs/adr/0013. The stores take turns, in rounds that start from the same windows.
Microseconds, medians of all rounds; `read again`: windows that are lost and learnt from the stored
predictions.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from statistics import median, quantiles
from urllib.parse import urlsplit, urlunsplit

SIZES = (10, 100, 1_000, 10_000)
ROUNDS = 5
REPEATS = 60
END = datetime(2026, 6, 1, tzinfo=UTC)
DATABASE = "risk_bench_stores"
COLUMNS = ("load", "save", "all", "all p99", "event", "event p99", "read again")
ENTITIES = ("CUSTOMER_ID", "TERMINAL_ID")
TAIL_BYTES = 1_800
_ids = count()


def main() -> None:
    """Measure each database in a process of its own and print one table."""
    servers = {"SQLite": ""}
    if url := os.environ.get("RISK_TEST_POSTGRES_URL"):
        servers["PostgreSQL"] = url
    print(f"{'database':<12}{'store':<10}{'events':>8}" + "".join(f"{n:>12}" for n in COLUMNS))
    for name, url in servers.items():
        for row in _measured(url):
            times = "".join(f"{row[n]:>12,.0f}" for n in COLUMNS)
            print(f"{name:<12}{row['store']:<10}{row['events']:>8,}{times}", flush=True)


def _measured(server: str) -> list[dict[str, float]]:
    return in_new_database(server, "benchmarks.stores")


def in_new_database(server: str, module: str) -> list[dict[str, float]]:
    """What `module --measure` prints as JSON; without a `server` its database is SQLite's."""
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
        command = [sys.executable, "-m", module, "--measure"]
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
    load_detector(SHIPPED / "cards.yaml")
    stores = ("whole", "database", *["redis"] * bool(settings.REDIS_URL))
    rows: list[dict[str, object]] = []
    for size in SIZES:
        probes = {}
        for place, store in enumerate(stores):
            use(store)
            probes[store] = Probe(size * 10 + place, size)
        for _ in range(ROUNDS):
            for store, probe in probes.items():
                use(store)
                probe.round()
        use("redis" if settings.REDIS_URL else "database")
        probes[stores[-1]].read_again()
        rows += [
            {"store": store, "events": size} | probe.found() for store, probe in probes.items()
        ]
    print(json.dumps(rows))


def use(store: str) -> None:
    """`whole`, `database` or `redis`."""
    from django.conf import settings

    from scoring.feature_store import database

    settings.FEATURE_STORE = "redis" if store == "redis" else "database"
    database.MOST_TAIL_BYTES = -1 if store == "whole" else TAIL_BYTES


class Probe:
    """One customer and one terminal that nobody else has, and what their events cost."""

    def __init__(self, entity: int, size: int) -> None:
        from accounts import vault
        from scoring.deployment import serving
        from scoring.feature_store import history
        from scoring.models import Detector, Prediction
        from scoring.services import score_events

        self.entity = entity
        gap = timedelta(days=29) / size
        raws = [self._event(END - gap * (size - i)) for i in range(size)]
        for first in range(0, size, 2500):
            score_events("cards", raws[first : first + 2500], announce=False)
        self.detector = Detector.objects.get(slug="cards").pk
        self.plan = serving("cards").bundle.plan
        self.keys = [(name, vault.token(name, str(entity))) for name in ENTITIES]
        self.prediction = Prediction.objects.filter(detector=self.detector).latest("id")
        self.read = lambda: history.read_windows(self.detector, self.plan, self.keys)
        self.begin = self._load()
        self.times: dict[str, list[float]] = {name: [] for name in COLUMNS}

    def _event(self, at: datetime) -> dict[str, object]:
        number = next(_ids)
        return {
            "TRANSACTION_ID": number,
            "TX_DATETIME": at.isoformat(),
            "CUSTOMER_ID": self.entity,
            "TERMINAL_ID": self.entity,
            "TX_AMOUNT": 25.0 + number % 7,
        }

    def _load(self):
        from django.db import transaction

        from scoring.feature_store.choosing import feature_store

        with transaction.atomic():
            return feature_store().load(self.detector, self.plan, self.keys, lock=True)

    def round(self) -> None:
        """REPEATS events at the store, then as many scored, each from the same windows on."""
        from scoring.services import score_event

        self._reset()
        for i in range(REPEATS):
            self._teach(END + timedelta(seconds=i))
        self._reset()
        for i in range(REPEATS):
            event = self._event(END + timedelta(seconds=i))
            begun = time.perf_counter()
            score_event("cards", event)
            self.times["event"].append((time.perf_counter() - begun) * 1e6)

    def _reset(self) -> None:
        from django.db import transaction

        from scoring.core.windows import EntityWindow
        from scoring.feature_store.choosing import feature_store

        with transaction.atomic():
            feature_store().load(self.detector, self.plan, self.keys, lock=True)
            windows = {key: EntityWindow(window.rows) for key, window in self.begin.items()}
            feature_store().save(self.detector, self.plan, windows)

    def _teach(self, at: datetime) -> None:
        from django.db import transaction

        from scoring.feature_store.base import Learnt
        from scoring.feature_store.choosing import feature_store

        store, entities = feature_store(), {entity.key: entity for entity in self.plan.entities}
        learnt = [Learnt(key, at, self.prediction.pk) for key in self.keys]
        begun = time.perf_counter()
        with transaction.atomic():
            windows = store.load(self.detector, self.plan, self.keys, lock=True)
            loaded = time.perf_counter()
            for key in self.keys:
                row = windows[key].rows[-1].copy()
                row[0] = at.timestamp()
                windows[key] = windows[key].learn(row, horizon=entities[key[0]].horizon)
            taught = time.perf_counter()
            store.save(self.detector, self.plan, windows, learnt)
            saved = time.perf_counter()
        done = time.perf_counter()
        spans = {"load": loaded - begun, "save": saved - taught, "all": done - begun}
        for name, seconds in spans.items():
            self.times[name].append(seconds * 1e6)

    def read_again(self) -> None:
        """Learn the windows from the stored predictions, as where Redis has lost them."""
        for _ in range(3):
            begun = time.perf_counter()
            self.read()
            self.times["read again"].append((time.perf_counter() - begun) * 1e6)

    def found(self) -> dict[str, float]:
        """The medians, and the slowest hundredth."""
        found = {name: median(values or [0.0]) for name, values in self.times.items()}
        for name in ("all", "event"):
            found[f"{name} p99"] = quantiles(self.times[name], n=100)[-1]
        return found


if __name__ == "__main__":
    measure() if "--measure" in sys.argv else main()
