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
from tests.factories import START, card, fraud, payment, scored_many

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


def test_ids_that_pandas_made_decimals_of_are_known_again(cards_detector, tmp_path):
    path = tmp_path / "cards.parquet"
    ids = pl.col("TRANSACTION_ID", "CUSTOMER_ID").cast(pl.Float64)
    frame().with_columns(ids).drop("TX_FRAUD").write_parquet(path)
    with pytest.raises(KeyboardInterrupt):
        import_file(cards_detector, source(path, cards_detector), on_progress=stop_at(36))
    assert import_file(cards_detector, source(path, cards_detector)).scored == ROWS - 36
    assert set(Prediction.objects.values_list("external_id", flat=True)) == set(
        map(str, range(ROWS))
    )


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


@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize("before", [range(25, 50), range(20), range(13, 37), [3, 14, 15, 40]])
def test_a_longer_file_fills_in_what_a_shorter_one_left_out(cards_detector, path, before, labelled):
    days = [START.replace(tzinfo=None) + timedelta(days=i) for i in range(ROWS)]
    rows = frame(TX_DATETIME=days) if labelled else frame(TX_DATETIME=days).drop("TX_FRAUD")
    rows[list(before)].write_parquet(path)
    import_file(cards_detector, source(path, cards_detector))
    rows.write_parquet(path)
    report = import_file(cards_detector, source(path, cards_detector))
    assert (report.skipped, report.scored) == (len(before), ROWS - len(before))
    assert Prediction.objects.count() == ROWS
    assert Label.objects.count() == (ROWS if labelled else 0)


def test_history_is_filled_in_behind_what_was_scored_live(cards_detector, path):
    chunk = next(source(path, cards_detector).chunks(ROWS))
    scored_many("cards", chunk.read(range(30, ROWS)))
    report = import_file(cards_detector, source(path, cards_detector))
    assert (report.skipped, report.scored, report.labelled) == (20, 30, ROWS)


def test_rows_that_are_done_are_not_scored_again(cards_detector, path, monkeypatch):
    import_file(cards_detector, source(path, cards_detector))
    monkeypatch.setattr(importing, "score_events", None)
    report = import_file(cards_detector, source(path, cards_detector))
    assert (report.skipped, report.scored, report.labelled) == (ROWS, 0, 0)


def test_labels_are_made_up_for_wherever_they_stand(cards_detector, path):
    import_file(cards_detector, source(path, cards_detector))
    Label.objects.filter(prediction__external_id__in=["2", "30"]).delete()
    report = import_file(cards_detector, source(path, cards_detector))
    assert (report.skipped, report.labelled) == (ROWS, 2)


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


def test_files_of_one_name_have_dead_letters_of_their_own(cards_detector, tmp_path, settings):
    settings.VAR_DIR = tmp_path
    found = []
    for day in ("monday", "t" * 200):
        path = tmp_path / day / f"{'bad' * 80}.csv"
        path.parent.mkdir()
        frame(5, TX_AMOUNT=[-1.0, 1.0, 2.0, 3.0, 4.0]).write_csv(path)
        found.append(import_file(cards_detector, source(path, cards_detector)).dead_letters)
    assert found[0] != found[1]
    assert [len(letters.read_text().splitlines()) for letters in found] == [1, 1]


def test_a_row_that_is_refused_again_has_one_dead_letter(cards_detector, tmp_path, settings):
    settings.VAR_DIR = tmp_path
    amounts = [-1.0 if i in (0, 30) else 10.0 for i in range(ROWS)]
    frame(TX_AMOUNT=amounts).write_csv(tmp_path / "bad.csv")
    for _ in range(2):
        report = import_file(cards_detector, source(tmp_path / "bad.csv", cards_detector))
        assert report.refused == 2
    assert report.skipped == ROWS - 2
    letters = report.dead_letters.read_text().splitlines()
    assert [json.loads(letter)["row"] for letter in letters] == [0, 30]


def test_the_dead_letters_are_read_once_however_many_rows_are_refused(
    cards_detector, tmp_path, settings, monkeypatch
):
    settings.VAR_DIR = tmp_path
    frame(TX_AMOUNT=[-1.0] * ROWS).write_csv(tmp_path / "bad.csv")
    reads, read = [], importing.digests_of
    monkeypatch.setattr(importing, "digests_of", lambda path: reads.append(path) or read(path))
    for run in (1, 2):
        report = import_file(cards_detector, source(tmp_path / "bad.csv", cards_detector))
        assert len(reads) == run
        letters = report.dead_letters.read_text().splitlines()
        assert [json.loads(letter)["row"] for letter in letters] == list(range(ROWS))


def test_an_id_that_comes_with_another_body_is_refused(cards_detector, path, settings, tmp_path):
    settings.VAR_DIR = tmp_path
    scored_many("cards", [card(7, TX_AMOUNT=1.5)])
    report = import_file(cards_detector, source(path, cards_detector))
    assert (report.scored, report.refused) == (ROWS - 1, 1)
    assert "'7' was scored before with another body" in report.dead_letters.read_text()


def test_other_bodies_are_refused_wherever_they_stand(
    cards_detector, tmp_path, settings, monkeypatch
):
    settings.VAR_DIR = tmp_path
    ids = list(range(ROWS))
    ids[5], ids[40] = 4, 3  # In the chunk of the first 4, and long after the first 3.
    frame(TRANSACTION_ID=ids).write_parquet(tmp_path / "cards.parquet")
    for scored in (ROWS - 2, 0):
        report = import_file(cards_detector, source(tmp_path / "cards.parquet", cards_detector))
        assert (report.scored, report.refused, report.conflicting) == (scored, 2, 2)
    letters = report.dead_letters.read_text().splitlines()
    assert [json.loads(letter)["row"] for letter in letters] == [5, 40]


def test_a_file_with_corrected_amounts_is_not_taken_for_the_one_before(
    cards_detector, path, settings, tmp_path
):
    settings.VAR_DIR = tmp_path
    import_file(cards_detector, source(path, cards_detector))
    frame(TX_AMOUNT=[999.0] * ROWS).write_parquet(path)
    report = import_file(cards_detector, source(path, cards_detector))
    assert (report.skipped, report.conflicting, report.labelled) == (0, ROWS, 0)


def test_a_corrected_label_is_added_and_counts(cards_detector, path):
    import_file(cards_detector, source(path, cards_detector))
    frame(TX_FRAUD=[int(i == 3 or (i % 10 == 0 and i > 0)) for i in range(ROWS)]).write_parquet(
        path
    )
    for corrected in (2, 0):
        report = import_file(cards_detector, source(path, cards_detector))
        assert (report.skipped, report.labelled) == (ROWS, corrected)
        assert report.corrected == corrected
    for name, is_fraud in (("0", False), ("3", True)):
        first, second = Label.objects.filter(prediction__external_id=name)
        assert (first.is_fraud, second.is_fraud) == (is_fraud, not is_fraud)


def test_a_correction_that_is_not_known_yet_waits(cards_detector, path):
    import_file(cards_detector, source(path, cards_detector))
    frame(TX_FRAUD=[1] * ROWS).write_parquet(path)
    as_of = START + timedelta(days=7, hours=9)
    report = import_file(cards_detector, source(path, cards_detector), as_of=as_of)
    assert (report.corrected, report.skipped) == (9, ROWS)


def test_rows_of_a_chunk_that_contradict_each_other_settle(cards_detector, tmp_path):
    rows = pl.concat([frame(5), frame(5, TX_FRAUD=[0, 1, 1, 1, 1])])
    rows.write_parquet(tmp_path / "both.parquet")
    for labelled in (5, 0):
        report = import_file(cards_detector, source(tmp_path / "both.parquet", cards_detector))
        assert report.labelled == labelled
    assert Label.objects.filter(is_fraud=True).count() == 4


def test_a_dead_letter_that_was_cut_short_swallows_no_other(cards_detector, tmp_path, settings):
    settings.VAR_DIR = tmp_path
    letters = importing.letters_path(cards_detector, tmp_path / "bad.parquet")
    letters.parent.mkdir()
    letters.write_text('{"row": 5, "problems": [["TX_AMO')
    amounts = [-1.0 if i in (5, 30) else 10.0 for i in range(ROWS)]
    frame(TX_AMOUNT=amounts).write_parquet(tmp_path / "bad.parquet")
    import_file(cards_detector, source(tmp_path / "bad.parquet", cards_detector))
    _, *whole = letters.read_text().splitlines()
    assert [json.loads(letter)["row"] for letter in whole] == [5, 30]


def test_a_row_without_an_id_is_refused_not_imported_by_every_run(
    fraud_detector, tmp_path, settings
):
    settings.VAR_DIR = tmp_path
    rows = [fraud(transaction_id=name) for name in ("a", None, "b")]
    pl.DataFrame(rows).write_csv(tmp_path / "some.csv")
    for scored in (2, 0):
        report = import_file(fraud_detector, source(tmp_path / "some.csv", fraud_detector))
        assert (report.scored, report.refused) == (scored, 1)
    assert json.loads(report.dead_letters.read_text())["row"] == 1


def test_an_id_that_no_database_takes_is_refused(payments_detector, tmp_path, settings):
    settings.VAR_DIR = tmp_path
    pl.DataFrame([payment(transaction_id="a\0b"), payment()]).write_parquet(tmp_path / "p.parquet")
    report = import_file(payments_detector, source(tmp_path / "p.parquet", payments_detector))
    assert (report.scored, report.refused) == (1, 1)


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


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_a_csv_that_cannot_be_read_on_is_told_of(cards_detector, tmp_path, encoding):
    lines = frame().write_csv().splitlines()
    lines[45] += ",1,2" if encoding == "utf-8" else "\u00e4"
    path = tmp_path / "ragged.csv"
    path.write_bytes("\n".join(lines).encode(encoding))
    with pytest.raises(CommandError, match=r"ragged.csv cannot be read: .*mend it and import it"):
        call_command("import_events", str(path), detector="cards", as_of=START)


def test_the_command_reports_and_resumes(cards_detector, path, capsys):
    scored_many("cards", [card(10_000)])
    for _ in range(2):
        call_command("import_events", str(path), detector="cards")
    told = capsys.readouterr().out.splitlines()
    first, second = (line for line in told if " rows: " in line)
    assert first.startswith("50 rows: 0 were there before, 50 scored")
    assert "0 scored" in second


def test_the_command_tells_no_pace_from_rows_that_were_there_before(cards_detector, path, capsys):
    call_command("import_events", str(path), detector="cards")
    assert "events/s, " in capsys.readouterr().err
    call_command("import_events", str(path), detector="cards")
    told = capsys.readouterr().err
    assert "50 were there before" in told
    assert "events/s" not in told


def test_the_command_refuses_an_unknown_detector(db, path):
    with pytest.raises(CommandError, match="no detector 'nothing'"):
        call_command("import_events", str(path), detector="nothing")


def test_a_file_without_ids_is_refused(fraud_detector, tmp_path):
    path = tmp_path / "no_ids.csv"
    path.write_text("transaction_amount,merchant_type,country,time_delta,device_type\n")
    with pytest.raises(FileProblem, match="transaction_id"):
        EventFile(path, fraud_detector.spec())
