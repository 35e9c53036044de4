"""What a version goes by, drawn; with a table for whoever sees no picture."""

import json

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.quantities import MINUS
from jobs.models import Job
from jobs.services import run_job
from models_registry.artefacts import artefact_path
from models_registry.core.global_explanation import GlobalExplanation
from models_registry.explaining import explain_version, request_explanation
from models_registry.explanation_figures import (
    bar_figure,
    dependence_view,
    feature_lines,
    summary_figure,
)
from models_registry.registry_models import Artefact
from scoring.deployment import loaded
from scoring.models import Prediction
from tests.factories import payments, scored_many
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def unsent(monkeypatch):
    for place in ("registry_views", "registry_api"):
        monkeypatch.setattr(f"models_registry.{place}.announce_job", lambda job: None)


@pytest.fixture
def version(champion, payments_digest):
    return VersionFactory(detector=champion, number=1, digest=payments_digest)


@pytest.fixture
def explained(version):
    scored_many("payments", payments(80))
    width = len(loaded(version.digest).plan.names)
    rows = Prediction.objects.values_list("vector", flat=True)
    explain_version(version, np.stack([np.frombuffer(row, "<f8") for row in rows]))
    assert width
    return version


def url_of(version):
    return reverse("model_explanation", args=[version.pk])


def test_the_page_has_pictures_and_the_same_as_tables(client, analyst, explained):
    client.force_login(analyst)
    answer = client.get(url_of(explained))
    text = answer.content.decode()
    assert "80" in text
    for name in ("bar", "summary", "dependence"):
        assert f'id="explanation-{name}"' in text
    assert len(answer.context["lines"]) == len(loaded(explained.digest).plan.names)
    assert "higher raises the risk" in text


def test_points_that_are_a_sample_are_called_one(client, analyst, explained):
    client.force_login(analyst)
    assert "drawn at random" not in client.get(url_of(explained)).content.decode()
    artefact = Artefact.objects.get()
    artefact.detail["rows"] = 5000
    artefact.save(update_fields=["detail"])
    text = " ".join(client.get(url_of(explained)).content.decode().split())
    assert "the table of one feature, are of 80 drawn at random" in text


def test_the_chosen_feature_stands_in_the_address(client, analyst, explained):
    client.force_login(analyst)
    answer = client.get(url_of(explained), {"feature": "hour"})
    assert answer.context["feature"] == "hour"
    assert sum(step.count for step in answer.context["steps"]) == 80
    strongest = Artefact.objects.get().detail["features"][0]["feature"]
    assert client.get(url_of(explained), {"feature": "<b>"}).context["feature"] == strongest


def test_an_unexplained_version_asks_an_owner_to_explain_it(client, analyst, owner, version):
    client.force_login(analyst)
    text = client.get(url_of(version)).content.decode()
    assert "Not explained yet" in text
    assert "Explain it now" not in text
    assert client.post(reverse("model_explain", args=[version.pk])).status_code == 403
    client.force_login(owner)
    assert client.post(reverse("model_explain", args=[version.pk])).status_code == 302
    assert Job.objects.get().params == {"version": version.pk}
    assert "It is being explained" in client.get(url_of(version)).content.decode()


def test_a_lost_file_leaves_the_table(client, analyst, explained):
    artefact_path(Artefact.objects.get().digest).unlink()
    client.force_login(analyst)
    answer = client.get(url_of(explained))
    assert "cannot be read" in answer.content.decode()
    assert answer.context["lines"]
    assert "summary" not in answer.context


def test_who_may_not_see_models_is_refused(client, outsider, explained):
    assert client.get(url_of(explained)).status_code == 302
    client.force_login(outsider)
    assert client.get(url_of(explained)).status_code == 403


def test_a_page_that_waits_for_its_explanation_shows_it_when_it_is_done(
    client, analyst, owner, explained
):
    job = request_explanation(explained, requested_by=owner)
    client.force_login(analyst)
    assert 'hx-trigger="every 1s"' in client.get(url_of(explained)).content.decode()
    asks = {"HX-Request": "true", "HX-Target": "explaining"}
    answer = client.get(url_of(explained), headers=asks)
    assert "It is being explained" in answer.content.decode()
    assert "<title>" not in answer.content.decode()
    run_job(job.pk, lambda job, progress: {})
    assert client.get(url_of(explained), headers=asks)["HX-Refresh"] == "true"
    assert "every 1s" not in client.get(url_of(explained)).content.decode()


def test_the_page_costs_few_queries(client, analyst, explained):
    client.force_login(analyst)
    client.get(url_of(explained))
    with CaptureQueriesContext(connection) as queries:
        client.get(url_of(explained))
    assert len(queries) <= 9


def test_the_api_gives_the_summary_and_makes_it(api, explained):
    url = f"/api/v1/models/{explained.pk}/explanation"
    body = api("models:read").get(url).json()
    assert (body["rows"], body["version"]) == (80, "v1")
    assert body["features"][0]["mean_abs"] >= body["features"][1]["mean_abs"]
    assert api("models:read").post(url).status_code == 403
    assert api("models:write").post(url).json()["kind"] == "models_registry.explain_version"
    Artefact.objects.all().delete()
    assert api("models:read").get(url).status_code == 404


def made(values, contributions):
    values = np.array(values, np.float32)[:, None]
    parts = np.array(contributions, np.float32)[:, None]
    return GlobalExplanation(
        values=values, contributions=parts, mean_abs=np.abs(parts).mean(axis=0, dtype=float),
        mean=parts.mean(axis=0, dtype=float), direction=np.ones(1), base=0.0, rows=len(values),
        error=0.0,
    )  # fmt: skip


def test_points_are_layered_by_the_third_of_their_value():
    found = made([1, 2, 3, 4, 5, 6, np.nan], [0.1] * 7)
    figure = summary_figure(found, ["a"], frozenset(), [{"feature": "a"}], "logit")
    assert [(t["name"], len(t["x"])) for t in figure["data"]] == [
        ("low value", 2), ("middle", 2), ("high value", 2), ("category or missing", 1),
    ]  # fmt: skip


def test_heights_that_nobody_reads_are_sent_no_finer_than_they_are_seen():
    found = made(range(200), [0.1, 0.1, 0.7, 0.9] * 50)
    figure = summary_figure(found, ["a"], frozenset(), [{"feature": "a"}], "logit")
    heights = [y for layer in figure["data"] for y in layer["y"]]
    assert len(set(heights)) > 1
    assert all(y == round(y, 2) for y in heights)


def test_the_title_of_the_bars_has_room_beside_long_names():
    rows = [{"feature": "a" * 60, "mean_abs": 1.0, "mean": 0.5}]
    for link in ("logit", "isolation", "anything else"):
        title = bar_figure(rows, link)["layout"]["xaxis"]["title"]["text"]
        assert len(title) <= len("Score exponent")


def test_the_name_of_a_feature_is_no_markup_in_a_picture():
    name, found = '<a href="//evil">x</a>', made([1, 2], [1, 2])
    rows = [{"feature": name, "mean_abs": 1.0, "mean": 0.5}]
    figures = [
        bar_figure(rows, "logit"),
        summary_figure(found, [name], frozenset(), rows, "logit"),
        dependence_view(found, 0, name, "logit", None)[0],
    ]
    for figure in figures:
        assert "<" not in json.dumps(figure)
        assert "\u2039a href" in json.dumps(figure, ensure_ascii=False)


def test_a_feature_that_moves_nothing_says_so():
    row = {"feature": "a", "mean_abs": 0.0, "mean": 0.0, "direction": None}
    assert feature_lines([row], made([1, 2], [0, 0]), ["a"])[0].acts == "not used"


def test_missing_values_are_in_the_table_and_not_in_the_picture_of_a_number():
    figure, steps = dependence_view(made([1, 2, np.nan], [1, 2, 3]), 0, "a", "logit", None)
    assert len(figure["data"][0]["x"]) == 2
    assert steps[-1].values == "missing"


def test_a_category_is_shown_by_its_levels():
    levels = {4035903127.0: "grocery"}
    found = made([4035903127, 4035903127, 3, np.nan], [1, 2, 3, 4])
    figure, steps = dependence_view(found, 0, "a", "logit", levels)
    assert [step.values for step in steps] == ["grocery", "1 other level", "missing"]
    assert figure["data"][0]["x"] == ["grocery", "grocery", "1 other level", "missing"]


def test_the_levels_of_a_category_stand_in_the_picture_as_in_the_table():
    levels = {3.0: "fuel", 5.0: "grocery", 7.0: "taxi"}
    found = made([7, np.nan, 9, 5, 3, 5, 3, 5], np.arange(8.0))
    figure, steps = dependence_view(found, 0, "a", "logit", levels)
    axis = figure["layout"]["xaxis"]
    assert axis["categoryorder"] == "array"
    assert axis["categoryarray"] == ["grocery", "fuel", "taxi", "1 other level", "missing"]
    assert axis["categoryarray"] == [step.values for step in steps]


def test_values_below_nothing_have_a_minus_not_a_hyphen():
    values = [-1234567.5] * 30 + [-0.25] * 30
    _, steps = dependence_view(made(values, np.zeros(60)), 0, "a", "logit", None)
    assert [step.values for step in steps] == [f"{MINUS}1,234,568", f"{MINUS}0.25"]


def test_a_contribution_that_is_rounded_to_nothing_has_no_sign():
    _, steps = dependence_view(made([1.0] * 30, np.full(30, -1e-6)), 0, "a", "logit", None)
    assert (steps[0].mean, steps[0].band) == ("0.0000", "0.0000 to 0.0000")


def test_levels_without_a_name_are_one_beside_those_that_have_one():
    found = made([3, 3, 3, 5, 6, 7, 4035903127], [3, 3, 3, 1, 1, 4, -1])
    figure, steps = dependence_view(found, 0, "a", "logit", {4035903127.0: "grocery"})
    assert [(step.values, step.count) for step in steps] == [("grocery", 1), ("4 other levels", 6)]
    assert steps[1].mean == "+2.5000"
    assert figure["data"][0]["x"] == ["4 other levels"] * 6 + ["grocery"]


def test_levels_of_a_feature_that_names_none_are_numbered_by_how_often_they_come():
    values = [code for code in range(20) for _ in range(30 - code)]
    found = made([*values, np.nan], np.zeros(len(values) + 1))
    _, steps = dependence_view(found, 0, "a", "logit", {})
    names = [step.values for step in steps]
    assert names[:2] == ["level 1", "level 2"] and len(set(names)) == len(names) == 18
    assert names[-3:] == ["level 16", "4 other levels", "missing"]
    assert sum(step.count for step in steps) == len(values) + 1


RISING = np.linspace(-1.0, 1.0, 400)
BURST = np.where(RISING < -0.97, 4.0, 0.1 * RISING)
"""Rises with its value, but its few lowest values raise the risk far more: bursts of payments."""


@pytest.mark.parametrize(
    ("parts", "direction", "said"),
    [
        (RISING, 1.0, "higher raises the risk"),
        (-np.exp(3 * RISING), -1.0, "higher lowers the risk"),
        (np.minimum(RISING, 0.9 - RISING), 0.5, "higher raises the risk, not everywhere"),
        (RISING**2, 0.0, "in both directions, see its dependence"),
        (BURST, 0.8, "in both directions, see its dependence"),
        (np.zeros(400), 1.0, "\N{EN DASH}"),
        (RISING, None, "no order among its values"),
    ],
)
def test_a_direction_is_claimed_only_where_the_values_act_in_one(parts, direction, said):
    row = {"feature": "a", "mean_abs": 1.0, "mean": -0.5, "direction": direction}
    assert feature_lines([row], made(RISING, parts), ["a"])[0].acts == said
    assert feature_lines([row])[0].acts == "\N{EN DASH}"
