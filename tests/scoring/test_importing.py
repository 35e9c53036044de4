"""A file of history: scored, stored and labelled once, however often it is interrupted."""

import json
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from django.core.management import CommandError, call_command

from cases.models import Alert
from scoring import importing
from scoring.importing import import_file
from scoring.ingestion.files import EventFile, FileProblem
from scoring.models import Label, Prediction
from tests.factories import START, card, scored_many

pytestmark = pytest.mark.django_db
ROWS = 50


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(importing, "CHUNK", 12)


def frame(rows=ROWS, **columns):
    """Transactions an hour apart, every tenth one a fraud."""
    return pl.DataFrame(
        {
            "TRANSACTION_ID": list(range(rows)),
            "TX_DATETIME": [START.replace(tzinfo=None) + timedelta(hours=i) for i in range(rows)],
            "CUSTOMER_ID": [str(i % 3) for i in range(rows)],
            "TERMINAL_ID": [str(i % 2) for i in range(rows)],
            "TX_AMOUNT": [10.0 + i for i in range(rows)],
            "TX_FRAUD": [int(i % 10 == 0) for i in range(rows)],
        }
        | columns
    ).with_columns(pl.col("CUSTOMER_ID", "TERMINAL_ID").cast(pl.Int64, strict=False))


@pytest.fixture
def path(tmp_path):
    frame().write_parquet(tmp_path / "cards.parquet")
    return tmp_path / "cards.parquet"


def source(path, detector, **options):
    return EventFile(path, detector.spec(), **options)


def stop_at(rows):
    def stop(done, report):
        if done >= rows:
            raise KeyboardInterrupt

    return stop


def test_every_row_is_scored_stored_and_labelled(cards_detector, path):
    report = import_file(cards_detector, source(path, cards_detector))
    assert (report.rows, report.scored, report.labelled, report.refused) == (ROWS, ROWS, ROWS, 0)
    assert report.last_event_at == START + timedelta(hours=ROWS - 1)
    fraud = Label.objects.filter(is_fraud=True)
    assert set(fraud.values_list("prediction__external_id", flat=True)) == {
        "0", "10", "20", "30", "40",
    }  # fmt: skip
    label = fraud.earliest("event_time")
    assert label.label_time - label.event_time == timedelta(days=7)


def test_importing_gives_the_vectors_that_scoring_gives(cards_detector, path):
    import_file(cards_detector, source(path, cards_detector))
    imported = list(Prediction.objects.order_by("event_time"))
    vectors = [row.vector_array() for row in imported]
    raws = [row.event for row in imported]
    Label.objects.all().delete()
    Prediction.objects.all().delete()
    cards_detector.entitystate_set.all().delete()
    for raw, expected in zip(raws, vectors, strict=True):
        (row,) = scored_many("cards", [raw])
        np.testing.assert_allclose(row.vector_array(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rows", [12, 24, 48])
def test_an_interrupted_import_goes_on_where_it_was(cards_detector, path, rows):
    with pytest.raises(KeyboardInterrupt):
        import_file(cards_detector, source(path, cards_detector), on_progress=stop_at(rows))
    assert Prediction.objects.count() == rows
    report = import_file(cards_detector, source(path, cards_detector))
    assert report.skipped == rows
    assert report.scored == ROWS - rows
    assert Prediction.objects.count() == Label.objects.count() == ROWS


def test_labels_that_an_interruption_lost_are_made_up_for(cards_detector, path):
    with pytest.raises(KeyboardInterrupt):
        import_file(cards_detector, source(path, cards_detector), on_progress=stop_at(24))
    Label.objects.filter(prediction__external_id__in=["20", "21"]).delete()
    import_file(cards_detector, source(path, cards_detector))
    assert Label.objects.count() == ROWS


def test_a_later_import_adds_the_labels_that_have_become_known(cards_detector, path):
    file = source(path, cards_detector)
    import_file(cards_detector, file, as_of=file.last_event_at())
    early = Label.objects.count()
    import_file(cards_detector, file, as_of=file.last_event_at() + timedelta(days=8))
    assert early < Label.objects.count() == ROWS


def test_importing_twice_changes_nothing(cards_detector, path):
    import_file(cards_detector, source(path, cards_detector))
    report = import_file(cards_detector, source(path, cards_detector))
    assert (report.scored, report.labelled, report.refused) == (0, 0, 0)
    assert Prediction.objects.count() == ROWS


def test_labels_not_known_by_then_are_left_out(cards_detector, path):
    as_of = START + timedelta(days=7, hours=9)
    report = import_file(cards_detector, source(path, cards_detector), as_of=as_of)
    assert report.labelled == 10


def test_a_label_that_nobody_can_read_counts_as_unknown(cards_detector, tmp_path):
    words = [("fraud", "0", "maybe", "no", "")[i % 5] for i in range(ROWS)]
    frame(TX_FRAUD=words).write_csv(tmp_path / "words.csv")
    report = import_file(cards_detector, source(tmp_path / "words.csv", cards_detector))
    assert report.labelled == ROWS * 3 // 5
    assert Label.objects.filter(is_fraud=True).count() == ROWS // 5


def test_a_bad_row_goes_to_the_dead_letters(cards_detector, tmp_path, settings):
    settings.VAR_DIR = tmp_path
    amounts = [-1.0 if i == 30 else 10.0 for i in range(ROWS)]
    frame(TX_AMOUNT=amounts).write_csv(tmp_path / "bad.csv")
    report = import_file(cards_detector, source(tmp_path / "bad.csv", cards_detector))
    assert (report.scored, report.refused) == (ROWS - 1, 1)
    letter = json.loads(report.dead_letters.read_text())
    assert letter == {"row": 30, "problems": [["TX_AMOUNT", "must be at least 0"]]}


def test_history_opens_no_alert(cards_detector, path, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        report = import_file(cards_detector, source(path, cards_detector))
    assert not Alert.objects.exists()
    assert report.flagged == 0


def test_only_rows_before_a_time_or_up_to_a_number(cards_detector, path):
    until = START + timedelta(hours=5)
    assert source(path, cards_detector, until=until).rows == 5
    assert source(path, cards_detector, limit=7).rows == 7


def test_a_file_that_lacks_columns_or_is_none_is_refused(cards_detector, tmp_path):
    frame().drop("TX_AMOUNT").write_csv(tmp_path / "short.csv")
    with pytest.raises(FileProblem, match="lacks the columns TX_AMOUNT"):
        source(tmp_path / "short.csv", cards_detector)
    (tmp_path / "junk.parquet").write_bytes(b"no parquet at all")
    with pytest.raises(FileProblem, match="cannot be read"):
        source(tmp_path / "junk.parquet", cards_detector)
    for name in ("none.csv", "letter.docx"):
        with pytest.raises(FileProblem):
            source(tmp_path / name, cards_detector)


def test_the_command_reports_and_resumes(cards_detector, path, capsys):
    scored_many("cards", [card(10_000)])
    for _ in range(2):
        call_command("import_events", str(path), detector="cards")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("50 rows: 0 were there before, 50 scored")
    assert "0 scored" in second


def test_the_command_refuses_an_unknown_detector(db, path):
    with pytest.raises(CommandError, match="no detector 'nothing'"):
        call_command("import_events", str(path), detector="nothing")


def test_a_file_without_ids_is_refused(fraud_detector, tmp_path):
    path = tmp_path / "no_ids.csv"
    path.write_text("transaction_amount,merchant_type,country,time_delta,device_type\n")
    with pytest.raises(FileProblem, match="transaction_id"):
        EventFile(path, fraud_detector.spec())
