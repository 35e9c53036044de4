"""`python -m benchmarks`: how fast an event is scored, served and imported on this machine, and
what learning takes and reaches.

Prints tables and writes JSON. Everything runs on the loopback address and in a folder that is
removed at the end. PostgreSQL is measured too where RISK_TEST_POSTGRES_URL names a server
(`.ci/run make bench` starts one), the handbook's transactions where RISK_DATA_DIR has them.
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
import venv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import handbook, one_row, rivals, screening
from benchmarks.databases import new_database
from benchmarks.measure import machine, table

HERE = Path(__file__).resolve().parent
LONGEST_STAGE_SECONDS = 100
ENDPOINT = (
    "clients", "events per request", "requests", "refused", "requests/s", "events/s", "p50 ms",
    "p99 ms",
)  # fmt: skip
IMPORT = ("file", "scored by", "events", "labels", "refused", "seconds", "events/s")


LEARNING = {
    "training": (),
    "unsupervised": (),
    "handbook": ("--minutes", "3"),
    "forest_bounds": (),
    "rare_class": (),
    "mean_of_three": ("--sets", "20", "--minutes", "1"),
    "loop": (),
    "queue_order": (),
    "ab_simulation": ("--runs", "200"),
}
"""What measures learning and the queue, each a command of its own with these options."""
NEED_HANDBOOK = ("handbook", "forest_bounds", "rare_class", "mean_of_three", "loop")
PARTS = ("one-row", "database", "peer", "processes", "flat", "screening", *LEARNING)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "latest.json")
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="Measure these parts (may be repeated)."
    )
    parser.add_argument("--predictions", type=int, default=1_000_000, help="Stored, for `flat`.")
    options = parser.parse_args()
    parts = options.only or PARTS
    begun = time.monotonic()
    here = machine()
    print(
        f"{here['cpus']} CPUs, load {here['load_before'][0]} before the start (above 0.5 something"
        " else is running, and the tails are not ours)"
    )
    found: dict[str, Any] = {"at": datetime.now(UTC).isoformat(), "machine": here, "ratios": {}}
    with tempfile.TemporaryDirectory(prefix="risk-bench-") as name:
        folder = Path(name)
        if "one-row" in parts or "database" in parts:
            run_in_process(folder, found, with_databases="database" in parts)
        server = os.environ.get("RISK_TEST_POSTGRES_URL", "")
        if server:
            run_servers(folder, found, server, parts, options.predictions)
    if "screening" in parts:
        found["screening"] = screening.run()
        print(screening.table(found["screening"]))
    for name in LEARNING:
        if name in parts:
            found[name] = run_learning(name)
    print(table("Ratios within this run", _pairs(found["ratios"]), ("ratio", "value")))
    found["seconds"] = round(time.monotonic() - begun, 1)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"\n{found['seconds']} s; written to {options.out}")
    return 0


def run_learning(name: str) -> Any:
    """Run `python -m benchmarks.<name>`, which prints its tables; what it measured, as JSON."""
    if name in NEED_HANDBOOK and not handbook.is_there():
        print(f"\n{name} is not measured: RISK_DATA_DIR has no handbook transactions.")
        return None
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        command = [sys.executable, "-m", f"benchmarks.{name}", *LEARNING[name], "--json", str(out)]
        print(f"\n{' '.join(command[1:-2])}", flush=True)
        done = subprocess.run(command, cwd=HERE.parent, check=False)
        if not out.exists():
            raise RuntimeError(f"benchmarks.{name} ended with {done.returncode}.")
        return json.loads(out.read_text())


def run_in_process(folder: Path, found: dict[str, Any], *, with_databases: bool) -> None:
    """One event in process; then the endpoint and the import on each database."""
    rows, ratios, champions = one_row.run(folder / "bundles")
    found["one_row"] = rows
    found["ratios"] |= ratios
    title = "One event in process, microseconds (medians; scored = features + model + decision)"
    print(table(title, rows, one_row.COLUMNS))
    slowest = max(row["scored p50"] for row in rows)
    print(f"Slowest median up to the decision: {slowest} us; target: {one_row.TARGET_US:g} us.")
    found["databases"] = []
    for database in databases(folder) if with_databases else ():
        part = run_with_database(folder, database, champions)
        found["databases"].append(part)
        found["ratios"] |= show(part)


def run_servers(
    folder: Path, found: dict[str, Any], server: str, parts: Sequence[str], predictions: int
) -> None:
    """Our server against the yardstick and against itself, on PostgreSQL."""
    if "peer" in parts:
        part = found["peer"] = rivals.race(folder, server, peer_python())
        print(
            f"\nPostgreSQL: {part['durability']}. Names screened against:"
            f" {part['names screened against']:,}."
        )
        print(table("8 clients, one process each, in turns", part["rows"], rivals.COLUMNS))
        print(table("Batches of 1,000 events", part["batches"], rivals.BATCH))
        print(
            f"Our process: {part['process']['worker MB']} MB resident; training libraries in it:"
            f" {', '.join(part['process']['training libraries loaded']) or 'none'}."
        )
        found["ratios"] |= part["ratios"]
    if "processes" in parts:
        part = found["processes"] = rivals.processes(folder, server)
        print(table("One process and two", part["rows"], rivals.COLUMNS))
        title = f"Each process held to {rivals.SHARE:g} of a processor"
        if part["held"]:
            print(table(title, part["held"], rivals.COLUMNS))
        else:
            print(f"\n{title}: not measured, only root may hold processes (Linux).")
        print(table("Batches of 1,000 events", part["batches"], ("server", *rivals.BATCH)))
        found["ratios"] |= part["ratios"]
    if "flat" in parts:
        part = found["flat"] = rivals.flat(folder, server, predictions, rivals.BUSY)
        title = f"Empty against {predictions:,} predictions and {rivals.BUSY:,} events per entity"
        print(table(title, part["rows"], rivals.COLUMNS))
        found["ratios"] |= part["ratios"]


def peer_python() -> Path:
    """The interpreter of the yardstick's own environment; made on first use, outside of ours."""
    place = HERE / "results" / "peer-venv"
    python = Path(os.environ.get("RISK_PEER_PYTHON", place / "bin" / "python"))
    if not python.exists():
        print(f"Installing the yardstick's packages into {place} ...")
        venv.create(place, with_pip=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "-r", HERE / "peer" / "requirements.txt"],
            check=True,
        )
    return python


def databases(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of each database to measure, made for the purpose and removed after it."""
    yield {"DATABASE_URL": ""}
    server = os.environ.get("RISK_TEST_POSTGRES_URL", "")
    if not server:
        print("\nPostgreSQL: not measured, RISK_TEST_POSTGRES_URL names no server.")
        return
    with new_database(server) as url:
        yield {
            "DATABASE_URL": url,
            "SECRET_KEY": secrets.token_urlsafe(48),
            "ALLOWED_HOSTS": "*",
            "RISK_PII_KEYS": f"bench:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        }


def run_with_database(
    folder: Path, database: dict[str, str], champions: dict[str, str]
) -> dict[str, Any]:
    """Server and import on one database, in a process with its own settings."""
    place = Path(tempfile.mkdtemp(dir=folder))
    out = place / "results.json"
    environment = {
        **{k: v for k, v in os.environ.items() if k not in ("REDIS_URL", "DATABASE_URL")},
        **{k: v for k, v in database.items() if v},
        "RISK_VAR_DIR": str(place),
        "RISK_BUNDLE_DIR": str(folder / "bundles"),
        "LOG_LEVEL": "ERROR",
    }
    command = [
        sys.executable, "-m", "benchmarks.with_database", "--folder", str(place),
        "--champions", json.dumps(champions), "--out", str(out),
    ]  # fmt: skip
    data = os.environ.get("RISK_DATA_DIR", "")
    if data:
        command += ["--data", data]
    stage = subprocess.Popen(
        command, cwd=HERE.parent, env=environment, stdout=subprocess.DEVNULL
    )  # fmt: skip
    try:
        code = stage.wait(timeout=LONGEST_STAGE_SECONDS)
    finally:
        # Asked first: it has a server of its own to stop.
        stage.terminate()
        try:
            stage.wait(timeout=20)
        except subprocess.TimeoutExpired:
            stage.kill()
    if code != 0:
        raise SystemExit("The measurement with a database failed; see above.")
    part: dict[str, Any] = json.loads(out.read_text())
    return part


def show(part: dict[str, Any]) -> dict[str, float]:
    """Print one database's tables; returns its ratios."""
    kept = ", ".join(f"{name} {value}" for name, value in part["durability"].items())
    name, process = part["database"], part["process"]
    print(table(f"Score endpoint on {name} ({kept}), LightGBM", part["endpoint"], ENDPOINT))
    print(
        f"Answered {process['answered']:,} events, stored {process['stored']:,}. Worker:"
        f" {process['worker MB']} MB; training libraries in it:"
        f" {', '.join(process['training libraries loaded']) or 'none'}."
    )
    print(table(f"Import on {name}", part["import"], IMPORT))
    single, many, batch = part["endpoint"]
    return {
        f"{name}: requests/s of 8 clients / 1 client": round(
            many["requests/s"] / single["requests/s"], 2
        ),
        f"{name}: events/s in batches / one by one": round(
            batch["events/s"] / single["events/s"], 2
        ),
    }


def _pairs(ratios: dict[str, float]) -> list[dict[str, Any]]:
    return [{"ratio": name, "value": value} for name, value in ratios.items()]


if __name__ == "__main__":
    sys.exit(main())
