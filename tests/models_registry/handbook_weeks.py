"""The handbook's 15 features of whole weeks, for tests of drift; all history before them counts."""

import os
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

DATA = Path(os.environ.get("RISK_DATA_DIR", "../shared/data")) / "handbook"
SPANS = (1, 7, 30)
DELAY = 7
NAMES = (
    *("TX_AMOUNT", "TX_DURING_WEEKEND", "TX_DURING_NIGHT"),
    *(f"CUSTOMER_NB_TX_{days}DAY" for days in SPANS),
    *(f"CUSTOMER_AVG_AMOUNT_{days}DAY" for days in SPANS),
    *(f"TERMINAL_NB_TX_{days}DAY" for days in SPANS),
    *(f"TERMINAL_RISK_{days}DAY" for days in SPANS),
)


def is_there() -> bool:
    return any(DATA.glob("transactions_*.parquet"))


def _rolling(column: str, days: int, entity: str) -> pl.Expr:
    """Sum over (t - days, t] of the entity's own history."""
    return pl.col(column).rolling_sum_by("TX_DATETIME", window_size=f"{days}d").over(entity)


@cache
def features() -> pl.DataFrame:
    """NAMES and TX_DATETIME of every transaction; terminal windows end DELAY days earlier."""
    columns = ["TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD"]
    frame = pl.read_parquet(sorted(DATA.glob("transactions_*.parquet")), columns=columns)
    frame = frame.sort("TX_DATETIME").with_columns(
        one=pl.lit(1.0), TX_FRAUD=pl.col("TX_FRAUD").cast(pl.Float64)
    )
    hour, weekday = pl.col("TX_DATETIME").dt.hour(), pl.col("TX_DATETIME").dt.weekday()
    found = frame.with_columns(
        TX_DURING_WEEKEND=(weekday >= 6).cast(pl.Float64),
        TX_DURING_NIGHT=(hour <= 6).cast(pl.Float64),
    )
    for days in SPANS:
        count = _rolling("one", days, "CUSTOMER_ID")
        earlier = [
            _rolling(name, DELAY + days, "TERMINAL_ID") - _rolling(name, DELAY, "TERMINAL_ID")
            for name in ("one", "TX_FRAUD")
        ]
        found = found.with_columns(
            count.alias(f"CUSTOMER_NB_TX_{days}DAY"),
            (_rolling("TX_AMOUNT", days, "CUSTOMER_ID") / count).alias(
                f"CUSTOMER_AVG_AMOUNT_{days}DAY"
            ),
            earlier[0].round().alias(f"TERMINAL_NB_TX_{days}DAY"),
            pl.when(earlier[0] > 0.5)
            .then(earlier[1] / earlier[0])
            .otherwise(0.0)
            .alias(f"TERMINAL_RISK_{days}DAY"),
        )
    return found.select("TX_DATETIME", *NAMES)


def week(start: str) -> NDArray[np.float64]:
    """float64[n, 15] of the seven days from `start` (YYYY-MM-DD) on."""
    first = datetime.fromisoformat(start)
    at = pl.col("TX_DATETIME")
    rows = features().filter((at >= first) & (at < first + timedelta(days=7)))
    return np.ascontiguousarray(rows.select(NAMES).to_numpy(), dtype=np.float64)


def before(
    end: datetime, newest: int, most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64[newest, 15] of the last transactions before `end`, and about `most` of the seven
    days before it, evenly."""
    past = features().filter(pl.col("TX_DATETIME") < end)
    lately = past.filter(pl.col("TX_DATETIME") >= end - timedelta(days=7))
    step = max(len(lately) // most, 1)
    both = (past.tail(newest), lately.gather_every(step))
    rows, week_rows = (np.ascontiguousarray(x.select(NAMES).to_numpy(), float) for x in both)
    return rows, week_rows
