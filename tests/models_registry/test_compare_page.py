"""Two or three versions side by side; the choice stands in the address."""

from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from models_registry.comparing import way_of
from models_registry.verdicts import UNKNOWN
from scoring.core.bundle import write_bundle
from scoring.core.transformations import FeatureSpec
from scoring.deployment import bundle_root
from tests.factories import trained_payments
from tests.models_registry.versions import METRICS, VersionFactory, comparison, make_detector

pytestmark = pytest.mark.django_db
PAGE = "/models/compare/"


@pytest.fixture
def versions(payments_detector, payments_digest):
    first = VersionFactory(
        detector=payments_detector, number=1, digest=payments_digest, parameters={"a": 1, "b": 2}
    )
    manifest, files = trained_payments()
    manifest["thresholds"]["review"] /= 2
    steps = manifest["detector"]["features"]["transformations"]
    del steps[2]
    other = write_bundle(bundle_root(), manifest, files)
    second = VersionFactory(
        detector=payments_detector,
        number=2,
        digest=other,
        parameters={"a": 1, "b": 3},
        comparison=comparison(payments_digest),
        metrics=METRICS | {"intervals": {"roc_auc": [0.95, 0.98], "f1": [None, None]}},
    )
    third = VersionFactory(detector=payments_detector, number=3, learner="logistic_regression")
    return [first, second, third]


def shown(client, *versions):
    answer = client.get(PAGE, {"v": [version.pk for version in versions]})
    assert answer.status_code == 200
    return answer.context["shown"]


def cells(lines, name):
    return next([cell.text for cell in line.cells] for line in lines if line.name == name)


def test_versions_stand_in_the_order_of_the_address(client, analyst, versions):
    client.force_login(analyst)
    first, second, third = versions
    assert [v.label for v in shown(client, third, first, second).versions] == ["v3", "v1", "v2"]


def test_metrics_carry_their_intervals_where_known(client, analyst, versions):
    client.force_login(analyst)
    found = shown(client, *versions[:2])
    line = next(line for line in found.metrics if line.name == "ROC AUC")
    assert [(cell.text, cell.interval) for cell in line.cells] == [
        ("0.910", ""),
        ("0.910", "0.950 to 0.980"),
    ]


def test_the_calibration_is_called_as_on_the_version_s_own_page(client, analyst, versions):
    client.force_login(analyst)
    kinds = cells(shown(client, versions[0], versions[2]).thresholds, "Calibration")
    assert kinds == ["Platt scaling", UNKNOWN]


def test_only_what_differs_is_listed(client, analyst, versions):
    client.force_login(analyst)
    found = shown(client, *versions[:2])
    assert [line.name for line in found.parameters] == ["b"]
    assert found.alike == 1
    assert cells(found.features, "hour")[1] == UNKNOWN
    assert "amount" not in [line.name for line in found.features]


def test_what_was_done_about_the_rare_class_is_compared_in_words(client, analyst, versions):
    how = {"method": "smote", "ratio": 0.1, "neighbours": 5, "bags": 5}
    versions[1].parameters["imbalance"] = how
    versions[1].save(update_fields=["parameters"])
    client.force_login(analyst)
    found = shown(client, *versions[:2])
    assert [line.name for line in found.parameters] == ["Rare class", "b"]
    assert cells(found.parameters, "Rare class")[0] == "nothing was done"
    assert cells(found.parameters, "Rare class")[1].startswith("SMOTE up to 0.1")


def test_curves_of_all_are_in_one_figure(client, analyst, versions):
    client.force_login(analyst)
    found = shown(client, *versions)
    names = {curve["id"]: [t["name"] for t in curve["figure"]["data"]] for curve in found.curves}
    assert names["overlay-roc"] == ["v1 (challenger)", "v2 (challenger)", "v3 (challenger)"]
    assert set(names) == {
        "overlay-precision-recall", "overlay-roc", "overlay-calibration", "overlay-cost",
    }  # fmt: skip


def test_calibrations_stand_beside_the_risk_bands_and_what_is_exact(client, analyst, versions):
    band = {"level": "HIGH", "probability": 0.8, "observed": 0.75, "count": 40}
    versions[1].curves["calibration_bands"] = [band]
    versions[1].save(update_fields=["curves"])
    client.force_login(analyst)
    curves = {curve["id"]: curve for curve in shown(client, *versions[:2]).curves}
    *_, bands, exact = curves["overlay-calibration"]["figure"]["data"]
    assert (bands["name"], bands["text"], bands["y"]) == ("v2 by risk band", ["HIGH"], [0.75])
    assert exact["name"] == "Exact" and exact["x"] == exact["y"]


def test_a_verdict_on_the_same_events_comes_first(client, analyst, versions):
    client.force_login(analyst)
    assert "v2 is better than v1" in shown(client, *versions[:2]).verdicts[0]


def test_a_verdict_that_too_few_positives_keep_open_says_so(client, analyst, versions):
    client.force_login(analyst)
    second = versions[1]
    second.comparison |= {"positives": 3, "least_positives": 20, "verdict": "undecided"}
    second.save(update_fields=["comparison"])
    [said] = shown(client, *versions[:2]).verdicts
    assert "Only 3 positives were known among these events: too few to tell models apart." in said


def test_a_version_whose_bundle_is_gone_still_compares(client, analyst, versions):
    client.force_login(analyst)
    found = shown(client, versions[0], versions[2])
    assert "cannot be read" in found.faults[0]
    assert cells(found.thresholds, "Review")[1] == UNKNOWN


@pytest.mark.parametrize("query", ["v=x", "v=-1", "v=99999999999", "v=1&v=2&v=3&v=4", "v=12345"])
def test_a_choice_that_makes_no_sense_is_422_and_says_why(client, analyst, versions, query):
    client.force_login(analyst)
    answer = client.get(f"{PAGE}?{query}")
    assert answer.status_code == 422
    assert answer.context["error"]


def test_versions_of_two_detectors_are_refused(client, analyst, versions):
    client.force_login(analyst)
    other = VersionFactory(detector=make_detector("other"))
    for first, second in ((versions[0], other), (other, versions[0])):
        answer = client.get(PAGE, {"v": [first.pk, second.pk]})
        assert "one detector" in answer.context["error"]
        assert answer.context["detector"] == first.detector  # Those of it stand to choose from.


def test_fewer_than_two_ask_for_a_choice(client, analyst, versions):
    client.force_login(analyst)
    assert "Choose two or three" in client.get(PAGE).content.decode()
    one = client.get(PAGE, {"v": versions[0].pk})
    assert one.context["slots"][0]["picked"] == versions[0].pk


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (["", ""], "Nothing was chosen: choose two versions"),
        ([0, 0], "v1 was chosen twice: choose another version"),
        ([0, ""], "Choose a second version to set beside v1."),
    ],
)
def test_a_choice_that_lacks_a_version_says_what_it_lacks(client, analyst, versions, places, said):
    client.force_login(analyst)
    query = {"v": [place if place == "" else versions[place].pk for place in places]}
    answer = client.get(PAGE, query | {"detector": "payments"})
    assert answer.status_code == 200
    assert said in answer.content.decode()


def test_without_any_version_it_says_so(client, analyst, db):
    client.force_login(analyst)
    assert "No version yet" in client.get(PAGE).content.decode()


def test_who_may_not_see_models_is_refused(client, outsider, versions):
    assert client.get(PAGE).status_code == 302
    client.force_login(outsider)
    assert client.get(PAGE).status_code == 403


def test_the_page_costs_the_same_queries_for_any_number_of_versions(client, analyst, versions):
    client.force_login(analyst)
    spent = []
    for more in (0, 30):
        VersionFactory.create_batch(more, detector=versions[0].detector)
        for chosen in (versions[:2], versions):
            with CaptureQueriesContext(connection) as queries:
                shown(client, *chosen)
            spent.append(len(queries))
    assert len(set(spent)) == 1
    assert spent[0] <= 8


def test_the_api_gives_the_same(api, versions):
    reader = api("models:read")
    ids = ",".join(str(version.pk) for version in versions[:2])
    body = reader.get(f"/api/v1/models/compare?ids={ids}").json()
    assert [row["version"] for row in body["versions"]] == ["v1", "v2"]
    empty = {"intervals": ["", ""], "ceilings": ["", ""]}
    assert body["parameters"] == [{"name": "b", "values": ["2", "3"]} | empty]
    for wrong in ("", "1", "x,y", "98765,98766", "1,2,3,4"):
        answer = reader.get("/api/v1/models/compare", {"ids": wrong})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "ids")
    assert api("score").get(f"/api/v1/models/compare?ids={ids}").status_code == 403


def test_a_long_parameter_is_told_whole(client, analyst, versions):
    each = {"n_trees": 251, "learning_rate": 0.0255, "max_depth": 3, "min_child_samples": 7}
    versions[1].parameters["mean_with"] = [each, each | {"max_depth": 4}]
    versions[1].save(update_fields=["parameters"])
    client.force_login(analyst)
    text = cells(shown(client, *versions[:2]).parameters, "mean_with")[1]
    assert text.count("min_child_samples 7") == 2 and text.endswith("min_child_samples 7")


LONG = ("a_number_with_quite_a_long_name", "an_entity_with_quite_a_long_name")


@pytest.mark.parametrize(
    "other", [{"offset": 86400.0}, {"include_current": False}, {"recent": 3600.0}]
)
def test_features_that_are_read_in_two_ways_are_told_in_two_ways(other):
    one = FeatureSpec("feature", "mean", *LONG, 30 * 86400.0)
    two = replace(one, **other)
    assert one.raw != two.raw and way_of(one) != way_of(two)


def test_an_axis_of_costs_has_its_unit(client, analyst, versions):
    client.force_login(analyst)
    curves = {curve["id"]: curve for curve in shown(client, *versions[:2]).curves}
    layout = curves["overlay-cost"]["figure"]["layout"]
    assert layout["yaxis"]["title"]["text"] == "Cost per 1,000 events, €"
