"""Who moves a threshold sees what it would have done on the newest judged events, before that."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from models_registry.core.threshold_curve import Curve
from models_registry.evaluation_models import Evaluation
from models_registry.promotion import promote
from models_registry.threshold_changes import changes_of
from tests.models_registry.learning import KNOWN_AT
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true", "HX-Target": "thresholds"}
STAND = {"review": 0.5, "block": 0.9, "medium": 0.5, "high": 0.7, "critical": 0.9}
# [threshold, rows, positives, loss, events] at or above it, of 100 events in 10 days.
CUTS = [[0.95, 2, 2, 200.0, 2], [0.6, 10, 6, 600.0, 10], [0.3, 30, 8, 800.0, 30]]
TOTALS = {"days": 10.0, "events": 100, "rows": 100, "positives": 10, "lost_if_approved": 1000.0}


def judged(cuts=CUTS, **totals):
    metrics = {"roc_auc": 0.9, "thresholds": STAND, "known_at": KNOWN_AT.isoformat()}
    return {"metrics": metrics, "curves": {"thresholds": TOTALS | totals | {"cuts": cuts}}}


@pytest.fixture
def champion(payments_detector, payments_digest):
    version = VersionFactory(
        detector=payments_detector, number=1, digest=payments_digest, **judged()
    )
    promote(version, actor=None)
    return version


def previewed(client, version, review, block="0.9"):
    url = reverse("model_thresholds", args=[version.pk])
    return client.get(url, {"review": review, "block": block}, headers=HTMX)


def told(answer):
    return {
        one.name: (one.now, one.then, one.change) for one in answer.context["thresholds"].changes
    }


def test_before_publishing_an_owner_sees_what_it_would_have_changed(client, owner, champion):
    client.force_login(owner)
    answer = previewed(client, champion, "0.25")
    found = told(answer)
    assert found["Labelled events flagged"] == ("10", "30", "+20")
    assert found["Bad ones among them"] == ("6", "8", "+2")
    assert found["Alerts a day"] == ("1.0", "3.0", "+2.0")
    assert found["Blocked a day"] == ("0.2", "0.2", "0")
    assert found["Precision"][2] == "\N{MINUS SIGN}33.3 points"
    assert found["Recall"][2] == "+20.0 points"
    assert found["Cost per 1,000 events"][2].startswith("\N{MINUS SIGN}")
    page = " ".join(answer.content.decode().split())
    assert "On the same 100 events that were new to it, 10 of them bad, as known at" in page
    assert page.index('id="threshold-changes"') < page.index('id="publish-thresholds"')


@pytest.mark.parametrize("folds_since", [0, 7])
def test_it_is_told_by_the_newest_evaluation_as_of_today(client, owner, champion, folds_since):
    newest = judged(cuts=[[0.95, 2, 2, 200.0, 2], [0.3, 40, 9, 900.0, 40]])
    Evaluation.objects.create(
        version=champion, kind="as_of", known_at=KNOWN_AT, first_event_at=KNOWN_AT,
        last_event_at=KNOWN_AT, **newest,
    )  # fmt: skip
    for _ in range(folds_since):
        Evaluation.objects.create(
            version=champion, kind="folds", known_at=KNOWN_AT, first_event_at=KNOWN_AT,
            last_event_at=KNOWN_AT, metrics={"folds": [], "mean": {}},
        )  # fmt: skip
    client.force_login(owner)
    found = told(previewed(client, champion, "0.25"))
    assert found["Labelled events flagged"] == ("2", "40", "+38")
    assert client.get(champion.get_absolute_url()).status_code == 200


def test_where_not_all_events_have_a_label_it_says_which_numbers_count_them_all(
    client, owner, champion
):
    cuts = [[0.95, 2, 2, 200.0, 4], [0.6, 10, 6, 600.0, 20], [0.3, 30, 8, 800.0, 300]]
    champion.curves = judged(cuts, events=1000)["curves"]
    champion.save(update_fields=["curves"])
    client.force_login(owner)
    answer = previewed(client, champion, "0.25")
    found, page = told(answer), " ".join(answer.content.decode().split())
    assert found["Labelled events flagged"] == ("10", "30", "+20")
    assert found["Alerts a day"] == ("2.0", "30", "+28")
    assert "Alerts and blocks a day count all 1,000 events of these days." in page


def test_without_amounts_there_is_no_cost_and_without_a_bad_event_no_recall(payments_detector):
    bare = [[0.6, 10, 0, None, 10], [0.3, 30, 0, None, 30]]
    stored = TOTALS | {"positives": 0, "lost_if_approved": None, "cuts": bare}
    curve = Curve(stored, payments_detector.spec().costs)
    found = changes_of(curve.at(0.5, 0.9), curve.at(0.25, 0.9), currency="EUR")
    assert [one.name for one in found][-2:] == ["Precision", "Recall"]
    assert {one.change for one in found[-2:]} == {"\N{EN DASH}"}


def test_nothing_is_told_without_a_valid_preview_and_a_preview_costs_no_query(
    client, owner, champion
):
    client.force_login(owner)
    url = reverse("model_thresholds", args=[champion.pk])
    with CaptureQueriesContext(connection) as plain:
        assert told(client.get(url, headers=HTMX)) == {}
    with CaptureQueriesContext(connection) as preview:
        assert told(previewed(client, champion, "0.25"))
    assert len(preview) == len(plain)
    assert told(previewed(client, champion, "7")) == {}
