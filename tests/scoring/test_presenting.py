"""What a page says of a stored prediction: who decided."""

import pytest

from scoring.models import Prediction
from scoring.presenting import decided_by, deciding_rules, event_fields, rule_hits
from tests.factories import spec_of

ALLOWED = [{"kind": "allow", "field": "device_id", "reason": "known"}]
DENIED = [{"kind": "deny", "field": "device_id", "reason": "stolen"}]


def hit(code, outcome=None, *, weight=0.0, stage="live"):
    return {"code": code, "outcome": outcome, "weight": weight, "stage": stage, "snoozed": None}


WEIGHT, REVIEW, BLOCK = hit("ODD", weight=0.05), hit("HIGH", "REVIEW"), hit("FAST", "BLOCK")
SHADOW = hit("NEW", "BLOCK", stage="shadow")


@pytest.mark.parametrize(
    ("decision", "chosen", "hits", "others", "said"),
    [
        ("BLOCK", "screening", [REVIEW], {}, "screening"),
        ("BLOCK", "rule", [REVIEW], {"list_hits": DENIED}, "the deny list"),
        ("APPROVE", "", [REVIEW, WEIGHT], {"list_hits": ALLOWED}, "the allow list"),
        ("APPROVE", "", [WEIGHT], {}, "the model"),
        ("APPROVE", "random_audit", [WEIGHT], {}, "the model"),
        ("APPROVE", "", [WEIGHT], {"score": None, "degraded": True}, "default, no model scored it"),
        ("REVIEW", "screening", [], {"score": None, "degraded": True}, "screening"),
        ("REVIEW", "rule", [WEIGHT, REVIEW], {}, "HIGH"),
        ("BLOCK", "rule", [WEIGHT, REVIEW, BLOCK, SHADOW], {}, "FAST"),
        ("BLOCK", "model", [WEIGHT, REVIEW, BLOCK], {}, "the model + FAST"),
        ("REVIEW", "rule", [WEIGHT], {}, "the model + ODD"),
        ("REVIEW", "rule", [WEIGHT], {"score": None, "degraded": True}, "ODD"),
    ],
)
def test_a_decision_names_who_asked_for_it_and_nobody_else(decision, chosen, hits, others, said):
    row = Prediction(decision=decision, selection_reason=chosen, rule_hits=hits,
                     **({"score": 0.4} | others))  # fmt: skip
    assert " + ".join(filter(None, [decided_by(row), *deciding_rules(row)])) == said


def test_rules_that_decided_come_first_then_those_that_took_part():
    row = Prediction(decision="BLOCK", selection_reason="rule", rule_hits=[SHADOW, WEIGHT, BLOCK])
    assert [rule["code"] for rule in rule_hits(row)] == ["FAST", "ODD", "NEW"]
    assert [rule["decided"] for rule in rule_hits(row)] == [True, False, False]


def test_a_snoozed_match_says_until_when_as_people_write_it():
    snoozed = hit("HIGH", "REVIEW") | {"snoozed": "2026-12-05T01:58:34.428813+01:00"}
    row = Prediction(decision="APPROVE", rule_hits=[snoozed, REVIEW])
    assert [rule["snoozed"] for rule in rule_hits(row)] == ["", "2026-12-05 00:58 UTC"]


def test_a_field_that_the_declaration_does_not_name_is_told_apart():
    row = Prediction(event={"country": "DE", "e_mail": "a@b.example"})
    told = [(one.name, one.undeclared) for one in event_fields(row, spec_of("fraud"))]
    assert told == [("country", False), ("e_mail", True)]
