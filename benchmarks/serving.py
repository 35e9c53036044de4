"""The score endpoint of a really started server, its memory, and what it has loaded."""

import os
from collections.abc import Iterator
from datetime import timedelta
from itertools import count, islice
from pathlib import Path

import orjson
from django.utils import timezone

from accounts.api_keys import create_api_key
from accounts.models import User
from benchmarks.clients import send
from benchmarks.measure import Row
from benchmarks.servers import free_port, look_at, running
from riskplatform.supervisor import WEB_ENVIRONMENT, web_command
from scoring.models import Prediction
from scoring.simulation.stream import history

DETECTOR = "payments"
SINGLE, MANY, BATCHES, IN_BATCH = 1000, 2400, 12, 200
HERE = Path(__file__).resolve().parent


def run() -> tuple[list[Row], Row]:
    """(a row per way of asking, the serving process). Needs a champion and Django set up."""
    _, key = create_api_key(
        user=User.objects.create_user("bench"),
        label="bench",
        scopes=["score"],
        rate="none",
        expires_at=None,
        actor=None,
    )
    path = f"/api/v1/detectors/{DETECTOR}/score"
    events = bodies()
    before = Prediction.objects.count()
    port = free_port()
    with running(
        web_command("127.0.0.1", port, 1),
        url=f"http://127.0.0.1:{port}/livez",
        environment={**os.environ, **WEB_ENVIRONMENT},
        folder=HERE.parent,
    ) as pid:
        single = send(port, path, key, list(islice(events, SINGLE)), clients=1)
        many = send(port, path, key, list(islice(events, MANY)), clients=8)
        batches = [
            b'{"events":[' + b",".join(islice(events, IN_BATCH)) + b"]}" for _ in range(BATCHES)
        ]
        batch = send(port, f"{path}/batch", key, batches, clients=1, each=IN_BATCH, warm_up=1)
        process = look_at(pid)
    answered = sum(row["answered events"] for row in (single, many, batch))
    process["answered"] = answered
    process["stored"] = Prediction.objects.count() - before
    return [single, many, batch], process


def bodies() -> Iterator[bytes]:
    """Endless requests of recent simulated payments, each with an id of its own."""
    now = timezone.now()
    made = [
        item.payload
        for item in history(
            DETECTOR, start=now - timedelta(days=20), end=now, seed=5, events=SINGLE + MANY
        )
    ]
    for number in count():
        payload = made[number % len(made)]
        yield orjson.dumps({**payload, "transaction_id": f"bench-{number}"})
