"""Feature pipelines as declared: what each step makes, and how features reach the model."""

import math
from copy import deepcopy

import numpy as np
import pytest
import yaml

from scoring.core.features import FeaturePlan
from scoring.core.reader import SpecError
from scoring.core.spec import parse_spec
from scoring.core.vectors import build, build_many, teach
from tests.factories import config_of, empty_windows, parse_all, payment

EXAMPLE = yaml.safe_load("""
slug: transactions
name: Credit Card Transactions
event:
  pii: [user_id]
  schema:
    type: object
    properties:
      user_id: {type: string}
      amount: {type: number}
      merchant_category: {type: string}
    required: [user_id, amount]
features:
  name: "Transaction Features"
  transformations:
    - {type: imputation, config: {strategy: mean}}
    - {type: scaling, config: {method: standard}}
    - {type: time_window_aggregation, config: {entity_key: user_id, windows: [1h, 24h, 7d], aggregations: [mean, std, count]}}
""")  # noqa: E501 - as the contract writes it


def payments_with(*steps):
    config = config_of("payments")
    config["features"]["labels"] = {}
    config["features"]["transformations"] = list(steps)
    config["rules"] = []
    return config


def features_of(*steps):
    return {f.name: f for f in parse_spec(payments_with(*steps)).features}


def problems(config):
    with pytest.raises(SpecError) as caught:
        parse_spec(config)
    return dict(caught.value.problems)


def test_the_contracts_pipeline_is_read_as_it_stands():
    features = parse_spec(EXAMPLE).features
    assert [f.name for f in features][:4] == [
        "amount", "user_id_mean_amount_1h", "user_id_std_amount_1h", "user_id_count_1h",
    ]  # fmt: skip
    assert len(features) == 10
    assert {(f.prepared.impute, f.prepared.scale) for f in features} == {("mean", "standard")}


def test_a_number_that_is_personal_is_a_feature_where_it_is_named_and_in_what_is_stored():
    config = deepcopy(EXAMPLE)
    config["event"]["schema"]["properties"]["age"] = {"type": "integer"}
    config["event"]["pii"].append("age")
    [(place, message)] = problems(config).items()
    assert place == "features.transformations[0]"
    assert message.startswith("'age' is personal data: name the numbers that may be features")
    assert "age" in parse_spec(config, stored=True).feature_names  # As a bundle may have learnt it.
    numbers = {"type": "numeric", "config": {"fields": ["amount", "age"]}}
    config["features"]["transformations"].append(numbers)
    assert "age" in parse_spec(config).feature_names


def test_a_later_preparation_wins_and_may_name_its_fields():
    found = features_of(
        {"type": "numeric", "config": {"fields": ["amount"]}},
        {"type": "imputation", "config": {"strategy": "constant", "value": 0}},
        {"type": "imputation", "config": {"strategy": "mean", "fields": ["amount"]}},
        {"type": "scaling", "config": {"method": "log"}},
        {"type": "scaling", "config": {"method": "min-max"}},
    )
    how = found["amount"].prepared
    assert (how.impute, how.log, how.scale) == ("mean", True, "min_max")


def constant(value, *fields):
    config = {"strategy": "constant", "value": value, "fields": list(fields)}
    return {"type": "imputation", "config": config}


def test_a_text_cannot_stand_for_a_missing_number():
    steps = {"type": "numeric", "config": {"fields": ["amount"]}}, constant("-1", "amount")
    [(place, message)] = problems(payments_with(*steps)).items()
    assert place == "features.transformations[1].config.value"
    assert "'amount' is a number, and '-1' is a text" in message
    stored = parse_spec(payments_with(*steps), stored=True)  # As earlier releases took it in.
    assert stored.features[0].prepared.fill == "-1"


def test_an_encoded_field_is_a_category():
    step = {"method": "target", "fields": ["merchant_type"], "delay": "14d", "smoothing": 5}
    found = features_of({"type": "encoding", "config": step})
    how = found["merchant_type"].prepared
    assert found["merchant_type"].kind == "category"
    assert (how.encode, how.delay, how.smoothing) == ("target", 14 * 86400.0, 5.0)


def test_windows_hold_ratio_and_time_since_the_last():
    step = {"entity_key": "user_id", "windows": ["7d"]}
    found = features_of(
        {
            "type": "time_window_aggregation",
            "config": step | {"aggregations": ["ratio_to_mean", "time_since_last"]},
        }
    )
    assert {f.kind for f in found.values()} == {"ratio", "since_last"}


@pytest.mark.parametrize("how", ["ratio_to_mean", "time_since_last"])
def test_what_cannot_be_set_back_is_refused_where_an_offset_is_declared(how):
    step = {"entity_key": "user_id", "windows": ["7d"], "aggregations": ["count", how]}
    back = payments_with({"type": "time_window_aggregation", "config": step | {"offset": "1d"}})
    [(place, message)] = problems(back).items()
    assert place == "features.transformations[0].config.aggregations"
    assert message.startswith(f"'{how}' has no offset here")
    plain = payments_with({"type": "time_window_aggregation", "config": step | {"offset": "0s"}})
    # A bundle was trained with what earlier releases made of it.
    stored, told = parse_spec(back, stored=True), parse_spec(plain)
    assert stored.features[1] == told.features[1]
    assert stored.feature_names[0] == f"{told.feature_names[0]}_offset_1d"


def test_an_amount_is_set_against_what_was_usual_until_some_days_ago():
    usual = {"entity_key": "user_id", "value": "amount", "window": "4d", "offset": "2d"}
    steps = [
        {"type": "ratio_to_mean", "config": usual},
        {"type": "deviation_from_mean", "config": usual},
        {"type": "peak_to_mean", "config": usual | {"recent": ["1d", "2d"]}},
    ]
    spec = parse_spec(payments_with(*steps))
    plan = FeaturePlan(spec)
    assert plan.names == (
        "user_id_amount_ratio_4d_offset_2d",
        "user_id_amount_deviation_4d_offset_2d",
        "user_id_amount_peak_1d_to_4d_offset_2d",
        "user_id_amount_peak_2d_to_4d_offset_2d",
    )
    paid = {1: 10.0, 2: 30.0, 5: 90.0, 6: 50.0}  # On the 6th: 10 and 30 are usual, 90 is recent.
    events = parse_all(spec, [
        payment(amount=amount, timestamp=f"2020-06-{day:02d}T12:00:00Z")
        for day, amount in paid.items()
    ])  # fmt: skip
    windows, online = empty_windows(plan, events), []
    for event in events:
        online.append(build(plan, event, windows).tolist())
        teach(plan, event, windows)
    assert all(math.isnan(value) for value in online[0])
    assert online[3] == [50.0 / 20.0, (50.0 - 20.0) / 10.0, 50.0 / 20.0, 90.0 / 20.0]
    again = build_many(plan, events, empty_windows(plan, events))
    np.testing.assert_allclose(again, online, rtol=1e-12)


@pytest.mark.parametrize("usual", [0.1, 19.99])
def test_nothing_deviates_from_equal_amounts_by_an_untold_number_of_spreads(usual):
    config = {"entity_key": "user_id", "value": "amount", "window": "30d", "offset": "1d"}
    spec = parse_spec(payments_with({"type": "deviation_from_mean", "config": config}))
    plan = FeaturePlan(spec)
    events = parse_all(spec, [
        payment(amount=5000.0 if day == 20 else usual, timestamp=f"2020-06-{day:02d}T12:00:00Z")
        for day in range(1, 24)
    ])  # fmt: skip
    windows, online = empty_windows(plan, events), []
    for event in events:
        online.append(build(plan, event, windows).tolist())
        teach(plan, event, windows)
    assert np.isnan(online[:20]).all()  # Equal amounts have no spread to measure by.
    assert online[22][0] == pytest.approx(-0.22, abs=0.01)
    again = build_many(plan, events, empty_windows(plan, events))
    np.testing.assert_allclose(again, online, rtol=1e-9)


def test_velocity_counts_places_and_changes_of_place():
    step = {"entity_key": "user_id", "place": "location", "windows": ["30m"]}
    spec = parse_spec(payments_with({"type": "velocity", "config": step}))
    plan = FeaturePlan(spec)
    cities = ["Berlin", "Berlin", "Paris", None, "Berlin"]
    events = parse_all(spec, [
        payment(location=city, timestamp=f"2020-06-01T12:{i:02d}:00Z") if city else
        payment(location="  ", timestamp=f"2020-06-01T12:{i:02d}:00Z")
        for i, city in enumerate(cities)
    ])  # fmt: skip
    windows, online = empty_windows(plan, events), []
    for event in events:
        online.append(build(plan, event, windows).tolist())
        teach(plan, event, windows)
    assert online == [[1, 0], [1, 0], [2, 2], [3, 4], [3, 6]]
    assert build_many(plan, events, empty_windows(plan, events)).tolist() == online


def features_by_name(steps, events, kind):
    """{name: values in the order of events} of both ways; `code` is a field of the kind."""
    config = payments_with(*steps)
    config["event"]["schema"]["properties"]["code"] = {"type": kind}
    spec = parse_spec(config)
    plan = FeaturePlan(spec)
    found = parse_all(spec, events)
    windows, online = empty_windows(plan, found), []
    for event in found:
        online.append(build(plan, event, windows).tolist())
        teach(plan, event, windows)
    assert build_many(plan, found, empty_windows(plan, found)).tolist() == online
    return plan, dict(zip(plan.names, zip(*online, strict=True), strict=True))


DISTINCT = {"type": "time_window_aggregation", "config": {
    "entity_key": "user_id", "windows": ["1h"], "aggregations": ["distinct"], "distinct": ["code"]
}}  # fmt: skip
VELOCITY = {"type": "velocity", "config": {
    "entity_key": "user_id", "place": "code", "windows": ["30m"]
}}  # fmt: skip
SUM = {"type": "time_window_aggregation", "config": {
    "entity_key": "user_id", "windows": ["1h"], "aggregations": ["sum"], "value": "code"
}}  # fmt: skip


CODES, NUMBERS = 700309042, 2103038333
"""Signatures of windows of an hour over `code`, as releases before this one wrote them."""


@pytest.mark.parametrize("kind", ["number", "integer"])
@pytest.mark.parametrize("others", [(), (SUM,)])
def test_a_number_is_one_value_however_it_is_written_and_whatever_else_reads_it(kind, others):
    events = [payment(code=code) for code in (5, 5.0, 7, 7.0, 0, -0.0)]
    _, found = features_by_name([DISTINCT, VELOCITY, *others], events, kind)
    assert found["user_id_distinct_code_1h"] == (1, 1, 2, 2, 3, 3)
    assert found["user_id_changes_code_30m"] == (0, 0, 2, 2, 4, 4)


@pytest.mark.parametrize(
    ("kind", "others", "signature"),
    [
        ("string", (), CODES),
        ("integer", (), CODES),
        ("boolean", (), CODES),
        ("integer", (SUM,), NUMBERS),
        ("boolean", (SUM,), NUMBERS),
        ("number", (SUM,), NUMBERS),
        ("number", (), NUMBERS),  # Once CODES: these windows alone are learnt anew.
    ],
)
def test_stored_windows_are_good_as_long_as_their_numbers_mean_the_same(kind, others, signature):
    plan, _ = features_by_name([DISTINCT, *others], [payment()], kind)
    assert plan.entities[0].signature == signature


def test_a_clock_time_is_a_point_on_a_circle():
    config = config_of("credit_card_fraud")
    spec = parse_spec(config)
    plan = FeaturePlan(spec)
    event, later, without = parse_all(
        spec, [{"time_of_day": "18:00"}, {"time_of_day": "01:30"}, {}]
    )
    vector = dict(zip(plan.names, build(plan, event, {}), strict=True))
    assert vector["time_of_day_sin"] == pytest.approx(-1.0)
    assert vector["time_of_day_cos"] == pytest.approx(0.0)
    vector = dict(zip(plan.names, build(plan, later, {}), strict=True))
    assert vector["time_of_day_sin"] == pytest.approx(math.sin(math.pi / 8))
    assert math.isnan(build(plan, without, {})[plan.names.index("time_of_day_sin")])


@pytest.mark.parametrize(
    ("kind", "config", "place"),
    [
        ("imputation", {"strategy": "guess"}, "strategy"),
        ("imputation", {"strategy": "constant"}, "value"),
        ("imputation", {"strategy": "mean", "fields": ["merchant_type"]}, "fields"),
        ("scaling", {"method": "cube"}, "method"),
        ("scaling", {"method": "standard", "fields": ["nothing"]}, "fields"),
        ("scaling", {"method": "standard", "fields": ["merchant_type"]}, "fields"),
        ("encoding", {"method": "hash"}, "method"),
        ("encoding", {"method": "target", "smoothing": -1}, "smoothing"),
        ("encoding", {"method": "one_hot", "fields": ["user_name"]}, "fields"),
        ("cyclic_time", {"field": "location"}, "field"),
        ("cyclic_time", {"periods": ["year"]}, "periods"),
        ("velocity", {"entity_key": "user_id", "place": "x", "windows": ["1h"]}, "place"),
        ("label_risk", {"entity_key": "user_id", "windows": ["1h"], "delay": "x"}, "delay"),
        ("label_risk", {"entity_key": "user_id", "windows": ["1h"], "lag": "1d"}, "lag"),
        ("label_risk", {"entity_key": "user_id", "windows": ["1h"], "figures": []}, "figures"),
        ("label_risk", {"entity_key": "user_id", "windows": ["1h"], "figures": ["sum"]}, "figures"),
        ("ratio_to_mean", {"entity_key": "user_id", "offset": "soon"}, "offset"),
        ("deviation_from_mean", {"entity_key": "user_id", "value": "location"}, "value"),
        ("peak_to_mean", {"entity_key": "user_id", "window": "7d"}, "recent"),
    ],
)
def test_a_step_that_cannot_be_is_told_by_its_place(kind, config, place):
    base = {"type": "category", "config": {"fields": ["merchant_type"]}}
    found = problems(payments_with(base, {"type": kind, "config": config}))
    assert f"features.transformations[1].config.{place}" in found


WINDOWS = {"entity_key": "user_id", "windows": ["1h"], "aggregations": ["count"]}


@pytest.mark.parametrize(
    ("kind", "config", "key", "said"),
    [
        ("time_window_aggregation", WINDOWS | {"include_current": "no"}, "include_current",
         "is true or false"),
        ("time_window_aggregation", WINDOWS | {"distinct": ["country"]}, "distinct",
         "is not counted: add distinct to the aggregations"),
        ("imputation", {"strategy": "mean", "value": 3}, "value",
         "counts with strategy: constant alone"),
        ("encoding", {"method": "one_hot", "fields": ["country"], "smoothing": 5}, "smoothing",
         "counts with method: target alone"),
        ("encoding", {"fields": ["country"], "delay": "1d"}, "delay",
         "counts with method: target alone"),
    ],
)  # fmt: skip
def test_a_setting_that_would_not_count_is_told_and_stays_readable(kind, config, key, said):
    declared = payments_with(
        {"type": "numeric", "config": {"fields": ["amount"]}}, {"type": kind, "config": config}
    )
    with pytest.raises(SpecError) as caught:
        parse_spec(declared)
    assert caught.value.problems == [(f"features.transformations[1].config.{key}", said)]
    assert parse_spec(declared, stored=True).features


def test_the_handbooks_fifteen_inputs_are_all_there():
    names = parse_spec(config_of("cards")).feature_names
    windows = ("1d", "7d", "30d")
    customer = [(f"count_{w}", f"mean_TX_AMOUNT_{w}") for w in windows]
    terminal = [(f"count_{w}_delay_7d", f"risk_{w}_delay_7d") for w in windows]
    assert names[:15] == (
        *("TX_AMOUNT", "weekend", "night"),
        *(f"CUSTOMER_ID_{what}" for pair in customer for what in pair),
        *(f"TERMINAL_ID_{what}" for pair in terminal for what in pair),
    )
