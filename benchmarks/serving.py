"""The score endpoint of a really started server, its memory, and what it has loaded."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count, islice
from pathlib import Path

import orjson
from django.utils import timezone

from accounts.models import User
from accounts.services import create_api_key
from benchmarks.clients import send
from benchmarks.measure import Row
from riskplatform.supervisor import answers, web_command
from scoring.models import Prediction
from scoring.simulation.stream import history

DETECTOR = "payments"
SINGLE, MANY, BATCHES, IN_BATCH = 1000, 2400, 12, 200
TRAINING = ("lightgbm", "xgboost", "sklearn", "shap", "numba", "pandas", "llvmlite", "onnx/")
START_SECONDS = 60.0


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
    with started_server() as (port, pid):
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


@contextmanager
def started_server() -> Iterator[tuple[int, int]]:
    """(port, process id) of granian with one worker, as the platform starts it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(web_command("127.0.0.1", port, 1), start_new_session=True)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"http://127.0.0.1:{port}/livez"):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("The web server did not start.")
            time.sleep(0.1)
        yield port, server.pid
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def look_at(parent: int) -> Row:
    """Memory of the server's largest process, and any training library mapped into it.

    Reads /proc (Linux): a library whose code was never imported is not in the memory map.
    """
    processes = [parent, *_children(parent)]
    resident = {pid: _resident(pid) for pid in processes}
    worker = max(resident, key=resident.__getitem__)
    maps = Path(f"/proc/{worker}/maps").read_text()
    return {
        "worker MB": round(resident[worker] / 1024, 1),
        "whole server MB": round(sum(resident.values()) / 1024, 1),
        "onnxruntime loaded": "onnxruntime" in maps,
        "training libraries loaded": [n.strip("/") for n in TRAINING if f"/{n}" in maps],
    }


def _children(parent: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue  # It ended meanwhile.
        if re.search(rf"^PPid:\s+{parent}$", text, re.M):
            found.append(int(status.parent.name))
    return found


def _resident(pid: int) -> int:
    """Resident kilobytes."""
    found = re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found[1]) if found else 0
