"""A model that serves past its review date is not asked; its detector goes on by rules alone."""

from datetime import timedelta

import pytest
from django.utils import timezone

from scoring import deployment, policies
from scoring.core.spec import SpecError, parse_spec
from scoring.models import Deployment, Detector
from scoring.replaying import verify_one
from tests.factories import config_of, payment, risky_payment, scored

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def declare(detector, review_after):
    """The declaration with another term, in force."""
    training = detector.config["training"] | {"review_after": review_after}
    Detector.objects.update(config=detector.config | {"training": training})
    policies.publish(Detector.objects.get(pk=detector.pk))


def serve_since(days):
    Deployment.objects.update(installed_at=timezone.now() - days * DAY)


@pytest.fixture
def reviewed(champion):
    declare(champion, "30d")
    return champion


@pytest.mark.parametrize(("days", "overdue"), [(29, False), (31, True)])
def test_the_model_is_asked_until_its_review_date(reviewed, days, overdue):
    serve_since(days)
    row = scored("payments", payment())
    assert (row.degraded, row.score is None) == (overdue, overdue)
    assert row.model_version == "v1"
    assert verify_one(row) is None


def test_past_it_rules_still_decide_and_windows_still_learn(reviewed):
    serve_since(31)
    assert scored("payments", risky_payment()).decision == "REVIEW"
    names = deployment.serving("payments").bundle.plan.names
    row = scored("payments", payment(timestamp="2020-06-01T12:05:00Z"))
    assert row.vector_array()[names.index("user_id_count_1h")] == 1 + 1


def test_it_comes_about_while_a_process_goes_on(reviewed):
    assert not scored("payments", payment()).degraded
    serve_since(31)
    assert scored("payments", payment()).degraded
    serve_since(1)
    assert not scored("payments", payment()).degraded


def test_a_longer_term_counts_from_the_next_event(reviewed):
    serve_since(31)
    assert scored("payments", payment()).degraded
    declare(reviewed, "60d")
    assert not scored("payments", payment()).degraded


@pytest.mark.parametrize(("days", "overdue"), [(29, False), (31, True)])
def test_what_was_brought_back_goes_on_in_its_former_term(reviewed, days, overdue):
    row = Deployment.objects.get()
    since = timezone.now() - days * DAY
    given = {"slot": row.slot, "digest": row.digest, "version": "v1"}
    deployment.install(reviewed, **given, reviewed_at=since)
    assert scored("payments", payment()).degraded is overdue
    assert deployment.serving_of(Detector.objects.get()).degraded is overdue
    deployment.install(reviewed, **given)
    assert not scored("payments", payment()).degraded


def test_without_a_term_a_model_serves_for_ever(champion):
    serve_since(5000)
    assert not scored("payments", payment()).degraded


@pytest.mark.parametrize(("days", "said"), [(29, False), (31, True)])
def test_the_detector_page_and_health_say_so(client, api, analyst, reviewed, days, said):
    serve_since(days)
    client.force_login(analyst)
    page = client.get(reviewed.get_absolute_url()).content.decode()
    due = timezone.now() + (30 - days) * DAY
    assert f"on {due.day} {due:%b %Y}; past that, rules decide alone" in page
    assert ("v1 is past its review date" in page) is said
    body = api("models:read").get("/api/v1/health").json()
    assert ("review" in {found["kind"] for found in body["warnings"]}) is said
    assert body["status"] == ("degraded" if said else "ok")


def test_a_term_is_a_duration():
    config = config_of("payments")
    config["training"]["review_after"] = "soon"
    with pytest.raises(SpecError, match="review_after"):
        parse_spec(config)
