"""What the page of an alert says, and what it fetches: band, own past, checks, timeline, replay."""

from datetime import timedelta

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone

from cases.models import Alert
from cases.selectors import find_alert
from cases.services import label_alert, open_alerts
from scoring import deployment
from scoring.core.bundle import write_bundle
from scoring.models import Prediction
from scoring.ordering import add_list_entry, revoke_list_entry, snooze_rule
from scoring.policy_models import ListEntry, Rule
from scoring.standing_orders import orders_now
from tests.cases.alerts import alert_of, flagged
from tests.factories import (
    START,
    card,
    fraud,
    payment,
    risky_payment,
    scored,
    scored_many,
    trained_payments,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
HTMX = {"HX-Request": "true"}
RULE = "VELOCITY_MULTI_CITY"


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


def opened(**changed):
    """The alert of a risky payment after a few harmless ones of the same user."""
    past = [
        payment(amount=20.0 + i, timestamp=(START - timedelta(days=9 - i)).isoformat())
        for i in range(6)
    ]
    scored_many("payments", past)
    row = scored("payments", risky_payment(**changed))
    open_alerts([row.pk])
    return Alert.objects.get(links__prediction=row)


def page(reader, alert):
    return " ".join(reader.get(alert.get_absolute_url()).content.decode().split())


def fetched(reader, name, row, **options):
    answer = reader.get(reverse(name, args=[row.pk]), headers=HTMX, **options)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def timeline(reader, alert, **asked):
    url = reverse("entity_timeline", args=[alert.detector.slug, alert.entity])
    return reader.get(url, {"alert": alert.pk, **asked}, headers=HTMX)


# --- How far to believe it ---------------------------------------------------------------------


def test_the_band_of_the_probability_stands_beside_it(reader, champion):
    alert = opened(amount=900.0)
    answer = reader.get(alert.get_absolute_url())
    band = answer.context["band"]
    assert band.text.endswith(" %") and "unseen test events" in band.detail
    assert f"band {band.text}" in answer.content.decode()


def test_a_version_without_bands_says_so(reader, payments_detector):
    manifest, files = trained_payments()
    del manifest["calibration_band"]
    digest = write_bundle(deployment.bundle_root(), manifest, files)
    deployment.install(payments_detector, slot="champion", digest=digest, version="v9")
    text = page(reader, opened())
    assert "no band" in text and "this version carries none" in text


def test_an_uncalibrated_score_says_why_it_has_no_band(reader, champion):
    alert = opened()
    Prediction.objects.filter(pk=alert.top_prediction_id).update(probability=None)
    assert "not calibrated" in page(reader, alert)


def test_an_event_unlike_all_of_training_says_so_and_names_the_feature(reader, champion):
    text = page(reader, opened(amount=800_000.0))
    assert "Out of distribution" in text
    assert "Amount 800,000 EUR, in training" in text


def test_an_ordinary_event_is_not_called_strange(reader, champion):
    prediction = scored("payments", payment(amount=60.0, device_id="a", merchant_id="m1"))
    assert "Out of distribution" not in reader.get(prediction.get_absolute_url()).content.decode()


# --- The entity's own past -----------------------------------------------------------------------


def test_each_reason_stands_beside_the_entity_s_own_past(reader, champion):
    reasons = reader.get(opened().get_absolute_url()).context["reasons"]
    own = {reason["feature"]: reason["own"] for reason in reasons}
    assert own["amount"].text == "Above all 6 earlier events, usually 20.5 EUR to 24.5 EUR"
    assert own["amount"].spark is not None
    assert [value for _, value in own["amount"].rows][:2] == ["25 EUR", "24 EUR"]


def test_an_entity_without_history_says_so(reader, champion):
    alert = alert_of("somebody-new")
    assert "First event of this user" in page(reader, alert)


def test_later_events_are_no_past(reader, champion):
    alert = opened()
    late = (START + timedelta(days=2)).isoformat()
    scored_many("payments", [payment(amount=30_000.0, timestamp=late)])
    reasons = reader.get(alert.get_absolute_url()).context["reasons"]
    assert next(r["own"] for r in reasons if r["feature"] == "amount").count == 6


def test_without_a_model_what_rules_read_stands_beside_the_past(reader):
    reasons = reader.get(opened().get_absolute_url()).context["reasons"]
    assert [reason["feature"] for reason in reasons] == ["amount", "user_id_amount_ratio_7d"]
    assert reasons[0]["own"].text.startswith("Above all 6 earlier events")


def test_vectors_of_another_bundle_are_matched_by_name(reader, champion):
    alert = opened()
    Prediction.objects.filter(pk=alert.top_prediction_id).update(bundle_digest="f" * 64)
    assert reader.get(alert.get_absolute_url()).status_code == 200
    others = Prediction.objects.exclude(pk=alert.top_prediction_id)
    others.update(vector=np.zeros(2, "<f8").tobytes())
    assert reader.get(alert.get_absolute_url()).status_code == 200


# --- What it fetches -----------------------------------------------------------------------------


def test_every_panel_that_is_fetched_has_an_address_of_its_own(reader, champion):
    alert = opened()
    text = page(reader, alert)
    top, entity = alert.top_prediction, [alert.detector.slug, alert.entity]
    urls = [reverse(name, args=[top.pk]) for name in
            ("prediction_checks", "prediction_approve", "prediction_replay")]  # fmt: skip
    urls += [reverse("entity_links", args=entity), reverse("alert_similar", args=[alert.pk])]
    urls += [f"{reverse('entity_timeline', args=entity)}?alert={alert.pk}"]
    for url in urls:
        assert f'hx-get="{url}"' in text and f'href="{url}"' in text
        assert "<title>" in reader.get(url).content.decode()


def test_what_to_check_next_begins_with_what_decides(reader, champion):
    text = fetched(reader, "prediction_checks", opened(amount=900.0).top_prediction)
    assert text.index("Ask the user whether the amount is theirs: amount 900 EUR.") < 400
    assert "approved." in text


def test_a_check_names_no_personal_data(reader, champion):
    text = fetched(reader, "prediction_checks", opened(user_name="Ada Lovelace").top_prediction)
    assert "Ada" not in text and "user-1" not in text


def test_checks_of_a_bundle_that_is_gone_say_so(reader, champion):
    alert = opened()
    Prediction.objects.filter(pk=alert.top_prediction_id).update(bundle_digest="0" * 64)
    assert "It cannot be told" in fetched(reader, "prediction_checks", alert.top_prediction)


def test_a_replay_that_agrees_and_one_that_does_not(reader, champion):
    row = opened().top_prediction
    assert "replays to the same decision" in fetched(reader, "prediction_replay", row)
    Prediction.objects.filter(pk=row.pk).update(decision="APPROVE")
    assert "decision differs" in fetched(reader, "prediction_replay", row)
    Prediction.objects.filter(pk=row.pk).update(bundle_digest="0" * 64)
    assert "cannot be replayed" in fetched(reader, "prediction_replay", row)


# --- Timeline ------------------------------------------------------------------------------------


def test_the_timeline_draws_events_labels_and_alerts_that_lead_to_their_pages(reader, analyst):
    alert = opened()
    label_alert(alert, disposition="fraud", reason_code="card_testing", actor=analyst)
    panel = timeline(reader, alert).context["timeline"]
    names = {trace["name"] for trace in panel.figure["data"]}
    assert {"This alert", "Alert opened", "Approved", "Review, fraud"} <= names
    links = [url for trace in panel.figure["data"] for url in trace.get("customdata", ())]
    assert alert.top_prediction.get_absolute_url() in links
    assert alert.get_absolute_url() in links


def test_the_span_is_thirty_days_and_can_be_switched(reader):
    alert = opened()
    old = [payment(timestamp=(START - timedelta(days=days)).isoformat()) for days in (20, 60, 200)]
    scored_many("payments", old)
    counts = {asked: len(timeline(reader, alert, range=asked).context["timeline"].rows)
              for asked in ("7", "30", "90", "365", "nonsense")}  # fmt: skip
    assert counts == {"7": 5, "30": 8, "90": 9, "365": 10, "nonsense": 8}


def test_places_get_a_band_where_there_are_several(reader):
    alert = opened(location="Rome")
    figure = timeline(reader, alert).context["timeline"].figure
    places = next(trace for trace in figure["data"] if trace["name"] == "Place")
    assert set(places["y"]) == {"Berlin", "Rome"}


def test_a_timeline_without_scripts_has_the_table(reader):
    alert = opened()
    url = reverse("entity_timeline", args=["payments", alert.entity])
    text = reader.get(url).content.decode()
    assert "<noscript>" in text and alert.top_prediction.external_id in text
    assert "grid-table" in text
    assert "grid-table" not in timeline(reader, alert).content.decode()


def test_another_entity_s_alert_does_not_move_the_timeline(reader):
    alert, other = opened(), alert_of("somebody-else")
    url = reverse("entity_timeline", args=["payments", alert.entity])
    assert reader.get(url, {"alert": other.pk}, headers=HTMX).context["here"] is False
    assert reader.get(url, {"alert": "9" * 30}, headers=HTMX).status_code == 200
    assert reader.get(url.replace(alert.entity, "0" * 32)).status_code == 404


def test_the_timeline_costs_the_same_queries_and_stays_small(reader, django_assert_max_num_queries):
    alert = opened()
    scored_many("payments", [payment(amount=20.0 + i) for i in range(150)])
    # The frame's four; detector, alert, its predictions, events, their labels, alerts.
    with django_assert_max_num_queries(12):
        answer = timeline(reader, alert)
    assert len(answer.content) < 60_000


# --- Facts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("change", "view"), [({}, "rules"), ({"rule_hits": []}, "event")])
def test_the_facts_begin_with_what_decided(reader, change, view):
    alert = opened()
    if change:
        Prediction.objects.filter(pk=alert.top_prediction_id).update(**change)
    assert reader.get(alert.get_absolute_url()).context["view"] == view


def test_earlier_alerts_and_their_cases_are_told(reader, analyst):
    first = opened()
    label_alert(first, disposition="false_positive", reason_code="travel", actor=analyst)
    open_alerts([scored("payments", risky_payment()).pk])
    second = Alert.objects.get(status="open")
    text = page(reader, second)
    assert first.get_absolute_url() in text and "Travel" in text and "In no other case" in text


@pytest.mark.parametrize("slug", ["cards", "fraud"])
def test_detectors_of_other_kinds_have_the_same_page(reader, cards_detector, fraud_detector, slug):
    raw = card(1, TX_AMOUNT=500.0) if slug == "cards" else fraud(transaction_amount=20_000.0)
    open_alerts([scored(slug, raw).pk])
    alert = Alert.objects.get(detector__slug=slug)
    assert reader.get(alert.get_absolute_url()).status_code == 200


FETCHED = ["prediction_checks", "prediction_replay"]


@pytest.mark.parametrize("name", FETCHED)
def test_a_stranger_and_an_outsider_fetch_nothing(client, outsider, name):
    row = opened().top_prediction
    url = reverse(name, args=[row.pk])
    assert client.get(url).status_code == 302
    client.force_login(outsider)
    assert client.get(url).status_code == 403
    timeline_url = reverse("entity_timeline", args=["payments", row.entity])
    assert client.get(timeline_url).status_code == 403


def test_the_page_is_small_whatever_the_history(reader, champion):
    alert = opened()
    scored_many("payments", [payment(amount=20.0 + i) for i in range(150)])
    assert len(reader.get(alert.get_absolute_url()).content) < 150_000


def test_the_timeline_says_in_which_currencies_it_is_drawn(reader):
    alert = opened()
    url = reverse("entity_timeline", args=["payments", alert.entity])
    assert "Amount in EUR" in reader.get(url).content.decode()
    rows = Prediction.objects.filter(entity=alert.entity)
    rows.filter(pk=rows.first().pk).update(currency="USD")
    said = "Amount in EUR and USD" if rows.count() > 1 else "Amount in USD"
    assert said in reader.get(url).content.decode()


# --- Orders that stand now ------------------------------------------------------------------------


def ordered(alert, author, kind="deny", field="user_id", value="user-1", days=3):
    return add_list_entry(
        alert.detector,
        kind=kind,
        field=field,
        value=value,
        reason="Told by the bank",
        expires_at=None if days is None else timezone.now() + timedelta(days=days),
        author=author,
    )


def snoozed(alert, author):
    snooze_rule(
        Rule.objects.get(detector=alert.detector, code=RULE),
        token=alert.entity,
        shown="user-1",
        reason="Travels",
        until=timezone.now() + timedelta(days=1),
        author=author,
    )


def test_orders_that_were_given_since_are_told_with_their_end(reader, lead):
    alert = opened()
    assert reader.get(alert.get_absolute_url()).context["orders"] == []
    ordered(alert, lead, days=3)
    ordered(alert, lead, kind="allow", field="user_name", value="Ada Lovelace", days=None)
    snoozed(alert, lead)
    answer = reader.get(alert.get_absolute_url())
    found = {order.kind: order for order in answer.context["orders"]}
    deny, allow, snooze = (
        found[kind] for kind in ("On the deny list", "On the allow list", "Snoozed")
    )
    text = " ".join(answer.content.decode().split())
    assert (deny.of, snooze.of) == ("user_id ••••", RULE)
    assert all(order.since for order in (deny, allow, snooze)) and allow.expires_at is None
    assert f"until {deny.expires_at:%Y-%m-%d %H:%M} UTC" in text and "for good" in text
    assert "Told by the bank" in text and f"({lead.username})" in text
    assert "Ada Lovelace" not in text and "3 now" in text


def test_what_ended_or_is_of_somebody_else_stands_no_more(reader, lead):
    alert = opened()
    gone = ordered(alert, lead)
    ordered(alert, lead, value="user-2")
    ordered(alert, lead, field="location", value="user-1")
    revoke_list_entry(gone, author=lead)
    assert reader.get(alert.get_absolute_url()).context["orders"] == []


def test_an_order_that_the_event_met_and_that_is_over_is_told(reader, lead):
    entry = ordered(opened(), lead)
    ListEntry.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    row = scored("payments", risky_payment())
    open_alerts([row.pk])
    alert = Alert.objects.get(links__prediction=row)
    Alert.objects.update(top_prediction=row)
    assert row.list_hits
    (order,) = reader.get(alert.get_absolute_url()).context["orders"]
    assert not order.since
    revoke_list_entry(entry, author=lead)
    assert "No order of these stands any more." in page(reader, alert)


def test_orders_for_values_of_the_other_events_of_an_alert_are_told(reader, lead):
    first, second = flagged("user-1", location="Lagos"), flagged("user-1", location="Berlin")
    open_alerts([first[0].pk, second[0].pk])
    alert = Alert.objects.get(links__prediction=second[0])
    Alert.objects.update(top_prediction=second[0])
    ordered(alert, lead, field="location", value="Lagos")
    ordered(alert, lead, kind="allow", field="location", value="Berlin")
    ordered(alert, lead, field="merchant_type", value="Lagos")  # Another field's: no value of it.
    answer = reader.get(alert.get_absolute_url())
    told = {order.of: (order.elsewhere, order.since) for order in answer.context["orders"]}
    assert told == {"location Lagos": (True, True), "location Berlin": (False, True)}
    assert answer.content.decode().count(">another event<") == 1


def test_orders_cost_the_same_queries_however_many_stand(reader, lead, django_assert_num_queries):
    alert = find_alert(opened().pk)
    spec = alert.detector.spec()
    with django_assert_num_queries(1):
        assert orders_now(alert.top_prediction, spec, timezone.now()) == []
    for field, value in (
        ("user_id", "user-1"),
        ("location", "Berlin"),
        ("merchant_type", "grocery"),
    ):
        ordered(alert, lead, field=field, value=value)
    with django_assert_num_queries(1):
        assert len(orders_now(alert.top_prediction, spec, timezone.now())) == 3
