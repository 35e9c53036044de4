"""Keys of two strokes, and the way back to a list (static/keyboard.js)."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-2"),
]
SignIn = Callable[[str], Page]
REMEMBERED = "Object.keys(sessionStorage).filter(name => name.startsWith('risk-'))"


def test_after_the_first_key_of_two_the_page_says_what_may_follow(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    hint = page.locator(".key-hint")
    page.keyboard.press("g")
    expect(hint).to_contain_text("Cases")
    expect(hint).to_have_attribute("role", "status")
    page.keyboard.press("Escape")
    expect(hint).to_have_count(0)
    page.keyboard.press("c")
    expect(page.locator("#bulk-dialog, .toast-note").first).to_be_attached()
    assert "/cases/" not in page.url
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.wait_for_url("**/cases/")


def test_the_way_back_to_the_queue_keeps_its_filters_and_there_leads_to_all(
    sign_in: SignIn,
) -> None:
    page = sign_in("analyst")
    page.select_option("#filter-level", "HIGH")
    page.wait_for_url(re.compile("level=HIGH"))
    page.get_by_role("link", name="Dashboards").click()
    page.wait_for_url("**/dashboards/**")
    page.keyboard.press("g")
    page.keyboard.press("q")
    page.wait_for_url(re.compile("level=HIGH"))
    expect(page.locator("#filter-level")).to_have_value("HIGH")
    page.get_by_role("link", name="Queue", exact=True).click()
    expect(page.locator("#filter-level")).to_have_value("")
    assert "level" not in page.url


def test_who_signs_in_next_in_a_tab_does_not_have_the_list_of_who_left(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    page.goto("/?sort=age")  # Whatever its level: others may have decided all of one.
    page.locator("[data-row]").first.focus()
    page.keyboard.press("j")
    page.goto("/dashboards/")
    assert page.evaluate(REMEMBERED) != []
    page.context.clear_cookies()
    page.goto("/accounts/login/")
    page.wait_for_function("() => sessionStorage.length === 0")


@pytest.mark.parametrize("key", ["?", "Control+k"])
def test_a_dialog_ends_what_was_begun_with_a_first_key(sign_in: SignIn, key: str) -> None:
    page = sign_in("analyst")
    page.keyboard.press("g")
    expect(page.locator(".key-hint")).to_be_visible()
    page.keyboard.press(key)
    dialog = page.locator("dialog[open]")
    expect(dialog).to_be_visible()
    expect(page.locator(".key-hint")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_help_begins_with_the_keys_of_the_page_and_shows_all_at_once(sign_in: SignIn) -> None:
    page = sign_in("lead")
    page.keyboard.press("?")
    here, away = page.locator("[data-help-page]"), page.locator("[data-help-go]")
    expect(here).to_contain_text("Confirm fraud")
    expect(away.locator("dd").first).to_have_text("Queue")
    assert not [key for key in here.locator("dt").all_inner_texts() if key.startswith("g ")]
    body = page.locator("#help")
    assert body.evaluate("e => e.scrollHeight <= e.clientHeight + 1")
