"""Acts on several rows of the queue at once, in a real Chromium."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-1"),
]
SignIn = Callable[[str], Page]


@pytest.mark.landing
def test_many_are_labelled_at_once_and_what_others_hold_is_told(
    sign_in: SignIn, second: str
) -> None:
    page, other = sign_in("analyst"), sign_in(second)
    held = page.locator("[data-row]").nth(1).get_attribute("id") or ""
    other.goto(f"/alerts/{held.removeprefix('alert-')}/")
    expect(other.locator("#lock")).to_contain_text("Locked by you")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.locator("[data-row-select]").nth(2).click(modifiers=["Shift"])
    expect(page.locator("[data-selected-words]")).to_have_text("3 selected")
    page.keyboard.press("2")
    page.locator("#bulk-note").fill("Same merchant, known.")
    page.locator("#bulk-dialog").get_by_role("button", name="Known, legitimate pattern").click()
    expect(page.locator(".toasts")).to_contain_text("2 closed, 1 refused: locked by Sec Ond (1).")
    expect(page.locator(f"#{held}")).to_be_visible()
    page.locator(".toasts").get_by_role("button", name="Undo").click()
    expect(page.locator(".toasts")).to_contain_text("2 open again.")


def test_after_an_act_on_several_the_cursor_stands_on_the_row_that_follows_them(
    sign_in: SignIn, second: str
) -> None:
    page = sign_in("analyst")
    rows = page.locator("[data-list] [data-row]")
    ids = rows.evaluate_all("rows => rows.map(row => row.id)")
    follows = page.locator(f"#{ids[3]} [data-row-open]").inner_text()
    for key in ("j", "x", "j", "j", "x"):  # The first and the third: the second stays.
        page.keyboard.press(key)
    page.keyboard.press("2")
    with page.expect_response("**/alerts/bulk/") as answer:
        page.locator("#bulk-dialog").get_by_role("button", name="Known, legitimate pattern").click()
    expect(page.locator(".toasts")).to_contain_text("2 closed.")
    expect(page.locator(f"#{ids[3]}")).to_be_focused()
    # Its preview came with the list, not after it.
    assert follows in answer.value.text().split('id="preview"')[1].split("</h2>")[0]
    expect(page.locator("#preview h2")).to_have_text(follows)
    page.locator(".toasts").get_by_role("button", name="Undo").click()
    expect(page.locator(".toasts")).to_contain_text("2 open again.")
