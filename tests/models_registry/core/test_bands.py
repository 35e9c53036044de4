"""Calibration bands: they hold what they promise, and widen where little is known."""

import json

import numpy as np
import pytest

from models_registry.core.bands import LEAST_ROWS, describe_bands
from scoring.core.band import KEY, band_of


def draws(n, *, seed, wrong_by=0.0):
    """`n` events with a probability each, and labels drawn `wrong_by` log-odds off it."""
    rng = np.random.default_rng(seed)
    p = rng.beta(0.4, 3.0, n)
    true = 1.0 / (1.0 + np.exp(-(np.log(p / (1 - p)) + wrong_by)))
    return p, true, (rng.random(n) < true).astype(int)


def band(manifest, p):
    found = band_of(manifest, p)
    assert found is not None
    return found


@pytest.mark.parametrize("wrong_by", [0.0, 0.8, -0.8])
def test_nineteen_in_twenty_bands_hold_the_true_probability(wrong_by):
    held = []
    for seed in range(120):
        p, _, labels = draws(800, seed=seed, wrong_by=wrong_by)
        bands = {KEY: describe_bands(p, labels, np.arange(len(p)))}
        for at in (0.05, 0.3, 0.7):
            true = 1.0 / (1.0 + np.exp(-(np.log(at / (1 - at)) + wrong_by)))
            found = band(bands, at)
            held.append(found.low <= true <= found.high)
    assert 0.93 <= np.mean(held) <= 0.99


def test_every_row_is_in_a_group_and_no_group_is_small():
    p, _, labels = draws(3000, seed=1)
    groups = describe_bands(p, labels, np.arange(len(p)))["groups"]
    assert sum(group["rows"] for group in groups) == 3000
    assert min(group["rows"] for group in groups) >= LEAST_ROWS
    assert [g["end"] for g in groups[:-1]] == [g["begin"] for g in groups[1:]]
    assert (groups[0]["begin"], groups[-1]["end"]) == (0.0, 1.0)


def test_events_of_few_entities_say_less():
    p, _, labels = draws(2000, seed=2)
    alone = band({KEY: describe_bands(p, labels, np.arange(2000))}, 0.3)
    grouped = band({KEY: describe_bands(p, labels, np.arange(2000) // 20)}, 0.3)
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_more_rows_make_a_narrower_band():
    width = []
    for n in (300, 3000, 30_000):
        p, _, labels = draws(n, seed=3)
        found = band({KEY: describe_bands(p, labels, np.arange(n))}, 0.5)
        width.append(found.high - found.low)
    assert width[0] > width[1] > width[2]


def test_too_few_rows_give_no_bands_and_one_class_gives_an_open_end():
    p, _, labels = draws(LEAST_ROWS - 1, seed=4)
    assert describe_bands(p, labels, np.arange(len(p))) == {}
    p, _, labels = draws(200, seed=5)
    bands = {KEY: describe_bands(p, np.zeros_like(labels), np.arange(200))}
    assert band(bands, 0.3).low < 0.001
    json.dumps(bands, allow_nan=False)
