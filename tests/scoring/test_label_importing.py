"""`manage.py import_labels`: what turned out to be true, by the ids of events."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from scoring.models import Label
from tests.factories import START, card, scored, scored_many

pytestmark = pytest.mark.django_db


@pytest.fixture
def stored(cards_detector):
    return scored_many("cards", [card(number) for number in range(3)])


@pytest.fixture
def run(tmp_path, settings, capsys):
    settings.VAR_DIR = tmp_path
    path = tmp_path / "chargebacks.csv"

    def write_and_run(text, *options, detector="cards"):
        path.write_text(text)
        call_command("import_labels", str(path), *options, detector=detector)
        return capsys.readouterr().out

    return write_and_run


def said():
    return {row.prediction.external_id: row.is_fraud for row in Label.objects.order_by("id")}


def test_labels_are_recorded_once_however_often_the_file_is_read(stored, run):
    text = "TRANSACTION_ID,TX_FRAUD\n0,1\n1,0\n"
    assert "2 rows: 0 said so before, 2 labelled, 0 refused" in run(text)
    assert said() == {"0": True, "1": False}
    assert "2 rows: 2 said so before, 0 labelled, 0 refused" in run(text)
    assert Label.objects.count() == 2


def test_a_label_knows_when_it_became_known(stored, run):
    known = START + timedelta(days=3)
    run(f"TRANSACTION_ID;TX_FRAUD;label_time\n0;1;{known.isoformat()}\n", "--separator", ";")
    label = Label.objects.get()
    assert (label.label_time, label.source) == (known, "feedback")


def test_an_opposite_label_is_added_and_counts(stored, run):
    run("TRANSACTION_ID,TX_FRAUD\n0,0\n")
    assert "1 labelled (1 of them corrected)" in run("TRANSACTION_ID,TX_FRAUD\n0,1\n")
    assert [row.is_fraud for row in Label.objects.order_by("label_time")] == [False, True]


def test_the_newest_label_counts_and_an_older_one_changes_nothing(stored, run):
    later, sooner = (START + timedelta(days=days) for days in (5, 3))
    run(f"TRANSACTION_ID,TX_FRAUD,label_time\n0,1,{later.isoformat()}\n")
    older = f"TRANSACTION_ID,TX_FRAUD,label_time\n0,0,{sooner.isoformat()}\n"
    for _ in range(2):
        assert "0 labelled, 1 refused" in run(older)
    assert Label.objects.get().is_fraud is True


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_rows_of_an_event_the_newest_counts_whatever_their_order(stored, run, turned):
    later, sooner = (START + timedelta(days=days) for days in (5, 3))
    rows = [f"0,1,{later.isoformat()}", f"0,0,{sooner.isoformat()}"]
    run("\n".join(["TRANSACTION_ID,TX_FRAUD,label_time", *(rows[::-1] if turned else rows), ""]))
    assert Label.objects.order_by("label_time").last().is_fraud is True


@pytest.mark.parametrize(
    ("row", "field", "problem"),
    [
        ("9,1,", "TRANSACTION_ID", "no event '9' was scored"),
        (",1,", "TRANSACTION_ID", "is required"),
        ("0,maybe,", "TX_FRAUD", "is no label"),
        ("0,1,soon", "label_time", "must be an ISO-8601 time"),
        ("0,1,1999-01-01", "label_time", "must lie between"),
        ("0,1,2999-01-01", "label_time", "must lie between"),
    ],
)
def test_a_row_that_says_nothing_of_an_event_is_refused_alone(
    stored, run, tmp_path, row, field, problem
):
    told = run(f"TRANSACTION_ID,TX_FRAUD,label_time\n{row}\n2,1,\n")
    assert "1 labelled, 1 refused" in told
    [letter] = (tmp_path / "dead_letters").iterdir()
    [[column, message]] = json.loads(letter.read_text())["problems"]
    assert (column, problem in message) == (field, True)
    assert said() == {"2": True}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("TRANSACTION_ID\n0\n", "lacks the column TX_FRAUD"),
        ("TX_FRAUD\n0\n", "lacks the columns TRANSACTION_ID"),
        ("TRANSACTION_ID,TX_FRAUD\n0,1,2\n", "line 2 has 3 fields"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_whole(stored, run, text, told):
    with pytest.raises(CommandError, match=told):
        run(text)
    assert not Label.objects.exists()


def test_an_unknown_detector_is_refused(run):
    with pytest.raises(CommandError, match="no detector 'nobody'"):
        run("id,label\n1,1\n", detector="nobody")


def test_a_history_imported_again_takes_no_label_back(cards_detector, run, tmp_path, capsys):
    event = card(7)
    path = tmp_path / "history.csv"
    names = list(event)
    path.write_text(f"{','.join(names)},TX_FRAUD\n{','.join(str(event[n]) for n in names)},0\n")
    how = ("import_events", str(path), "--detector=cards", "--as-of", "2026-01-01")
    call_command(*how)
    run(f"TRANSACTION_ID,TX_FRAUD\n{scored('cards', event).external_id},1\n")
    call_command(*how)
    newest = Label.objects.order_by("-label_time", "-id").first()
    assert (newest.is_fraud, Label.objects.count()) == (True, 2)
