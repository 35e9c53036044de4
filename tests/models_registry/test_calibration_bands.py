"""Calibration by risk band, as pages show it and as it travels."""

import pytest
from django.utils import timezone

from models_registry.core.evaluation import evaluate
from models_registry.evaluation_models import Evaluation
from models_registry.exporting import pack_bundle
from models_registry.importing import import_bundle
from models_registry.judging import finite
from models_registry.promotion import promote
from models_registry.selectors import documented_versions
from models_registry.threshold_moves import publish_thresholds
from tests.models_registry.core.test_calibration_bands import LEVELS, rare
from tests.models_registry.core.test_evaluation import BOUNDS, TIGHT
from tests.models_registry.test_evaluation_views import text_of
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(payments_detector, payments_digest):
    metrics, curves = evaluate(
        **rare(), calibrated=True, thresholds=BOUNDS, costs=TIGHT, resamples=30
    )
    metrics["known_at"] = "2026-06-01T00:00:00+00:00"
    made = VersionFactory(
        detector=payments_detector,
        number=1,
        digest=payments_digest,
        metrics=finite(metrics),
        curves=finite(curves),
    )
    promote(made, actor=None)
    return documented_versions().get(pk=made.pk)


def shown(client, analyst, version):
    client.force_login(analyst)
    answer = client.get(version.get_absolute_url())
    return answer.context["calibration"], text_of(answer)


def test_the_page_draws_the_bands_and_tells_their_numbers(client, analyst, version):
    panel, page = shown(client, analyst, version)
    [trace] = [one for one in panel["figure"]["data"] if one["name"] == "v1 by risk band"]
    assert trace["text"] == LEVELS
    assert len(trace["error_y"]["array"]) == 4
    assert [band["level"] for band in panel["bands"]] == LEVELS[::-1]
    assert panel["bands"][0]["interval"] in page
    assert "The bands are as known at" not in page


NOT_CALIBRATED = "is not calibrated: its scores order events and are no probabilities."
TOO_FEW = "The validation part held fewer than 5 labelled events."


def uncalibrated(version):
    for name in ("calibration", "calibration_bands"):
        version.curves.pop(name)
    version.metrics["calibration"] = {"chosen": "none", "why": "fewer than 5 labelled events"}
    version.save(update_fields=["curves", "metrics"])
    return version


def test_without_calibration_the_page_says_so_and_why(client, analyst, version):
    panel, page = shown(client, analyst, uncalibrated(version))
    assert panel is None
    assert f"v1 {NOT_CALIBRATED}" in page and TOO_FEW in page


def test_beside_a_calibrated_champion_it_says_so_too(client, analyst, version):
    challenger = VersionFactory(
        detector=version.detector, number=2, digest="2" * 64,
        metrics=version.metrics, curves=dict(version.curves),
    )  # fmt: skip
    panel, page = shown(client, analyst, uncalibrated(challenger))
    assert panel is not None and f"v2 {NOT_CALIBRATED}" in page and TOO_FEW in page


def test_calibration_has_a_row_of_its_own_its_table_beside_its_chart(client, analyst, version):
    client.force_login(analyst)
    html = client.get(version.get_absolute_url()).content.decode()
    panel = html.partition('<section class="panel of-12" id="calibration">')[2]
    chart, _, table = panel.partition('aria-label="Calibration by risk band"')
    assert 'id="curve-calibration"' in chart
    assert table.index("95&#8239;% interval") < table.index("</section>")


def test_the_first_version_has_its_curves_beside_its_metrics(client, analyst, version):
    client.force_login(analyst)
    html = client.get(version.get_absolute_url()).content.decode()
    places = [html.index(text) for text in ("Data and lineage", "curve-roc", 'id="calibration"')]
    column = html[: places[1]].rpartition('<div class="of-6 stack">')[2]
    assert places == sorted(places) and "Data and lineage" in column


def test_what_was_kept_without_bands_takes_them_from_its_newest_evaluation(
    client, analyst, version
):
    curves = dict(version.curves)
    points = version.curves.pop("calibration_bands")
    version.save(update_fields=["curves"])
    panel, page = shown(client, analyst, version)
    assert (panel["bands"], len(panel["figure"]["data"])) == ([], 2)
    assert "Risk bands" in page and "Calibration by risk band" not in page
    now = timezone.now()
    span = {"known_at": now, "first_event_at": now, "last_event_at": now}
    Evaluation.objects.create(
        version=version, kind="as_of", metrics=version.metrics, curves=curves, **span
    )
    panel, page = shown(client, analyst, version)
    assert len(panel["bands"]) == len(points)
    assert f"The bands are as known at {now:%Y-%m-%d %H:%M} UTC" in page


def test_moved_thresholds_have_other_bands(version):
    made = publish_thresholds(version, review=0.2, block=0.9, actor=None, reason="See more")
    assert "calibration" in made.curves
    assert "calibration_bands" not in made.curves


def test_the_bands_travel_with_a_bundle(version):
    content, curves = pack_bundle(version), version.curves
    type(version).objects.filter(pk=version.pk).update(digest="f" * 64)
    made = import_bundle(version.detector, content, actor=None)
    assert made.curves["calibration_bands"] == curves["calibration_bands"]
