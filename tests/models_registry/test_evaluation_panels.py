"""Numbers of the evaluation panels as text."""

import pytest

from models_registry.evaluation_panels import excess


@pytest.mark.parametrize(
    ("a_day", "told"), [(0.003, "under 0.1"), (0.0999, "under 0.1"), (0.1, "0.1"), (3.9, "3.9")]
)
def test_too_many_alerts_are_never_told_as_none(a_day, told):
    assert excess(a_day) == told
