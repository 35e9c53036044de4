"""The drawing of features: everything is in it once, and nothing lies outside it."""

from itertools import pairwise

import pytest

from scoring.core.spec import parse_spec
from scoring.declarations import save_detector
from scoring.feature_graph import HEAD, MOST_FEATURES, PREPARATION_HEIGHT, feature_graph
from scoring.selectors import feature_importance
from tests.factories import config_of, payment, scored, shipped_detector, spec_of

SHIPPED = ("fraud", "anomaly", "payments", "cards", "creditcard", "credit_card_fraud")


@pytest.mark.parametrize("slug", SHIPPED)
def test_every_feature_is_drawn_or_counted(slug):
    spec = spec_of(slug)
    graph = feature_graph(spec, config_of(slug), {})
    more = [int(step.more.split()[1]) for step in graph.steps if step.more]
    assert sum(len(step.rows) for step in graph.steps) + sum(more) == len(spec.features)
    bottoms = [step.y + step.height for step in graph.steps] + [f.y for f in graph.fields]
    assert max(bottoms) <= graph.height
    tops = [step.y for step in graph.steps]
    assert all(a.y + a.height <= b for a, b in zip(graph.steps, tops[1:], strict=False))


def test_what_weighs_most_is_drawn_first():
    spec = spec_of("payments")
    heavy = {name: float(i) for i, name in enumerate(spec.feature_names)}
    step = next(s for s in feature_graph(spec, config_of("payments"), heavy).steps if s.more)
    drawn = [heavy[row.name] for row in step.rows]
    assert drawn == sorted(drawn, reverse=True)
    assert len(drawn) == MOST_FEATURES


def drawn(slug):
    return feature_graph(spec_of(slug), config_of(slug), {})


def test_each_preparation_of_the_pipeline_is_drawn_behind_what_it_speaks_of():
    graph = drawn("credit_card_fraud")
    assert [(node.title, node.detail) for node in graph.preparations] == [
        ("median where missing", "8 features"),
        ("log scale", "amount"),
        ("most frequent where missing", "merchant_category"),
        ("target encoding", "merchant_category"),
    ]
    onward = {step.title: len(step.onward) for step in graph.steps}
    assert (onward["as sent"], onward["category"], onward["time windows"]) == (2, 2, 1)


def test_scaling_is_drawn_with_what_takes_the_place_of_a_missing_number():
    titles = [node.title for node in drawn("creditcard").preparations]
    assert titles == ["mean where missing", "robust scaling"]


def test_what_is_declared_as_it_is_done_anyway_is_drawn_and_a_targets_settings_are_told():
    config = config_of("fraud")
    config["features"]["transformations"] += [
        {"type": "scaling", "config": {"method": "standard"}},
        {"type": "scaling", "config": {"method": "none", "fields": ["time_delta"]}},
        {"type": "encoding", "config": {"method": "both", "fields": ["device_type"]}},
        {
            "type": "encoding",
            "config": {"method": "target", "fields": ["country"], "smoothing": 50, "delay": "3d"},
        },
    ]
    graph = feature_graph(parse_spec(config), config, {})
    assert [(node.title, node.detail) for node in graph.preparations] == [
        ("standard scaling", "transaction_amount"),
        ("no scaling", "time_delta"),
        ("target encoding", "country, smoothing 50, delay 3 days"),
        ("one-hot and frequency encoding", "device_type"),
    ]
    assert "target encoding, smoothing 50, delay 3 days (country)" in graph.prepared


def test_a_pipeline_that_declares_none_is_drawn_without():
    graph = drawn("anomaly")
    assert (graph.preparations, [step.onward for step in graph.steps if step.onward]) == ((), [])
    assert graph.width < drawn("creditcard").width


@pytest.mark.parametrize("slug", ["credit_card_fraud", "creditcard"])
def test_preparations_lie_apart_and_inside(slug):
    graph = drawn(slug)
    middles = [node.y for node in graph.preparations]
    assert all(b - a >= PREPARATION_HEIGHT for a, b in pairwise(middles))
    assert middles[-1] + PREPARATION_HEIGHT // 2 <= graph.height
    assert middles[0] - PREPARATION_HEIGHT // 2 >= HEAD


@pytest.mark.django_db
def test_the_page_draws_them_and_says_what_is_done_without_any(client, analyst):
    client.force_login(analyst)
    pages = []
    for slug in ("credit_card_fraud", "anomaly"):
        detector = shipped_detector(slug)
        pages.append(client.get(detector.get_absolute_url()).content.decode())
    assert ["Target encoding</text>" in page for page in pages] == [True, False]
    assert [">Before the model</text>" in page for page in pages] == [True, False]
    assert all("a missing number takes the median" in page for page in pages)


@pytest.mark.django_db
def test_a_long_constant_does_not_leave_its_box(client, analyst):
    config = config_of("fraud")
    told = {"strategy": "constant", "value": "some place nobody named", "fields": ["country"]}
    config["features"]["transformations"].append({"type": "imputation", "config": told})
    detector, _ = save_detector(config)
    client.force_login(analyst)
    page = client.get(detector.get_absolute_url()).content.decode()
    assert "<title>Constant some place nobody named where missing</title>" in page
    assert ">Constant some place nobody…</text>" in page


def test_known_fraud_reads_the_labels():
    graph = feature_graph(spec_of("cards"), config_of("cards"), {})
    assert {"labels", "key", "clock", "field"} == {node.kind for node in graph.fields}


@pytest.mark.django_db
def test_importance_is_the_mean_size_of_contributions(champion):
    rows = [scored("payments", payment(amount=amount)) for amount in (10.0, 900.0)]
    found, counted = feature_importance(champion, rows[0].bundle_digest)
    sizes = [abs(row.contribution_array()) for row in rows]
    assert counted == 2
    assert list(found.values()) == pytest.approx(((sizes[0] + sizes[1]) / 2).tolist())
    assert feature_importance(champion, "another") == ({}, 0)
