"""Contributions in plain words, beside what is usual."""

import math
from dataclasses import replace

import numpy as np
import pytest

from scoring.core.features import FeaturePlan
from scoring.core.reasons import (
    duration,
    explain_reasons,
    number,
    percent,
    phrase,
    shown_values,
    title,
)
from scoring.core.spec import parse_spec
from scoring.core.transformations import FeatureSpec
from scoring.core.vectors import build, teach
from tests.factories import config_of, empty_windows, parse_all, payment, spec_of

SPEC = spec_of("payments")
PLAN = FeaturePlan(SPEC)


def reasons_for(feature, contribution=1.0, past=(), reference=None, **changed):
    """The reasons when one feature alone contributes."""
    *before, event = parse_all(SPEC, [*past, payment(**changed)])
    windows = empty_windows(PLAN, [*before, event])
    for earlier in before:
        teach(PLAN, earlier, windows)
    contributions = np.zeros(len(PLAN.names))
    contributions[PLAN.names.index(feature)] = contribution
    vector = build(PLAN, event, windows)
    return explain_reasons(SPEC, PLAN, event, vector, contributions, windows, reference or {})


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        ("amount", "amount 25 EUR"),
        ("merchant_type", "merchant type grocery"),
        ("country", "country missing"),
        ("hour", "at 12:00 local time"),
        ("weekend", "on a working day"),
        ("user_id_count_1m", "1 event of this user in 1 minute"),
        ("user_id_distinct_location_24h", "1 different location values of this user in 1 day"),
        ("user_id_mean_amount_7d", "mean of amount 25 for this user over 7 days"),
        ("user_id_seconds_since_last", "first event of this user in 30 days"),
        ("user_id_amount_ratio_7d", "no amount history of this user"),
    ],
)
def test_every_kind_of_feature_has_its_words(feature, text):
    assert [reason.text for reason in reasons_for(feature)] == [text]


def test_an_event_that_names_no_entity_has_no_history_of_one():
    (reason,) = reasons_for("device_id_count_24h", device_id=None)
    assert reason.text == "device missing"
    (reason,) = reasons_for("merchant_id_mean_amount_1h", merchant_id=None)
    assert reason.text == "merchant missing"


def test_what_is_usual_for_the_entity_stands_beside_what_is_now():
    past = [payment(amount=float(a)) for a in range(10, 20)]
    (reason,) = reasons_for("amount", past=past, amount=900.0)
    assert reason.usual == pytest.approx((10.9, 18.1))
    assert reason.text == "amount 900 EUR, usually 10.9 to 18.1"


def test_what_is_usual_for_another_entity_of_the_event_says_whose_it_is():
    """The first payment of a user at a busy merchant: it is not this user who pays that much."""
    here = {"merchant_id": "m1"}
    past = [payment(user_id=f"u{a}", amount=float(a), **here) for a in range(10, 20)]
    (reason,) = reasons_for("amount", past=past, amount=900.0, user_id="new", **here)
    assert reason.usual == pytest.approx((10.9, 18.1))
    assert reason.text == "amount 900 EUR, usually 10.9 to 18.1 for this merchant"
    past += [payment(user_id="new", amount=500.0 + i) for i in range(11)]
    (reason,) = reasons_for("amount", past=past, amount=900.0, user_id="new", **here)
    assert reason.text == "amount 900 EUR, usually 501 to 509"


def counted_apart(**windowed):
    """A spec whose windows read `quantity` as told: it is a number of the event besides."""
    config = config_of("payments")
    config["event"]["schema"]["properties"]["quantity"] = {"type": "integer"}
    config["features"]["labels"] = {}
    config["features"]["transformations"] = [
        {"type": "numeric", "config": {"fields": ["amount", "quantity"]}},
        {"type": "time_window_aggregation",
         "config": {"entity_key": "user_id", "windows": ["24h"], **windowed}},
    ]  # fmt: skip
    return parse_spec(config)


def reasons_of_quantity(spec, reference):
    plan = FeaturePlan(spec)
    raws = [payment() | {"quantity": 1 + i % 3} for i in range(10)]
    *before, event = parse_all(spec, [*raws, payment() | {"quantity": 6}])
    windows = empty_windows(plan, [*before, event])
    for earlier in before:
        teach(plan, earlier, windows)
    contributions = np.zeros(len(plan.names))
    contributions[plan.names.index("quantity")] = 1.0
    vector = build(plan, event, windows)
    return explain_reasons(spec, plan, event, vector, contributions, windows, reference)


def test_codes_that_a_window_counts_apart_are_nobodys_usual_number():
    spec = counted_apart(aggregations=["distinct"], distinct=["quantity"])
    reference = {"quantity": {"deciles": [float(i) for i in range(11)]}}
    (reason,) = reasons_of_quantity(spec, reference)
    assert reason.text == "quantity 6, overall usually 1 to 9"
    (reason,) = reasons_of_quantity(spec, {})
    assert reason.text == "quantity 6" and reason.usual is None


def test_numbers_that_a_window_adds_are_the_entitys_usual_ones():
    (reason,) = reasons_of_quantity(counted_apart(aggregations=["mean"], value="quantity"), {})
    assert reason.text == "quantity 6, usually 1 to 3"


def test_without_a_history_everybodys_usual_is_told():
    reference = {"amount": {"deciles": [float(i) for i in range(11)]}}
    (reason,) = reasons_for("amount", reference=reference)
    assert reason.text == "amount 25 EUR, overall usually 1 to 9"


def test_what_contributes_nothing_is_no_reason():
    assert reasons_for("amount", contribution=0.0) == ()


def test_no_reason_names_the_person():
    for name in PLAN.names:
        for reason in reasons_for(name):
            assert "user-1" not in reason.text
            assert "Ada" not in reason.text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3600, "1 hour"), (5400, "1.5 hours"), (86400 * 7, "7 days"), (0.5, "0.5 seconds")],
)
def test_durations_are_told_in_the_largest_unit(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234567.0, "1,234,567"), (2.5, "2.5"), (0.001234, "0.00123"), (3.0, "3"),
     (97_000.5, "97,001"), (2.675, "2.68"), (-97_000.5, "-97,001"), (999.996, "1,000")]
)  # fmt: skip
def test_numbers_are_told_as_people_write_them(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("feature", "value", "text"),
    [
        (FeatureSpec("r", "risk", "", "terminal_id", 604800.0, 604800.0), 0.31,
         "31 % of this terminal's events in the 7 days up to 7 days ago known as bad"),
        (FeatureSpec("n", "newest_risk", "", "terminal_id", 604800.0, 604800.0), 0.0,
         "this terminal's newest event in the 7 days up to 7 days ago not known as bad"),
        (FeatureSpec("f", "since_risk", "", "terminal_id", 604800.0, 604800.0), 864000.0,
         "10 days since this terminal's first event in the 7 days up to 7 days ago known as bad"),
        (FeatureSpec("f", "since_risk", "", "terminal_id", 604800.0, 604800.0), 1209600.0,
         "no event of this terminal in the 7 days up to 7 days ago known as bad"),
        (FeatureSpec("d", "deviation", "amount", "user_id", 604800.0, 1209600.0), -2.5,
         "amount 2.5 standard deviations below the user's mean over the 7 days up to 14 days ago"),
        (FeatureSpec("p", "peak", "amount", "user_id", 604800.0, recent=86400.0), 4.0,
         "largest amount of 1 day 4 times the user's mean over 7 days"),
        (FeatureSpec("c", "changes", "location", "user_id", 3600.0), 2.5,
         "this user changed location 2.5 times an hour over 1 hour"),
        (FeatureSpec("s", "clock_sin", "merchant_type"), 0.5, "merchant type grocery"),
        (FeatureSpec("graph_degree", "graph", ""), 7.0, "graph degree 7"),
        (FeatureSpec("k", "kurtosis", "amount", "user_id", 86400.0), 2.0,
         "kurtosis of amount 2 for this user over 1 day"),
        (FeatureSpec("cpu", "numeric", "cpu", label="processor use (%)"), 97.0,
         "processor use 97 %"),
        (FeatureSpec("weekday_sin", "calendar", "weekday_sin"), 0.7, "on a Monday"),
    ],
)  # fmt: skip
def test_kinds_that_came_later_or_are_unknown_have_words_too(feature, value, text):
    [event] = parse_all(SPEC, [payment()])
    assert phrase(SPEC, feature, value, event) == text


def test_a_switch_is_yes_or_no_and_has_no_range():
    schema = {"properties": {**SPEC.schema["properties"], "amount": {"type": "boolean"}}}
    spec = replace(SPEC, schema=schema, amount_field="")
    [event] = parse_all(SPEC, [payment()])
    contributions = np.zeros(len(PLAN.names))
    contributions[PLAN.names.index("amount")] = 1.0
    vector = build(PLAN, event, empty_windows(PLAN, [event]))
    reference = {"amount": {"deciles": [0.0] * 6 + [1.0] * 5}}
    (reason,) = explain_reasons(spec, PLAN, event, vector, contributions, {}, reference)
    assert (reason.text, reason.usual) == ("amount yes", None)


def test_a_value_is_shown_as_the_event_had_it_and_never_what_is_personal():
    config = config_of("credit_card_fraud")
    spec = parse_spec(config)
    [event] = parse_all(spec, [{"merchant_category": " Travel", "time_of_day": "18:00"}])
    vector = np.arange(len(spec.features), dtype=float)
    vector[spec.feature_names.index("entity_id_mean_amount_7d")] = math.nan
    shown = dict(zip(spec.feature_names, shown_values(spec, vector, event.fields), strict=True))
    assert shown["merchant_category"] == " Travel"
    assert shown["time_of_day_sin"] == shown["time_of_day_cos"] == "18:00"
    assert (shown["amount"], shown["entity_id_mean_amount_7d"]) == (0.0, None)
    hiding = replace(spec, pii_fields=frozenset({"amount", "time_of_day"}))
    hidden = dict(zip(spec.feature_names, shown_values(hiding, vector, event.fields), strict=True))
    assert {name for name in hidden if hidden[name] != shown[name]} == {
        *("amount", "entity_id_amount_ratio_30d", "entity_id_mean_amount_24h"),
        *("time_of_day_sin", "time_of_day_cos"),
    }
    assert all(hidden[name] in (None, shown[name]) for name in hidden)


def test_a_number_that_is_personal_data_is_not_told():
    spec = replace(SPEC, pii_fields=frozenset({"amount"}))
    [event] = parse_all(SPEC, [payment()])
    contributions = np.zeros(len(PLAN.names))
    contributions[PLAN.names.index("amount")] = 1.0
    vector = build(PLAN, event, empty_windows(PLAN, [event]))
    (reason,) = explain_reasons(spec, PLAN, event, vector, contributions, {}, {})
    assert (reason.text, reason.value, reason.usual) == ("amount (personal data)", None, None)


def timed_reasons(shares, **kwargs):
    """The reasons for what these features of a time contribute."""
    config = config_of("payments")
    config["features"]["transformations"].append(
        {"type": "cyclic_time", "config": {"periods": ["day", "week"]}}
    )
    spec = parse_spec(config)
    plan = FeaturePlan(spec)
    [event] = parse_all(spec, [payment()])
    contributions = np.array([shares.get(name, 0.0) for name in plan.names])
    vector = build(plan, event, empty_windows(plan, [event]))
    return explain_reasons(spec, plan, event, vector, contributions, {}, {}, **kwargs)


def test_what_tells_one_time_is_one_reason_with_the_sum_of_its_parts():
    shares = {"hour": 0.1, "hour_sin": -0.3, "hour_cos": 0.5, "amount": 0.4, "weekday_sin": 0.2}
    told = [(r.feature, r.text, r.contribution) for r in timed_reasons(shares)]
    assert told == [
        ("amount", "amount 25 EUR", 0.4),
        ("hour_cos", "at 12:00 local time", pytest.approx(0.3)),
        ("weekday_sin", "on a Monday", 0.2),
    ]
    assert len(timed_reasons(shares, apart=True)) == 5


def test_parts_of_a_time_that_cancel_out_are_no_reason():
    assert timed_reasons({"hour_sin": -0.5, "hour_cos": 0.5}) == ()


@pytest.mark.parametrize(
    ("share", "text"),
    [
        *((0.0, "0 %"), (0.004, "0.4 %"), (0.0994, "9.9 %"), (0.0996, "10 %"), (0.31, "31 %")),
        *((0.9949, "99 %"), (0.995, "> 99 %"), (0.999, "> 99 %"), (1.0, "100 %")),
    ],
)
def test_shares_are_told_in_percent(share, text):
    assert percent(share) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("amount", "amount"),
        ("hour", "hour"),
        ("user_id_count_1h", "events of this user in 1 hour"),
        ("user_id_mean_amount_7d", "mean of amount for this user over 7 days"),
        ("user_id_seconds_since_last", "time since the user's last event"),
    ],
)
def test_a_feature_has_a_title_without_a_value(name, text):
    assert title(SPEC.features[PLAN.names.index(name)]) == text
