"""A rule that the tests of drafts, requests and policies share."""

from scoring.rule_editing import RuleText

GIFT = RuleText("amount > limit", "A large gift.", parameters={"limit": 500})
