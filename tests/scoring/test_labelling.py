"""Labels teach the windows that count known fraud: recorded singly, in bulk or with a file."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from django.db import connection

from models_registry.logged_vectors import Replay, in_chunks
from scoring import writer
from scoring.core.windows import WindowStateError
from scoring.feature_store.choosing import feature_store
from scoring.importing import import_file
from scoring.ingestion.files import EventFile
from scoring.labelling import record_label, record_truths, retract_labels
from scoring.models import Label, Prediction
from scoring.rebuilding import rebuild_windows
from scoring.simulating import simulate_history
from tests.factories import START, card, scored

pytestmark = pytest.mark.django_db
RISK = "TERMINAL_ID_risk_30d_delay_7d"


def at(days, number=0, **changed):
    return card(number, TX_DATETIME=(START + timedelta(days=days)).isoformat(), **changed)


def risk_of(row, detector):
    return row.vector_array()[detector.spec().feature_names.index(RISK)]


def label(row, is_fraud, days):
    known = START + timedelta(days=days)
    record_label(row, is_fraud=is_fraud, source=Label.Source.ANALYST, label_time=known)


def test_a_label_counts_from_its_time_on(cards_detector):
    first = scored("cards", at(0, 1))
    label(first, True, days=9)
    found = [risk_of(scored("cards", at(day, 10 + day)), cards_detector) for day in (8, 10)]
    assert found == [0.0, 1.0]


def test_a_withdrawn_label_counts_until_it_was_withdrawn(cards_detector):
    first = scored("cards", at(0, 1))
    label(first, False, days=11)
    label(first, True, days=9)
    found = [risk_of(scored("cards", at(day, 10 + day)), cards_detector) for day in (10, 12)]
    assert found == [1.0, 0.0]


def take_back(row, author, days, labelled=9):
    when = START + timedelta(days=labelled)
    return retract_labels(
        [row.pk], author=author, label_time=when, actor=author, at=START + timedelta(days=days)
    )


def test_a_label_that_was_taken_back_counts_until_then_and_no_reader_sees_it(
    cards_detector, analyst
):
    first, known = scored("cards", at(0, 1)), START + timedelta(days=9)
    record_label(
        first, is_fraud=True, source=Label.Source.ANALYST, label_time=known, author=analyst
    )
    assert take_back(first, analyst, days=11) == 1
    found = [risk_of(scored("cards", at(day, 10 + day)), cards_detector) for day in (10, 12)]
    assert found == [1.0, 0.0]
    assert not Label.objects.exists()
    assert not first.labels.exists()
    kept = Label.history.get()
    assert (kept.retracted_by, kept.is_fraud) == (analyst, True)


def test_taking_back_uncovers_the_label_of_before_and_may_run_twice(cards_detector, analyst):
    first = scored("cards", at(0, 1))
    label(first, True, days=8)
    record_label(
        first, is_fraud=False, source=Label.Source.ANALYST, author=analyst,
        label_time=START + timedelta(days=9),
    )  # fmt: skip
    assert [take_back(first, analyst, days=11) for _ in range(2)] == [1, 0]
    found = [risk_of(scored("cards", at(day, 10 + day)), cards_detector) for day in (10, 12)]
    assert found == [0.0, 1.0]
    assert Label.objects.get().is_fraud


def test_only_what_this_author_said_at_that_moment_is_taken_back(cards_detector, analyst, lead):
    first, other = scored("cards", at(0, 1)), scored("cards", at(0, 2))
    for row, author, days in (
        (first, analyst, 8), (first, analyst, 9), (first, lead, 9), (other, analyst, 9),
    ):  # fmt: skip
        record_label(
            row, is_fraud=True, source=Label.Source.ANALYST, author=author,
            label_time=START + timedelta(days=days),
        )  # fmt: skip
    assert take_back(first, analyst, days=11) == 1
    (gone,) = Label.history.exclude(retracted_at=None)
    assert (gone.prediction, gone.author) == (first, analyst)
    assert gone.label_time == START + timedelta(days=9)


def test_a_label_keeps_all_that_was_said(cards_detector, analyst):
    said = {
        "is_fraud": True, "source": Label.Source.FEEDBACK, "author": analyst, "notes": "Called.",
        "label_time": START + timedelta(days=3), "reason_code": "travel", "confidence": 0.7,
    }  # fmt: skip
    found = record_label(scored("cards", at(0, 1)), **said)
    found.refresh_from_db()
    assert {name: getattr(found, name) for name in said} == said
    assert found.event_time == found.prediction.event_time == START


def test_windows_made_anew_know_what_was_taken_back(cards_detector, analyst):
    first = scored("cards", at(0, 1))
    record_label(
        first, is_fraud=True, source=Label.Source.ANALYST, author=analyst,
        label_time=START + timedelta(days=9),
    )  # fmt: skip
    take_back(first, analyst, days=11)
    rebuild_windows(cards_detector)
    found = [risk_of(scored("cards", at(day, 10 + day)), cards_detector) for day in (10, 12)]
    assert found == [1.0, 0.0]


def test_truths_in_bulk_teach_too_and_what_was_never_fraud_writes_nothing(cards_detector):
    first, other = scored("cards", at(0, 1)), scored("cards", at(0, 2, TERMINAL_ID=3))
    known = START + timedelta(days=7)
    truths = {first.external_id: (True, known), other.external_id: (False, known)}
    assert record_truths(cards_detector.pk, truths, source=Label.Source.IMPORT).added == 2
    assert risk_of(scored("cards", at(8, 3)), cards_detector) == 1.0
    assert risk_of(scored("cards", at(8, 4, TERMINAL_ID=3)), cards_detector) == 0.0


def test_windows_made_anew_know_the_labels(cards_detector):
    label(scored("cards", at(0, 1)), True, days=9)
    rebuild_windows(cards_detector)
    assert risk_of(scored("cards", at(10, 2)), cards_detector) == 1.0


def test_windows_that_wait_to_be_rebuilt_refuse_no_label(cards_detector, caplog, monkeypatch):
    first = scored("cards", at(0, 1))

    def refuse(*args, **kwargs):
        raise WindowStateError("other columns")

    monkeypatch.setattr(type(feature_store()), "load", refuse)
    label(first, True, days=9)
    assert Label.objects.count() == 1
    assert "wait to be rebuilt" in caplog.text


def replayed(detector):
    """What every stored event would be given today, and what it was given."""
    rows = Prediction.objects.filter(detector=detector)
    (chunk,) = in_chunks(rows, whole=True)
    given = np.array([np.frombuffer(row.vector, "<f8") for row in chunk])
    return Replay(detector.spec()).vectors(chunk), given


def test_an_imported_file_gives_the_vectors_of_a_replay(cards_detector, tmp_path):
    rng = np.random.default_rng(1)
    times = np.sort(rng.uniform(0, 60, 900))
    frame = pl.DataFrame({
        "TRANSACTION_ID": range(900),
        "TX_DATETIME": [START + timedelta(days=float(t)) for t in times],
        "CUSTOMER_ID": rng.integers(0, 9, 900),
        "TERMINAL_ID": rng.integers(0, 5, 900),
        "TX_AMOUNT": rng.lognormal(3, 1, 900).round(2),
        "TX_FRAUD": (rng.random(900) < 0.2).astype(int),
    })  # fmt: skip
    frame.write_parquet(tmp_path / "cards.parquet")
    import_file(cards_detector, EventFile(tmp_path / "cards.parquet", cards_detector.spec()))
    again, given = replayed(cards_detector)
    np.testing.assert_allclose(given, again, rtol=1e-9, atol=1e-9)
    risk = given[:, cards_detector.spec().feature_names.index(RISK)]
    assert 0.1 < risk[times > 40].mean() < 0.3


def test_a_simulated_history_gives_the_vectors_of_a_replay(cards_detector):
    simulate_history(
        cards_detector, start=START, end=START + timedelta(days=40), events=400, seed=3
    )
    again, given = replayed(cards_detector)
    np.testing.assert_allclose(given, again, rtol=1e-9, atol=1e-9)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")
@pytest.mark.django_db(transaction=True)
def test_truths_that_two_record_at_once_are_recorded_once(cards_detector, monkeypatch):
    first = scored("cards", at(0, 1))
    truths = {first.external_id: (True, START + timedelta(days=7))}
    write, both = writer.write_labels, threading.Barrier(2)

    def write_together(labels):
        with suppress(threading.BrokenBarrierError):
            both.wait(timeout=1)  # Who wrote before the other has read is met here.
        write(labels)

    def record(_):
        try:
            return record_truths(cards_detector.pk, truths, source=Label.Source.IMPORT).added
        finally:
            connection.close()

    monkeypatch.setattr(writer, "write_labels", write_together)
    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(record, range(2))) == [0, 1]
    assert Label.objects.count() == 1
