from itertools import combinations
from math import factorial

import numpy as np
import pytest

from scoring.core.attribution import ExplainError
from scoring.core.explain import (
    Explainer,
    additivity_error,
    group_by_source,
)
from scoring.core.tree_shap import floor_float32


def forest(seed: int, *, n_trees: int = 3, depth: int = 4, n_columns: int = 4) -> dict:
    """Random complete trees; columns may repeat along a path."""
    rng = np.random.default_rng(seed)
    rows: list[list[float]] = []
    roots = []

    def grow(level: int, cover: float) -> int:
        index = len(rows)
        rows.append([-1, 0.0, 0, 0, rng.normal(), cover])
        if level:
            share = rng.uniform(0.1, 0.9)
            rows[index][:2] = [rng.integers(n_columns), rng.normal()]
            rows[index][2] = grow(level - 1, cover * share)
            rows[index][3] = grow(level - 1, cover * (1 - share))
        return index

    for _ in range(n_trees):
        roots.append(grow(depth, 1000.0))
    names = ("feature", "threshold", "left", "right", "value", "cover")
    arrays = dict(zip(names, np.array(rows).T, strict=True))
    for name in ("feature", "left", "right"):
        arrays[name] = arrays[name].astype(np.int32)
    arrays["threshold"] = floor_float32(arrays["threshold"]).astype(float)
    return arrays | {"roots": np.array(roots, dtype=np.int32), "offset": np.array(0.25)}


def walk(arrays: dict, node: int, row: np.ndarray, known: frozenset[int]) -> float:
    """Expected value below a node when only the columns in `known` are told."""
    column = int(arrays["feature"][node])
    if column < 0:
        return float(arrays["value"][node])
    left, right = int(arrays["left"][node]), int(arrays["right"][node])
    if column in known:
        chosen = left if row[column] <= arrays["threshold"][node] else right
        return walk(arrays, chosen, row, known)
    cover = arrays["cover"]
    return sum(
        cover[child] / cover[node] * walk(arrays, child, row, known) for child in (left, right)
    )


def worth(arrays: dict, row: np.ndarray, known: tuple[int, ...]) -> float:
    told = frozenset(known)
    return float(arrays["offset"]) + sum(walk(arrays, int(r), row, told) for r in arrays["roots"])


def shapley_by_definition(arrays: dict, row: np.ndarray) -> np.ndarray:
    m = row.size
    result = np.zeros(m)
    for i in range(m):
        others = [j for j in range(m) if j != i]
        for size in range(m):
            weight = factorial(size) * factorial(m - size - 1) / factorial(m)
            for known in combinations(others, size):
                gain = worth(arrays, row, (*known, i)) - worth(arrays, row, known)
                result[i] += weight * gain
    return result


@pytest.mark.parametrize("seed", range(4))
def test_tree_contributions_are_shapley_values_by_their_definition(seed):
    arrays = forest(seed)
    rows = np.random.default_rng(seed).normal(size=(5, 4)).astype(np.float32)
    expected = [shapley_by_definition(arrays, row) for row in rows]
    assert np.allclose(Explainer.from_arrays(arrays).contributions(rows), expected, atol=1e-12)


def test_the_base_is_what_is_expected_of_an_unknown_row():
    arrays = forest(1)
    assert Explainer.from_arrays(arrays).base == pytest.approx(worth(arrays, np.zeros(4), ()))


@pytest.mark.parametrize("depth", [1, 8, 9, 10])
def test_contributions_add_up_at_any_depth_that_is_allowed(depth):
    arrays = forest(5, depth=depth, n_trees=1, n_columns=40)
    rows = np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32)
    explainer = Explainer.from_arrays(arrays)
    margin = np.array([worth(arrays, row, tuple(range(40))) for row in rows])
    assert additivity_error(explainer.base, explainer.contributions(rows), margin).max() < 1e-9


def test_many_rows_are_explained_as_each_alone():
    explainer = Explainer.from_arrays(forest(2, n_trees=200))
    rows = np.random.default_rng(2).normal(size=(300, 4)).astype(np.float32)
    single = np.concatenate([explainer.contributions(row[None]) for row in rows])
    assert np.array_equal(explainer.contributions(rows), single)


def test_no_rows_have_no_contributions():
    empty = np.zeros((0, 4), dtype=np.float32)
    assert Explainer.from_arrays(forest(2)).contributions(empty).shape == (0, 4)


def test_trees_without_a_split_only_move_the_base():
    explainer = Explainer.from_arrays(forest(3, depth=0))
    assert not explainer.contributions(np.ones((2, 4), dtype=np.float32)).any()
    assert explainer.base != 0.25


def test_linear_contributions_are_measured_from_the_background():
    arrays = {
        "coef": np.array([2.0, -1.0]),
        "background": np.array([1.0, 0.0]),
        "intercept": np.array(0.5),
    }
    explainer = Explainer.from_arrays(arrays)
    assert explainer.base == 2.5
    assert explainer.contributions(np.float32([[3.0, 4.0]])).tolist() == [[4.0, -4.0]]


def test_trees_with_too_many_columns_on_a_path_are_refused():
    with pytest.raises(ExplainError, match="smaller depth"):
        Explainer.from_arrays(forest(0, depth=11, n_trees=1, n_columns=5000))


def test_tables_too_large_for_memory_are_refused(monkeypatch):
    monkeypatch.setattr("scoring.core.tree_shap.MAX_TABLE_BYTES", 1000)
    with pytest.raises(ExplainError, match="tables"):
        Explainer.from_arrays(forest(0))


@pytest.mark.parametrize(
    ("name", "value"),
    [("left", 0), ("right", 10**6), ("cover", 0.0), ("value", np.nan), ("feature", -7)],
)
def test_arrays_that_are_no_forest_are_refused(name, value):
    arrays = forest(0)
    arrays[name] = arrays[name].copy()
    arrays[name][0] = value
    with pytest.raises(ExplainError):
        Explainer.from_arrays(arrays)


def test_arrays_of_no_known_model_are_refused():
    with pytest.raises(ExplainError, match="no known model"):
        Explainer.from_arrays({"weights": np.zeros(3)})


def test_a_matrix_with_too_few_columns_is_refused():
    with pytest.raises(ExplainError, match="does not fit"):
        Explainer.from_arrays(forest(0)).contributions(np.zeros((1, 2), dtype=np.float32))


def test_one_hot_columns_are_summed_back_to_their_feature():
    contributions = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    grouped = group_by_source(contributions, np.array([0, 2, 2], dtype=np.int32), 4)
    assert grouped.tolist() == [[1, 0, 6, 0], [8, 0, 48, 0]]


def test_a_floored_threshold_decides_like_the_original_for_every_float32():
    thresholds = np.random.default_rng(0).normal(size=1000)
    near = np.float32(thresholds)
    for x in (near, np.nextafter(near, np.float32(9)), np.nextafter(near, np.float32(-9))):
        assert np.array_equal(x <= floor_float32(thresholds), x.astype(float) <= thresholds)
