"""Out of distribution: told where training never saw the like, quiet where it did."""

import math
from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models_registry.core.reference import describe_features
from scoring.core.bundle import assemble
from scoring.core.novelty import find_novelty
from tests.factories import parse_all, payment, payments, trained_payments

MANIFEST, FILES = trained_payments()
BUNDLE = assemble("0" * 64, MANIFEST, FILES)
NAMES = BUNDLE.plan.names
AMOUNT, KIND = NAMES.index("amount"), NAMES.index("merchant_type")


def told(vector, bundle=BUNDLE, parts=None, **event):
    (parsed,) = parse_all(bundle.spec, [payment(**event)])
    return find_novelty(bundle, parsed, vector, parts)


def usual():
    """A vector of medians and most common levels: nothing is more ordinary."""
    found = np.full(len(NAMES), math.nan)
    for i, name in enumerate(NAMES):
        known = BUNDLE.reference[name]
        if known["kind"] == "category" and known["levels"]:
            found[i] = known["levels"][0]["value"]
        elif known.get("deciles"):
            found[i] = known["deciles"][5]
    return found


def test_what_training_saw_is_nothing_new():
    assert told(usual()).strange == ()


def test_an_amount_beyond_training_is_told_with_the_range_of_training():
    vector = usual()
    vector[AMOUNT] = 5e6
    (strange,) = told(vector, amount=5e6).strange
    assert strange.feature == "amount"
    assert strange.text.startswith("amount 5,000,000 EUR, in training ")


def test_an_unseen_category_is_told_where_all_levels_are_known():
    vector = usual()
    vector[KIND] = 12345.0
    (strange,) = told(vector, merchant_type="casino").strange
    assert strange.text == "merchant type casino, never seen in training"


def test_a_gap_is_new_only_where_nothing_was_ever_missing():
    vector = usual()
    vector[AMOUNT] = math.nan
    assert "missing, which never was in training" in told(vector).strange[0].text
    vector = usual()
    missing = next(i for i, n in enumerate(NAMES) if 0 < BUNDLE.reference[n]["missing_share"] < 1)
    vector[missing] = math.nan
    assert told(vector).strange == ()


def test_the_most_telling_comes_first_and_the_share_adds_up():
    vector, parts = usual(), np.zeros(len(NAMES))
    vector[AMOUNT], vector[KIND] = 5e6, 12345.0
    parts[AMOUNT], parts[KIND], parts[-1] = -1.0, 3.0, 4.0
    found = told(vector, parts=parts, merchant_type="casino")
    assert [one.feature for one in found.strange] == ["merchant_type", "amount"]
    assert found.share == 0.5


def test_personal_data_is_never_told():
    spec = replace(BUNDLE.spec, pii_fields=frozenset({"amount"}))
    vector = usual()
    vector[AMOUNT] = 5e6
    (strange,) = told(vector, replace(BUNDLE, spec=spec)).strange
    assert strange.text == "amount (personal data), never seen in training"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_an_event_of_training_is_never_called_strange(seed):
    rng = np.random.default_rng(seed)
    rows = rng.lognormal(2.0, 1.5, (60, len(NAMES)))
    reference = describe_features(rows, NAMES)
    bundle = replace(BUNDLE, manifest={**BUNDLE.manifest, "reference": reference})
    assert told(rows[int(rng.integers(60))], bundle).strange == ()


def test_ordinary_events_are_hardly_ever_called_strange():
    raws = payments(400, seed=99, users=40)
    events = parse_all(BUNDLE.spec, raws)
    column = np.array([event.amount for event in events])
    low, *_, high = BUNDLE.reference["amount"]["deciles"]
    outside = np.mean((column < low) | (column > high))
    assert outside <= 3 * 2 / (BUNDLE.reference["amount"]["count"] + 1) + 0.005
