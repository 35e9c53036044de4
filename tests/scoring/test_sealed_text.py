"""What was copied out of the database, sealed, is not opened by sending it as an event."""

import pytest
from django.urls import reverse

from accounts import vault
from scoring.models import Prediction
from scoring.services import Refused, Scored, score_event
from tests.factories import fraud, payment, scored

pytestmark = pytest.mark.django_db


@pytest.fixture
def stolen(champion):
    """The name of somebody, as the database holds it."""
    row = scored("payments", payment(user_name="Erika Mustermann"))
    return Prediction.objects.get(pk=row.pk).event["user_name"]


@pytest.mark.parametrize("field", ["location", "user_id", "user_name", "not_declared"])
def test_no_field_takes_it(stolen, field):
    outcome = score_event("payments", payment(**{"transaction_id": "t-2", field: stolen}))
    assert isinstance(outcome, Refused)
    [(where, why)] = outcome.problems
    assert (where, "send the value itself" in why) == (field, True)
    assert Prediction.objects.count() == 1


@pytest.mark.parametrize("text", ["enc:", "enc:a:b", "enc:k1:AAAA", "enc is short for encrypted"])
def test_a_text_that_only_looks_like_it_is_a_text(champion, text):
    outcome = score_event("payments", payment(location=text))
    assert isinstance(outcome, Scored)
    assert Prediction.objects.get().event["location"] == text


def test_the_entity_of_a_detector_that_hides_nobody_takes_it_neither(fraud_detector):
    sealed = vault.encrypt("Erika Mustermann")
    outcome = score_event("fraud", fraud(account_id=sealed))
    assert isinstance(outcome, Refused)


def test_the_timeline_of_an_entity_opens_nothing(stolen, client, analyst):
    score_event("payments", payment(transaction_id="t-2", location=stolen))
    client.force_login(analyst)
    entity = Prediction.objects.values_list("entity", flat=True)[0]
    page = client.get(reverse("entity_timeline", args=["payments", entity])).content.decode()
    assert "Mustermann" not in page
