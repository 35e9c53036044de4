"""`manage.py import_events`, where the database fails."""

import re
from datetime import timedelta

import polars as pl
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.utils import timezone

from scoring import importing
from scoring.import_models import QuietImport
from scoring.management.commands import import_events
from scoring.models import Label, Prediction
from scoring.services import score_events

pytestmark = pytest.mark.django_db
COLUMNS = "TRANSACTION_ID,TX_DATETIME,CUSTOMER_ID,TERMINAL_ID,TX_AMOUNT,TX_FRAUD"


@pytest.fixture
def path(tmp_path):
    """30 transactions, an hour apart."""
    path = tmp_path / "cards.csv"
    rows = (
        f"{i},2026-01-{1 + i // 24:02}T{i % 24:02}:00:00,{i % 3},1,{10 + i},0" for i in range(30)
    )
    path.write_text("\n".join((COLUMNS, *rows)))
    return path


def test_what_was_scored_before_the_disk_was_full_is_kept_and_the_command_goes_on(
    cards_detector, path, monkeypatch, capsys
):
    def full_after_two_chunks(*args, **more):
        if Prediction.objects.count() == 24:
            raise OperationalError("database or disk is full")
        return score_events(*args, **more)

    monkeypatch.setattr(importing, "CHUNK", 12)
    with monkeypatch.context() as patch:
        patch.setattr(importing, "score_events", full_after_two_chunks)
        with pytest.raises(CommandError, match=r"disk is full\. What was scored so far is kept"):
            call_command("import_events", str(path), detector="cards")
    call_command("import_events", str(path), detector="cards")
    assert "30 rows: 24 were there before, 6 scored" in capsys.readouterr().out


def test_ctrl_c_says_how_to_go_on(cards_detector, path, monkeypatch, capsys):
    def interrupted(*args, **more):
        if Prediction.objects.count() == 12:
            raise KeyboardInterrupt
        return score_events(*args, **more)

    monkeypatch.setattr(importing, "CHUNK", 12)
    with monkeypatch.context() as patch:
        patch.setattr(importing, "score_events", interrupted)
        with pytest.raises(CommandError, match=r"^Interrupted\. .* run the same command") as caught:
            call_command("import_events", str(path), detector="cards")
    assert caught.value.returncode == 130
    call_command("import_events", str(path), detector="cards")
    assert "30 rows: 12 were there before, 18 scored" in capsys.readouterr().out


def test_nothing_is_said_to_be_kept_where_the_import_had_not_begun(db, path, monkeypatch):
    def unprepared(slug):
        raise OperationalError("no such table: scoring_detector")

    monkeypatch.setattr(import_events, "serving", unprepared)
    with pytest.raises(OperationalError, match="no such table"):
        call_command("import_events", str(path), detector="cards")


def test_history_is_imported_without_alerts_where_that_is_said(cards_detector, path, capsys):
    call_command("import_events", str(path), detector="cards", alert_days=30)
    assert "UTC open no alert." in capsys.readouterr().out
    noted = QuietImport.objects.get()
    received = Prediction.objects.values_list("received_at", flat=True)
    assert all(noted.began_at <= moment <= noted.ends_at for moment in received)
    assert timezone.now() - noted.events_before >= timedelta(days=30)


def test_an_import_that_says_nothing_leaves_alerts_as_they_are(cards_detector, path, capsys):
    call_command("import_events", str(path), detector="cards")
    assert not QuietImport.objects.exists()
    assert "open no alert" not in capsys.readouterr().out


@pytest.mark.parametrize("days", ["-1", "many", "36501"])
def test_other_numbers_of_days_are_refused(cards_detector, path, days):
    with pytest.raises(CommandError, match="alert-days"):
        call_command("import_events", str(path), "--detector=cards", f"--alert-days={days}")
    assert not Prediction.objects.exists()


def test_labels_that_are_left_out_are_told_with_when_they_are_known(cards_detector, path, capsys):
    call_command("import_events", str(path), detector="cards")
    told = capsys.readouterr().out
    assert "30 labels were left out: a label is known training.label_delay (7 days)" in told
    assert "come to count as legitimate" in told
    when = re.search(r"run again with --as-of (\S+)\.", told)[1]
    call_command("import_events", str(path), "--as-of", when, detector="cards")
    assert "30 labelled" in capsys.readouterr().out
    assert Label.objects.count() == 30


def test_a_file_without_the_column_of_labels_says_so(cards_detector, path, capsys):
    pl.read_csv(path).drop("TX_FRAUD").write_csv(path)
    call_command("import_events", str(path), detector="cards")
    assert "The file has no column TX_FRAUD, so it gave no label." in capsys.readouterr().out


def test_labels_that_mean_nothing_are_told(cards_detector, path, capsys):
    pl.read_csv(path).with_columns(TX_FRAUD=pl.Series(["Y", "N"] * 15)).write_csv(path)
    call_command("import_events", str(path), detector="cards")
    told = capsys.readouterr().out
    assert "30 values of TX_FRAUD are no label and count as unknown, such as 'Y', 'N'" in told


def test_a_csv_of_other_habits_is_imported_where_they_are_said(cards_detector, path, capsys):
    amounts = pl.lit("12,5").alias("TX_AMOUNT")
    pl.read_csv(path).with_columns(amounts).write_csv(path, separator=";", include_bom=True)
    how = ("--separator", ";", "--decimal-comma")
    call_command("import_events", str(path), *how, detector="cards")
    assert "30 scored" in capsys.readouterr().out
    assert Prediction.objects.get(external_id="3").event["TX_AMOUNT"] == 12.5


def test_another_separator_is_refused(cards_detector, path):
    with pytest.raises(CommandError, match="':' is none of"):
        call_command("import_events", str(path), "--separator", ":", "--detector=cards")
