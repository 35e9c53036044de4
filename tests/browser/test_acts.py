"""Acts in the queue in a real Chromium: what they are about, and what is told without an answer."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.stack import PASSWORD

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-1"),
]
SignIn = Callable[[str], Page]
NO_ANSWER = """verb => document.body.dispatchEvent(new CustomEvent(
    "htmx:sendError", { bubbles: true, detail: { requestConfig: { verb: verb } } }))"""
SWAPPED = """() => htmx.ajax("GET", location.href, {
    target: document.querySelector("dialog:modal"), swap: "delete" })"""
ANSWER = "document.body.dispatchEvent(new CustomEvent('htmx:afterOnLoad', { bubbles: true }))"


def test_a_new_case_is_named_after_the_row_that_it_is_about(sign_in: SignIn, second: str) -> None:
    page = sign_in("analyst")
    title = page.locator("#bulk-title")
    for _ in range(2):
        page.keyboard.press("j")
        row = page.locator("[data-row].is-active [data-row-open]").inner_text()
        page.keyboard.press("3")
        expect(title).to_have_value(row)
        page.keyboard.press("Escape")
    page.keyboard.press("3")
    title.fill("Ring")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("3")
    expect(title).to_have_value("Ring")


def test_an_act_without_an_answer_is_not_said_to_have_changed_nothing(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    page.wait_for_load_state("networkidle")
    told = page.locator("#toasts .is-error")
    page.evaluate(NO_ANSWER, "get")
    expect(told).to_contain_text("No connection to the server. Check the network.")
    page.evaluate(NO_ANSWER, "post")
    expect(told).to_have_count(2)
    expect(told.last).to_contain_text("Whether that was done is not known: reload the page")
    page.evaluate(ANSWER)
    expect(told).to_have_count(1)
    expect(told).to_contain_text("Whether that was done is not known")


def test_who_was_signed_out_signs_in_in_another_tab_and_sends_what_they_typed(
    sign_in: SignIn, second: str
) -> None:
    other = sign_in("analyst")
    page = other.context.new_page()  # Its being refused (401) is no fault of it.
    other.goto("about:blank")
    page.goto("/")
    page.keyboard.press("j")
    page.keyboard.press("3")
    page.locator("#bulk-note").fill("Ring around one device.")
    page.context.clear_cookies(name="sessionid")
    page.get_by_role("button", name="Open case").click()
    expect(page.locator(".toasts")).to_contain_text("You are signed out; nothing was changed.")
    expect(page.locator("#bulk-note")).to_have_value("Ring around one device.")
    other.goto("/")
    other.fill("[name=username]", "analyst")
    other.fill("[name=password]", PASSWORD)
    other.press("[name=password]", "Enter")
    other.wait_for_url(lambda url: "/login" not in url)
    page.get_by_role("button", name="Open case").click()
    expect(page.locator(".toasts")).to_contain_text("merged into one case")
    expect(page.locator(".toasts")).not_to_contain_text("You are signed out")


def test_what_is_told_while_a_dialog_is_open_is_seen_over_it_and_can_be_dismissed(
    sign_in: SignIn,
) -> None:
    page = sign_in("analyst")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("?")
    expect(page.locator("dialog:modal")).to_have_count(1)
    page.evaluate(NO_ANSWER, "post")
    page.evaluate(NO_ANSWER, "get")
    told = page.locator("#toasts .is-error")
    expect(told).to_have_count(2)
    told.first.get_by_role("button", name="Dismiss").click()  # Nothing lies over it.
    expect(told).to_have_count(1)
    expect(page.locator("dialog:modal")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("dialog:modal")).to_have_count(0)
    expect(told).to_be_visible()
    page.keyboard.press("?")  # What stands there already goes along.
    told.get_by_role("button", name="Dismiss").click()
    expect(told).to_have_count(0)


def test_where_no_row_matches_no_key_of_the_hidden_toolbar_acts(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    page.goto("/?q=nobodyiscalledthis")
    page.wait_for_load_state("networkidle")
    expect(page.locator("#content [data-row]")).to_have_count(0)
    page.keyboard.press("3")
    page.keyboard.press("?")
    opened = page.locator("dialog:modal")
    expect(opened).to_have_count(1)
    expect(opened).not_to_contain_text("Inconclusive")


def test_a_refusal_that_swaps_nothing_is_seen_over_the_dialog_too(sign_in: SignIn) -> None:
    page = sign_in("analyst").context.new_page()  # Its being refused (409) is no fault of it.
    page.goto("/")
    page.wait_for_load_state("networkidle")
    page.route("**/refused/", lambda route: route.fulfill(status=409, body="No."))
    page.keyboard.press("?")
    expect(page.locator("dialog:modal")).to_have_count(1)
    page.evaluate("htmx.ajax('GET', '/refused/', { target: '#content' }).catch(() => null)")
    expect(page.locator("dialog:modal #toasts .is-error")).to_have_count(1)


def test_a_dialog_that_is_swapped_away_takes_no_toasts_along(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("?")
    page.evaluate(NO_ANSWER, "post")
    expect(page.locator("dialog:modal #toasts")).to_be_visible()
    page.evaluate(SWAPPED)
    expect(page.locator("dialog:modal")).to_have_count(0)
    expect(page.locator("#toasts .is-error")).to_be_visible()


def test_a_field_that_asks_for_itself_brings_the_token_that_holds_now(sign_in: SignIn) -> None:
    page = sign_in("lead")
    page.goto("/detectors/payments/rules/new/")
    page.wait_for_load_state("networkidle")
    (token,) = [one for one in page.context.cookies() if one["name"] == "csrftoken"]
    page.context.add_cookies([{**token, "value": "n" * 32}])
    with page.expect_response("**/rules/new/") as answer:  # As another tab's signing in leaves it.
        page.locator("[name=when]").press_sequentially("amount > 10")
    assert answer.value.status == 200
