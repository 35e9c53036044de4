"""What a line about an alert says."""

import pytest

from cases.rows import alert_row
from cases.signing import shape_of
from cases.summing_up import facet_of
from scoring.presenting import SpecCache
from scoring.recording import screening_hit_body
from scoring.standing_in import NOT_SCREENED
from tests.cases.alerts import alert_of

pytestmark = pytest.mark.django_db


def test_a_rule_in_shadow_or_snoozed_is_no_rule_of_an_alert(payments_detector):
    """Neither where the queue is filtered by rules nor where alerts are compared."""
    alert = alert_of("a")
    top = alert.top_prediction
    (live,) = top.rule_hits
    top.rule_hits = [
        live | {"code": "WIDER", "stage": "shadow"},
        live | {"code": "NOT_NOW", "snoozed": "2999-01-01T00:00:00+00:00"},
        live,
    ]
    assert facet_of(alert.detector_id, alert.level, top)[3] == f" {live['code']} "
    assert shape_of(top).rules == [live["code"]]


def test_a_rule_in_shadow_or_snoozed_is_no_reason_of_an_alert(payments_detector):
    alert = alert_of("a")
    (live,) = alert.top_prediction.rule_hits
    before = alert_row(alert, SpecCache())
    alert.top_prediction.rule_hits = [
        live | {"text": "Wider.", "stage": "shadow"},
        live | {"text": "Not now.", "snoozed": "2999-01-01T00:00:00+00:00"},
        live,
    ]
    assert alert_row(alert, SpecCache()) == before
    assert before.reason == live["text"]


def test_a_match_is_told_exactly_and_lists_that_were_not_asked_as_no_match(payments_detector):
    alert = alert_of("a")
    name = {"kind": "name", "score": 0.9683, "matched": "DOE, Jane", "list_name": "ofac_sdn"}
    alert.top_prediction.screening_hits = [name]
    assert alert_row(alert, SpecCache()).reason == "Name 96.83 % like DOE, Jane, OFAC SDN"
    alert.top_prediction.screening_hits = [screening_hit_body(NOT_SCREENED)]
    assert alert_row(alert, SpecCache()).reason == NOT_SCREENED.text
