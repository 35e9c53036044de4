"""Other values that a field might have had."""

import numpy as np
import pytest

from scoring.core.alternatives import levels_of, options_of
from scoring.core.bundle import assemble
from tests.factories import config_of, parse_all, payment, train_bundle

KINDS = ("books", "fuel", "travel")


@pytest.mark.parametrize("how", ["both", "one_hot", "frequency"])
def test_a_category_has_the_levels_that_training_saw_whatever_its_encoding(how):
    config = config_of("payments")
    step = {"type": "encoding", "config": {"method": how, "fields": ["merchant_type"]}}
    config["features"]["transformations"].append(step)
    raws = [
        payment(transaction_id=str(i), merchant_type=KINDS[i % 3], amount=20.0 + i % 7)
        for i in range(120)
    ]
    labels = (np.arange(120) % 5 == 0).astype(int)
    bundle = assemble("7" * 64, *train_bundle(config, raws, labels))
    assert levels_of(bundle, "merchant_type") == pytest.approx(dict.fromkeys(KINDS, 1 / 3))
    [event] = parse_all(bundle.spec, raws[:1])
    assert set(options_of(bundle, event, ())["merchant_type"].fine) == {"fuel", "travel"}
