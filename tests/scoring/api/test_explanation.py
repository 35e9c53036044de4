"""The explanation endpoint: numbers that add up, a change that would be approved, honest gaps."""

import math
import uuid

import pytest

from scoring import breakers, deployment
from scoring.core.bundle import write_bundle
from scoring.deployment import bundle_root
from tests.factories import payment, risky_payment, scored, trained_payments

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(api):
    return api("predictions:read")


def explain(client, row, query=""):
    response = client.get(f"/api/v1/predictions/{row.pk}/explanation{query}")
    assert response.status_code == 200, response.content
    return response.json()


def test_base_and_all_contributions_add_up_to_the_margin(reader, champion):
    row = scored("payments", payment(amount=900.0))
    body = explain(reader, row)
    parts = [part["contribution"] for part in body["contributions"]]
    assert len(parts) == len(row.vector_array())
    assert body["base_value"] + sum(parts) == pytest.approx(body["margin"])
    assert 1 / (1 + math.exp(-body["margin"])) == pytest.approx(row.score)
    assert body["exact"] and body["additivity_error"] == row.additivity_error
    assert parts == sorted(parts, key=abs, reverse=True)
    assert "surrogate" not in body


def test_the_counterfactual_of_a_flagged_event_is_told(reader, champion):
    body = explain(reader, scored("payments", risky_payment()))
    found = body["counterfactual"]
    assert found["found"] and found["with_history"]
    assert found["changes"][0]["field"] == "amount"
    assert found["changes"][0]["after"] <= 10_000.0
    assert found["text"].startswith("Would be approved with amount ")


def test_a_surrogate_is_fitted_when_asked_for(reader, champion):
    body = explain(reader, scored("payments", payment(amount=900.0)), "?surrogate=true")
    line = body["surrogate"]
    assert line["fit"] <= 1.0 and line["statement"]
    assert line["weights"][0].keys() == {"feature", "per_step", "step"}


def test_without_a_model_the_rules_still_have_a_counterfactual(reader, payments_detector):
    body = explain(reader, scored("payments", risky_payment()), "?surrogate=true")
    assert body["base_value"] is None and body["contributions"] == []
    assert body["counterfactual"]["found"]
    assert body["surrogate"] is None and "No model" in body["unavailable"]["surrogate"]


@pytest.fixture
def wary(payments_detector, bundle_dir):
    """A champion that reviews what a rule of weight 0.05 finds, and its circuit is open."""
    bounds = {"review": 0.04, "block": 0.9, "medium": 0.04, "high": 0.3, "critical": 0.9}
    manifest, files = trained_payments()
    digest = write_bundle(bundle_dir, manifest | {"thresholds": bounds}, files)
    deployment.install(payments_detector, slot="champion", digest=digest, version="v1")
    circuit = breakers.breaker("model:payments")
    for _ in range(circuit.failures):
        circuit.failed()


@pytest.mark.parametrize("amount", [500.0, 20_000.0])
def test_nothing_is_promised_that_the_thresholds_of_the_bundle_would_review(reader, wary, amount):
    row = scored("payments", payment(amount=amount, mcc_code="7995"))
    assert row.degraded and row.decision == "REVIEW"
    body = explain(reader, row)
    said = "No plausible change of amount, merchant type is enough."
    assert body["counterfactual"]["text"] == said
    assert "counterfactual" not in body["unavailable"]


@pytest.mark.parametrize("raw", [risky_payment(), payment(amount=900.0, merchant_type="casino")])
def test_what_a_degraded_answer_proposes_is_approved_when_it_is_sent(reader, wary, raw):
    row = scored("payments", raw)
    assert row.degraded and row.decision == "REVIEW"
    [change] = explain(reader, row)["counterfactual"]["changes"]
    changed = {change["field"]: change["after"]}
    again = raw | changed | {"transaction_id": "again", "user_id": "user-2"}
    assert scored("payments", again).decision == "APPROVE"


def test_a_field_that_was_declared_immutable_since_is_no_longer_offered(reader, champion):
    row = scored("payments", risky_payment())
    assert explain(reader, row)["counterfactual"]["found"]
    champion.config["features"]["immutable"] = ["amount"]
    champion.save(update_fields=["config"])
    found = explain(reader, row)["counterfactual"]
    assert not found["found"] and "amount" not in found["free_fields"]


def test_what_is_gone_is_null_with_its_reason(reader, champion, bundle_dir):
    row = scored_with_bundle_gone(champion)
    body = explain(reader, row, "?surrogate=true")
    assert body["counterfactual"] is body["surrogate"] is None
    assert "no longer on disk" in body["unavailable"]["counterfactual"]


def scored_with_bundle_gone(detector):
    deployment.install_rules_only(detector)
    row = scored("payments", payment())
    deployment._loaded.clear()
    place = bundle_root() / row.bundle_digest
    for path in place.iterdir():
        path.unlink()
    return row


def test_no_personal_data_is_told(reader, champion):
    row = scored("payments", risky_payment())
    text = reader.get(f"/api/v1/predictions/{row.pk}/explanation").content.decode()
    assert "Ada" not in text and "user-1" not in text


def test_what_it_costs_does_not_grow(reader, champion, django_assert_max_num_queries):
    row = scored("payments", risky_payment())
    explain(reader, row)
    with django_assert_max_num_queries(12):
        explain(reader, row, "?surrogate=true")


@pytest.mark.parametrize(("query", "status"), [("?surrogate=maybe", 422), ("?surrogate=TRUE", 200)])
def test_the_switch_is_true_or_false(reader, champion, query, status):
    row = scored("payments", payment())
    assert reader.get(f"/api/v1/predictions/{row.pk}/explanation{query}").status_code == status


def test_who_may_not_read_predictions_gets_no_explanation(api, client, champion):
    row = scored("payments", payment())
    url = f"/api/v1/predictions/{row.pk}/explanation"
    assert client.get(url).status_code == 401
    assert api("score").get(url).status_code == 403


def test_an_unknown_prediction_is_not_found(reader):
    assert reader.get(f"/api/v1/predictions/{uuid.uuid4()}/explanation").status_code == 404
