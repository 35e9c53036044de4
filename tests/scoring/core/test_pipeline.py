"""The straight path: one at a time or in a batch, the same verdicts; honest without a model."""

import dataclasses

import numpy as np
import pytest

from scoring.core.bundle import load_bundle, write_bundle
from scoring.core.decision import Thresholds
from scoring.core.inference import Calibration, ModelError
from scoring.core.pipeline import score, score_many
from scoring.core.types import Decision, RiskLevel, SelectionReason
from scoring.core.vectors import teach
from tests.factories import config_of, empty_windows, parse_all, payment, payments, trained_payments


@pytest.fixture(scope="module", params=["logistic_regression", "lightgbm"])
def bundle(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("bundles")
    return load_bundle(root, write_bundle(root, *trained_payments(request.param)))


def verdict_of(bundle, **changed):
    (event,) = parse_all(bundle.spec, [payment(**changed)])
    return score(event, empty_windows(bundle.plan, [event]), bundle)


def test_one_at_a_time_or_in_a_batch_the_verdicts_are_the_same(bundle):
    events = parse_all(bundle.spec, payments(60, seed=3))
    batch = score_many(events, empty_windows(bundle.plan, events), bundle)
    windows = empty_windows(bundle.plan, events)
    for event, expected in zip(events, batch, strict=True):
        found = score(event, windows, bundle)
        teach(bundle.plan, event, windows)
        np.testing.assert_allclose(found.vector, expected.vector, rtol=1e-9, atol=1e-9)
        assert found.score == pytest.approx(expected.score, abs=1e-9)
        assert found.probability == pytest.approx(expected.probability, abs=1e-9)
        assert (found.decision, found.risk_level) == (expected.decision, expected.risk_level)
        assert [hit.code for hit in found.rule_hits] == [hit.code for hit in expected.rule_hits]


def test_contributions_add_up_to_the_margin(bundle):
    found = verdict_of(bundle, amount=700.0)
    assert found.additivity_error < 1e-6
    margin = bundle.predictor.explainer.base + found.contributions.sum()
    assert 1 / (1 + np.exp(-margin)) == pytest.approx(found.score, abs=1e-6)


def test_a_larger_amount_is_riskier_and_says_so(bundle):
    small, large = verdict_of(bundle, amount=20.0), verdict_of(bundle, amount=900.0)
    assert large.score > small.score
    assert large.probability > small.probability
    texts = [reason.text for reason in large.reasons if reason.contribution > 0]
    assert any("900" in text for text in texts), texts


@pytest.mark.parametrize(
    ("calibration", "decision"),
    [
        (Calibration(kind="platt", intercept=-50.0), Decision.APPROVE),
        (Calibration(kind="platt", intercept=50.0), Decision.BLOCK),
        (Calibration(), Decision.REVIEW),
    ],
)
def test_the_calibrated_probability_decides_and_the_score_only_where_there_is_none(
    bundle, calibration, decision
):
    own = verdict_of(bundle, amount=300.0).score
    bounds = Thresholds(review=own, block=own + 1e-9, medium=0.1, high=0.2, critical=own + 1e-9)
    changed = dataclasses.replace(bundle.predictor, calibration=calibration, thresholds=bounds)
    found = verdict_of(dataclasses.replace(bundle, predictor=changed), amount=300.0)
    assert (found.score, found.decision) == (own, decision)
    assert found.degraded is False


def test_the_policy_that_is_given_decides_instead_of_the_bundle_s_own(bundle):
    (event,) = parse_all(bundle.spec, [payment(amount=20_000.0)])
    windows = empty_windows(bundle.plan, [event])
    silent = dataclasses.replace(bundle.policy, rules=())
    assert score(event, windows, bundle).rule_hits
    assert score(event, windows, bundle, silent).rule_hits == ()
    assert score_many([event], windows, bundle, silent)[0].rule_hits == ()


def test_reasons_come_strongest_first_and_are_few(bundle):
    sizes = [abs(reason.contribution) for reason in verdict_of(bundle, amount=900.0).reasons]
    assert sizes == sorted(sizes, reverse=True)
    assert 1 <= len(sizes) <= 5


def test_without_a_model_the_score_is_null_and_the_rules_decide(tmp_path):
    digest = write_bundle(tmp_path, {"detector": config_of("payments")}, {})
    found = verdict_of(load_bundle(tmp_path, digest), amount=20_000.0)
    assert (found.score, found.probability, found.degraded) == (None, None, True)
    assert (found.decision, found.risk_level) == (Decision.REVIEW, RiskLevel.HIGH)
    assert found.selection_reason is SelectionReason.RULE
    assert [hit.code for hit in found.rule_hits] == ["HIGH_AMOUNT"]


def test_a_model_that_fails_is_never_a_score_of_zero(bundle):
    class Broken:
        link = "logit"

        def margin(self, matrix):
            raise ModelError("no")

    broken = dataclasses.replace(
        bundle, predictor=dataclasses.replace(bundle.predictor, model=Broken())
    )
    found = verdict_of(broken, amount=900.0)
    assert (found.score, found.degraded, found.reasons) == (None, True, ())


def test_the_velocity_rule_needs_pace_and_places(bundle):
    cities = ["Berlin", "Paris", "Berlin", "Rome"]
    raws = [
        payment(location=city, timestamp=f"2020-06-01T12:00:{i:02d}Z")
        for i, city in enumerate(cities)
    ]
    events = parse_all(bundle.spec, raws)
    verdicts = score_many(events, empty_windows(bundle.plan, events), bundle)
    assert [v.decision is Decision.BLOCK for v in verdicts] == [False, False, False, True]


def test_a_field_that_nobody_declared_cannot_pose_as_a_feature(bundle):
    cities = ["Berlin", "Paris", "Berlin", "Rome"]
    forged = {"user_id_count_1m": 0, "user_id_distinct_location_1m": 0, "user_id_count_1h": 0}
    raws = [
        payment(location=city, timestamp=f"2020-06-01T12:00:{i:02d}Z", **forged)
        for i, city in enumerate(cities)
    ]
    events = parse_all(bundle.spec, raws)
    verdicts = score_many(events, empty_windows(bundle.plan, events), bundle)
    assert verdicts[-1].decision is Decision.BLOCK
