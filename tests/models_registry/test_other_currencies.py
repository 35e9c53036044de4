"""An amount in another currency than the detector's own is unknown wherever costs are counted."""

import math
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.utils import timezone

from jobs.services import run_job
from models_registry.backtest_panels import result_context
from models_registry.backtesting import request_rule_backtest, run_backtest
from models_registry.core.costs import losses
from models_registry.core.metrics import value_detection_rate
from models_registry.datasets import describe_dataset, read_rows
from models_registry.guarding import Looked, Seen, _samples
from models_registry.shadow_reading import read_live
from models_registry.shadow_scoring import shadow_some
from scoring.core.spec import parse_spec
from scoring.labelling import record_label
from scoring.rule_editing import RuleText
from scoring.rule_tally_models import RuleTally
from scoring.rule_tallying import tally_rules
from tests.factories import START, config_of, payment, scored_many
from tests.models_registry.rivals import rivals, shadow_of

pytestmark = pytest.mark.django_db
SENT = [(20.0, "EUR"), (4000.0, "JPY"), (9000.0, "IDR"), (30.0, "EUR"), (50.0, "EUR")]
"""Of the three known ones the median is 30."""


def quiet(fraction):
    """Nobody listens."""


@pytest.fixture
def rows(payments_detector):
    """One event for each of SENT, of users of their own, in order of time."""
    return scored_many("payments", [
        payment(amount=amount, currency=currency, user_id=f"u{i}",
                timestamp=(START + timedelta(minutes=i)).isoformat())
        for i, (amount, currency) in enumerate(SENT)
    ])  # fmt: skip


def test_a_currency_is_the_same_however_it_is_written(payments_detector):
    row = scored_many("payments", [payment(amount=40.0, currency="eur")])[0]
    assert (row.currency, row.event["currency"]) == ("EUR", "eur")
    assert read(payments_detector).amounts.tolist() == [40.0]
    assert payments_detector.spec().own_amount(Decimal(40), "eur") == 40.0


def read(detector):
    return read_rows(detector, known_at=timezone.now(), report=quiet)


def declare(detector, currency):
    detector.config["event"]["currency"] = currency
    detector.save(update_fields=["config"])


@pytest.mark.parametrize(
    ("declared", "own"),
    [({"default": "USD"}, "USD"), ({"field": "currency"}, "EUR"), ({}, "EUR")],
)
def test_the_detectors_own_currency_is_the_default_that_it_declares_else_eur(declared, own):
    config = config_of("payments")
    config["event"]["currency"] = declared
    spec = parse_spec(config)
    assert spec.own_amount(Decimal("4.50"), own) == 4.5
    assert math.isnan(spec.own_amount(Decimal("4.50"), "JPY"))
    assert math.isnan(spec.own_amount(None, own))


def test_a_dataset_knows_the_amounts_of_the_detectors_currency_alone(payments_detector, rows):
    found = read(payments_detector)
    np.testing.assert_array_equal(found.amounts, [20.0, np.nan, np.nan, 30.0, 50.0])
    costs = payments_detector.spec().costs
    assert losses(np.ones(5), found.amounts, costs).tolist() == [20.0, 30.0, 30.0, 30.0, 50.0]
    # Of 160 in bad money the riskiest two events hold 30 + 30.
    risk = np.array([0.1, 0.9, 0.8, 0.2, 0.3])
    assert value_detection_rate(np.ones(5), risk, found.amounts, 0.4) == pytest.approx(60 / 160)
    assert describe_dataset(payments_detector, found).detail["other_currency"] == 2


def test_the_currency_is_that_of_todays_costs(payments_detector, rows):
    was = payments_detector.spec()
    declare(payments_detector, {"field": "currency", "default": "JPY"})
    found = read_rows(payments_detector, known_at=timezone.now(), report=quiet, spec=was)
    np.testing.assert_array_equal(found.amounts, [np.nan, 4000.0, np.nan, np.nan, np.nan])


def test_a_backtest_counts_no_money_of_another_currency_as_its_own(payments_detector, rows, lead):
    for row in rows:
        record_label(row, is_fraud=True, source="analyst")
    test = request_rule_backtest(
        payments_detector, rule=None, code="BIG", said=RuleText("amount > 100", "A large one."),
        requested_by=lead, first_day=START.date(), last_day=START.date(), most=5000,
    )  # fmt: skip
    assert not run_job(test.job_id, run_backtest).error
    test.refresh_from_db()
    before, after = (test.result["arms"][arm]["costs"] for arm in ("today", "proposed"))
    # The rule reads 4,000 and 9,000 as they come; approved, each costs what is typical: 30.
    assert (before["lost"], after["lost"]) == (160.0, 100.0)
    assert test.result["saving"]["value"] == pytest.approx(60.0 - after["reviews"])
    told = " ".join(result_context(test, {"fraud": "fraud", "legitimate": "fine"}, "")["honest"])
    assert "The amounts of 2 of the events read are in another currency than EUR" in told
    hits = test.result["examples"]["tp"]
    assert {hit["currency"] for hit in hits} == {"JPY", "IDR"}


def looked(sent):
    """Approved frauds with these amounts, all labelled."""
    seen = [
        Seen(i, START, 900, False, "APPROVE", None if amount is None else Decimal(amount), currency,
             "")
        for i, (amount, currency) in enumerate(sent)
    ]  # fmt: skip
    return Looked(seen, seen, {row.id: True for row in seen}, [])


def test_the_guard_counts_an_unknown_amount_as_the_same_on_both_sides():
    spec = parse_spec(config_of("payments"))
    before = looked([("10", "EUR"), ("4000", "JPY"), ("30", "EUR")])
    after = looked([("9000", "JPY"), ("50", "EUR"), (None, "")])
    former, new = _samples(before, after, spec)
    assert former.costs.tolist() == [10.0, 30.0, 30.0]
    assert new.costs.tolist() == [30.0, 50.0, 30.0]
    # Without a single own amount after the promotion, nothing seems to have changed either.
    former, new = _samples(before, looked([("9000", "JPY")]), spec)
    assert (former.costs.tolist(), new.costs.tolist()) == ([10.0, 20.0, 30.0], [20.0])


def test_live_comparisons_know_the_amounts_of_the_detectors_currency_alone(
    payments_detector, payments_digest
):
    champion, challenger = rivals(payments_detector, payments_digest)
    shadow = shadow_of(challenger)
    for row in scored_many("payments", [payment(amount=a, currency=c) for a, c in SENT]):
        record_label(row, is_fraud=False, source="analyst")
    shadow_some(shadow, now=timezone.now() + timedelta(seconds=30), most=100)
    found = read_live(shadow, champion, matured_before=timezone.now(), known_at=timezone.now())
    amounts = found.rows.amounts
    assert sorted(amounts[np.isfinite(amounts)].tolist()) == [20.0, 30.0, 50.0]
    assert len(found.rows) == 5


def test_the_mean_amount_of_a_rules_matches_is_in_the_detectors_currency(payments_detector):
    sent = [(20_000.0, "EUR"), (40_000.0, "EUR"), (900_000.0, "JPY")]
    scored_many("payments", [payment(amount=a, currency=c) for a, c in sent])
    tally_rules(timezone.now() + timedelta(hours=1), seconds=60)
    count = RuleTally.objects.get().content["live"]["HIGH_AMOUNT"]
    assert (count["hits"], count["priced"], count["exposure"]) == (3, 2, 60_000.0)
