"""What the columns of a file become: the values that the API would have been sent."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial

import polars as pl
import pytest

from scoring.core.spec import parse_spec
from scoring.importing import import_file
from scoring.ingestion import files
from scoring.ingestion.files import EventFile, FileProblem
from scoring.models import Prediction
from scoring.source_models import fields_read
from tests.factories import config_of, payment, scored, spec_of

FIELDS = {
    "id": {"type": "string"},
    "text": {"type": "string"},
    "number": {"type": "number"},
    "whole": {"type": "integer"},
    "flag": {"type": "boolean"},
}


def spec():
    """A detector with a field of every type and nothing else."""
    config = config_of("anomaly")
    config["event"] = {"id": "id", "label_column": "truth", "schema": {"properties": FIELDS}}
    numeric = {"type": "numeric", "config": {"fields": ["number"]}}
    config["features"], config["rules"] = {"transformations": [numeric]}, []
    return parse_spec(config)


def opened(path, **options):
    return EventFile(path, spec(), **options)


def chunk_of(file):
    return next(file.chunks(100))


def events(file):
    chunk = chunk_of(file)
    return chunk.read(range(len(chunk.ids)))


@pytest.fixture
def csv(tmp_path):
    def write(text):
        path = tmp_path / "events.csv"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def parquet(tmp_path):
    def write(*values, **columns):
        path = tmp_path / "events.parquet"
        pl.DataFrame({"id": ["a"]} | columns).write_parquet(path)
        return path

    return write


@pytest.mark.parametrize(
    "text", ["0742", "1e5", "true", "False", "1.50", "2020-06-01", "0x1", " 7", "nan", "-0", "null"]
)
def test_a_text_of_a_csv_stays_as_it_is_written(csv, text):
    [event] = events(opened(csv(f"id,text\n00,{text}\n")))
    assert event == {"id": "00", "text": text}
    [quoted] = events(opened(csv(f'"id","text"\n"00","{text}"\n')))
    assert quoted == event


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), ("012", 12), ("1.5", 1.5), ("1e+05", 1e5), (" 3 ", 3), ('"4"', 4), ("-0.5", -0.5)],
)
def test_a_number_of_a_csv_is_read_as_one(csv, text, number):
    [event] = events(opened(csv(f"id,number,whole\na,{text},{text}\n")))
    assert event == {"id": "a", "number": number, "whole": number}


@pytest.mark.parametrize(("text", "flag"), [("true", True), ("False", False), ("TRUE", True)])
def test_true_and_false_of_a_csv_are_read(csv, text, flag):
    assert events(opened(csv(f"id,flag\na,{text}\n"))) == [{"id": "a", "flag": flag}]


def test_one_bad_value_leaves_its_neighbours_alone(csv):
    path = csv("id,number,flag\na,1.5,true\nb,N/A,maybe\nc,1_000,1\n")
    assert [event["number"] for event in events(opened(path))] == [1.5, "N/A", "1_000"]
    assert [event["flag"] for event in events(opened(path))] == [True, "maybe", "1"]


def test_nothing_is_missing_and_a_quoted_nothing_is_an_empty_text(csv):
    path = csv('id,text,number,flag\na,,,\nb,"","",""\n')
    assert events(opened(path)) == [{"id": "a"}, {"id": "b", "text": ""}]


def test_columns_that_a_file_lacks_or_has_beyond_the_schema_are_left_out(csv):
    path = csv("id,other\n01,02\n")
    assert events(opened(path)) == [{"id": "01"}]


def test_a_column_of_another_name_is_read_as_its_field_says(csv):
    path = csv("order,code,id,text\n007,0042,0099,other\n")
    columns = partial(fields_read, {"id": "order", "text": "code", "number": "id", "whole": "id"})
    assert events(opened(path, columns_of=columns)) == [
        {"id": "007", "text": "0042", "number": 99, "whole": 99}
    ]


def test_ids_are_those_that_predictions_have(csv, parquet):
    assert chunk_of(opened(csv('id\n007\n""\n 7\n'))).ids == ["007", "", " 7"]
    assert chunk_of(opened(parquet(id=[7, None]))).ids == ["7", ""]
    whole = pl.Series([Decimal(2**60)], dtype=pl.Decimal(38, 0))
    assert chunk_of(opened(parquet(id=whole))).ids == [str(2**60)]


@pytest.mark.parametrize("text", ["1", "1.0", "1.00", "true", "Fraud", " yes ", '"1"', "01"])
def test_labels_of_a_csv_are_read(csv, text):
    path = csv(f"id,truth\na,{text}\nb,0\nc,maybe\nd,\ne,2\n")
    assert chunk_of(opened(path)).labels == [True, False, None, None, None]


@pytest.mark.parametrize("kind", [pl.Int8, pl.Float32, pl.Boolean, pl.Decimal(5, 2)])
def test_labels_of_any_type_are_read(parquet, kind):
    path = parquet(id=["a", "b", "c"], truth=pl.Series([1, 0, None]).cast(kind))
    assert chunk_of(opened(path)).labels == [True, False, None]


def test_decimals_are_the_numbers_or_texts_that_the_schema_wants(parquet):
    money = pl.Series([Decimal("12.10")], dtype=pl.Decimal(18, 2))
    [event] = events(opened(parquet(number=money, text=money, whole=money.round(0))))
    assert event == {"id": "a", "number": 12.1, "text": "12.10", "whole": 12}
    assert type(event["whole"]) is int


def test_whole_numbers_dates_and_times_become_the_texts_that_a_string_wants(parquet):
    values = [(7, "7"), (date(2020, 6, 1), "2020-06-01"), (time(14, 30), "14:30:00"),
              (datetime(2020, 6, 1, 12), "2020-06-01T12:00:00+00:00")]  # fmt: skip
    for value, text in values:
        assert events(opened(parquet(text=[value]))) == [{"id": "a", "text": text}]


def test_texts_of_a_parquet_file_are_no_numbers(parquet):
    assert events(opened(parquet(number=["12"]))) == [{"id": "a", "number": "12"}]


def test_a_file_longer_than_a_block_is_read_in_order(csv, monkeypatch):
    monkeypatch.setattr(files, "BLOCK", 5)
    chunks = list(opened(csv("id\n" + "\n".join(f"{i:03}" for i in range(12)))).chunks(3))
    assert [(chunk.first, len(chunk.ids)) for chunk in chunks] == [
        (0, 3), (3, 2), (5, 3), (8, 2), (10, 2),
    ]  # fmt: skip
    assert [name for chunk in chunks for name in chunk.ids] == [f"{i:03}" for i in range(12)]
    assert chunks[3].read([1]) == [{"id": "009"}]


def test_an_empty_csv_is_refused(csv):
    with pytest.raises(FileProblem, match="cannot be read"):
        opened(csv(""))


def test_an_elapsed_time_that_is_none_is_refused_with_its_row_alone(csv):
    path = csv('"Time","V1","Amount","Class"\n0,1,2,"0"\nsoon,1,2,"1"\n1e+05,1,2,"1"\n')
    chunk = chunk_of(EventFile(path, spec_of("creditcard")))
    assert chunk.ids == ["events-0", "events-1", "events-2"]
    assert chunk.labels == [False, True, True]
    first, bad, last = chunk.read(range(3))
    assert bad["Time"] == "soon"
    since = [datetime.fromisoformat(event["timestamp"]) for event in (first, last)]
    assert since[1] - since[0] == timedelta(seconds=1e5)


TIMES = ["2020-06-01T12:00:00Z", "not a time", "2020-06-01 14:30:00.5+02:00", "", "2020-06-02"]


def test_times_are_those_that_the_schema_reads(tmp_path):
    rows = [payment(transaction_id=str(i), timestamp=text) for i, text in enumerate(TIMES)]
    pl.DataFrame(rows).write_csv(tmp_path / "p.csv")
    file = EventFile(tmp_path / "p.csv", spec_of("payments"))
    assert file.last_event_at() == datetime(2020, 6, 2, tzinfo=UTC)
    until = datetime(2020, 6, 1, 12, 15, tzinfo=UTC)
    early = EventFile(tmp_path / "p.csv", spec_of("payments"), until=until)
    assert (early.rows, chunk_of(early).ids) == (1, ["0"])
    pl.DataFrame(rows[1]).write_csv(tmp_path / "p.csv")
    assert EventFile(tmp_path / "p.csv", spec_of("payments")).last_event_at() is None


def test_a_date_is_the_time_of_its_midnight(tmp_path):
    pl.DataFrame(payment(timestamp=date(2020, 6, 2))).write_parquet(tmp_path / "p.parquet")
    file = EventFile(tmp_path / "p.parquet", spec_of("payments"))
    assert file.last_event_at() == datetime(2020, 6, 2, tzinfo=UTC)
    [event] = chunk_of(file).read([0])
    assert event["timestamp"] == "2020-06-02"


@pytest.mark.django_db
class TestImported:
    def test_leading_zeros_survive_and_the_api_knows_the_event_again(self, payments_detector, csv):
        event = payment(transaction_id="0000", user_id="0001", mcc_code="0742", amount=12.50)
        pl.DataFrame([event]).write_csv(path := csv(""))
        report = import_file(payments_detector, EventFile(path, payments_detector.spec()))
        assert report.scored == 1
        stored = Prediction.objects.get()
        assert (stored.external_id, stored.event["mcc_code"]) == ("0000", "0742")
        assert scored("payments", event).pk == stored.pk

    def test_amounts_in_decimals_are_scored_as_the_api_scores_them(
        self, payments_detector, tmp_path
    ):
        raws = [payment(amount=cents / 100) for cents in (1, 29, 57, 1001, 99999)]
        amounts = pl.col("amount").cast(pl.Decimal(18, 2))
        pl.DataFrame(raws).with_columns(amounts).write_parquet(tmp_path / "p.parquet")
        file = EventFile(tmp_path / "p.parquet", payments_detector.spec())
        assert import_file(payments_detector, file).scored == 5
        assert all(scored("payments", raw) for raw in raws)
        exposures = Prediction.objects.order_by("exposure").values_list("exposure", flat=True)
        assert [str(exposure) for exposure in exposures] == [
            "0.01", "0.29", "0.57", "10.01", "999.99",
        ]  # fmt: skip


def test_a_file_with_another_separator_shows_what_its_columns_were_taken_for(csv):
    with pytest.raises(
        FileProblem, match=r"lacks the columns id of detector .*has: id;number;flag"
    ):
        opened(csv("id;number;flag\n1;2;true\n"))


def test_of_two_columns_of_one_name_none_is_read(csv):
    with pytest.raises(FileProblem, match=r"events\.csv has the column number twice"):
        opened(csv("id,number,number\n1,2,3\n"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,number\na,1\nb,2,3\n", "line 3 has 3 fields, and the first line has 2"),
        ('id,text\na,"two\nlines"\nb,c,d\n', "line 4 has 3 fields"),
        ("id,text\na,Kaffee\nb,f\udcfcr\n", r"line 3 is no UTF-8 \(byte 0xfc\)"),
        ('id,text\na,b\nc,"open\nd,e\n', "begins in line 3 a quote is not closed"),
    ],
)
def test_a_csv_that_cannot_be_read_is_told_with_its_line(tmp_path, text, told):
    path = tmp_path / "events.csv"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(FileProblem, match=told):
        events(opened(path))


def test_a_file_for_a_detector_without_ids_is_refused(csv):
    without = replace(spec(), id_field="")
    with pytest.raises(FileProblem, match=r"declares no event\.id, so a second import would take"):
        EventFile(csv("id,number\na,1\n"), without)


def test_a_csv_of_utf_16_is_told_as_one(tmp_path):
    path = tmp_path / "events.csv"
    path.write_text("id,number\na,1\n", encoding="utf-16")
    with pytest.raises(FileProblem, match="is UTF-16: save it as UTF-8"):
        opened(path)


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("id;number", "parted by semicolons: say so .`--separator`"),
        ("id\tnumber", "parted by tabs"),
        (" ID,number", "Rename ' ID' to 'id'"),
    ],
)
def test_columns_that_were_nearly_meant_are_told(csv, head, told):
    with pytest.raises(FileProblem, match=told):
        opened(csv(f"{head}\n"))


@pytest.mark.parametrize(
    ("text", "number"), [("12,5", 12.5), ("12", 12), ("1.234,50", "1.234,50"), ("12.5", "12.5")]
)
def test_numbers_with_a_decimal_comma_are_read_where_that_is_said(csv, text, number):
    file = opened(csv(f"id;number\na;{text}\n"), separator=";", decimal_comma=True)
    [event] = events(file)
    assert event["number"] == number


def test_what_stands_for_a_label_and_is_none_is_counted_and_shown(csv):
    file = opened(csv("id,truth\na,Y\nb,1\nc,Y\nd,\ne,N\n"))
    assert chunk_of(file).labels == [None, True, None, None, None]
    assert (file.odd_label_count, file.odd_labels) == (3, ["Y", "N"])
