"""Online = offline: the handbook's events scored one after another get the vectors that the
vectorised path makes of the whole history in one go, over a restart, in both stores."""

import os
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from scoring.core.features import FeaturePlan
from scoring.core.schema import EventParser
from scoring.core.vectors import build_many
from scoring.models import Prediction
from tests.factories import empty_windows
from tests.scoring import another_process

DATA = Path(os.environ.get("RISK_DATA_DIR", "../shared/data")) / "handbook"
EVENTS = int(os.environ.get("RISK_PARITY_EVENTS", "20000"))
"""100,000 (RISK_PARITY_EVENTS) take a minute or two a store: docs/evidence/replay-parity.md."""
DELAY = timedelta(days=7)
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.skipif(
        not any(DATA.glob("transactions_*.parquet")),
        reason="the handbook's transactions are not in RISK_DATA_DIR",
    ),
]


def handbook():
    """EVENTS events over four and a half months: all those of every nth terminal."""
    frame = pl.read_parquet(sorted(DATA.glob("transactions_*.parquet"))[0])
    part = frame.filter(pl.col("TERMINAL_ID") % (1_200_000 // EVENTS) == 0).sort(
        "TX_DATETIME", maintain_order=True
    )
    raws, truths = [], {}
    for row in part.head(EVENTS).iter_rows(named=True):
        raws.append(
            {
                "TRANSACTION_ID": row["TRANSACTION_ID"],
                "TX_DATETIME": f"{row['TX_DATETIME'].isoformat()}Z",
                "CUSTOMER_ID": int(row["CUSTOMER_ID"]),
                "TERMINAL_ID": int(row["TERMINAL_ID"]),
                "TX_AMOUNT": float(row["TX_AMOUNT"]),
            }
        )
        known = row["TX_DATETIME"] + DELAY
        truths[str(row["TRANSACTION_ID"])] = (bool(row["TX_FRAUD"]), f"{known.isoformat()}+00:00")
    return raws, truths


def in_batches(raws, truths):
    """Singles first and after the restart, then small batches, then large ones.

    A large one spans half of DELAY: a label that is known inside a batch comes after it.
    """
    half, large = len(raws) // 2, len(raws) // 40
    sizes = [1] * 150 + [20] * 50 + [large] * (half // large + 1)
    edges = np.minimum(np.cumsum([0, *sizes]), half)
    edges = [*edges, *(edges[1:] + half)]
    batches = [raws[first:past] for first, past in pairwise(edges) if past > first]
    frauds = [
        {
            name: truths[name]
            for name in (str(raw["TRANSACTION_ID"]) for raw in batch)
            if truths[name][0]
        }
        for batch in batches
    ]
    return batches, frauds


def offline(spec, raws, truths):
    """float64[len(raws), n] in one go, from the raw events and the times of their labels."""
    parser, plan = EventParser(spec), FeaturePlan(spec)
    events = [parser.parse(raw, 2e9) for raw in raws]
    delay = DELAY.total_seconds()
    events = [
        event._replace(known_fraud=(event.time + delay, np.inf))
        if truths[event.external_id][0]
        else event
        for event in events
    ]
    return build_many(plan, events, empty_windows(plan, events))


def test_a_replay_gives_the_vectors_of_training(store, cards_detector, tmp_path):
    raws, truths = handbook()
    batches, frauds = in_batches(raws, truths)
    middle = len(batches) // 2
    for batch, known in zip(batches[:middle], frauds[:middle], strict=True):
        another_process.score_and_label("cards", batch, known)
    later = another_process.start(tmp_path, "cards", batches[middle:], truths=frauds[middle:])
    assert later.wait(timeout=120) == 0
    stored = dict(Prediction.objects.values_list("external_id", "vector").iterator())
    online = np.array([np.frombuffer(stored[str(raw["TRANSACTION_ID"])]) for raw in raws])
    expected = offline(cards_detector.spec(), raws, truths)
    assert online.shape == (EVENTS, len(cards_detector.spec().feature_names))
    np.testing.assert_allclose(online, expected, rtol=1e-9, atol=1e-9)
