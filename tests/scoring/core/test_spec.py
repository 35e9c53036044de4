"""Reading a detector's declaration: what is right becomes a spec, all that is wrong is told."""

import copy
import re
from datetime import date

import pytest

from scoring.core.reader import SpecError, seconds
from scoring.core.spec import parse_spec
from tests.factories import config_of

SHIPPED = ("fraud", "anomaly", "payments", "cards", "creditcard", "credit_card_fraud")


def problems(config):
    with pytest.raises(SpecError) as caught:
        parse_spec(config)
    return dict(caught.value.problems)


def readable(config):
    try:
        parse_spec(config)
    except SpecError:
        return False
    return True


@pytest.mark.parametrize("slug", SHIPPED)
def test_every_shipped_detector_can_be_read(slug):
    spec = parse_spec(config_of(slug))
    assert spec.slug == slug
    assert len(set(spec.feature_names)) == len(spec.features) > 0
    assert spec.label_column not in spec.schema["properties"]


def test_the_order_of_features_is_the_order_of_the_declaration():
    names = parse_spec(config_of("cards")).feature_names
    assert names[:3] == ("TX_AMOUNT", "weekend", "night")
    assert names[3:5] == ("CUSTOMER_ID_count_1d", "CUSTOMER_ID_mean_TX_AMOUNT_1d")


def test_the_settings_are_read_in_seconds():
    spec = parse_spec(config_of("anomaly"))
    assert (spec.training.label_delay, spec.training.learner) == (86400.0, "isolation_forest")
    assert spec.costs.capacity == 0.03


def test_silence_means_legitimate_unless_the_detector_says_otherwise():
    config = config_of("anomaly")
    assert parse_spec(config).training.unlabelled_is_legitimate
    config["training"]["unlabelled_is_legitimate"] = False
    assert not parse_spec(config).training.unlabelled_is_legitimate
    config["training"]["unlabelled_is_legitimate"] = "perhaps"
    assert set(problems(config)) == {"training.unlabelled_is_legitimate"}


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("costs.capacity", 1.5, "is a share between 0 and 1"),
        ("event.undeclared", "hide", "'hide' is none of keep, drop"),
        ("event.undeclared", None, "'None' is none of keep, drop"),
        ("costs.review_cost", -4, "is a number from 0"),
        ("costs.false_block_cost", -0.01, "is a number from 0"),
        ("costs.loss_share", -1, "is a number from 0"),
        ("training.minimum_positives", 0, "is a whole number from 1"),
        ("training.minimum_positives", 2.5, "is a whole number from 1"),
        ("training.learner", "lightbgm", "'lightbgm' is none of lightgbm, xgboost"),
        ("training.learner", None, "'None' is none of"),
    ],
)
def test_what_no_training_could_use_is_told_when_it_is_declared(place, value, said):
    config = config_of("fraud")
    section, key = place.split(".")
    config[section][key] = value
    assert problems(config)[place].startswith(said)
    assert parse_spec(config, stored=True).slug == "fraud"


def test_names_and_labels_are_texts():
    config = config_of("fraud")
    config["event"]["label_column"] = ["is_fraud"]
    config["features"]["labels"] = {"country": ["land"]}
    assert set(problems(config)) == {"event.label_column", "features.labels.country"}


def test_the_currency_and_the_personal_data_are_known():
    spec = parse_spec(config_of("payments"))
    assert (spec.currency, spec.currency_field) == ("EUR", "currency")
    assert spec.pii_fields == {"user_id", "user_name"}
    assert spec.entity_fields == ("device_id", "merchant_id", "user_id")


def test_every_mistake_is_told_with_its_place():
    config = config_of("cards")
    config["slug"] = "No Slug"
    config["event"]["entity"] = "NOBODY"
    config["features"]["transformations"][2]["config"]["windows"] = ["1 day"]
    config["features"]["transformations"][3]["config"]["value"] = "NOTHING"
    config["rules"][0]["outcome"] = "APPROVE"
    config["costs"]["tip"] = 1
    config["training"]["label_delay"] = "soon"
    assert set(problems(config)) == {
        "slug",
        "event.entity",
        "features.transformations[2].config.windows",
        "features.transformations[3].config.value",
        "rules[0].outcome",
        "costs.tip",
        "training.label_delay",
    }


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("event.id", []),
        ("event.entity", 0),
        ("event.schema.properties.channel.minLength", 1.5),
        ("event.schema.properties.channel.maxLength", 10**30),
        ("event.schema.properties.channel.maxLength", -1),
        ("event.schema.properties.channel.format", ["date-time"]),
        ("event.schema.properties.channel.enum", []),
    ],
)
def test_a_setting_of_another_kind_is_told_and_breaks_no_page_later(section, value):
    config = config_of("payments")
    *steps, last = section.split(".")
    inner = config
    for step in steps:
        inner = inner[step]
    inner[last] = value
    assert set(problems(config)) == {section}


@pytest.mark.parametrize(
    ("kind", "config", "place"),
    [
        ("numeric", {"fields": -1}, "fields"),
        ("cyclic_time", {"periods": 5}, "periods"),
        ("imputation", {"fields": [[]]}, "fields"),
        ("imputation", {"strategy": "constant", "value": ["x"]}, "value"),
    ],
)
def test_a_step_of_another_shape_is_told_and_not_an_error(kind, config, place):
    declared = config_of("fraud")
    steps = declared["features"]["transformations"]
    steps.append({"type": kind, "config": config})
    assert f"features.transformations[{len(steps) - 1}].config.{place}" in problems(declared)


def test_what_is_done_about_a_rare_class_is_read():
    config = config_of("cards")
    config["training"]["imbalance"] = {"method": "smote", "ratio": 0.2, "neighbours": 3}
    found = parse_spec(config).training.imbalance
    assert (found.method, found.ratio, found.neighbours) == ("smote", 0.2, 3)
    assert parse_spec(config_of("cards")).training.imbalance.method == "none"


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("smote", ""),
        ({"method": "magic"}, ".method"),
        ({"method": "smote", "ratio": 0}, ".ratio"),
        ({"method": "smote", "ratio": 1.5}, ".ratio"),
        ({"method": "smote", "ratio": True}, ".ratio"),
        ({"method": "smote", "neighbours": 0}, ".neighbours"),
        ({"method": "smote", "bags": 3}, ".bags"),
        ({"method": "balanced_bagging", "bags": 2.5}, ".bags"),
        ({"method": "smote", "flavour": 1}, ".flavour"),
    ],
)
def test_a_wrong_word_about_a_rare_class_is_told_with_its_place(given, place):
    config = config_of("cards")
    config["training"]["imbalance"] = given
    assert set(problems(config)) == {f"training.imbalance{place}"}


def test_an_unknown_transformation_or_aggregation_is_refused():
    config = config_of("cards")
    config["features"]["transformations"][0]["type"] = "magic"
    config["features"]["transformations"][2]["config"]["aggregations"] = ["median"]
    found = problems(config)
    assert "magic" in found["features.transformations[0].type"]
    assert "median" in found["features.transformations[2].config.aggregations"]


def test_transformations_that_stand_alone_are_told_where_they_belong():
    config = config_of("cards")
    config["transformations"] = config["features"].pop("transformations")
    assert problems(config)["transformations"] == "stand under features"


def test_the_source_of_a_declaration_is_a_text():
    config = config_of("cards")
    config["event"]["source"] = 7
    assert problems(config) == {"event.source": "is the slug of a source"}


def test_personal_data_cannot_be_a_category():
    config = config_of("payments")
    config["features"]["transformations"][1]["config"]["fields"] = ["user_name"]
    assert "personal data" in problems(config)["features.transformations[1].config.fields"]


def test_a_feature_declared_twice_is_refused():
    config = config_of("fraud")
    config["features"]["transformations"] *= 2
    assert "declared twice" in problems(config)["features.transformations[2]"]


@pytest.mark.parametrize("config", [{}, {"slug": "ab", "event": {}, "features": {}}])
def test_an_empty_declaration_says_what_is_missing(config):
    assert {"event.schema.properties", "features.transformations"} <= set(problems(config))


@pytest.mark.parametrize(
    ("text", "expected"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("7d", 604800)]
)
def test_durations(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1w", "1 d", None])
def test_other_durations_are_refused(text):
    with pytest.raises(ValueError, match="not a duration"):
        seconds(text)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("event", None),
        ("features", ["numeric"]),
        ("rules", {"code": "A"}),
        ("costs", {"review_cost": "cheap"}),
    ],
)
def test_a_section_of_the_wrong_shape_is_reported_with_its_place(place: str, value: object) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec({"slug": "odd", place: value})
    assert any(problem[0].startswith(place) for problem in caught.value.problems)


def test_an_unknown_field_type_is_reported_with_its_place() -> None:
    event = {"schema": {"properties": {"when": {"type": "date"}}}}
    with pytest.raises(SpecError, match=r"event\.schema\.properties\.when\.type"):
        parse_spec({"slug": "odd", "event": event})


@pytest.mark.parametrize(
    ("role", "field", "says"),
    [("time", "TX_AMOUNT", "date-time"), ("amount", "TX_DATETIME", "number or integer")],
)
def test_a_role_needs_a_field_that_can_play_it(role, field, says):
    config = config_of("cards")
    config["event"][role] = field
    assert says in problems(config)[f"event.{role}"]


def test_a_text_cannot_be_summed_up():
    config = config_of("payments")
    config["features"]["transformations"][3]["config"]["value"] = "location"
    assert "features.transformations[3].config.value" in problems(config)


@pytest.mark.parametrize("odd", [None, 1, [], {}, [[]], [{}]])
def test_nothing_odd_gets_past_the_reader(odd):
    for place in ("id", "time", "amount", "entity", "pii"):
        config = config_of("payments")
        config["event"][place] = odd
        assert isinstance(readable(config), bool)
    for i, key in ((1, "fields"), (3, "distinct"), (3, "value"), (3, "windows")):
        config = config_of("payments")
        config["features"]["transformations"][i]["config"][key] = odd
        assert isinstance(readable(config), bool)


def test_personal_data_is_neither_the_id_nor_a_category_and_what_to_do_is_said():
    config = config_of("payments")
    config["event"]["pii"] = ["transaction_id", "merchant_type"]
    said = problems(config)
    category = next(place for place in said if place.startswith("features.transformations"))
    for place in ("event.pii", category):
        assert "take it out of event.pii if it is none" in said[place]


def test_entities_are_linked_by_the_keys_of_windows_unless_declared():
    config = config_of("payments")
    assert parse_spec(config).link_fields == ("device_id", "merchant_id")
    config["event"]["links"] = ["merchant_id", "user_name", "user_id"]
    assert parse_spec(config).link_fields == ("merchant_id", "user_name")
    config["event"]["links"] = []
    assert parse_spec(config).link_fields == ()


@pytest.mark.parametrize("links", [["nonsense"], "device_id", [1], [["device_id"]]])
def test_a_link_is_a_field_of_the_event(links):
    config = config_of("payments")
    config["event"]["links"] = links
    assert "event.links" in problems(config)


def with_steps(*steps):
    config = config_of("payments")
    return config | {"features": {"transformations": list(steps)}}


@pytest.mark.parametrize("length", ["0s", "0d", "99999999999999d", "3661d"])
@pytest.mark.parametrize(
    ("kind", "config", "place"),
    [
        ("velocity", {"place": "location"}, "windows"),
        ("label_risk", {}, "windows"),
        ("time_window_aggregation", {"aggregations": ["count"]}, "windows"),
        ("time_since_last", {}, "cap"),
        ("ratio_to_mean", {"value": "amount"}, "window"),
        ("peak_to_mean", {"value": "amount"}, "recent"),
    ],
)
def test_a_window_is_longer_than_nothing_and_no_longer_than_ten_years(kind, config, place, length):
    given = length if place in ("cap", "window") else [length]
    step = {"type": kind, "config": {"entity_key": "user_id", **config, place: given}}
    found = problems(with_steps(step))
    assert list(found) == [f"features.transformations[0].config.{place}"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("costs.review_cost", float("nan")),
        ("costs.review_cost", float("inf")),
        ("event.schema.properties.amount.minimum", float("-inf")),
        ("rules[0].parameters.limit", float("nan")),
        ("rules[0].version", -5),
        ("rules[0].version", 2**31),
        ("rules[0].version", True),
        ("rules[0].code", "A" * 41),
        ("rules[0].text", "A" * 301),
        ("rules[0].when", "amount > 1 " * 200),
        ("name", "A" * 101),
        ("name", date(2020, 1, 1)),
        ("event.schema.properties.channel.enum[0]", {1, 2}),
        ("event.currency.field", "nope"),
        ("event.currency.default", "euro"),
    ],
)
def test_what_no_column_and_no_computation_can_hold_is_told_with_its_place(path, value):
    config = copy.deepcopy(config_of("payments"))
    config["event"]["schema"]["properties"]["channel"]["enum"] = ["web"]
    *way, last = re.findall(r"[^.\[\]]+", path)
    inner = config
    for step in way:
        inner = inner[int(step) if step.isdigit() else step]
    inner[int(last) if last.isdigit() else last] = value
    assert path in problems(config)


def test_a_name_that_yaml_takes_for_something_else_is_told():
    config = copy.deepcopy(config_of("payments"))
    config["event"]["schema"]["properties"][False] = {"type": "string"}
    [(place, message)] = problems(config).items()
    assert (place, "put it in quotes" in message) == ("event.schema.properties", True)


def test_a_stored_declaration_keeps_what_earlier_releases_took():
    config = copy.deepcopy(config_of("payments"))
    config["event"]["currency"] = {"field": "gone", "default": "euro"}
    config["rules"][0]["text"] = "A" * 400
    assert parse_spec(config, stored=True).currency == "euro"


def test_countries_of_a_declaration_are_read_as_those_of_events_are():
    config = config_of("payments")
    config["screening"] |= {"embargoed": ["KP", "uk"], "high_risk": ["ZZ"]}
    assert problems(config) == {
        "screening.high_risk": "'ZZ' is no two-letter country code (quote NO)"
    }
    config["screening"]["high_risk"] = []
    screening = parse_spec(config).screening
    assert screening is not None and screening.embargoed == {"KP", "GB"}


def test_countries_that_were_taken_in_before_stay_as_they_are():
    config = config_of("payments")
    config["screening"] |= {"embargoed": ["UK", "ZZ"]}
    screening = parse_spec(config, stored=True).screening
    assert screening is not None and screening.embargoed == {"UK", "ZZ"}


def test_a_learner_may_be_written_with_hyphens_and_is_one_that_there_is():
    config = config_of("anomaly")
    config["training"]["learner"] = "isolation-forest"
    for stored in (False, True):
        assert parse_spec(config, stored=stored).training.learner == "isolation_forest"
