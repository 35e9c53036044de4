"""Events per second of `import_events`: generated card transactions, and real ones if present."""

import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import polars as pl

from benchmarks.measure import Row
from benchmarks.models import START
from scoring import deployment
from scoring.importing import ImportReport, import_file
from scoring.ingestion.files import EventFile
from scoring.models import Deployment, Detector
from scoring.simulation.stream import history

DETECTOR = "cards"
GENERATED, REAL = 10_000, 50_000
LONGEST_SECONDS = 12.0


class _EnoughError(Exception):
    """The file is long and the time is up: what was imported so far counts."""


def run(folder: Path, digest: str, data: Path | None) -> list[Row]:
    """A row per file and way of scoring. `data` is searched for Parquet files of transactions."""
    detector = Detector.objects.get(slug=DETECTOR)
    deployment.install_rules_only(detector)
    rows = [_measure(detector, generate(folder, seed=1), "generated", "rules only")]
    deployment.install(
        detector, slot=Deployment.Slot.CHAMPION, digest=digest, version="bench"
    )  # fmt: skip
    rows.append(_measure(detector, generate(folder, seed=2), "generated", "lightgbm"))
    real = sorted(data.glob("**/transactions_*.parquet")) if data else []
    if real:
        rows.append(_measure(detector, real[0], "handbook", "lightgbm", limit=REAL))
    return rows


def generate(folder: Path, *, seed: int) -> Path:
    """A Parquet file of simulated card transactions with their truth."""
    end = START + timedelta(days=60)
    made = list(history(DETECTOR, start=START, end=end, seed=seed, events=GENERATED))
    # Far above the handbook's ids, and apart by seed: an id is imported once.
    frame = pl.DataFrame([item.payload for item in made]).with_columns(
        pl.Series("TX_FRAUD", [int(item.is_fraud) for item in made]),
        TRANSACTION_ID=pl.int_range(pl.len()) + 10**9 * seed,
    )
    path = folder / f"generated_{seed}.parquet"
    frame.write_parquet(path)
    return path


def _measure(
    detector: Detector, path: Path, source: str, scored_by: str, limit: int | None = None
) -> Row:
    begun = time.perf_counter()
    reached: list[tuple[float, ImportReport]] = []

    def watch(done: int, report: ImportReport) -> None:
        reached.append((time.perf_counter() - begun, report))
        if reached[-1][0] > LONGEST_SECONDS:
            raise _EnoughError

    with suppress(_EnoughError):
        import_file(detector, EventFile(path, detector.spec(), limit=limit), on_progress=watch)
    seconds, report = reached[-1]
    return {
        "file": source,
        "scored by": scored_by,
        "events": report.scored,
        "labels": report.labelled,
        "refused": report.refused,
        "seconds": round(seconds, 2),
        "events/s": round(report.scored / seconds, 1),
    }
