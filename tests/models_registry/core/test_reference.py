import json

import numpy as np
import pytest

from models_registry.core.reference import (
    ONCE_FULL,
    describe_features,
    describe_once_full,
    describe_values,
    of_full_windows,
    share_from,
)

VECTORS = np.array(
    [[1.0, 7.0, np.nan], [2.0, 7.0, np.nan], [np.nan, 9.0, np.nan], [3.0, 7.0, np.nan]]
)
NAMES = ("amount", "country", "empty")
FOUND = describe_features(VECTORS, NAMES, categorical={"country"})


def test_a_number_is_described_without_its_missing_rows():
    assert FOUND["amount"]["count"] == 4
    assert FOUND["amount"]["missing_share"] == 0.25
    assert FOUND["amount"]["mean"] == 2.0
    assert FOUND["amount"]["std"] == pytest.approx(np.std([1, 2, 3]))
    assert FOUND["amount"]["deciles"][0::5] == [1.0, 2.0, 3.0]


def test_a_category_is_described_by_its_levels():
    shares = {level["value"]: level["share"] for level in FOUND["country"]["levels"]}
    assert shares == {7.0: 0.75, 9.0: 0.25}


def test_a_column_that_is_all_missing_says_so():
    assert FOUND["empty"]["missing_share"] == 1.0
    assert FOUND["empty"]["mean"] is None


def test_the_statistics_are_json():
    assert json.loads(json.dumps(FOUND, allow_nan=False)) == FOUND


def test_names_must_fit_the_columns():
    with pytest.raises(ValueError, match="names"):
        describe_features(VECTORS, ("amount",))


def test_a_share_is_read_off_the_points_where_they_are_fine_enough_for_it():
    values = np.linspace(0.0, 1.0, 20_001)
    found = describe_values(values)
    assert share_from(found, 0.9) == pytest.approx(0.1, abs=found["sketch"]["ks_error"])
    assert share_from(found, 0.9999) is None
    few = describe_values(np.array([0.1, 0.5, 0.5, 0.9]))
    assert [share_from(few, at) for at in (0.5, 0.6, 1.0)] == [0.75, 0.25, 0.0]


def test_without_points_no_share_is_told():
    assert share_from(describe_values(np.array([np.nan])), 0.5) is None


AGES = np.arange(1500.0)
"""A row a second, from the beginning of the history on."""


def _growing(reach):
    """A count over `reach` seconds of such a history: it grows until its window is full."""
    return describe_once_full(
        np.minimum(AGES, reach)[:, None], ["count"], age=AGES, reaches=[reach]
    )["count"]


def test_rows_with_full_windows_are_described_apart():
    found = _growing(reach=400.0)
    assert (found["count"], found["deciles"][0]) == (1500, 0.0)
    full = found[ONCE_FULL]
    assert (full["count"], full["mean"], full["std"]) == (1100, 400.0, 0.0)
    assert of_full_windows(found) == full


def test_too_few_full_windows_say_no_more_than_all():
    found = _growing(reach=600.0)
    assert ONCE_FULL not in found
    assert of_full_windows(found) == found


def test_what_reads_the_event_alone_has_one_description():
    assert ONCE_FULL not in _growing(reach=0.0)


def test_levels_are_described_apart_too():
    found = describe_once_full(
        (AGES < 400)[:, None], ["new"], age=AGES, reaches=[400.0], categorical={"new"}
    )["new"]
    assert [level["value"] for level in found[ONCE_FULL]["levels"]] == [0.0]
