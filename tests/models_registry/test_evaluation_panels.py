"""Numbers of the evaluation panels as text."""

from dataclasses import replace

import numpy as np
import pytest
from django.urls import reverse

from accounts.quantities import per_day, threshold
from models_registry.core.threshold_curve import threshold_curve
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


@pytest.mark.django_db
def test_the_cheapest_is_used_by_a_link_that_previews_the_same_events(
    client, analyst, payments_detector, payments_digest
):
    payments_detector.config["costs"] |= {"capacity": 0.5, "review_cost": 5.0}
    payments_detector.save(update_fields=["config"])
    risk, labels = np.array([0.4, 0.04688, 0.04687, 0.001]), np.array([1, 1, 0, 0])
    costs = payments_detector.spec().costs
    found = threshold_curve(labels, risk, np.full(4, 80.0), days=1.0, costs=costs)
    version = VersionFactory(
        detector=payments_detector,
        digest=payments_digest,
        metrics={"thresholds": replace(BOUNDS, review=0.046924, medium=0.046924).to_dict()},
        curves={"thresholds": found},
    )
    client.force_login(analyst)
    url = reverse("model_thresholds", args=[version.pk])
    page = client.get(url)
    best = page.context["thresholds"].best
    assert (best.review, best.alerts) == ("0.046875", "2.0")
    assert f'href="{url}?{best.use.replace("&", "&amp;")}"' in page.content.decode()
    medium = next(b for b in page.context["thresholds"].bands if b["level"] == "MEDIUM")
    assert (medium["from"], medium["best_from"]) == ("0.046924", best.review)
    asked = client.get(f"{url}?{best.use}").context["thresholds"].asked
    assert (asked.review, asked.alerts, asked.cost) == (best.review, best.alerts, best.cost)


@pytest.mark.django_db
def test_a_band_begins_where_its_number_says_with_no_more_decimals_than_that_takes(
    payments_detector, payments_digest
):
    risk, labels = np.array([0.4, 0.04694, 0.04692, 0.001]), np.array([1, 1, 0, 0])
    costs, stand = payments_detector.spec().costs, replace(BOUNDS, review=0.04693123456789)
    found = threshold_curve(labels, risk, np.full(4, 80.0), days=1.0, costs=costs)
    version = VersionFactory(
        detector=payments_detector,
        digest=payments_digest,
        metrics={"thresholds": replace(stand, medium=stand.review).to_dict()},
        curves={"thresholds": found},
    )
    panel = threshold_panel(version, [], currency="EUR")
    assert panel.now.review == panel.bands[2]["from"] == "0.04693"
