"""Rules in a real Chromium: checked while written, tried, put into force; accessible pages."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.worker, pytest.mark.xdist_group("processes")]
SignIn = Callable[[str], Page]
PAGES = ("rules/", "rules/new/", "rules/HIGH_AMOUNT/", "lists/", "policy/")


def test_a_lead_writes_a_rule_tries_it_and_puts_it_into_force(sign_in: SignIn) -> None:
    page = sign_in("lead")
    page.goto("/detectors/fraud/rules/")
    page.keyboard.press("n")
    page.wait_for_url("**/rules/new/")
    page.get_by_label("Code").fill("LARGE_TRAVEL")
    page.get_by_label("What it finds").fill("A large payment for travel.")
    page.get_by_label("Condition").fill("transaction_amout > limit")
    expect(page.locator("#verdict")).to_contain_text("did you mean transaction_amount?")
    page.get_by_label("Parameters").fill("limit = 300")
    page.get_by_label("Condition").fill("transaction_amount > limit and merchant_type == 'travel'")
    expect(page.locator("#verdict")).to_contain_text("Valid.")
    page.get_by_role("button", name="Try it on").click()
    expect(page.locator("#trial")).to_contain_text("of 200 events match")
    page.get_by_role("button", name="Save as a draft").click()
    page.get_by_role("button", name="Go live").first.click()
    expect(page.locator(".actions")).to_contain_text("Live v1")
    page.get_by_label("limit", exact=True).fill("450")
    page.get_by_role("button", name="Put into force").click()
    expect(page.locator(".actions")).to_contain_text("Live v2")


def test_rules_lists_and_policy_are_accessible(sign_in: SignIn) -> None:
    page = sign_in("lead")
    for path in PAGES:
        page.goto(f"/detectors/fraud/{path}")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
