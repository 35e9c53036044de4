"""Thresholds and risk bands on the curve: where they stand, where they would be cheapest."""

from dataclasses import replace

import pytest
from django.urls import reverse

from accounts.quantities import threshold
from models_registry.core.threshold_curve import Curve, threshold_curve
from models_registry.core.thresholds import NEVER, moved
from models_registry.evaluation_figures import Marked, threshold_figure
from models_registry.evaluation_panels import threshold_panel
from models_registry.judging import finite
from tests.models_registry.core.test_evaluation import BOUNDS, TIGHT, drawn, judge
from tests.models_registry.test_evaluation_views import HTMX, text_of
from tests.models_registry.versions import VersionFactory

BEST = moved(BOUNDS, review=0.1, block=0.8)


def curve():
    given = drawn()
    rows = (given["labels"], given["risk"], given["amounts"])
    return Curve(threshold_curve(*rows, days=7.0, costs=TIGHT), TIGHT)


def marks(*marked):
    """(name, where, colour, dash) of the upright lines."""
    data = threshold_figure(curve(), marked, currency="EUR")["data"]
    return [
        (line["name"], line["x"][0], line["line"]["color"], line["line"]["dash"])
        for line in data
        if len(line["x"]) == 2 and line["x"][0] == line["x"][1]
    ]


def axes_of(curve, currency="EUR"):
    marked = [Marked("now", "solid", BOUNDS)]
    return threshold_figure(curve, marked, currency=currency)["layout"]


@pytest.mark.parametrize(("currency", "unit"), [("EUR", "€"), ("CHF", "CHF")])
def test_the_axis_of_costs_has_its_unit(currency, unit):
    found = axes_of(curve(), currency)["yaxis"]["title"]["text"]
    assert found == f"Cost per 1,000 events, {unit}"


def test_every_decision_and_band_that_stands_is_marked():
    assert marks(Marked("now", "solid", BOUNDS)) == [
        ("Review, MEDIUM: now", 0.3, "@medium", "solid"),
        ("HIGH: now", 0.5, "@high", "solid"),
        ("Block, CRITICAL: now", 0.8, "@critical", "solid"),
    ]


def test_without_amounts_there_is_no_axis_of_cost():
    given = drawn()
    found = threshold_curve(given["labels"], given["risk"], None, days=7.0, costs=TIGHT)
    layout = axes_of(Curve(found, TIGHT))
    assert layout["yaxis"]["visible"] is False and "Cost" not in str(layout)
    assert layout["yaxis2"]["title"]["text"] == "Alerts a day" and layout["yaxis2"]["showgrid"]


def test_the_cheapest_shows_only_what_it_would_change():
    found = marks(Marked("now", "solid", BOUNDS), Marked("cheapest", "dash", BEST))
    assert found[3:] == [
        ("Review, MEDIUM: cheapest", 0.1, "@medium", "dash"),
        ("HIGH: cheapest", BEST.high, "@high", "dash"),
    ]


def test_what_nothing_reaches_is_not_marked_but_its_band_is():
    never = replace(BOUNDS, block=NEVER)
    assert ("CRITICAL: now", 0.8, "@critical", "solid") in marks(Marked("now", "solid", never))
    assert not [name for name, *_ in marks(Marked("now", "solid", never)) if "Block" in name]


@pytest.fixture
def version(payments_detector, payments_digest):
    metrics, curves = judge(drawn(), costs=payments_detector.spec().costs, resamples=20)
    metrics["known_at"] = "2026-06-01T00:00:00+00:00"
    return VersionFactory(
        detector=payments_detector, digest=payments_digest, metrics=finite(metrics),
        curves=finite(curves),
    )  # fmt: skip


@pytest.mark.django_db
def test_the_page_marks_high_now_and_at_the_cheapest_and_says_it_in_the_table(
    client, analyst, version
):
    panel = threshold_panel(version, [], currency="EUR")
    names = [line["name"] for line in panel.figure["data"]]
    assert {"HIGH: now", "HIGH: cheapest within capacity"} <= set(names)
    high = next(band for band in panel.bands if band["level"] == "HIGH")
    assert high["from"] == threshold(BOUNDS.high) != high["best_from"]
    client.force_login(analyst)
    page = text_of(client.get(reverse("model_thresholds", args=[version.pk])))
    assert "From, at the cheapest" in page and high["best_from"] in page


@pytest.mark.django_db
def test_a_preview_marks_its_bands_too(client, analyst, version):
    client.force_login(analyst)
    url, asked = reverse("model_thresholds", args=[version.pk]), {"review": "0.2", "block": "0.9"}
    panel = client.get(url, asked, headers=HTMX).context["thresholds"]
    dotted = [line for line in panel.figure["data"] if line["line"].get("dash") == "dot"]
    assert [line["name"] for line in dotted[-3:]] == [
        "Review, MEDIUM: preview", "HIGH: preview", "Block, CRITICAL: preview",
    ]  # fmt: skip


@pytest.mark.django_db
def test_without_amounts_nothing_is_cheapest(payments_detector):
    given = drawn()
    stored = threshold_curve(given["labels"], given["risk"], None, days=7.0, costs=TIGHT)
    version = VersionFactory(
        detector=payments_detector,
        curves={"thresholds": stored},
        metrics={"thresholds": BOUNDS.to_dict()},
    )
    panel = threshold_panel(version, [], currency="EUR")
    assert panel.best is None
    assert not [line for line in panel.figure["data"] if line["line"].get("dash") == "dash"]
