"""The panels beside a prediction: what would approve it, and a line with its fit."""

import re

import pytest
from django.urls import reverse

from scoring import deployment
from scoring.core.bundle import write_bundle
from scoring.models import Prediction
from tests.factories import (
    payment,
    payments,
    risky_payment,
    scored,
    scored_many,
    trained_payments,
)

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


def panel(reader, row, name="approve", **options):
    answer = reader.get(reverse(f"prediction_{name}", args=[row.pk]), **options)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_a_flagged_prediction_fetches_its_panel_and_links_to_it(reader, champion):
    row = scored("payments", risky_payment())
    page = reader.get(row.get_absolute_url()).content.decode()
    url = reverse("prediction_approve", args=[row.pk])
    assert f'hx-get="{url}"' in page and f'href="{url}"' in page
    surrogate = reverse("prediction_surrogate", args=[row.pk])
    assert f'hx-get="{surrogate}"' in page and f'href="{surrogate}"' in page


def test_an_approved_prediction_is_not_asked_what_would_approve_it(reader, champion):
    page = reader.get(scored("payments", payment()).get_absolute_url())
    assert "What would approve it?" not in page.content.decode()


@pytest.mark.parametrize(
    ("learner", "effect"),
    [
        ("random_forest", "Adds to the share of votes"),
        ("one_class_svm", "Multiplies the anomaly score"),
        ("ecod", "Adds to the distance from usual (typical = 1)"),
    ],
)
def test_the_page_says_what_a_contribution_does(
    reader, payments_detector, bundle_dir, learner, effect
):
    digest = write_bundle(bundle_dir, *trained_payments(learner))
    deployment.install(payments_detector, slot="champion", digest=digest, version="v1")
    page = reader.get(scored("payments", risky_payment()).get_absolute_url()).content.decode()
    assert f'title="{effect}"' in page
    # How exactly is for who looks closer: in the title.
    assert re.search(
        r"All bars differ from the margin by \d[^\s]*\.\"> [^<]* adds up", " ".join(page.split())
    )


def test_the_panel_says_what_would_be_approved(reader, champion):
    text = panel(reader, scored("payments", risky_payment()), headers=HTMX)
    found = re.search(r"Would be approved with amount at most ([\d,.]+) EUR instead of", text)
    assert 0 < float(found[1].replace(",", "")) <= 10_000.0
    assert "<title>" not in text


def test_the_panel_is_a_page_of_its_own_without_scripts(reader, champion):
    row = scored("payments", risky_payment())
    for name in ("approve", "surrogate"):
        assert "<title>" in panel(reader, row, name)


def test_what_is_proposed_is_approved_when_it_is_sent(reader, champion):
    scored_many("payments", payments(80))
    raw = risky_payment(user_id="user-9", timestamp="2020-07-01T12:00:00Z")
    text = panel(reader, scored("payments", raw), headers=HTMX)
    found = re.search(r"at most ([\d,.]+) EUR instead", text)
    amount = float(found[1].replace(",", ""))
    # Another user with the same history, none, sends the smaller amount.
    again = raw | {"user_id": "user-10", "transaction_id": "again", "amount": amount}
    assert scored("payments", again).decision == "APPROVE"


def test_history_that_is_gone_is_said_to_be_gone(reader, champion):
    scored_many("payments", payments(80))
    row = scored("payments", risky_payment(user_id="user-1", timestamp="2020-07-01T12:00:00Z"))
    scored("payments", payment(user_id="user-1", timestamp="2021-07-01T12:00:00Z"))
    text = panel(reader, row, headers=HTMX)
    assert "instead of" in text or "history of then is no longer kept" in text


def test_a_table_of_earlier_events_says_how_many_it_leaves_out(reader, champion):
    rows = scored_many("payments", [payment(transaction_id=str(i)) for i in range(16)])
    for row, said in ((rows[15], True), (rows[7], False)):
        page = reader.get(row.get_absolute_url()).content.decode()
        assert "Show as table" in page and ("The newest 12 of 15." in page) is said


def test_what_comes_later_at_the_same_time_is_no_earlier_event(reader, champion):
    first, *_ = scored_many("payments", [payment(transaction_id=str(i)) for i in range(6)])
    page = reader.get(first.get_absolute_url()).content.decode()
    assert "First event of this user: it has no history of its own" in page


def test_a_line_comes_with_its_fit_and_a_sentence(reader, champion):
    text = panel(reader, scored("payments", payment(amount=900.0)), "surrogate", headers=HTMX)
    assert "R² " in text
    assert "the contributions above are exact" in text


def test_without_a_model_the_panels_say_so(reader, payments_detector):
    row = scored("payments", risky_payment())
    assert "No model scored this event" in panel(reader, row, "surrogate", headers=HTMX)
    assert "Would be approved with amount" in panel(reader, row, headers=HTMX)


def test_without_a_model_the_page_says_what_decided_instead(reader, payments_detector):
    page = reader.get(scored("payments", risky_payment()).get_absolute_url()).content.decode()
    assert page.count("Rules, lists and screening decided alone.") == 2


def test_without_the_bundle_the_panels_say_so(reader, champion):
    row = scored("payments", risky_payment())
    Prediction.objects.filter(pk=row.pk).update(bundle_digest="0" * 64)
    for name in ("approve", "surrogate"):
        assert "is no longer on disk" in panel(reader, row, name, headers=HTMX)


def test_a_vector_that_does_not_fit_is_told_and_no_error(reader, champion):
    row = scored("payments", risky_payment())
    Prediction.objects.filter(pk=row.pk).update(vector=bytes(row.vector)[:-8])
    assert "not one of this bundle" in panel(reader, row, headers=HTMX)


def test_a_decision_that_does_not_come_out_again_is_told(reader, champion):
    row = scored("payments", payment(amount=5.0))
    Prediction.objects.filter(pk=row.pk).update(decision="BLOCK")
    assert "gives another decision" in panel(reader, row, headers=HTMX)


@pytest.mark.parametrize("name", ["approve", "surrogate"])
def test_who_may_not_see_predictions_sees_no_panel(client, outsider, champion, name):
    url = reverse(f"prediction_{name}", args=[scored("payments", risky_payment()).pk])
    assert client.get(url).status_code == 302
    client.force_login(outsider)
    assert client.get(url).status_code == 403


@pytest.mark.parametrize("name", ["approve", "surrogate"])
def test_a_panel_costs_few_queries(reader, champion, django_assert_max_num_queries, name):
    row = scored("payments", risky_payment())
    panel(reader, row, name, headers=HTMX)
    with django_assert_max_num_queries(8):
        panel(reader, row, name, headers=HTMX)


def test_the_panels_reveal_no_personal_data(reader, champion):
    row = scored("payments", risky_payment())
    for name in ("approve", "surrogate"):
        text = panel(reader, row, name)
        assert "Ada" not in text and "user-1" not in text
