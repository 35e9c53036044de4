"""Blocks of leaves and their lookups: the same sums as leaf by leaf, at every edge of a cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riskplatform.supervisor import WEB_ENVIRONMENT
from scoring.core.explain import Explainer, additivity_error
from scoring.core.grove import CHUNK_NUMBERS, ordered_keys
from scoring.core.leaves import BLOCK_ROWS, Axis, Leaf, blocks
from tests.scoring.core.test_explain import forest, shapley_by_definition, worth

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
INFINITE = float("inf")


def explained(arrays, rows):
    """Contributions, having checked that they add up to the margin."""
    explainer = Explainer.from_arrays(arrays)
    found = explainer.contributions(rows)
    everything = tuple(range(rows.shape[1]))
    margin = np.array([worth(arrays, row, everything) for row in rows])
    assert additivity_error(explainer.base, found, margin).max() < 1e-9
    return found


@given(st.lists(FLOATS, min_size=1, max_size=50))
def test_keys_are_in_the_order_of_the_values(values):
    numbers = np.array(values, np.float32)
    keys = ordered_keys(numbers)
    assert np.array_equal(keys[:, None] < keys, numbers[:, None] < numbers)
    assert np.array_equal(keys[:, None] == keys, numbers[:, None] == numbers)


def test_what_is_looked_up_at_a_time_is_no_memory_that_the_web_server_maps_anew():
    header = 16
    assert 8 * CHUNK_NUMBERS + header < int(WEB_ENVIRONMENT["MALLOC_MMAP_THRESHOLD_"])


@pytest.mark.parametrize("n_columns", [3, 8, 9, 30])
def test_a_value_on_a_cut_and_right_beside_it_goes_the_right_way(n_columns):
    arrays = forest(8, n_trees=4, n_columns=n_columns)
    cuts = np.float32(arrays["threshold"])
    near = np.concatenate([cuts, np.nextafter(cuts, np.float32(9)), [0.0, -0.0]])
    rows = np.random.default_rng(1).choice(near, (60, n_columns)).astype(np.float32)
    assert explained(arrays, rows).any()


def test_zero_passes_a_cut_at_zero_whatever_its_sign():
    arrays = forest(3, depth=1, n_trees=1, n_columns=1)
    arrays["threshold"][0] = 0.0
    plus, minus, above = Explainer.from_arrays(arrays).contributions(
        np.array([[0.0], [-0.0], [1e-30]], np.float32)
    )
    assert plus == minus != above


def test_with_more_columns_than_lie_dense_they_are_shapley_values_by_definition():
    arrays = forest(4, depth=3, n_columns=9)
    rows = np.random.default_rng(4).normal(size=(3, 9)).astype(np.float32)
    expected = [shapley_by_definition(arrays, row) for row in rows]
    assert np.allclose(explained(arrays, rows), expected, atol=1e-12)


def test_a_large_forest_is_the_sum_of_its_parts(monkeypatch):
    arrays = forest(6, n_trees=25)
    rows = np.random.default_rng(6).normal(size=(40, 4)).astype(np.float32)
    whole = explained(arrays, rows)
    monkeypatch.setattr("scoring.core.tree_shap.GROVE_TREES", 10)
    np.testing.assert_allclose(explained(arrays, rows), whole, rtol=0.0, atol=1e-12)


def test_a_matrix_with_columns_that_no_tree_reads_has_zeros_there():
    arrays = forest(7, n_columns=4)
    rows = np.random.default_rng(7).normal(size=(6, 12)).astype(np.float32)
    assert not explained(arrays, rows)[:, 4:].any()


def test_leaves_that_cut_a_column_alike_share_its_states():
    axis = Axis().with_leaf(1, -INFINITE, 0.0).with_leaf(2, 0.0, 2.0).with_leaf(4, 0.0, 2.0)
    assert axis == Axis((0.0, 2.0), (1, 6, 0))


@given(st.integers(1, 200), st.integers(1, 3))
def test_blocks_keep_every_leaf_once_and_stay_small(n, columns):
    rng = np.random.default_rng(n)
    edges = np.sort(rng.normal(size=(n, columns, 2)), axis=2).tolist()
    leaves = [Leaf(1.0, {c: (*edge, 0.5) for c, edge in enumerate(edges[i])}) for i in range(n)]
    tables = [np.ones((1 << columns, columns)) for _ in leaves]
    found = list(blocks(leaves, tables, columns))
    assert sum(block.table[0, 0] for block in found) == n
    assert max(len(block.table) for block in found) <= BLOCK_ROWS
