"""Rules and sanctions lists over all detectors, and an event's value put on a list."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts import vault
from scoring import watchlist_store
from scoring.models import Prediction
from scoring.policy_models import ListEntry, RuleVersion, Watchlist
from scoring.watchlists import sync_watchlist
from tests.factories import payment, risky_payment, scored, shipped_detector

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
OVERVIEWS = ["rules_overview", "watchlists"]
REASON = {"kind": "deny", "field": "location", "reason": "Card testing ring", "days": "30"}
COLUMNS = ",".join(["-0- "] * 7)


@pytest.fixture(autouse=True)
def nothing_cached():
    cache.clear()
    watchlist_store.forget_indexes()


@pytest.fixture
def listed_name(tmp_path):
    """A sanctions list of one name is in force."""
    row = f'1,"RASSKOLNIKOW, Rodion","individual","TEST",{COLUMNS},"-0- "\r\n'
    (tmp_path / "sdn.csv").write_text(row)
    (tmp_path / "alt.csv").write_text('1,1,"aka","RASKOLNIKOFF, R.",-0- \r\n')
    return sync_watchlist(str(tmp_path))


def text_of(response):
    return response.content.decode()


def list_url(prediction):
    return reverse("list_event_value", args=[prediction.pk])


@pytest.mark.parametrize("name", OVERVIEWS)
def test_whoever_reads_rules_reads_the_overviews(client, engineer, name):
    client.force_login(engineer)
    assert client.get(reverse(name)).status_code == 200


@pytest.mark.parametrize("name", OVERVIEWS)
def test_a_stranger_logs_in_first_and_an_outsider_is_refused(client, outsider, name):
    assert client.get(reverse(name)).status_code == 302
    client.force_login(outsider)
    assert client.get(reverse(name)).status_code == 403


def test_the_overview_leads_to_rules_lists_and_policy(client, analyst):
    client.force_login(analyst)
    page = text_of(client.get(reverse("rules_overview")))
    for name in ("rule_list", "lists", "policy"):
        assert reverse(name, args=["payments"]) in page


@pytest.mark.parametrize("name", OVERVIEWS)
def test_overviews_cost_the_same_queries_for_any_number_of_detectors(client, analyst, name):
    client.force_login(analyst)
    client.get(reverse(name))
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get(reverse(name))
    for slug in ("fraud", "cards", "anomaly"):
        shipped_detector(slug)
    with CaptureQueriesContext(connection) as many:
        client.get(reverse(name))
    assert len(many) == len(few)


def test_a_list_that_was_never_read_is_said_to_screen_nothing(client, analyst):
    client.force_login(analyst)
    assert "names are not screened by it" in text_of(client.get(reverse("watchlists")))


@pytest.mark.parametrize(("days", "stale"), [(6, False), (8, True)])
def test_a_reading_is_stale_after_a_week(client, analyst, listed_name, days, stale):
    Watchlist.objects.update(synced_at=timezone.now() - timedelta(days=days))
    client.force_login(analyst)
    page = text_of(client.get(reverse("watchlists")))
    assert listed_name.digest[:12] in page
    assert (">Stale<" in page) == stale


def test_a_screening_hit_is_told_with_list_entry_and_likeness(client, analyst, listed_name):
    found = scored("payments", payment(user_name="Rodion Rasskolnikow"))
    client.force_login(analyst)
    page = text_of(client.get(found.get_absolute_url()))
    assert "RASSKOLNIKOW, Rodion" in page
    assert "OFAC SDN" in page
    assert listed_name.digest in page


def test_the_policy_of_a_prediction_stands_in_its_lineage(client, analyst):
    found = scored("payments", payment())
    client.force_login(analyst)
    assert found.policy_digest
    assert found.policy_digest in text_of(client.get(found.get_absolute_url()))


def test_a_lead_denies_a_value_of_an_event_and_comes_back(client, lead):
    found = scored("payments", risky_payment(location="Berlin"))
    client.force_login(lead)
    answer = client.post(list_url(found), REASON | {"back": "/alerts/1/"})
    assert (answer.status_code, answer.url) == (302, "/alerts/1/")
    entry = ListEntry.objects.get()
    assert (entry.kind, entry.field, entry.shown, entry.author) == (
        "deny",
        "location",
        "Berlin",
        lead,
    )


def test_a_value_with_what_nobody_sees_is_denied_from_its_event(client, lead):
    evading = "Ber\u200blin"
    found = scored("payments", risky_payment(location=evading))
    client.force_login(lead)
    assert client.post(list_url(found), REASON).status_code == 302
    assert ListEntry.objects.get().shown == evading


def test_personal_data_goes_on_a_list_unseen(client, lead):
    found = scored("payments", risky_payment(user_id="user-4821"))
    client.force_login(lead)
    assert "user-4821" not in text_of(client.get(list_url(found)))
    client.post(list_url(found), REASON | {"field": "user_id"})
    assert vault.decrypt(ListEntry.objects.get().shown) == "user-4821"


@pytest.mark.parametrize("changed", [{"field": "amount"}, {"reason": ""}, {"kind": "none"}])
def test_what_cannot_stand_on_a_list_is_refused_on_the_form(client, lead, changed):
    found = scored("payments", risky_payment())
    client.force_login(lead)
    assert client.post(list_url(found), REASON | changed).status_code == 422
    assert not ListEntry.objects.exists()


def test_an_analyst_sees_no_way_to_the_lists_and_is_refused(client, analyst):
    found = scored("payments", risky_payment())
    client.force_login(analyst)
    assert list_url(found) not in text_of(client.get(found.get_absolute_url()))
    assert client.post(list_url(found), REASON).status_code == 403


def test_a_value_that_was_personal_data_once_is_not_offered(client, lead):
    found = scored("payments", risky_payment())
    Prediction.objects.update(event={"location": vault.encrypt("Berlin")})
    client.force_login(lead)
    assert client.get(list_url(found)).status_code == 404


def test_the_detector_page_shows_rules_in_force_not_as_declared(client, engineer):
    rule = RuleVersion.objects.get(rule__code="HIGH_AMOUNT")
    RuleVersion.objects.filter(pk=rule.pk).update(stage="retired")
    client.force_login(engineer)
    page = text_of(client.get(reverse("detector_detail", args=["payments"])))
    assert "VELOCITY_MULTI_CITY" in page
    assert "HIGH_AMOUNT" not in page
