"""The drawing of features: everything is in it once, and nothing lies outside it."""

import pytest

from scoring.feature_graph import MOST_FEATURES, feature_graph
from scoring.selectors import feature_importance
from tests.factories import config_of, payment, scored, spec_of

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
