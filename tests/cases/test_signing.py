"""Similar past alerts: nearest explanations of closed alerts, with what they turned out to be."""

import pytest
from django.urls import reverse

from cases.models import Alert
from cases.services import label_alert, open_alerts
from cases.signature_models import AlertSignature
from cases.signing import sign_closed_alerts, similar_alerts
from scoring.models import Prediction
from tests.factories import payment, scored

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("champion")]
HTMX = {"HX-Request": "true"}
REASONS = {"fraud": "card_testing", "false_positive": "travel", "inconclusive": "no_contact"}


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


def opened(user, amount=20_000.0, **changed):
    row = scored("payments", payment(user_id=user, amount=amount, **changed))
    open_alerts([row.pk])
    return Alert.objects.get(links__prediction=row)


def closed(user, found, actor, **changed):
    alert = opened(user, **changed)
    return label_alert(alert, disposition=found, reason_code=REASONS[found], actor=actor)


def similar(reader, alert, **options):
    return reader.get(reverse("alert_similar", args=[alert.pk]), **options)


def test_only_closed_alerts_are_signed_and_each_once(analyst):
    closed("a", "fraud", analyst)
    opened("b")
    assert (sign_closed_alerts(), sign_closed_alerts()) == (1, 0)
    assert AlertSignature.objects.count() == 1


def test_the_likest_closed_alerts_are_found_with_their_outcomes(reader, analyst):
    for user, found in (("a", "fraud"), ("b", "fraud"), ("c", "false_positive"),
                        ("d", "inconclusive")):  # fmt: skip
        closed(user, found, analyst)
    sign_closed_alerts()
    page = similar(reader, opened("me"))
    assert "2 of 4 were fraud, 1 inconclusive" in page.content.decode()
    assert len(page.context["similar"]) == 4
    likeness = [line["likeness"] for line in page.context["similar"]]
    assert likeness == sorted(likeness, reverse=True)
    assert likeness[0] > 0.9


def test_an_alert_is_not_compared_with_itself_nor_with_another_detector_s(analyst):
    alert = closed("a", "fraud", analyst)
    sign_closed_alerts()
    assert similar_alerts(alert) == []


def test_a_changed_outcome_counts_at_once(reader, analyst):
    alert = closed("a", "fraud", analyst)
    sign_closed_alerts()
    Alert.objects.filter(pk=alert.pk).update(disposition="false_positive")
    assert "0 of 1 were fraud" in similar(reader, opened("me")).content.decode()


def test_few_are_called_too_few_and_none_is_said_in_words(reader, analyst):
    alert = opened("me")
    assert "has an explanation like this one" in similar(reader, alert).content.decode()
    closed("a", "fraud", analyst)
    sign_closed_alerts()
    assert "too few to go by" in similar(reader, alert).content.decode()


def test_without_contributions_the_rules_that_matched_are_compared(reader, analyst):
    first = closed("a", "fraud", analyst)
    alert = opened("me")
    tops = [first.top_prediction_id, alert.top_prediction_id]
    Prediction.objects.filter(pk__in=tops).update(contributions=None, score=None, probability=None)
    sign_closed_alerts()
    assert [one.alert for one in similar_alerts(Alert.objects.get(pk=alert.pk))] == [first]


def test_a_bundle_that_is_gone_compares_with_nothing_and_breaks_nothing(reader, analyst):
    closed("a", "fraud", analyst)
    sign_closed_alerts()
    alert = opened("me")
    Prediction.objects.filter(pk=alert.top_prediction_id).update(bundle_digest="0" * 64)
    assert similar(reader, alert).status_code == 200


def test_the_list_is_a_page_and_a_fragment_and_costs_the_same_queries(
    reader, analyst, django_assert_max_num_queries
):
    alert = opened("me")
    for users in ("a", "bcdefgh"):
        for user in users:
            closed(user, "fraud", analyst)
        sign_closed_alerts()
        # The frame's four; alert, signatures, alerts, the second look in hand.
        with django_assert_max_num_queries(8):
            fragment = similar(reader, alert, headers=HTMX).content.decode()
    assert "<title>" in similar(reader, alert).content.decode()
    assert "<title>" not in fragment


def test_who_may_not_see_alerts_sees_none_like_it(client, outsider, analyst):
    alert = opened("me")
    assert similar(client, alert).status_code == 302
    client.force_login(outsider)
    assert similar(client, alert).status_code == 403
