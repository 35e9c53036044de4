"""The queue's page: filters, saved views, the split, bulk acts, locks, live news; who may."""

import re
from datetime import timedelta
from html import unescape
from urllib.parse import urljoin

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.changes import in_short
from accounts.models import AuditEntry
from accounts.roles import ANALYST
from cases.models import Alert
from cases.queue_models import AlertFacet, QueueBudget, SavedView
from cases.resting import snooze_alert
from cases.summing_up import sum_up_missing
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of, waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
HTMX = {"HX-Request": "true"}
NEWS = HTMX | {"HX-Target": "news"}
CONTENT = HTMX | {"HX-Target": "content"}
CARD_TESTING = "label:fraud:card_testing"


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


def shown(response):
    return [row.alert for row in response.context["rows"]]


def options(response, name):
    (select,) = [s for s in response.context["selects"] if s["name"] == name]
    return dict(select["options"])


def text(response):
    return response.content.decode()


def test_by_due_time_the_soonest_comes_first_and_what_is_late_stands_out(reader):
    rows = waiting(3)
    now = timezone.now()
    for row, hours in zip(rows, (5, -1, 2), strict=True):
        Alert.objects.filter(pk=row.pk).update(due_at=now + timedelta(hours=hours))
    page = reader.get("/?sort=sla")
    assert shown(page) == [rows[1], rows[2], rows[0]]
    assert "Soonest due first" in text(page)
    assert text(page).count("is-late") == 1
    assert "late, due" in text(reader.get(rows[1].get_absolute_url()))


def test_a_row_carries_no_blanks_that_nobody_sees(reader):
    waiting(1)
    body = text(reader.get("/")).partition("<tbody")[2].partition("</tbody>")[0]
    assert "  " not in body and "\n" not in body


# --- Filters -------------------------------------------------------------------------------------


def test_every_filter_narrows_and_stands_in_the_address(reader, payments_detector):
    rows = waiting(4, exposure=100)
    other = AlertFacet.objects.create(
        detector=payments_detector, level=3, reason="amount", rules=" BIG NIGHT "
    )
    old = timezone.now() - timedelta(days=2)
    Alert.objects.filter(pk=rows[2].pk).update(
        facet=other, level=3, exposure=900, opened_at=old, entity="e" * 32
    )
    for query in (
        {"level": "CRITICAL"}, {"reason": "amount"}, {"rule": "NIGHT"}, {"age": "1d"},
        {"low": "500"}, {"low": "500", "high": "1000"}, {"entity": "e" * 32},
    ):  # fmt: skip
        page = reader.get("/", query)
        assert shown(page) == [rows[2]], query
        assert page.context["total"] == 1
        assert all(f"{k}={v}" in page.context["query"] for k, v in query.items())


def test_options_count_what_the_other_filters_leave(reader, payments_detector, analyst):
    rows = waiting(3)
    other = AlertFacet.objects.create(
        detector=payments_detector, level=3, reason="amount", rules=" BIG NIGHT "
    )
    Alert.objects.filter(pk=rows[0].pk).update(facet=other, level=3, owner=analyst)
    page = reader.get("/", {"owner": "none"})
    assert options(page, "level")["HIGH"] == "High (2)"
    assert options(page, "owner") == {"me": "Mine (1)", "none": "Unassigned (2)"}
    page = reader.get("/")
    assert options(page, "rule") == {"BIG": "BIG (1)", "NIGHT": "NIGHT (1)"}
    assert options(page, "reason") == {"amount": "amount (1)"}
    assert options(reader.get("/", {"q": "nowhere"}), "detector") == {}


def test_a_filter_that_matches_nothing_any_more_stays_to_be_seen(reader):
    assert options(reader.get("/", {"rule": "GONE"}), "rule")["GONE"] == "GONE (0)"


@pytest.mark.parametrize(
    "query",
    [
        {"low": "NaN"}, {"low": "1e400"}, {"high": "x"}, {"age": "9y"}, {"owner": "9" * 30},
        {"q": "'; drop"}, {"q": "\\' & | !"}, {"q": "\0"}, {"page": "x"}, {"page": "9" * 30},
        {"sort": "sla"}, {"entity": "%"}, {"rule": "%"}, {"view": "all"},
    ],
)  # fmt: skip
def test_nonsense_in_the_address_is_no_error(reader, query):
    waiting(1)
    assert reader.get("/", query).status_code == 200


def test_words_are_found_by_their_beginning_in_any_order(reader):
    first = alert_of("a")
    assert shown(reader.get("/", {"q": "ber"})) == [first]
    assert shown(reader.get("/", {"q": "000 above"})) == [first]
    assert shown(reader.get("/", {"q": "erlin"})) == []
    assert shown(reader.get("/", {"q": "berlin paris"})) == []


def test_an_alert_of_before_there_were_facets_is_summed_up_by_the_sweep(reader):
    alert = alert_of("a")
    Alert.objects.update(facet=None, loss_per_minute=0.0)
    assert reader.get("/").context["total"] == 0
    assert (sum_up_missing(), sum_up_missing()) == (1, 0)
    assert reader.get("/").context["total"] == 1
    alert.refresh_from_db()
    assert alert.loss_per_minute == pytest.approx(alert.expected_loss / 3.0)


def test_recoverability_lowers_what_a_minute_saves(payments_detector):
    payments_detector.config["costs"]["recoverability"] = 0.25
    payments_detector.save()
    alert = alert_of("a")
    assert alert.loss_per_minute == pytest.approx(alert.expected_loss * 0.25 / 3.0)


def test_snoozed_alerts_have_a_view_of_their_own(reader, analyst):
    asleep, awake = waiting(2)
    snooze_alert(asleep, until=timezone.now() + timedelta(hours=1), actor=analyst)
    page = reader.get("/")
    assert shown(page) == [awake]
    assert {tab["label"]: tab["count"] for tab in page.context["tabs"]}["Snoozed"] == 1
    assert shown(reader.get("/", {"view": "snoozed"})) == [asleep]
    Alert.objects.update(snoozed_until=timezone.now() - timedelta(seconds=1))
    assert len(shown(reader.get("/"))) == 2
    assert "Nothing is snoozed" in text(reader.get("/", {"view": "snoozed"}))


@pytest.mark.parametrize("query", [{}, {"q": "ber", "age": "1h"}, {"view": "snoozed"}])
def test_the_page_costs_the_same_queries_for_any_number_of_alerts(
    reader, django_assert_max_num_queries, query
):
    for n in (3, 120):
        Alert.objects.all().delete()
        waiting(n)
        # As tests/cases/test_views.py counts; a filter that is not grouped by counts twice more and
        # reads the detectors' entity fields.
        with django_assert_max_num_queries(22 if query else 16):
            reader.get("/", query)


def test_the_last_pages_of_a_long_queue_are_bounded(reader, monkeypatch):
    monkeypatch.setattr("cases.queue_page.MOST_PAGES", 2)
    waiting(130)
    page = reader.get("/", {"page": 3})
    assert (page.context["page_obj"].number, page.context["total"]) == (2, 130)


# --- The split -----------------------------------------------------------------------------------


def test_the_split_spreads_its_rows_and_every_alert_is_on_one_page(reader, analyst):
    rows = waiting(120)
    for row, gap in zip(rows[100:], range(20), strict=True):
        Alert.objects.filter(pk=row.pk).update(threshold_gap=gap / 100)
    Alert.objects.filter(pk=rows[119].pk).update(audit=True)
    reader.post(reverse("queue_budget"), {"uncertain": 10, "audit": 2})
    pages = [reader.get("/", {"page": n}) for n in (1, 2, 3)]
    purposes = [row.line.purpose for row in pages[0].context["rows"]]
    assert (purposes.count("uncertain"), purposes.count("random_audit")) == (5, 1)
    seen = [alert.pk for page in pages for alert in shown(page)]
    assert sorted(seen) == sorted(row.pk for row in rows)
    assert len(shown(pages[0])) == 50
    assert "uncertain" not in [row.line.purpose for row in reader.get("/?sort=age").context["rows"]]


@pytest.mark.parametrize("wrong", [{"uncertain": 80, "audit": 30}, {"uncertain": -1, "audit": 0},
                                   {"uncertain": "x", "audit": 3}, {}])  # fmt: skip
def test_a_split_that_is_no_whole_is_refused_and_kept_as_typed(reader, wrong):
    answer = reader.post(reverse("queue_budget"), wrong)
    assert answer.status_code == 422
    assert 'id="budget-problem"' in text(answer)
    assert not QueueBudget.objects.exists()


def test_only_a_lead_splits_everybodys_queue(client, analyst, lead):
    for user, status in ((analyst, 422), (lead, 302)):
        client.force_login(user)
        data = {"uncertain": 5, "audit": 5, "everybody": 1}
        assert client.post(reverse("queue_budget"), data).status_code == status
    assert QueueBudget.objects.get().user is None
    entry = AuditEntry.objects.get(action="queue.split_changed")
    assert (entry.actor, entry.detail["after"]) == (lead, {"uncertain": 5, "audit": 5})
    assert in_short(entry.action, entry.detail).startswith("audit: 0 → 5; uncertain:")


# --- Saved views ---------------------------------------------------------------------------------


def test_a_view_is_saved_shown_with_its_count_renamed_and_deleted(reader):
    waiting(3, exposure=50)
    reader.post(reverse("view_save"), {"name": " Small  ones ", "query": "high=100&sort=age"})
    view = SavedView.objects.get()
    assert (view.name, view.query) == ("Small ones", "high=100&sort=age")
    page = reader.get("/?high=100&sort=age")
    (tab,) = [tab for tab in page.context["tabs"] if tab["label"] == "Small ones"]
    assert (tab["count"], tab["here"]) == (3, True)
    change = reverse("view_change", args=[view.pk])
    reader.post(change, {"name": "Tiny"})
    assert SavedView.objects.get().name == "Tiny"
    reader.post(change, {"delete": 1})
    assert not SavedView.objects.exists()


def links_of(response):
    """Where the page's own links lead from the address that it was shown at."""
    found = re.findall(r'(?:href|hx-get)="([^"#]*)"', text(response))
    return {urljoin(response.request["PATH_INFO"], unescape(link)) for link in found}


@pytest.mark.parametrize("act", ["view_save", "queue_budget"])
def test_the_page_of_a_refused_act_leads_on_as_the_queue_does(reader, act):
    waiting(60, exposure=50)
    query = "high=100&sort=age"
    refused = reader.post(reverse(act), {"name": " ", "uncertain": "x", "query": query})
    assert refused.status_code == 422
    assert links_of(refused) == links_of(reader.get(f"/?{query}"))
    assert any("page=2" in link and "high=100" in link for link in links_of(refused))


def test_after_an_act_on_many_the_next_page_is_that_of_the_same_filters(client, lead):
    client.force_login(lead)
    waiting(60, exposure=50)
    (first, *_) = shown(client.get("/?high=100&sort=age"))
    act = {"act": "assign:me", "alert": f"{first.pk}:1", "query": "high=100&sort=age"}
    done = client.post(reverse("alerts_bulk"), act, headers=CONTENT)
    assert done.status_code == 200
    assert any("page=2" in link and "high=100" in link for link in links_of(done))


def test_a_view_without_a_name_and_one_too_many_are_refused(reader, analyst):
    answer = reader.post(reverse("view_save"), {"name": " " * 3, "query": ""})
    assert (answer.status_code, "Give the view a name" in text(answer)) == (422, True)
    long = reader.post(reverse("view_save"), {"name": "n" * 41})
    assert "n" * 41 in text(long)
    for i in range(13):
        answer = reader.post(reverse("view_save"), {"name": f"v{i}"})
    assert "Delete one first" in text(answer)
    assert SavedView.objects.count() == 12


def test_only_leads_share_and_everybody_sees_what_is_shared(client, analyst, lead):
    client.force_login(analyst)
    refused = client.post(reverse("view_save"), {"name": "Ours", "shared": 1})
    assert "Only a lead shares" in text(refused)
    client.force_login(lead)
    client.post(reverse("view_save"), {"name": "Ours", "query": "level=HIGH", "shared": 1})
    client.force_login(analyst)
    assert "Ours" in [tab["label"] for tab in client.get("/").context["tabs"]]
    change = reverse("view_change", args=[SavedView.objects.get().pk])
    assert client.post(change, {"delete": 1}).status_code == 422
    assert SavedView.objects.exists()


def test_nobody_touches_the_private_view_of_another(client, analyst):
    view = SavedView.objects.create(owner=user_with_role(ANALYST), name="Private")
    client.force_login(analyst)
    answer = client.post(reverse("view_change", args=[view.pk]), {"delete": 1})
    assert (answer.status_code, SavedView.objects.count()) == (404, 1)
