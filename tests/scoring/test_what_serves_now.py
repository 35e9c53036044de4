"""Another process has put another declaration into service: the next event goes by that one."""

import pytest
from django.utils import timezone

from scoring import deployment
from scoring.core.bundle import write_bundle
from scoring.deployment import bundle_root
from scoring.erasing import erase_some, fresh_token, person_of
from scoring.models import Deployment, Prediction
from scoring.services import Conflicting, Refused, Scored, score_event, score_events
from tests.factories import payment, scored

pytestmark = pytest.mark.django_db


@pytest.fixture
def elsewhere(payments_detector):
    """Puts a declaration with other bounds of the amount into service, unknown to this process."""
    scored("payments", payment())  # From here on it remembers what served.

    def serve(**bounds):
        config = payments_detector.config
        config["event"]["schema"]["properties"]["amount"] |= bounds
        return put_into_service(payments_detector)

    return serve


def put_into_service(detector):
    digest = write_bundle(bundle_root(), {"detector": detector.config}, {})
    Deployment.objects.filter(detector=detector).update(digest=digest)
    return digest


@pytest.fixture
def stored_with_more(payments_detector):
    """An event with personal data, one of it a number, and a field that nobody declared; what is
    in service since drops such fields."""
    event = payments_detector.config["event"]
    event["schema"]["properties"]["age"] = {"type": "integer"}
    event["pii"].append("age")
    put_into_service(payments_detector)
    raw = payment(age=41.0, shop="enc:a:b")
    row = scored("payments", raw)
    event["undeclared"] = "drop"
    put_into_service(payments_detector)
    return raw, row.pk


def test_an_event_that_may_come_by_now_is_not_refused(elsewhere):
    digest = elsewhere(minimum=-5)
    assert scored("payments", payment(amount=-1)).bundle_digest == digest


def test_an_event_that_may_come_no_more_is_refused_in_the_words_of_today(elsewhere):
    elsewhere(minimum=100)
    assert score_event("payments", payment()) == Refused((("amount", "must be at least 100"),))
    elsewhere(minimum=-5)
    assert score_event("payments", payment(amount=-9)) == Refused(
        (("amount", "must be at least -5"),)
    )
    assert Prediction.objects.count() == 1


def test_all_events_of_a_call_go_by_what_serves_now_and_keep_their_order(elsewhere):
    digest = elsewhere(minimum=-5)
    amounts = (-1, 25, -9, -2)
    found = score_events("payments", [payment(amount=amount) for amount in amounts])
    assert [type(outcome) for outcome in found] == [Scored, Scored, Refused, Scored]
    rows = [outcome.prediction for outcome in found if isinstance(outcome, Scored)]
    assert [int(row.exposure) for row in rows] == [-1, 25, -2]
    assert {row.bundle_digest for row in rows} == {digest}
    again = score_events("payments", [payment(transaction_id=row.external_id) for row in rows])
    assert [type(outcome).__name__ for outcome in again] == ["Conflicting", "Scored", "Conflicting"]


def test_a_call_without_events_has_no_outcomes(elsewhere):
    elsewhere(minimum=-5)
    assert score_events("payments", []) == []


@pytest.mark.parametrize("more", [{}, {"shop": "other"}, {"shop": None}, {"deep": [{}]}])
def test_an_event_that_was_stored_with_what_is_dropped_by_now_is_still_the_same(
    stored_with_more, more
):
    raw, pk = stored_with_more
    outcome = score_event("payments", raw | more)
    assert isinstance(outcome, Scored)
    assert (outcome.prediction.pk, outcome.created) == (pk, False)


@pytest.mark.parametrize(
    "changed", [{"amount": 26.0}, {"age": 42}, {"user_name": "A"}, {"age": None}]
)
def test_one_that_differs_in_what_is_declared_conflicts_all_the_same(stored_with_more, changed):
    raw, _ = stored_with_more
    assert score_event("payments", raw | changed) == Conflicting(raw["transaction_id"])
    assert Prediction.objects.count() == 1


@pytest.fixture
def stored_with_less(payments_detector):
    """An event of which an undeclared field was dropped; what is in service since keeps such."""
    event = payments_detector.config["event"]
    event["undeclared"] = "drop"
    put_into_service(payments_detector)
    raw = payment(shop="corner")
    row = scored("payments", raw)
    event["undeclared"] = "keep"
    put_into_service(payments_detector)
    return raw, row.pk


@pytest.mark.parametrize("more", [{}, {"shop": None}, {"shop": "other", "till": 7}])
def test_an_event_of_which_fields_were_dropped_is_the_same_where_they_are_kept(
    stored_with_less, more
):
    raw, pk = stored_with_less
    outcome = score_event("payments", raw | more)
    assert isinstance(outcome, Scored)
    assert (outcome.prediction.pk, outcome.created) == (pk, False)


def test_to_know_it_again_the_bundle_of_then_is_not_loaded(stored_with_less):
    raw, pk = stored_with_less
    then = Prediction.objects.get().bundle_digest
    deployment._loaded.clear()
    outcome = score_event("payments", raw)
    assert isinstance(outcome, Scored)
    assert outcome.prediction.pk == pk
    assert len(deployment._loaded) == 1  # What serves now.
    assert then not in deployment._loaded


@pytest.mark.parametrize("changed", [{"amount": 26.0}, {"user_name": "A"}, {"user_name": None}])
def test_another_event_conflicts_whatever_was_dropped_of_the_first(stored_with_less, changed):
    raw, _ = stored_with_less
    assert score_event("payments", raw | changed) == Conflicting(raw["transaction_id"])


def test_a_field_that_was_dropped_and_is_declared_by_now_makes_no_other_event(payments_detector):
    event = payments_detector.config["event"]
    event["undeclared"] = "drop"
    put_into_service(payments_detector)
    raw = payment(till=7)
    row = scored("payments", raw)
    event["schema"]["properties"]["till"] = {"type": "integer"}
    put_into_service(payments_detector)
    outcome = score_event("payments", raw)
    assert isinstance(outcome, Scored)
    assert outcome.prediction.pk == row.pk


def test_where_everything_was_kept_a_field_more_is_another_event(payments_detector):
    raw = payment()
    scored("payments", raw)
    payments_detector.config["event"]["schema"]["properties"]["till"] = {"type": "integer"}
    put_into_service(payments_detector)
    again = score_event("payments", raw | {"till": 7})
    assert again == Conflicting(raw["transaction_id"])


def test_an_erased_event_is_the_same_though_undeclared_fields_are_dropped_since(stored_with_more):
    """What was taken out of it says nothing; what is left is compared."""
    raw, pk = stored_with_more
    row = Prediction.objects.get(pk=pk)
    erase_some(person_of(row.detector, row.entity), fresh_token(), now=timezone.now())
    outcome = score_event("payments", raw)
    assert isinstance(outcome, Scored)
    assert (outcome.prediction.pk, outcome.created) == (pk, False)
    assert not isinstance(score_event("payments", raw | {"amount": 1.0}), Scored)
