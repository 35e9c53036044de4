"""Rules in a real Chromium: from an idea through a backtest to live, by two people; health; axe."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import assert_accessible
from tests.e2e.stack import Stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-2"),
]
SignIn = Callable[[str], Page]
RULES = "/detectors/fraud/rules/"
PAGES = (
    "rules/", "rules/overlap/", "rules/new/", "rules/HIGH_AMOUNT/", "lists/", "policy/",
    "backtests/", "backtests/thresholds/",
)  # fmt: skip
TALLY = (
    "from django.utils import timezone; from scoring.rule_tallying import tally_rules; "
    "tally_rules(timezone.now(), seconds=60)"
)


@pytest.fixture(scope="module")
def counted(platform: Stack) -> None:
    """What beat does every minute."""
    platform.run(TALLY)


def write_rule(page: Page, code: str) -> None:
    page.goto(RULES)
    page.keyboard.press("n")
    page.wait_for_url("**/rules/new/")
    page.get_by_label("Code").fill(code)
    page.get_by_label("What it finds").fill("A large payment for travel.")
    page.get_by_label("Condition").fill("transaction_amout > limit")
    expect(page.locator("#verdict")).to_contain_text("did you mean transaction_amount?")
    page.get_by_label("Parameters").fill("limit = 300")
    page.get_by_label("Condition").fill("transaction_amount > limit and merchant_type == 'travel'")
    expect(page.locator("#verdict")).to_contain_text("Valid.")
    page.get_by_label("What it finds").fill("A payment for travel above {limit}.")
    expect(page.locator("#preview")).to_contain_text("A payment for travel above 300 USD.")
    page.get_by_label("Parameters").fill("limit = 1300")
    expect(page.locator("#preview")).to_contain_text("A payment for travel above 1,300 USD.")
    page.get_by_label("Parameters").fill("limit = 300")
    expect(page.locator("#preview")).to_contain_text("above 300 USD.")


def test_a_rule_goes_from_an_idea_through_a_backtest_to_live_by_two(sign_in: SignIn) -> None:
    engineer, lead, analyst = sign_in("engineer"), sign_in("lead"), sign_in("analyst")
    write_rule(engineer, "LARGE_TRAVEL")
    engineer.get_by_role("button", name="Try it on").click()
    expect(engineer.locator("#trial")).to_contain_text("of 200 events match")

    # The idea is judged on history before anything is saved.
    engineer.get_by_role("button", name="Backtest on history").click()
    engineer.wait_for_url("**/backtests/*/")
    expect(engineer.get_by_text("In short")).to_be_visible(timeout=60_000)
    expect(engineer.locator("#backtest")).to_contain_text("It matches")
    expect(engineer.locator(".backtest-asked")).to_contain_text("No version was live")
    expect(engineer.locator("#backtest-days-chart svg").first).to_be_visible()
    engineer.get_by_role("button", name="Show as table").click()
    expect(engineer.locator(".chart-table table")).to_be_visible()
    assert_accessible(engineer)

    # A cell leads to its examples, in the URL; an example leads to its prediction and back.
    engineer.get_by_role("link", name="Legitimate, matched").first.click()
    engineer.wait_for_url("**cell=fp*")
    expect(engineer.locator("#backtest-examples .tab[aria-current]")).to_contain_text(
        "Legitimate, matched"
    )
    engineer.locator("#backtest-examples [data-row-open]").first.click()
    engineer.wait_for_url("**/predictions/*/")
    engineer.go_back()
    expect(engineer.locator("#backtest-examples .tab[aria-current]")).to_contain_text(
        "Legitimate, matched"
    )

    # What was typed comes back into the editor, and is saved as a draft from the result.
    result = engineer.url
    engineer.get_by_role("button", name="Edit again").click()
    expect(engineer.get_by_label("Condition")).to_have_value(
        "transaction_amount > limit and merchant_type == 'travel'"
    )
    engineer.goto(result)
    engineer.get_by_role("button", name="Save as a draft").click()
    engineer.wait_for_url("**/rules/LARGE_TRAVEL/")
    engineer.get_by_role("button", name="Shadow: version 1").click()
    expect(engineer.locator(".actions")).to_contain_text("Shadow v1")
    engineer.get_by_label("Why: version 1").first.fill("Found by a backtest.")
    engineer.get_by_role("button", name="Ask to go live: version 1").first.click()
    expect(engineer.locator(".rule-waiting")).to_contain_text("a second person has to approve it")
    expect(engineer.get_by_role("button", name="Approve")).to_have_count(0)
    assert_accessible(engineer)

    # An analyst sees the request and decides nothing.
    analyst.goto(f"{RULES}LARGE_TRAVEL/")
    expect(analyst.locator(".rule-waiting")).to_contain_text("Found by a backtest.")
    expect(analyst.get_by_role("button", name="Approve")).to_have_count(0)
    expect(analyst.get_by_role("button", name="Ask to")).to_have_count(0)

    # The lead finds it on the overview of rules, and approves.
    lead.goto("/rules/")
    expect(lead.locator(".rule-waiting")).to_contain_text("LARGE_TRAVEL v1 goes live")
    assert_accessible(lead)
    lead.get_by_label("Note (needed to refuse)").fill("Agreed.")
    lead.get_by_role("button", name="Approve").click()
    expect(lead.locator(".actions")).to_contain_text("Live v1")
    expect(lead.get_by_text("decided by Lea Dorn")).to_be_visible()

    # Other thresholds wait for the other one, too.
    lead.get_by_label("limit", exact=True).fill("450")
    lead.get_by_role("button", name="Ask for these thresholds").click()
    expect(lead.locator(".actions")).to_contain_text("Live v1")
    engineer.goto(f"{RULES}LARGE_TRAVEL/")
    expect(engineer.locator(".rule-waiting")).to_contain_text("limit: 300 → 450")
    engineer.get_by_role("button", name="Approve").click()
    expect(engineer.locator(".actions")).to_contain_text("Live v2")


def test_thresholds_of_the_champion_are_tried_with_a_slider(sign_in: SignIn) -> None:
    page = sign_in("owner")
    page.goto("/detectors/fraud/backtests/thresholds/")
    page.get_by_label("Review from, slider").fill("0.2")
    expect(page.get_by_label("Review from", exact=True)).to_have_value("0.2")
    page.get_by_label("Block from", exact=True).fill("")
    page.get_by_role("button", name="Backtest on history").click()
    page.wait_for_url("**/backtests/*/")
    expect(page.get_by_text("In short")).to_be_visible(timeout=60_000)
    expect(page.locator("#backtest")).to_contain_text("It would flag")
    expect(page.get_by_role("link", name="Publish these thresholds")).to_be_visible()
    assert_accessible(page)


def test_the_health_of_rules_is_sorted_and_dated_by_the_url(sign_in: SignIn, counted: None) -> None:
    page = sign_in("engineer")
    page.goto(RULES)
    expect(page.get_by_text("Counted as of")).to_be_visible()
    page.get_by_role("link", name="Precision").click()
    page.wait_for_url("**sort=precision*")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Precision")
    page.get_by_role("link", name="7 days").click()
    page.wait_for_url("**from=*")
    page.get_by_role("link", name="Overlap").click()
    page.wait_for_url("**/rules/overlap/*")
    page.go_back()
    expect(page.locator("#rule-HIGH_AMOUNT")).to_be_visible()


def test_rules_lists_policy_and_backtests_are_accessible(sign_in: SignIn, counted: None) -> None:
    page = sign_in("lead")
    for path in PAGES:
        page.goto(f"/detectors/fraud/{path}")
        assert_accessible(page)
        page.set_viewport_size({"width": 820, "height": 1100})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        page.set_viewport_size({"width": 1280, "height": 900})
    page.goto("/detectors/")
    assert_accessible(page)
