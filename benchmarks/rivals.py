"""Our server against the yardstick (benchmarks/peer), in turns, on one PostgreSQL; and against
itself: two processes against one, a full database against an empty one.

Both sides get the same events from the same cheap client (benchmarks/load.py) over keep-alive
connections. Rounds alternate, so what else the machine does meets both alike; the ratios are of
medians over the rounds.
"""

import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import orjson

from benchmarks import models
from benchmarks.databases import new_database
from benchmarks.holding import held
from benchmarks.measure import Row
from benchmarks.servers import family, free_port, look_at, processor_seconds, running
from riskplatform.supervisor import WEB_ENVIRONMENT, web_command
from scoring.simulation.stream import history

HERE = Path(__file__).resolve().parent
CLIENTS, SECONDS, ROUNDS = 8, 4.0, 3
MANY_CLIENTS = 64
"""As many as a group holds: what a group costs once is then shared by as many in both."""
SHARE = 0.25
"""Of a processor for each process: on two processors their clients and the database then have room,
and what a second process does not bring is what the two take from each other."""
BUSY = 1000
IN_BATCH, BATCHES, BATCH_CLIENTS = 1000, 60, 2
DIFFERENT, PREPARED = 4000, 12_000
# (detector, learner, its parameters, the yardstick's address, least ratio that is wanted)
RACES: tuple[tuple[str, str, dict[str, int], str, float], ...] = (
    ("fraud", "logistic_regression", {}, "/fraud", 5.0),
    ("anomaly", "isolation_forest", {"n_trees": 200}, "/anomaly", 20.0),
    ("payments", "lightgbm", {}, "/full", 10.0),
)
IDS = {"fraud": "transaction_id", "anomaly": "sample_id", "payments": "transaction_id"}
COLUMNS = (
    "detector", "server", "clients", "requests", "refused", "requests/s", "p50 ms", "p99 ms",
    "CPU ms/request",
)  # fmt: skip
BATCH = ("detector", "clients", "events", "refused", "events/s", "p50 ms", "CPU us/event")


@dataclass(frozen=True, slots=True)
class Target:
    """A server that can be asked."""

    name: str
    port: int
    pid: int
    key: str
    path: str = ""
    durability: str = ""
    names: int = 0

    def address(self, slug: str, peer_path: str) -> str:
        """Where it scores events of the detector."""
        return peer_path if self.path == "peer" else f"/api/v1/detectors/{slug}/score"


def champions(root: Path) -> dict[str, str]:
    """Digests of the bundles to serve, fitted on simulated events."""
    return {
        slug: models.fit(models.gather(slug), learner, root, **parameters)[0].digest
        for slug, learner, parameters, _, _ in RACES
    }


def bodies(folder: Path, slug: str) -> Iterator[Path]:
    """Endless files of PREPARED recent events, one a line, every id new."""
    now = datetime.now(UTC)
    made = [
        item.payload
        for item in history(slug, start=now - timedelta(days=20), end=now, seed=5, events=DIFFERENT)
    ]
    run = secrets.token_hex(3)
    for number in count():
        path = folder / f"{slug}-{run}-{number}.jsonl"
        with path.open("wb") as file:
            for i in range(PREPARED):
                event = {**made[i % len(made)], IDS[slug]: f"bench-{run}-{number}-{i}"}
                file.write(orjson.dumps(event) + b"\n")
        yield path
        path.unlink(missing_ok=True)


def batches(folder: Path, slug: str, events: Path) -> Path:
    """A file of batches made of the events of another file."""
    lines = events.read_bytes().splitlines()
    path = folder / f"{slug}-batches.jsonl"
    marker = f'"{IDS[slug]}":"bench-'.encode()
    with path.open("wb") as file:
        for number in range(BATCHES):
            start = number * IN_BATCH % (len(lines) - IN_BATCH)
            again = b"%sbatch-%d-" % (marker, number)
            part = [x.replace(marker, again) for x in lines[start : start + IN_BATCH]]
            file.write(b'{"events":[' + b",".join(part) + b"]}\n")
    return path


def ask(
    target: Target, path: str, file: Path, *, clients: int, seconds: float, warm_up: int
) -> Row:
    """One run of the cheap client."""
    before = processor_seconds(target.pid)
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks.load", "--port", str(target.port), "--path", path,
            f"--key={target.key}", "--bodies", str(file), "--clients", str(clients),
            "--seconds", str(seconds), "--warm-up", str(warm_up),
        ],
        cwd=HERE.parent, check=True, capture_output=True, timeout=seconds + 120,
    )  # fmt: skip
    used = processor_seconds(target.pid) - before
    found = json.loads(done.stdout)
    statuses = {int(status): n for status, n in found["statuses"].items()}
    p50, p99 = np.percentile(found["taken_ns"], [50, 99]) / 1e6
    return {
        "server": target.name,
        "clients": clients,
        "requests": sum(statuses.values()),
        "refused": sum(n for status, n in statuses.items() if status != 200),
        "requests/s": round(found["requests"] / found["seconds"], 1),
        "p50 ms": round(float(p50), 2),
        "p99 ms": round(float(p99), 2),
        "CPU ms/request": round(1000 * used / max(sum(statuses.values()), 1), 3),
    }


def typical(rows: list[Row]) -> Row:
    """The medians of several rounds; counts are sums."""
    first = rows[0]
    return {
        name: first[name]
        if not isinstance(first[name], int | float) or name == "clients"
        else sum(row[name] for row in rows)
        if name in ("requests", "refused", "events")
        else round(median(row[name] for row in rows), 3)
        for name in first
    }


@contextmanager
def ours(
    folder: Path,
    database: str,
    digests: Mapping[str, str],
    *,
    workers: int = 1,
    name: str = "ours",
    filling: tuple[str, ...] = (),
) -> Iterator[Target]:
    """Our server on a database of its own, prepared; everything on, as in production."""
    place = folder / f"{name.replace(' ', '-')}-{secrets.token_hex(3)}"
    place.mkdir()
    lists = Path(os.environ.get("RISK_DATA_DIR", HERE.parent.parent / "shared" / "data")) / "ofac"
    if lists.is_dir():
        filling = (*filling, "--watchlists", str(lists))
    environment = {
        **{k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "DATABASE_URL")},
        **WEB_ENVIRONMENT,
        "DATABASE_URL": database,
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ALLOWED_HOSTS": "*",
        "RISK_PII_KEYS": f"bench:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        "RISK_VAR_DIR": str(place),
        "RISK_BUNDLE_DIR": str(folder / "bundles"),
        "LOG_LEVEL": "ERROR",
    }
    out = place / "key.json"
    subprocess.run(
        [
            sys.executable, "-m", "benchmarks.preparing", "--champions", json.dumps(digests),
            "--out", str(out), *filling,
        ],
        cwd=HERE.parent, env=environment, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    port = free_port()
    with running(
        web_command("127.0.0.1", port, workers),
        url=f"http://127.0.0.1:{port}/livez",
        environment=environment,
        folder=HERE.parent,
    ) as pid:
        made = json.loads(out.read_text())
        promised = ", ".join(f"{name} {value}" for name, value in made["durability"].items())
        yield Target(
            name, port, pid, made["key"], durability=promised, names=made["names screened against"]
        )


@contextmanager
def peer(folder: Path, database: str, python: Path) -> Iterator[Target]:
    """The yardstick, trained on the events that ours was trained on."""
    place = folder / "peer"
    place.mkdir(exist_ok=True)
    for slug, *_ in RACES:
        end = models.START + timedelta(days=models.DAYS)
        made = history(slug, start=models.START, end=end, seed=models.SEED, events=models.EVENTS)
        lines = [
            orjson.dumps({"event": item.payload, "is_fraud": bool(item.is_fraud)}) for item in made
        ]
        (place / f"{slug}.jsonl").write_bytes(b"\n".join(lines))
    here = HERE / "peer"
    subprocess.run([python, "train.py", str(place)], cwd=here, check=True, capture_output=True)
    key, port = secrets.token_urlsafe(16), free_port()
    environment = {
        **os.environ,
        "DATABASE_URL": database.replace("postgres://", "postgresql+psycopg://", 1),
        "MODELS": str(place),
        "API_KEY": key,
    }
    command = [
        str(python), "-m", "uvicorn", "service:app", "--host", "127.0.0.1", "--port", str(port),
        "--log-level", "warning", "--no-access-log",
    ]  # fmt: skip
    url = f"http://127.0.0.1:{port}/health"
    with running(command, url=url, environment=environment, folder=here) as pid:
        yield Target("peer", port, pid, key, "peer")


def race(folder: Path, server: str, python: Path) -> dict[str, Any]:
    """Requests/s of ours and of the yardstick for every detector, and batches of ours."""
    digests = champions(folder / "bundles")
    found: dict[str, Any] = {"rows": [], "batches": [], "ratios": {}}
    with ExitStack() as stack:
        here = stack.enter_context(new_database(server))
        there = stack.enter_context(new_database(server))
        we = stack.enter_context(ours(folder, here, digests))
        they = stack.enter_context(peer(folder, there, python))
        for slug, _, _, path, wanted in RACES:
            files = bodies(folder, slug)
            rounds: dict[str, list[Row]] = {"peer": [], "ours": []}
            for _ in range(ROUNDS):
                for target in (they, we):
                    address = target.address(slug, path)
                    row = ask(
                        target, address, next(files), clients=CLIENTS, seconds=SECONDS, warm_up=50
                    )
                    rounds[target.name].append(row)
            peer_row, our_row = (typical(rounds[name]) for name in ("peer", "ours"))
            found["rows"] += [{"detector": slug, **row} for row in (peer_row, our_row)]
            found["ratios"] |= _ratios(slug, our_row, peer_row, wanted)
            file = batches(folder, slug, next(files))
            address = f"{we.address(slug, path)}/batch"
            row = ask(we, address, file, clients=BATCH_CLIENTS, seconds=2 * SECONDS, warm_up=2)
            found["batches"].append(_batch(slug, row))
        found["process"] = look_at(we.pid)
        found["durability"], found["names screened against"] = we.durability, we.names
    return found


def _ratios(slug: str, our_row: Row, peer_row: Row, wanted: float) -> dict[str, float]:
    return {
        f"{slug}: requests/s ours / peer (wanted {wanted:g})": round(
            our_row["requests/s"] / peer_row["requests/s"], 2
        ),
        f"{slug}: our p99 / peer's p50 (wanted < 1)": round(
            our_row["p99 ms"] / peer_row["p50 ms"], 2
        ),
        f"{slug}: CPU per request peer / ours": round(
            peer_row["CPU ms/request"] / our_row["CPU ms/request"], 2
        ),
    }


def _batch(slug: str, row: Row) -> Row:
    return {
        "detector": slug,
        "clients": row["clients"],
        "events": row["requests"] * IN_BATCH,
        "refused": row["refused"],
        "events/s": round(row["requests/s"] * IN_BATCH, 1),
        "p50 ms": row["p50 ms"],
        "CPU us/event": round(row["CPU ms/request"] * 1000 / IN_BATCH, 1),
    }


def processes(folder: Path, server: str) -> dict[str, Any]:
    """One process against two, on databases of their own: one by one, and in batches."""
    digests = champions(folder / "bundles")
    with ExitStack() as stack:
        targets = [
            stack.enter_context(
                ours(
                    folder,
                    stack.enter_context(new_database(server)),
                    digests,
                    workers=workers,
                    name=f"{workers} process{'es' if workers > 1 else ''}",
                )
            )
            for workers in (1, 2)
        ]
        rows = [row for n in (2 * CLIENTS, MANY_CLIENTS) for row in _in_turns(folder, targets, n)]
        # One process has no children: it serves itself.
        workers = [pid for one in targets for pid in family(one.pid)[1:] or [one.pid]]
        with held(workers, SHARE) as is_held:
            held_rows = _in_turns(folder, targets, MANY_CLIENTS) if is_held else []
        files = {slug: next(bodies(folder, slug)) for slug, *_ in RACES}
        batch_rows = [
            {"server": target.name, **_send_batches(folder, target, slug, files[slug])}
            for slug, *_ in RACES
            for target in targets
        ]
    ratios = _of_two(rows, "") | _of_two(held_rows, f", {SHARE:g} of a processor each")
    return {"rows": rows, "held": held_rows, "batches": batch_rows, "ratios": ratios}


def _of_two(rows: list[Row], how: str) -> dict[str, float]:
    return {
        f"two processes / one{how}, {one['clients']} clients (wanted 1.7)": round(
            two["requests/s"] / one["requests/s"], 2
        )
        for one, two in zip(rows[::2], rows[1::2], strict=True)
    }


def _send_batches(folder: Path, target: Target, slug: str, events: Path) -> Row:
    """Batches of new ids, from twice as many clients as a process has use for."""
    address = f"{target.address(slug, '')}/batch"
    file = batches(folder, slug, events)
    row = ask(target, address, file, clients=2 * BATCH_CLIENTS, seconds=2 * SECONDS, warm_up=4)
    return _batch(slug, row)


def flat(folder: Path, server: str, predictions: int, events: int) -> dict[str, Any]:
    """An empty database against a full one with busy entities."""
    digests = champions(folder / "bundles")
    sample = folder / "sample.jsonl"
    sample.write_bytes(next(bodies(folder, "payments")).read_bytes())
    filling = (
        "--predictions", str(predictions), "--history", str(events), "--bodies", str(sample),
    )  # fmt: skip
    with ExitStack() as stack:
        databases = [stack.enter_context(new_database(server)) for _ in range(2)]
        targets = [
            stack.enter_context(ours(folder, databases[0], digests, name="empty")),
            stack.enter_context(ours(folder, databases[1], digests, name="full", filling=filling)),
        ]
        rows = [row for clients in (1, 8) for row in _in_turns(folder, targets, clients)]
    ratios = {
        f"p50 full / empty, {empty['clients']} clients (wanted 1.2)": round(
            full["p50 ms"] / empty["p50 ms"], 2
        )
        for empty, full in zip(rows[::2], rows[1::2], strict=True)
    }
    return {"rows": rows, "ratios": ratios}


def _in_turns(folder: Path, targets: list[Target], clients: int) -> list[Row]:
    files = bodies(folder, "payments")
    rounds: dict[str, list[Row]] = {target.name: [] for target in targets}
    for _ in range(ROUNDS):
        for target in targets:
            address = target.address("payments", "")
            row = ask(target, address, next(files), clients=clients, seconds=SECONDS, warm_up=50)
            rounds[target.name].append(row)
    return [{"detector": "payments", **typical(found)} for found in rounds.values()]
