"""The page of a prediction: why, and personal data only for a reason."""

from urllib.parse import quote

import numpy as np
import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from accounts.roles import DATA_ENGINEER
from scoring.models import Prediction
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of
from tests.factories import payment, risky_payment, scored

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
HTMX = {"HX-Request": "true"}


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


def reveal(reader, prediction, reason, **options):
    url = reverse("prediction_reveal", args=[prediction.pk])
    return reader.post(url, {"reason": reason}, **options)


def test_a_model_s_score_is_explained_and_adds_up(reader, champion):
    prediction = scored("payments", payment(amount=900))
    why = reader.get(prediction.get_absolute_url()).context["why"]
    assert why.exact
    bars = next(trace for trace in why.figure["data"] if trace["type"] == "bar")
    assert why.base + sum(bars["x"]) == pytest.approx(why.margin)
    assert why.end.removesuffix(" %") != why.start.removesuffix(" %")


def test_labels_stand_below_the_rules_beside_the_event(reader, champion):
    prediction = scored("payments", payment(amount=120))
    page = reader.get(prediction.get_absolute_url()).content.decode()
    column = page.partition('<div class="of-4 stack">')[2].partition('id="event"')[0]
    assert column.index("<h2>Rules and lists</h2>") < column.index("<h2>Labels</h2>")


def test_a_degraded_prediction_says_that_rules_alone_decided(reader):
    prediction = scored("payments", risky_payment())
    text = reader.get(prediction.get_absolute_url()).content.decode()
    assert prediction.score is None
    assert "No model scored this" in text
    assert "HIGH_AMOUNT" in text
    assert "Not scored" in text


def test_an_explanation_survives_the_loss_of_its_bundle(reader, champion):
    prediction = scored("payments", payment(amount=120))
    before = reader.get(prediction.get_absolute_url()).context["why"]
    Prediction.objects.filter(pk=prediction.pk).update(bundle_digest="0" * 64)
    page = reader.get(prediction.get_absolute_url())
    assert page.context["why"].base == pytest.approx(before.base, rel=1e-4)
    assert "no longer on disk" in page.content.decode()


def test_an_explanation_that_does_not_add_up_says_so(reader, champion):
    prediction = scored("payments", payment(amount=900))
    Prediction.objects.filter(pk=prediction.pk).update(additivity_error=0.25)
    assert "does not add up" in reader.get(prediction.get_absolute_url()).content.decode()


@pytest.mark.parametrize("size", [1e-12, 50.0, 1e6])
def test_contributions_of_any_size_can_be_drawn(reader, champion, size):
    prediction = scored("payments", payment(amount=900))
    count = len(prediction.contribution_array())
    parts = np.where(np.arange(count) % 2, -size, size)
    Prediction.objects.filter(pk=prediction.pk).update(contributions=parts.tobytes())
    assert reader.get(prediction.get_absolute_url()).status_code == 200


def test_markup_in_an_event_stays_text(reader):
    prediction = scored("payments", risky_payment(location="<script>alert(1)</script>"))
    text = reader.get(prediction.get_absolute_url()).content.decode()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_a_reason_reveals_once_and_is_audited_without_the_data(reader, analyst):
    prediction = scored("payments", risky_payment())
    answer = reveal(reader, prediction, "Call the customer", headers=HTMX)
    assert "Ada Lovelace" in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    entry = AuditEntry.objects.get(action="prediction.revealed")
    shown = {"reason": "Call the customer", "fields": ["user_id", "user_name"]}
    assert (entry.actor, entry.detail) == (analyst, shown)
    assert "Ada" not in reader.get(prediction.get_absolute_url()).content.decode()


def test_a_reveal_works_without_scripts(reader):
    answer = reveal(reader, scored("payments", risky_payment()), "Call the customer")
    assert "Ada Lovelace" in answer.content.decode()
    assert "<title>" in answer.content.decode()


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_without_a_reason_nothing_is_revealed(reader, headers):
    answer = reveal(reader, scored("payments", risky_payment()), " x ", headers=headers)
    assert answer.status_code == 422
    assert "Ada" not in answer.content.decode()
    assert not AuditEntry.objects.filter(action="prediction.revealed").exists()


def test_who_may_not_reveal_is_refused_and_not_asked(client, outsider):
    prediction = scored("payments", risky_payment())
    assert reveal(client, prediction, "Curious").status_code == 302
    client.force_login(outsider)
    assert reveal(client, prediction, "Curious").status_code == 403
    client.force_login(user_with_role(DATA_ENGINEER))
    assert reveal(client, prediction, "Curious").status_code == 403
    page = client.get(prediction.get_absolute_url())
    assert "Why do you need to see it?" not in page.content.decode()


def test_a_stranger_signs_in_and_an_outsider_is_refused(client, outsider):
    address = scored("payments", payment()).get_absolute_url()
    assert client.get(address).status_code == 302
    client.force_login(outsider)
    assert client.get(address).status_code == 403


def test_an_unknown_prediction_is_404(reader):
    unknown = "01a1fcfe-0000-7000-8000-000000000000"
    assert reader.get(reverse("prediction_detail", args=[unknown])).status_code == 404


@pytest.mark.parametrize("refused", [False, True])
def test_the_way_to_a_snooze_of_a_rule_leads_back_to_the_alert_in_its_queue(reader, refused):
    alert = alert_of("a")
    here = reverse("alert_detail", args=[alert.pk]) + "?back=detector%3Dpayments"
    sent = {"back": "detector=payments", "disposition": "odd"}
    url = reverse("alert_label", args=[alert.pk])
    page = reader.post(url, sent) if refused else reader.get(here)
    snooze = reverse("snooze", args=[alert.top_prediction_id, "HIGH_AMOUNT"])
    assert f"{snooze}?back={quote(here, safe='')}" in page.content.decode()
