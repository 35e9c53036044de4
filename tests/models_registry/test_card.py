"""The model card says what was recorded, and that the rest is unknown."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from models_registry.approvals import approve_promotion, request_promotion
from models_registry.card import METHODS, model_card
from models_registry.drift_models import DriftCheck
from models_registry.forms import LEARNER_TITLES
from models_registry.promotion import promote, roll_back
from models_registry.registry_models import Lineage
from models_registry.selectors import documented_versions
from scoring.core.bundle import write_bundle
from scoring.deployment import bundle_root
from tests.factories import trained_payments
from tests.models_registry.drifting import kept_check
from tests.models_registry.versions import METRICS, THEN, VersionFactory

pytestmark = pytest.mark.django_db
GROUP = {
    "level": "travel", "rows": 300, "positives": 20, "alert_rate": 0.1,
    "precision": 0.5, "recall": 0.75, "average_precision": 0.6,
}  # fmt: skip


@pytest.fixture
def version(payments_detector, payments_digest, owner):
    made = VersionFactory(
        detector=payments_detector, number=4, digest=payments_digest, trained_by=owner,
        metrics=METRICS | {"known_at": "2026-06-01T00:00:00+00:00"},
    )  # fmt: skip
    Lineage.objects.create(
        version=made, code={"platform": "1.2.3", "digest": "c" * 64},
        subgroups=[{"feature": "merchant_type", "groups": [GROUP]}],
    )  # fmt: skip
    return documented_versions().get(pk=made.pk)


def page(client, version):
    return client.get(reverse("model_card", args=[version.pk])).content.decode()


def test_it_says_what_was_recorded(client, analyst, version):
    client.force_login(analyst)
    text = page(client, version)
    for said in ("v4", "as known at 2026-06-01 00:00 UTC", version.dataset.digest, version.digest,
                 "travel", "75.0", "Delay of 7 days", "owner", "nobody yet"):  # fmt: skip
        assert said in text, said


def test_it_says_by_which_parameters_it_was_made_and_what_a_rare_class_got(
    client, analyst, version
):
    smote = {"method": "smote", "ratio": 0.2, "neighbours": 7, "bags": 5}
    version.parameters = {"xgboost": {"max_depth": 6}, "imbalance": smote}
    version.save()
    client.force_login(analyst)
    text = page(client, version)
    assert "xgboost: max_depth 6" in text
    assert "Rare class: SMOTE up to 0.2 positives for each negative, 7 neighbours" in text


def test_it_says_how_the_events_were_divided_and_how_many_of_each_part_counted(
    api, client, analyst, version
):
    """As do the page of the version and of its data; of versions of before the spans alone."""
    ends = dict(zip(("train_end", "validation_end", "test_end"), (5e8, 6e8, 7e8), strict=True))
    dataset = version.dataset
    dataset.rows, dataset.detail = 900, {"split": {"train_start": 0.0, "delay": 86400.0, **ends}}
    dataset.save(update_fields=["rows", "detail"])
    url = f"/api/v1/models/{version.pk}/card"
    assert [part["events"] for part in api("models:read").get(url).json()["data"]["parts"]] == [
        *(None,) * 3
    ]
    counts = {"events": 274, "positives": 63}
    dataset.detail["parts"] = dict.fromkeys(("training", "validation", "test"), counts)
    dataset.save(update_fields=["detail"])
    part = api("models:read").get(url).json()["data"]["parts"][1]
    assert (part["name"], part["start"]) == ("validation", "1985-11-06T00:53:20Z")
    client.force_login(analyst)
    for text in (page(client, version), client.get(dataset.get_absolute_url()).content.decode()):
        assert "1970-01-01 00:00 to 1985-11-05 00:53 UTC" in text
        assert "274 events counted, 63 of them positive" in text
    text = client.get(version.get_absolute_url()).content.decode()
    assert "on 900 events (274 counted in the training part)" in text


def test_its_recall_is_corrected_by_the_random_audit_where_there_is_one(client, analyst, version):
    client.force_login(analyst)
    assert "Corrected by the random audit" not in page(client, version)
    known = {"value": 0.62, "low": 0.41, "high": 0.8}
    version.metrics["audited"] = {
        "recall": known, "naive_recall": 0.94, "drawn": 120, "audited": 118,
        "audited_positives": 3, "answered": 0.97, "effective_size": 205.0,
    }  # fmt: skip
    version.save(update_fields=["metrics"])
    text = page(client, version)
    assert "Corrected by the random audit" in text
    assert "62.0" in text and "41.0" in text and "Recall uncorrected" in text


def test_the_time_of_the_drift_check_is_written_as_all_times(client, analyst, version):
    DriftCheck.objects.create(
        detector=version.detector, bundle_digest=version.digest, model_version=version.label,
        checked_at=datetime(2026, 6, 3, 4, 5, tzinfo=UTC), rows=1200, status="stable",
    )  # fmt: skip
    client.force_login(analyst)
    text = " ".join(page(client, version).split())
    assert "stable, over 1,200 events, checked 2026-06-03 04:05 UTC" in text


def test_its_times_and_amounts_stand_as_on_every_other_page(client, analyst, version):
    kept_check(version.detector, bundle_digest=version.digest, checked_at=THEN)
    client.force_login(analyst)
    text = page(client, version)
    assert "2026-06-01 00:00 UTC" in text.partition("<dt>Drift</dt>")[2].partition("</dd>")[0]
    costs = text.partition("<dt>A review costs</dt>")[2].partition("</dl>")[0]
    assert costs.count('<span class="amount') == 2 and "EUR\n" not in costs


def test_it_says_who_put_it_into_service_and_why(client, analyst, owner, version):
    promote(version, actor=owner, reason="tested for a week")
    client.force_login(analyst)
    assert "tested for a week" in page(client, version)


def test_it_says_that_it_was_rolled_back_and_promoted_by_override(
    client, analyst, owner, second_owner, version, payments_detector, payments_digest
):
    first = VersionFactory(detector=payments_detector, number=1, digest=payments_digest)
    promote(first, actor=None)
    asked = request_promotion(version, actor=owner, override=True, reason="A quiet week it is.")
    approve_promotion(asked, actor=second_owner)
    roll_back(payments_detector, actor=owner, reason="Too many alerts")
    client.force_login(analyst)
    text = page(client, version)
    for said in ("Promoted by override", "asked for by owner", "Rolled back to v1", "Too many"):
        assert said in text, said
    assert "Brought back by a roll-back" in page(client, first)


def test_what_is_unknown_says_so(client, analyst, payments_detector):
    bare = VersionFactory(detector=payments_detector, metrics={}, curves={})
    card = model_card(documented_versions().get(pk=bare.pk))
    assert {"thresholds", "costs", "code version", "origin", "global explanation"} <= set(
        card["unknown"]
    )
    assert card["thresholds"] is None
    client.force_login(analyst)
    text = page(client, bare)
    assert "cannot be read" in text
    assert "No metric was recorded." in text


def test_a_bundle_that_lost_a_file_is_a_fault(payments_detector, payments_digest):
    place = bundle_root() / payments_digest
    whole = VersionFactory(detector=payments_detector, digest=payments_digest)
    assert model_card(whole)["bundle_fault"] == ""
    lost = place / "model.onnx"
    kept = lost.rename(place / "elsewhere")
    try:
        assert "model.onnx cannot be read" in model_card(whole)["bundle_fault"]
    finally:
        kept.rename(lost)


def test_a_version_judged_by_bad_events_alone_says_so(version):
    said = "No legitimate event is known among those: nothing tells of false alarms."
    assert said not in model_card(version)["limitations"]
    version.metrics |= {"rows": 40, "positives": 40}
    assert said in model_card(version)["limitations"]


def test_limitations_come_from_the_numbers(version):
    version.metrics |= {"positives": 12}
    version.comparison = {"champion_saw_test_rows": True}
    said = " ".join(model_card(version)["limitations"])
    assert "Only 12 positives" in said
    assert "had learnt from some of the same events" in said


def test_it_knows_no_pattern_that_is_younger_than_what_it_was_fitted_on(version):
    said = "It knows nothing of patterns that first appeared after"
    last = f"{version.dataset.last_event_at:%Y-%m-%d}"
    assert model_card(version)["limitations"][-1] == f"{said} {last}."
    ends = {"train_end": 5e8, "validation_end": 6e8, "test_end": 7e8}
    version.dataset.detail = {"split": {"train_start": 0.0, "delay": 86400.0, **ends}}
    assert model_card(version)["limitations"][-1] == (
        f"{said} 1985-11-05, when its training part ends."
    )


def test_the_label_policy_is_the_detectors(payments_detector, bundle_dir):
    manifest, files = trained_payments()
    said = {}
    for number, legitimate in enumerate((True, False), start=1):
        manifest["detector"]["training"]["unlabelled_is_legitimate"] = legitimate
        made = VersionFactory(
            detector=payments_detector, number=number,
            digest=write_bundle(bundle_root(), manifest, files),
        )  # fmt: skip
        card = model_card(documented_versions().get(pk=made.pk))
        said[legitimate] = card["label_policy"]["negatives"], " ".join(card["limitations"])
    assert "once the label delay has passed without a report" in said[True][0]
    assert "later than 7 days count as legitimate" in said[True][1]
    assert "only once somebody labelled it so" in said[False][0]
    assert "count as legitimate" not in said[False][1]
    assert "labelled events alone" in said[False][1]


def test_a_learner_without_labels_does_not_say_that_it_learnt_from_them(
    payments_detector, bundle_dir
):
    manifest, files = trained_payments()
    manifest["detector"]["training"]["unlabelled_is_legitimate"] = False
    made = VersionFactory(
        detector=payments_detector, learner="ecod",
        digest=write_bundle(bundle_root(), manifest, files),
    )  # fmt: skip
    card = model_card(documented_versions().get(pk=made.pk))
    assert "It is judged on labelled events alone" in " ".join(card["limitations"])
    assert "learnt from labelled events" not in " ".join(card["limitations"])
    assert card["label_policy"]["negatives"].endswith("is never a negative.")


def test_an_imported_version_says_whose_numbers_they_are(client, analyst, version):
    Lineage.objects.filter(version=version).update(origin="imported")
    client.force_login(analyst)
    text = page(client, version)
    assert "those that its file states" in text
    assert "who trained it is not recorded" in text


def test_the_api_gives_the_card_as_json(api, client, outsider, version):
    url = f"/api/v1/models/{version.pk}/card"
    body = api("models:read").get(url).json()
    assert body["evaluation"]["metrics"]["roc_auc"] == METRICS["roc_auc"]
    assert body["subgroups"][0]["groups"][0]["recall"] == 0.75
    assert body["people"]["decisions"] == []
    assert api("score").get(url).status_code == 403
    assert client.get(url).status_code == 401
    client.force_login(outsider)
    assert client.get(url).status_code == 403
    assert api("models:read").get("/api/v1/models/99999/card").status_code == 404


def test_every_learner_says_how_it_is_explained():
    assert set(LEARNER_TITLES) <= set(METHODS)


def test_an_outsider_may_not_read_it(client, outsider, version):
    client.force_login(outsider)
    assert client.get(reverse("model_card", args=[version.pk])).status_code == 403


def test_the_card_costs_the_same_queries_for_any_history(client, analyst, owner, version):
    client.force_login(analyst)
    spent = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            page(client, version)
        spent.append(len(queries))
        other = VersionFactory(detector=version.detector, digest=version.digest)
        for one in (other, version):
            one.refresh_from_db()
            promote(one, actor=owner)
    assert spent[0] == spent[1] <= 12
