"""Reports by e-mail, and names that are completed while one types, in a real Chromium."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import assert_accessible
from tests.e2e.stack import Stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-1"),
]
SignIn = Callable[[str], Page]


def people(page: Page) -> Locator:
    """The names that are offered."""
    return page.get_by_role("listbox", name="People").get_by_role("option")


def test_a_lead_subscribes_for_themselves_and_another(sign_in: SignIn) -> None:
    page = sign_in("lead")
    page.goto("/dashboards/?days=7&detector=fraud")
    page.get_by_role("link", name="E-mail me this").click()
    page.wait_for_url("**/dashboards/reports/new/**")
    expect(page.get_by_label("About")).to_have_value("fraud")
    expect(page.get_by_label("Days", exact=True)).to_have_value("7")
    page.get_by_label("How often").select_option("monthly")
    expect(page.get_by_label("On", exact=True)).to_be_hidden()
    page.get_by_label("How often").select_option("weekly")
    page.get_by_label("On", exact=True).select_option("Friday")
    page.get_by_label("At", exact=True).select_option("07:00")
    others = page.get_by_label("Also to, optional")
    others.fill("somebody@outside.example")
    page.get_by_role("button", name="Send it to me").click()
    expect(page.locator("main")).to_contain_text("users of this platform alone")
    expect(others).to_have_value("somebody@outside.example")
    expect(page.get_by_label("On", exact=True)).to_have_value("4")
    assert_accessible(page)
    others.fill("")
    others.focus()
    page.keyboard.insert_text("@ana")
    expect(people(page)).to_have_text("Ana Lyst @analyst")
    others.press("Enter")
    expect(others).to_have_value("@analyst ")
    page.get_by_role("button", name="Send it to me").click()
    expect(page.locator("#toasts")).to_contain_text("Saved. Next: Friday")
    row = page.locator("[data-row]")
    expect(row).to_contain_text("Every Friday at 07:00")
    assert_accessible(page)
    page.get_by_role("button", name=re.compile("^Pause")).click()
    expect(row).to_contain_text("paused")
    page.get_by_role("button", name=re.compile("^Go on")).click()
    expect(page.locator("#toasts")).to_contain_text("It comes again.")
    reader = sign_in("analyst")
    reader.goto("/dashboards/reports/")
    assert_accessible(reader)
    reader.get_by_role("button", name=re.compile("^Stop getting")).click()
    expect(reader.locator("#toasts")).to_contain_text("You do not get it any more.")
    page.get_by_role("link", name=re.compile("^Change or delete")).click()
    page.get_by_text("Delete this report…").click()
    assert_accessible(page)
    page.get_by_role("button", name="Delete it for good").click()
    expect(page.locator("main")).to_contain_text("You get no report")


def test_a_mention_in_a_case_is_completed_by_keyboard(sign_in: SignIn, platform: Stack) -> None:
    page = sign_in("analyst")
    page.goto("/cases/")
    page.locator("[data-row-open]").first.click()
    page.wait_for_url(re.compile(r"/cases/\d+/"))
    page.keyboard.press("c")
    text = page.get_by_label("Comment", exact=True)
    expect(text).to_be_focused()
    page.keyboard.type("Please look, @")
    names = page.get_by_role("listbox", name="People")
    expect(names).to_be_visible()
    page.keyboard.type("le")
    expect(names.get_by_role("option")).to_have_count(1)
    assert text.get_attribute("aria-activedescendant") == "mention-0"
    expect(page.locator("#mention-0")).to_have_attribute("aria-selected", "true")
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(names).to_be_hidden()
    expect(text).to_be_focused()
    assert text.get_attribute("aria-activedescendant") is None
    page.keyboard.press("Backspace")
    page.wait_for_timeout(500)  # The list for "@l" has come: it is not taken for the next one.
    page.keyboard.press("Backspace")
    options = names.get_by_role("option")
    expect(options.nth(2)).to_be_visible()
    wanted = options.nth(1).locator(".more").inner_text()
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(text).to_have_value(f"Please look, {wanted} ")
    page.keyboard.type("and mail x@y.example, @nobody-of-that-name")
    expect(names).to_be_hidden()
    page.keyboard.press("Enter")  # A line of its own again.
    page.keyboard.insert_text("@lea")
    expect(names.get_by_role("option")).to_have_text(re.compile("@lead$"))
    names.get_by_role("option").first.click()
    expect(text).to_be_focused()
    expect(text).to_have_value(re.compile(r"\n@lead $"))
    page.get_by_role("button", name="Add comment").click()
    expect(page.locator(".said strong").last).to_have_text("@lead")


def test_a_mention_on_an_alert_is_completed_in_its_dialog(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    page.goto("/")
    page.locator("[data-row-open]").first.click()
    page.wait_for_url(re.compile(r"/alerts/\d+/"))
    page.keyboard.press("c")
    text = page.get_by_label("What did you find?")
    expect(text).to_be_focused()
    page.keyboard.insert_text("@le")
    expect(people(page)).to_contain_text("@lead")
    assert_accessible(page)
    page.keyboard.press("Escape")
    expect(people(page)).to_have_count(0)
    expect(text).to_be_visible()  # The dialog stays.
    page.keyboard.type("a")
    expect(people(page)).to_have_count(1)
    page.keyboard.press("Tab")
    expect(text).to_have_value("@lead ")
    page.get_by_role("button", name="Add comment").click()
    expect(page.locator("#toasts")).to_contain_text("Comment added.")
    told = sign_in("lead")
    told.goto("/notifications/")
    expect(told.locator("main")).to_contain_text(re.compile(r"mentions you on alert \d+"))


def test_whoever_types_faster_than_the_list_keeps_what_they_typed(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    page.goto("/cases/")
    page.locator("[data-row-open]").first.click()
    page.wait_for_url(re.compile(r"/cases/\d+/"))
    page.keyboard.press("c")
    text = page.get_by_label("Comment", exact=True)
    page.keyboard.type("@")
    expect(people(page).first).to_be_visible()
    with page.expect_response("**/notifications/bell/**"):
        page.evaluate("htmx.trigger(document.body, 'bell-changed')")
    page.wait_for_timeout(100)
    expect(people(page).first).to_be_visible()  # what changed elsewhere did not close it
    # In one go, as no timer can come between.
    text.evaluate(
        """area => {
            area.setRangeText("lead", 1, 1, "end");
            area.dispatchEvent(new Event("input", { bubbles: true }));
            area.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
        }"""
    )
    expect(text).to_have_value("@lead")
    expect(page.get_by_role("listbox", name="People")).to_be_hidden()


def test_names_come_also_where_the_answer_is_slower_than_the_typing(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    page.goto("/cases/")
    page.locator("[data-row-open]").first.click()
    page.wait_for_url(re.compile(r"/cases/\d+/"))
    # Each answer takes longer than the next key, which gives up the question before.
    page.evaluate(
        """() => {
            const real = window.fetch;
            window.fetch = async (address, options) => {
                await new Promise(done => {
                    setTimeout(done, 600);
                    options?.signal?.addEventListener("abort", done);
                });
                return real(address, options);
            };
        }"""
    )
    page.keyboard.press("c")
    expect(page.get_by_label("Comment", exact=True)).to_be_focused()
    for letters in ("@", "l", "e", "a"):
        page.keyboard.type(letters)
        page.wait_for_timeout(250)  # The question is asked 150 ms after a key.
    expect(people(page)).to_have_text(re.compile("@lead"))
