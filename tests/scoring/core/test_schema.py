"""Every rule of an event contract, and one problem for each offending field."""

import math

import pytest

from scoring.core.field_checks import field_check, parse_time
from scoring.core.schema import FUTURE_SECONDS, EventParser, SchemaError
from scoring.core.spec import parse_spec
from tests.factories import START, config_of, payment, spec_of

NOW = START.timestamp()
FRAUD = {
    "transaction_amount": 120.5,
    "merchant_type": "travel",
    "country": "DE",
    "time_delta": 3,
    "device_type": "mobile",
}
HOST = {"response_time": 120.0, "error_rate": 0.01, "cpu_usage": 40.0, "memory_usage": 60.0}
CARD = {"TRANSACTION_ID": 1, "TX_DATETIME": START.isoformat(), "CUSTOMER_ID": 2, "TERMINAL_ID": 3,
        "TX_AMOUNT": 9.5}  # fmt: skip
PARSERS = {slug: EventParser(spec_of(slug)) for slug in ("fraud", "anomaly", "payments", "cards")}


def problems(slug, raw):
    with pytest.raises(SchemaError) as caught:
        PARSERS[slug].parse(raw, NOW)
    return caught.value.problems


@pytest.mark.parametrize(
    ("slug", "raw"), [("fraud", FRAUD), ("anomaly", HOST), ("cards", CARD), ("payments", payment())]
)
def test_the_contracts_example_is_accepted(slug, raw):
    assert PARSERS[slug].parse(raw, NOW).fields == raw


def test_who_reads_an_event_may_say_what_stands_for_its_entities():
    event = PARSERS["cards"].parse(CARD, NOW, lambda field, text: f"{field}={text}")
    assert event.keys == {"CUSTOMER_ID": "CUSTOMER_ID=2", "TERMINAL_ID": "TERMINAL_ID=3"}


@pytest.mark.parametrize(
    ("slug", "good", "field", "value", "says"),
    [
        ("fraud", FRAUD, "transaction_amount", 0, "greater than 0"),
        ("fraud", FRAUD, "transaction_amount", -1, "greater than 0"),
        ("fraud", FRAUD, "transaction_amount", "12", "a number"),
        ("fraud", FRAUD, "transaction_amount", True, "a number"),
        ("fraud", FRAUD, "transaction_amount", math.nan, "finite"),
        ("fraud", FRAUD, "transaction_amount", math.inf, "finite"),
        ("fraud", FRAUD, "transaction_amount", 1e10, "at most"),
        ("fraud", FRAUD, "transaction_amount", [1], "a number"),
        ("fraud", FRAUD, "device_type", "watch", "one of mobile, desktop, tablet"),
        ("fraud", FRAUD, "device_type", 3, "a string"),
        ("fraud", FRAUD, "country", "DEU", "two-letter"),
        ("fraud", FRAUD, "country", "D1", "two-letter"),
        ("fraud", FRAUD, "country", "ДЕ", "two-letter"),
        ("fraud", FRAUD, "merchant_type", "", "at least 1 character"),
        ("fraud", FRAUD, "merchant_type", "x" * 61, "at most 60"),
        ("fraud", FRAUD, "merchant_type", "a\x00b", "NUL"),
        ("fraud", FRAUD, "time_delta", -0.1, "at least 0"),
        ("fraud", FRAUD, "time_delta", None, "required"),
        ("anomaly", HOST, "error_rate", 1.01, "at most 1"),
        ("anomaly", HOST, "cpu_usage", 100.5, "at most 100"),
        ("anomaly", HOST, "response_time", 0.0, "greater than 0"),
        ("cards", CARD, "CUSTOMER_ID", 2.5, "whole"),
        ("cards", CARD, "TX_DATETIME", "yesterday", "ISO-8601"),
        ("cards", CARD, "TX_DATETIME", "2026-02-30T10:00:00", "ISO-8601"),
        ("cards", CARD, "TX_DATETIME", "1969-12-31T23:59:59Z", "1970"),
        ("cards", CARD, "TX_DATETIME", "9999-12-31T00:00:00Z", "ahead"),
        ("fraud", FRAUD, "note", {"deep": 1}, "plain value"),
        ("fraud", FRAUD, "note", [1], "plain value"),
        ("fraud", FRAUD, "note", 1e300, "out of range"),
        ("fraud", FRAUD, "note", math.nan, "finite"),
        ("fraud", FRAUD, "note", "x" * 1001, "at most 1000"),
    ],
)
def test_a_field_that_breaks_its_rule_is_named(slug, good, field, value, says):
    ((found, message),) = problems(slug, {**good, field: value})
    assert found == field
    assert says in message


@pytest.mark.parametrize(
    ("born", "says"),
    [
        ("1962-11-23", None),
        ("2000-02-29", None),
        ("23.11.1962", "a day such as 1962-11-23"),
        ("1962-11-31", "a day such as"),
        ("19621123", "a day such as"),
        ("1962-W47-5", "a day such as"),
        ("1962-11-23T00:00:00Z", "a day such as"),
        ("١٩٦٢-11-23", "a day such as"),
    ],
)
def test_a_day_is_written_in_one_form(born, says):
    found = field_check({"type": "string", "format": "date"})(born)
    assert found is None if says is None else says in found


def test_each_offending_field_is_listed_once():
    found = problems("fraud", {"transaction_amount": math.nan, "device_type": "", "country": "1"})
    fields = [field for field, _ in found]
    assert sorted(fields) == sorted(
        ["merchant_type", "time_delta", "transaction_amount", "device_type", "country"]
    )


def test_a_time_out_of_range_is_named_with_the_other_fields():
    found = problems("payments", payment(amount=-1, timestamp="1969-12-31T23:59:59Z"))
    assert sorted(field for field, _ in found) == ["amount", "timestamp"]
    assert problems("cards", CARD | {"TX_DATETIME": "yesterday", "TX_AMOUNT": -1}) == [
        ("TX_DATETIME", "must be an ISO-8601 time such as 2026-11-21T09:30:00+01:00"),
        ("TX_AMOUNT", "must be at least 0"),
    ]


@pytest.mark.parametrize("raw", [None, [], "event", 3, True])
def test_an_event_is_an_object(raw):
    assert problems("fraud", raw) == [("", "an event is a JSON object")]


def test_an_event_has_no_end_of_fields():
    assert problems("fraud", FRAUD | {f"extra{i}": i for i in range(300)})[0][0] == ""


def test_plain_extra_fields_are_kept_and_empty_ones_dropped():
    event = PARSERS["fraud"].parse({**FRAUD, "shop": "x", "vip": True, "gift": None}, NOW)
    assert event.fields["shop"] == "x"
    assert "gift" not in event.fields


def dropping(slug, **more):
    config = config_of(slug)
    config["event"]["undeclared"] = "drop"
    config["event"]["schema"]["properties"] |= more
    return EventParser(parse_spec(config))


def test_nothing_of_a_field_that_is_not_declared_is_kept_where_the_declaration_drops_them():
    extras = {"e_mail": "a@b.example", "deep": {"a": [1]}, "odd": math.nan, "a\0b": 1}
    assert dropping("fraud").parse(FRAUD | extras, NOW).fields == FRAUD
    with pytest.raises(SchemaError) as caught:
        dropping("fraud").parse(FRAUD | extras | {"country": "D1"}, NOW)
    assert [field for field, _ in caught.value.problems] == ["country"]


def test_fields_that_are_dropped_do_not_count_among_those_that_an_event_may_have():
    extras = {f"extra{i}": i for i in range(300)}
    assert dropping("fraud").parse(FRAUD | extras, NOW).fields == FRAUD
    declared = {name: {"type": "integer"} for name in extras}
    assert dropping("fraud", **declared).problems(FRAUD | extras)[0][0] == ""


def test_an_event_may_lie_a_day_ahead_and_no_more():
    ahead = "2020-06-02T12:00:00Z"
    assert PARSERS["payments"].parse(payment(timestamp=ahead), NOW).time == NOW + FUTURE_SECONDS
    assert problems("payments", payment(timestamp="2020-06-02T12:00:01Z"))[0][0] == "timestamp"


def test_an_event_without_a_time_or_an_id_gets_them():
    one, other = (PARSERS["fraud"].parse(FRAUD, NOW) for _ in range(2))
    assert (one.time, one.currency, one.amount) == (NOW, "USD", 120.5)
    assert one.external_id != other.external_id


def test_the_offset_of_the_events_own_clock_is_kept():
    assert parse_time("2020-06-01T14:00:00+02:00") == (NOW, 7200.0)
    assert parse_time("2020-06-01T12:00:00") == (NOW, 0.0)
    assert parse_time("2020-06-01T12:00:00Z") == (NOW, 0.0)
    assert parse_time("2020-06-01t12:00:00z") == (NOW, 0.0)


def test_keys_are_texts_of_the_fields_that_are_there():
    assert PARSERS["cards"].parse(CARD, NOW).keys == {"CUSTOMER_ID": "2", "TERMINAL_ID": "3"}
    assert set(PARSERS["payments"].parse(payment(), NOW).keys) == {"user_id"}


@pytest.mark.parametrize("written", [7, 7.0])
def test_a_whole_number_is_one_event_and_one_entity_however_it_is_written(written):
    raw = CARD | {"TRANSACTION_ID": written, "CUSTOMER_ID": written}
    event = PARSERS["cards"].parse(raw, NOW)
    assert (event.external_id, event.keys["CUSTOMER_ID"]) == ("7", "7")
    assert [type(event.fields[name]) for name in ("CUSTOMER_ID", "TX_AMOUNT")] == [int, float]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("number", 7, "7"),
        ("number", 7.0, "7"),
        ("number", 7.5, "7.5"),
        ("number", -0.0, "0"),
        ("integer", -3.0, "-3"),
        ("boolean", True, "True"),
        ("string", "7.0", "7.0"),
    ],
)
def test_ids_and_keys_of_any_kind_are_texts(kind, value, text):
    config = config_of("cards")
    for name in ("TRANSACTION_ID", "CUSTOMER_ID"):
        config["event"]["schema"]["properties"][name] = {"type": kind}
    raw = CARD | {"TRANSACTION_ID": value, "CUSTOMER_ID": value}
    event = EventParser(parse_spec(config)).parse(raw, NOW)
    assert (event.external_id, event.keys["CUSTOMER_ID"]) == (text, text)


def test_a_whole_number_beyond_what_json_keeps_stays_as_it_came():
    config = config_of("cards")
    config["event"]["schema"]["properties"]["CUSTOMER_ID"] = {"type": "integer", "maximum": 1e300}
    event = EventParser(parse_spec(config)).parse(CARD | {"CUSTOMER_ID": 1e30}, NOW)
    assert event.fields["CUSTOMER_ID"] == 1e30
    assert event.keys["CUSTOMER_ID"] == str(10**30 + 19884624838656)
