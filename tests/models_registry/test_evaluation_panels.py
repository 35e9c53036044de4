"""Numbers of the evaluation panels as text."""

import pytest

from accounts.quantities import per_day, threshold
from models_registry.evaluation_panels import threshold_panel
from models_registry.judging import finite
from tests.models_registry.core.test_evaluation import BOUNDS, drawn, judge
from tests.models_registry.versions import VersionFactory


@pytest.mark.parametrize(
    ("a_day", "told"),
    [(0.0, "0"), (0.003, "under 0.1"), (0.06, "under 0.1"), (0.0999, "under 0.1"), (0.1, "0.1"),
     (3.9, "3.9"), (12.4, "12")],
)  # fmt: skip
def test_only_no_alerts_are_none_whether_of_all_or_above_capacity(a_day, told):
    assert per_day(a_day) == told


@pytest.mark.django_db
def test_a_threshold_is_written_as_on_every_other_page(payments_detector, payments_digest):
    metrics, curves = judge(drawn(), costs=payments_detector.spec().costs, resamples=20)
    version = VersionFactory(
        detector=payments_detector,
        digest=payments_digest,
        metrics=finite(metrics),
        curves=finite(curves),
    )
    now = threshold_panel(version, [], currency="EUR").now
    assert (now.review, now.block) == (threshold(BOUNDS.review), threshold(BOUNDS.block))
