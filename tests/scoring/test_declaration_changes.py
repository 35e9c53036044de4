"""What a declaration would change of what decides, where people changed rules and settings here."""

import re

import pytest

from scoring.declaration_changes import preview_of
from scoring.declaration_text import base_of, read_text
from scoring.declarations import change_declaration, problems_of_change, text_of
from scoring.policies import retire
from scoring.policy_models import Rule, RuleVersion
from scoring.yaml_writing import write_yaml
from tests.factories import config_of

pytestmark = pytest.mark.django_db


def changed_here(detector, code, user, **said):
    """A rule of the declaration that people changed on its page since."""
    rule = Rule.objects.get(detector=detector, code=code)
    retire(rule.versions.get(stage="live"))
    RuleVersion.objects.create(
        rule=rule, number=2, stage="live", author=user, outcome="REVIEW", text="Large.", **said
    )


def renamed(old, new):
    """The declaration of payments with a field called otherwise wherever it stands."""
    return read_text(re.sub(rf"\b{old}\b", new, write_yaml(config_of("payments"))))[0]


def effects(detector, config):
    return " ".join(preview_of(detector, config, text_of(detector), write_yaml(config)).effects)


def test_the_declaration_may_follow_a_rule_that_was_changed_on_its_page(
    payments_detector, engineer
):
    config = renamed("mcc_code", "mcc")
    [(place, said)] = problems_of_change(payments_detector, config)
    assert place == "rules[3]" and said.startswith(
        "HIGH_RISK_MCC would change: this takes a second"
    )
    changed_here(payments_detector, "HIGH_RISK_MCC", engineer, when="amount > 5")
    told = effects(payments_detector, config)
    assert "Rules that stay as they are on their pages: HIGH_RISK_MCC." in told
    base = base_of(text_of(payments_detector))
    change_declaration(payments_detector, config, actor=engineer, base=base)
    assert RuleVersion.objects.get(rule__code="HIGH_RISK_MCC", stage="live").when == "amount > 5"


def test_a_rule_of_a_page_that_would_have_nothing_to_read_is_told(payments_detector, engineer):
    changed_here(payments_detector, "HIGH_RISK_MCC", engineer, when="mcc_code == '7995'")
    told = effects(payments_detector, renamed("mcc_code", "mcc"))
    assert "HIGH_RISK_MCC, as changed on its page, reads mcc_code, which this" in told
    assert "as changed on its page" not in effects(payments_detector, renamed("channel", "way"))


def test_rules_that_would_come_or_go_are_asked_for_on_pages(payments_detector):
    config = config_of("payments")
    config["rules"][0] = {"code": "NEW_ONE", "when": "amount > 5", "text": "Large."}
    [(place, new), (whole, gone)] = problems_of_change(payments_detector, config)
    assert place == "rules[0]" and new.startswith("NEW_ONE would go live: this takes a second")
    assert whole == "rules" and gone.startswith("HIGH_AMOUNT would retire: this takes a second")


def test_the_order_of_rules_takes_nobody_else(payments_detector):
    config = config_of("payments")
    config["rules"].reverse()
    assert problems_of_change(payments_detector, config) == []


def test_what_was_set_on_the_page_of_the_policy_stands_whatever_is_declared(payments_detector):
    payments_detector.policy_settings = {"audit_rate": 0.1, "screening": {"review": 0.95}}
    config = config_of("payments") | {"audit_rate": 0.2}
    config["screening"] = config["screening"] | {"review": 0.85}
    assert problems_of_change(payments_detector, config) == []
    config["screening"] = config["screening"] | {"block": 0.99}
    assert [place for place, _ in problems_of_change(payments_detector, config)] == ["screening"]


def test_a_list_that_there_is_none_of_may_be_taken_out(payments_detector):
    stood = config_of("payments")
    lists = {"lists": [*stood["screening"]["lists"], "ofac"]}
    payments_detector.config = stood | {"screening": stood["screening"] | lists}
    assert problems_of_change(payments_detector, stood) == []
    fewer = stood | {"screening": stood["screening"] | {"lists": ["un"]}}
    assert [place for place, _ in problems_of_change(payments_detector, fewer)] == ["screening"]


def test_a_rule_that_looks_for_what_no_event_has_is_told(payments_detector, settings):
    settings.FOUR_EYES = False
    config = config_of("payments")
    rule = {"code": "GONE", "when": "country in [place]", "parameters": {"place": "Iran"}}
    config["rules"].append(rule)
    said = "GONE looks for what it cannot find: no event has 'Iran' in country, which must be a"
    assert said in effects(payments_detector, config)
    rule["parameters"]["place"] = "IR"
    assert "GONE looks" not in effects(payments_detector, config)


def test_costs_move_no_threshold_of_a_champion_and_that_is_told(champion):
    costs = config_of("payments")["costs"]
    said = "The thresholds of v1 stay as they were chosen"
    assert said in effects(champion, config_of("payments") | {"costs": costs | {"review_cost": 9}})
    same = config_of("payments") | {"costs": costs | {"recoverability": 0.5}}
    assert said not in effects(champion, same)
