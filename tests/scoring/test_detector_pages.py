"""Pages of detectors and their admin: the declaration in words, an example that works."""

import json
import re
from datetime import UTC, datetime

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import AuditEntry
from scoring.core.features import calendar
from scoring.core.schema import EventParser
from scoring.core.spec import parse_spec
from scoring.core.transformations import FeatureSpec
from scoring.describing import example_event, feature_lines, field_lines, meaning
from scoring.models import Detector
from tests.factories import config_of, payments, scored_many, shipped_detector, spec_of

pytestmark = pytest.mark.django_db
SHIPPED = ["anomaly", "cards", "fraud", "payments"]
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def nothing_cached():
    cache.clear()


NUMBER_X = {"transformations": [{"type": "numeric", "config": {"fields": ["x"]}}]}


def text_of(response):
    return response.content.decode()


@pytest.mark.parametrize("slug", SHIPPED)
def test_the_example_of_every_shipped_detector_is_a_valid_event(slug):
    spec = spec_of(slug)
    event = example_event(spec, at=NOW)
    assert EventParser(spec).problems(event) == []
    assert json.loads(json.dumps(event)) == event


def test_the_example_of_a_field_that_may_be_null_is_a_value():
    config = config_of("fraud")
    config["event"]["schema"]["properties"]["merchant_type"]["enum"] = [None, "books"]
    spec = parse_spec(config)
    assert example_event(spec, at=NOW)["merchant_type"] == "books"


def test_a_time_of_day_is_told_and_exemplified_as_one():
    config = config_of("credit_card_fraud")
    config["event"]["schema"]["required"] = ["amount", "time_of_day"]
    spec = parse_spec(config)
    assert EventParser(spec).problems(example_event(spec, at=NOW)) == []
    kinds = {line.name: line.kind for line in field_lines(spec)}
    assert kinds["time_of_day"] == "time of day (23:15)"


def test_a_day_is_told_and_exemplified_as_one():
    config = config_of("fraud")
    config["event"]["schema"]["properties"]["born"] = {"type": "string", "format": "date"}
    config["event"]["schema"]["required"].append("born")
    spec = parse_spec(config)
    assert EventParser(spec).problems(example_event(spec, at=NOW)) == []
    assert {line.name: line.kind for line in field_lines(spec)}["born"] == "day (1962-11-23)"


def test_an_example_has_something_in_it_and_no_amount_below_nothing():
    config = config_of("payments")
    config["event"] = {
        "schema": {
            "properties": {"x": {"type": "number", "minimum": -1000}, "y": {"type": "string"}}
        }
    }
    config |= {"features": NUMBER_X, "rules": [], "screening": {}}
    assert example_event(parse_spec(config), at=NOW) == {"x": 42.0, "y": "y-1"}
    config["event"]["schema"]["required"] = ["x"]
    assert example_event(parse_spec(config), at=NOW) == {"x": 42.0}


def test_one_field_is_not_called_fields(client, analyst, payments_detector):
    config = config_of("payments") | {"features": NUMBER_X, "rules": [], "screening": {}}
    payments_detector.config = config | {
        "event": {"schema": {"properties": {"x": {"type": "number"}}}}
    }
    payments_detector.save(update_fields=["config"])
    client.force_login(analyst)
    page = " ".join(text_of(client.get(payments_detector.get_absolute_url())).split())
    assert "checked against 1 field → 1 feature →" in page


@pytest.mark.parametrize("slug", SHIPPED)
def test_every_feature_of_every_shipped_detector_has_a_meaning(slug):
    lines = feature_lines(spec_of(slug))
    assert [line.name for line in lines] == list(spec_of(slug).feature_names)
    assert all(line.meaning and "  " not in line.meaning for line in lines)


def test_features_are_told_in_words():
    told = {feature.name: meaning(feature) for feature in spec_of("payments").features}
    assert told["user_id_count_1h"] == "events of this user in 1 hour"
    assert (
        told["user_id_amount_ratio_7d"]
        == "amount, divided by the user's mean over the 7 days before"
    )


def test_an_entity_is_called_the_same_however_its_field_is_written():
    told = {feature.name: meaning(feature) for feature in spec_of("cards").features}
    assert told["CUSTOMER_ID_count_1d"] == "events of this customer in 1 day"


def test_the_night_ends_in_words_where_it_ends_in_numbers():
    told = meaning(FeatureSpec("night", "calendar", "night"))
    ends = [minute for minute in range(1440) if calendar(minute * 60.0)["night"]][-1]
    assert told == f"1 from 00:00 to {ends // 60:02d}:{ends % 60:02d} local time, else 0"


def test_fields_say_what_is_required_personal_and_used():
    fields = {line.name: line for line in field_lines(spec_of("payments"))}
    assert fields["user_id"].personal
    assert fields["user_id"].role == "the user that alerts are about"
    assert fields["amount"].required
    assert fields["country"].role == "country, screened"
    assert (fields["user_name"].role, fields["user_name"].personal) == ("name, screened", True)
    assert fields["amount"].limits == "from 0 to 1,000,000,000"


def test_people_see_detectors_and_what_serves_them(client, analyst, champion):
    client.force_login(analyst)
    assert "v1" in text_of(client.get(reverse("detector_list")))
    page = text_of(client.get(champion.get_absolute_url()))
    assert "VELOCITY_MULTI_CITY" in page
    assert "http://testserver/api/v1/detectors/payments/score" in page


def test_a_page_tells_what_becomes_of_fields_that_are_not_declared(client, analyst):
    detector = shipped_detector("fraud")
    client.force_login(analyst)
    assert "stored in clear with the event" in text_of(client.get(detector.get_absolute_url()))
    detector.config["event"]["undeclared"] = "drop"
    detector.save(update_fields=["config"])
    assert "nothing of them is stored" in text_of(client.get(detector.get_absolute_url()))


@pytest.mark.parametrize("slug", ["payments", "fraud"])
def test_how_an_event_is_judged_reads_as_a_sentence(client, analyst, slug):
    detector = shipped_detector(slug)
    client.force_login(analyst)
    page = text_of(client.get(detector.get_absolute_url()))
    judged = page.partition("How an event is judged")[2].partition("</section>")[0]
    words = " ".join(re.sub("<[^>]+>", "", judged).split())
    screened = ", sanctions screening" if slug == "payments" else ""
    assert re.search(rf"features → \d+ rules?{screened} → approve, review or block\.$", words)


def test_what_an_event_is_and_what_is_made_of_it_stand_in_one_column(client, analyst, champion):
    client.force_login(analyst)
    page = text_of(client.get(champion.get_absolute_url()))
    left, right = page.partition("of-7 stack")[2].split("of-5 stack")
    assert "Fields of an event" in left and 'aria-label="Features"' in left
    assert "Costs and training" in right and "Where features come from" in right


def test_a_stranger_logs_in_first_and_an_outsider_is_refused(client, outsider, champion):
    for url in (reverse("detector_list"), champion.get_absolute_url()):
        assert client.get(url).status_code == 302
    client.force_login(outsider)
    for url in (reverse("detector_list"), champion.get_absolute_url()):
        assert client.get(url).status_code == 403


def test_an_unknown_detector_is_404(client, analyst):
    client.force_login(analyst)
    assert client.get(reverse("detector_detail", args=["none"])).status_code == 404


def test_a_detector_without_events_says_what_to_do(client, analyst, payments_detector):
    client.force_login(analyst)
    page = text_of(client.get(payments_detector.get_absolute_url()))
    assert reverse("detector_declaration", args=["payments"]) in page
    assert "Send the example on this page" in page
    assert "Rules only" in page


def test_a_broken_declaration_shows_its_problems_and_not_an_error(
    client, analyst, payments_detector
):
    Detector.objects.update(config=config_of("payments") | {"costs": {"review": 5}})
    client.force_login(analyst)
    assert "is not a setting" in text_of(client.get(payments_detector.get_absolute_url()))
    assert "cannot be read" in text_of(client.get(reverse("detector_list")))


def test_pages_cost_the_same_queries_for_any_number_of_predictions(
    client, analyst, payments_detector
):
    client.force_login(analyst)
    for url in (reverse("detector_list"), payments_detector.get_absolute_url()):
        spent = []
        for seed in (1, 2):
            scored_many(
                "payments",
                [
                    p | {"transaction_id": f"{url}{seed}{i}"}
                    for i, p in enumerate(payments(20, seed=seed))
                ],
            )
            cache.clear()
            with CaptureQueriesContext(connection) as queries:
                client.get(url)
            spent.append(len(queries))
        assert spent[0] == spent[1] <= 15


@pytest.fixture
def root(django_user_model):
    client = Client()
    client.force_login(django_user_model.objects.create_superuser("root", password="x"))
    return client


def test_the_admin_finds_a_prediction_by_its_whole_id(root, champion):
    rows = scored_many("payments", payments(3))
    url = reverse("admin:scoring_prediction_changelist")
    found = root.get(url, {"q": rows[1].external_id}).context["cl"].result_list
    assert [row.pk for row in found] == [rows[1].pk]
    assert len(root.get(url).context["cl"].result_list) == 3


def test_the_admin_reads_no_more_predictions_than_it_shows(root, champion, monkeypatch):
    scored_many("payments", payments(3))
    monkeypatch.setattr("scoring.admin.MOST_COUNTED", 2)
    with CaptureQueriesContext(connection) as queries:
        page = root.get(reverse("admin:scoring_prediction_changelist"))
    assert page.context["cl"].result_count == 2
    assert len(queries) <= 9


def test_the_admin_switches_a_detector_off_and_leaves_its_declaration_alone(
    root, payments_detector
):
    url = reverse("admin:scoring_detector_change", args=[payments_detector.pk])
    assert reverse("detector_declaration", args=["payments"]) in text_of(root.get(url))
    assert root.post(url, {"config": "{}"}).status_code == 302
    found = Detector.objects.get()
    assert (found.enabled, found.config) == (False, payments_detector.config)
    entry = AuditEntry.objects.get(action="detector.changed")
    assert entry.detail == {"before": {"enabled": True}, "after": {"enabled": False}}
    root.post(url, {"config": "{}"})
    assert AuditEntry.objects.filter(action="detector.changed").count() == 1, "nothing changed"


@pytest.mark.parametrize("name", ["detector", "prediction", "label", "deployment"])
def test_none_is_added_in_the_admin(root, name):
    assert root.get(reverse(f"admin:scoring_{name}_add")).status_code == 403


@pytest.mark.parametrize("name", ["prediction", "label", "deployment"])
def test_what_services_write_is_read_only_in_the_admin(root, name):
    assert root.get(reverse(f"admin:scoring_{name}_changelist")).status_code == 200


def test_a_prediction_in_the_admin_shows_no_event(root, champion):
    row = scored_many("payments", payments(1))[0]
    page = text_of(root.get(reverse("admin:scoring_prediction_change", args=[row.pk])))
    assert row.external_id in page
    assert "user_name" not in page
