"""What a full window costs a payment: `.ci/run .venv/bin/python -m benchmarks.busy`.

`payments` reads three entities; for distinct counts it looks at every event of the user's window.
Forty users, devices and merchants with 10 or 1,000 events each in their windows; `late`: each event
comes nine minutes late. Microseconds of `score_event`, by rules alone, on PostgreSQL; the ways take
turns. `whole` as in benchmarks.stores.
"""

import json
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import count, product
from statistics import median, quantiles

import numpy as np

from benchmarks.stores import in_new_database, use

USERS, ROUNDS, REPEATS, SIZES = 40, 6, 60, (10, 1_000)
LATE = timedelta(minutes=9)
_ids = count()


def main() -> None:
    """Print one table."""
    print(f"{'store':<10}{'events':>8}{'late':>8}{'p50 us':>10}{'p95 us':>10}")
    for row in in_new_database(os.environ["RISK_TEST_POSTGRES_URL"], "benchmarks.busy"):
        print(f"{row['store']:<10}{row['events']:>8,}{'yes' if row['late'] else 'no':>8}"
              f"{row['p50']:>10,.0f}{row['p95']:>10,.0f}")  # fmt: skip


def measure() -> None:
    """In the process of the database: print the rows as JSON."""
    import django

    django.setup()
    from django.core.management import call_command

    from scoring.declarations import SHIPPED, load_detector
    from scoring.services import score_event

    call_command("migrate", verbosity=0)
    load_detector(SHIPPED / "payments.yaml")
    now = datetime.now(UTC) - timedelta(days=2)
    for size in SIZES:
        _fill(size, now)
    ways = list(product(("whole", "database"), SIZES, (False, True)))
    times: dict[tuple[str, int, bool], list[float]] = {way: [] for way in ways}
    for number in range(ROUNDS):
        for store, size, late in ways:
            use(store)
            for i in range(REPEATS):
                at = now + timedelta(seconds=number * REPEATS + i) - (LATE if late else 0 * LATE)
                event = _payment(size, (i + number * 7) % USERS, at)
                begun = time.perf_counter()
                score_event("payments", event)
                times[store, size, late].append((time.perf_counter() - begun) * 1e6)
    print(json.dumps([
        {"store": store, "events": size, "late": late, "p50": median(found),
         "p95": quantiles(found, n=20)[-1]}
        for (store, size, late), found in times.items()
    ]))  # fmt: skip


def _fill(size: int, now: datetime) -> None:
    from accounts import vault
    from scoring.core.windows import EntityWindow
    from scoring.deployment import serving
    from scoring.feature_store.choosing import feature_store

    serves = serving("payments")
    plan, rng = serves.bundle.plan, np.random.default_rng(size)
    windows = {}
    for entity, user in product(plan.entities, range(USERS)):
        rows = rng.uniform(1.0, 100.0, (size, entity.width))
        rows[:, 0] = now.timestamp() - np.linspace(entity.reach * 0.98, 0.0, size)
        windows[entity.key, vault.token(entity.key, f"{size}-{user}")] = EntityWindow(rows)
    feature_store().save(serves.detector_id, plan, windows)


def _payment(size: int, user: int, at: datetime) -> dict[str, object]:
    number = next(_ids)
    return {
        "transaction_id": f"busy-{number}",
        "user_id": f"{size}-{user}",
        "device_id": f"{size}-{user}",
        "merchant_id": f"{size}-{user}",
        "user_name": "Ada Lovelace",
        "amount": 25.0 + number % 9,
        "location": "Berlin",
        "timestamp": at.isoformat(),
        "merchant_type": "grocery",
    }


if __name__ == "__main__":
    measure() if "--measure" in sys.argv else main()
