"""Who is linked to whom: two hops, capped, hubs named by their number, never personal data."""

from datetime import timedelta

import pytest
from django.urls import reverse

from cases import link_graph as graphs
from cases import linking
from cases.link_graph import EntityNode, ValueNode, entity_key, link_graph, value_key
from cases.linking import index_links
from cases.models import Alert
from cases.services import label_alert, open_alerts
from scoring.models import Prediction
from tests.factories import fraud, payment, risky_payment, scored, scored_many

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def no_grace(monkeypatch):
    monkeypatch.setattr(linking, "GRACE", timedelta(seconds=-1))


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


def sent(*who):
    """One payment of each (user, device), in the index; the newest prediction by user."""
    rows = scored_many(
        "payments", [payment(user_id=f"user-number-{u}", device_id=d) for u, d in who]
    )
    index_links()
    return {who[i][0]: row for i, row in enumerate(rows)}


def graph(row, **options):
    return link_graph(row.detector_id, row.entity, "me", **options)


def shown(found):
    return [
        [node.shown[-1] if isinstance(node, EntityNode) else node.shown for node in column]
        for column in found.columns
    ]


def links_url(row):
    return reverse("entity_links", args=["payments", row.entity])


def test_a_shared_device_leads_to_the_other_user_and_from_there_to_a_third():
    rows = sent(("a", "phone"), ("b", "phone"), ("b", "tablet"), ("c", "tablet"))
    assert shown(graph(rows["a"])) == [["e"], ["phone"], ["b"], ["tablet"], ["c"]]
    assert graph(rows["a"]).linked == 2


def test_what_nobody_shares_is_counted_and_not_drawn():
    found = graph(sent(("a", "phone"), ("a", "watch"), ("b", "laptop"))["a"])
    assert (len(found.columns), found.alone) == (1, {"device_id": 2})


def test_the_rarer_a_value_is_shared_the_earlier_it_comes():
    pairs = [("a", "busy"), ("a", "rare"), ("b", "rare")]
    found = graph(sent(*pairs, *[(f"{i}", "busy") for i in range(5)])["a"])
    assert [node.shown for node in found.columns[1]] == ["rare", "busy"]


def test_a_hub_is_a_number_until_somebody_opens_it(monkeypatch):
    monkeypatch.setattr(graphs, "HUB", 3)
    row = sent(("a", "till"), *[(f"{i}", "till") for i in range(6)])["a"]
    hub = graph(row).columns[1][0]
    assert isinstance(hub, ValueNode) and hub.hub and hub.entities == 7
    assert graph(row).linked == 0
    assert graph(row, opened=[hub.key]).linked == 6


def test_it_never_grows_beyond_its_caps(monkeypatch):
    pairs = [("a", f"d{i}") for i in range(20)]
    pairs += [(f"{i}-{j}", f"d{i}") for i in range(20) for j in range(4)]
    found = graph(sent(*pairs)["a"])
    assert len(found.columns[1]) <= graphs.VALUES
    assert len(found.columns[2]) <= graphs.ENTITIES
    assert found.left_out > 0


def test_an_event_that_the_index_does_not_know_yet_links_by_its_own_values():
    sent(("b", "phone"), ("c", "phone"))
    row = scored("payments", payment(user_id="user-number-a", device_id="phone"))
    found = graph(row, own=graphs.values_of_event(row, row.detector.spec()))
    assert [len(column) for column in found.columns] == [1, 1, 2]


def test_risk_is_that_of_the_alerts_and_outcomes_are_counted(analyst):
    rows = sent(("a", "phone"), ("b", "phone"))
    risky = scored("payments", risky_payment(user_id="user-number-b", device_id="phone"))
    open_alerts([risky.pk])
    alert = Alert.objects.get()
    label_alert(alert, disposition="fraud", reason_code="card_testing", actor=analyst)
    index_links()
    (other,) = graph(rows["a"]).entities
    assert (other.standing.level, other.standing.alerts) == ("HIGH", 1)
    assert (other.standing.frauds, other.standing.fraud_alerts) == (1, 1)


def test_the_page_draws_names_masked_with_the_word_of_the_risk(reader):
    rows = sent(("a", "phone"), ("b", "phone"))
    open_alerts([scored("payments", risky_payment(user_id="user-number-b")).pk])
    text = reader.get(links_url(rows["a"])).content.decode()
    assert "user-number" not in text
    assert "••••er-b" in text and "High, 1 alert" in text and "phone" in text
    fragment = reader.get(links_url(rows["a"]), headers=HTMX).content.decode()
    assert "<svg" in fragment and "<title>Links" not in fragment and "<html" not in fragment


def test_opening_a_node_keeps_what_was_opened_in_the_address(reader):
    rows = sent(("a", "phone"), ("b", "phone"))
    key = entity_key(rows["b"].entity)
    page = reader.get(links_url(rows["a"]), {"open": [key, "nonsense"]})
    assert page.status_code == 200
    assert "Close what was opened" in page.content.decode()
    assert f"open={key}" in reader.get(links_url(rows["a"])).content.decode()


def test_a_detector_without_link_fields_says_so(reader, fraud_detector):
    row = scored("fraud", fraud())
    page = reader.get(reverse("entity_links", args=["fraud", row.entity]))
    assert "Nothing to link by" in page.content.decode()


def test_who_may_not_see_predictions_sees_no_links(client, outsider):
    row = sent(("a", "phone"))["a"]
    assert client.get(links_url(row)).status_code == 302
    client.force_login(outsider)
    assert client.get(links_url(row)).status_code == 403


def test_an_unknown_entity_is_404(reader):
    assert reader.get(reverse("entity_links", args=["payments", "0" * 32])).status_code == 404


def test_a_graph_costs_the_same_queries_for_any_number_of_links(
    reader, django_assert_max_num_queries
):
    for size in (2, 30):
        pairs = [("a", f"d{i}") for i in range(size)]
        row = sent(*pairs, *[(f"{i}", f"d{i % size}") for i in range(2 * size)])["a"]
        reader.get(links_url(row), headers=HTMX)
        # The frame's five; detector, newest event; three reads a hop, alerts, names, progress.
        with django_assert_max_num_queries(18):
            reader.get(links_url(row), headers=HTMX)
    assert Prediction.objects.count() > 90


def test_values_are_told_apart_by_field():
    assert value_key(("device_id", "t")) != value_key(("merchant_id", "t"))
