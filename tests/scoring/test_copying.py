"""Rows that COPY takes to PostgreSQL come back as the ORM would have stored them."""

import copy
import struct
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import DataError, connection, models, transaction

from scoring import postgres, writer
from scoring.copying import CHUNK, HEADER, TRAILER, copied, writers
from scoring.models import Label, Prediction
from tests.factories import payment, scored

on_postgres = pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")
NAMES = [field.attname for field in Prediction._meta.concrete_fields]


def values_of(row: Prediction) -> dict[str, object]:
    found = {name: getattr(row, name) for name in NAMES}
    return {k: bytes(v) if isinstance(v, memoryview) else v for k, v in found.items()}


def like(row: Prediction, number: int, **changed: object) -> Prediction:
    """A prediction of an event of its own."""
    found = copy.copy(row)
    found.id, found.external_id = UUID(int=number), f"copied-{number}"
    for name, value in changed.items():
        setattr(found, name, value)
    return found


def as_stored(rows: list[Prediction]) -> list[dict[str, object]]:
    writer.write_predictions(rows)
    stored = Prediction.objects.in_bulk([row.pk for row in rows])
    return [values_of(stored[row.pk]) for row in rows]


@on_postgres
@pytest.mark.django_db
@pytest.mark.parametrize("n", [writer.COPY_FROM, CHUNK, CHUNK + 1, 3 * CHUNK - 1])
def test_all_rows_arrive_whatever_their_number(payments_detector, n):
    rows = [like(scored("payments", payment()), i) for i in range(1, n + 1)]
    assert as_stored(rows) == [values_of(row) for row in rows]


@on_postgres
@pytest.mark.django_db
@pytest.mark.parametrize(
    "changed",
    [
        {"score": None, "probability": None, "contributions": None, "additivity_error": None},
        {"score": 5e-324, "probability": 0.1 + 0.2, "rule_score": 1.7976931348623157e308},
        {"score": float("inf"), "probability": -0.0},
        {"event": {"a": 'ä\\"\t\n中', "b": [1.5, None, True], "c": {}}, "reasons": []},
        {"event_time": datetime(1970, 1, 1, tzinfo=UTC)},
        {"event_time": datetime(1999, 12, 31, 23, 59, 59, 999_999, UTC)},
        {"received_at": datetime(2038, 1, 19, 3, 14, 8, 1, UTC) + timedelta(days=9999)},
        {"vector": bytes(range(256)), "contributions": b""},
        {"exposure": Decimal("9999999999999999.99")},
        {"exposure": Decimal("-0.01")},
        {"exposure": Decimal("0.00")},
        {"exposure": None, "currency": ""},
        {"external_id": "\\N\t\\.\n'x", "model_version": "ü" * 40},
        {"degraded": True, "latency_us": 2**31 - 1, "selection_reason": "rule"},
    ],
)
def test_every_column_keeps_its_value(payments_detector, changed):
    row = scored("payments", payment())
    others = [like(row, i) for i in range(1, writer.COPY_FROM)]
    odd = like(row, 10_000, **changed)
    assert as_stored([*others, odd])[-1] == values_of(odd)


@on_postgres
@pytest.mark.django_db
def test_labels_arrive_with_what_they_lack(payments_detector, django_user_model):
    row = scored("payments", payment())
    author = django_user_model.objects.create_user("ann")
    made = [
        Label(
            prediction=row, detector_id=row.detector_id, is_fraud=who is None, author=who,
            event_time=row.event_time, label_time=row.event_time, source=Label.Source.ANALYST,
            notes="ein\tWort\n",
        )
        for who in (author, None)
    ]  # fmt: skip
    writer.write_labels(made)
    found = list(Label.objects.order_by("pk").values("author", "is_fraud", "notes", "confidence"))
    same = {"notes": "ein\tWort\n", "confidence": 1.0}
    assert found == [
        {"author": author.pk, "is_fraud": False, **same},
        {"author": None, "is_fraud": True, **same},
    ]
    assert not Label.objects.filter(recorded_at=None).exists()


@on_postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"external_id": "a\0b"}, id="NUL"),
        pytest.param({"currency": "EURO"}, id="too long"),
        pytest.param({"exposure": Decimal("1e17")}, id="too large"),
    ],
)
def test_what_a_column_cannot_hold_is_refused_with_all_rows(payments_detector, changed):
    row = scored("payments", payment())
    rows = [like(row, i) for i in range(1, writer.COPY_FROM + 1)]
    with pytest.raises(DataError):
        writer.write_predictions([*rows, like(row, 10_000, **changed)])
    assert Prediction.objects.count() == 1


def test_a_kind_of_field_that_is_not_known_is_named():
    with pytest.raises(TypeError, match="DurationField"):
        writers([models.DurationField()])


def test_what_is_one_object_in_all_rows_is_written_once():
    written: list[object] = []

    def write(value: object) -> bytes:
        written.append(value)
        return f"<{value}>".encode()

    [first, last] = copied([("digest", 0.0), ("digest", -0.0), ("digest", None)], (write, write))
    assert written == ["digest", 0.0, -0.0]
    start = struct.pack(">h", 2)
    values = (b"<0.0>", b"<-0.0>", struct.pack(">i", -1))
    assert first == HEADER + b"".join(start + b"<digest>" + value for value in values)
    assert last == TRAILER


def test_no_rows_are_a_header_and_a_trailer():
    [whole] = copied([], ())
    assert whole.startswith(b"PGCOPY") and whole.endswith(TRAILER)


@on_postgres
@pytest.mark.django_db
def test_what_the_server_is_slow_to_take_arrives_whole(payments_detector, monkeypatch):
    monkeypatch.setattr(postgres, "MOST_KEPT", 0)
    rows = [like(scored("payments", payment()), i) for i in range(1, 3 * CHUNK)]
    assert as_stored(rows) == [values_of(row) for row in rows]


@on_postgres
@pytest.mark.django_db(transaction=True)
def test_an_error_while_rows_are_made_leaves_none_and_a_connection_that_works(payments_detector):
    rows = [like(scored("payments", payment()), i) for i in range(1, 3 * CHUNK)]
    rows[-1].score = "no number"
    with pytest.raises(struct.error), transaction.atomic():
        writer.write_predictions(rows)
    assert not Prediction.objects.filter(external_id__startswith="copied-").exists()
