"""High contrast of the operating system: what backgrounds and shadows said, lines say."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-2"),
]
SignIn = Callable[[str], Page]
OUTLINE = "e => { const s = getComputedStyle(e); return s.outlineStyle + ' ' + s.outlineWidth; }"
GROUND = "e => getComputedStyle(e).backgroundColor"
NONE = ("none 0px", "none 3px")


def outline(of: Locator) -> str:
    return str(of.first.evaluate(OUTLINE))


def test_where_one_is_and_what_is_chosen_stays_visible(sign_in: SignIn) -> None:
    page = sign_in("lead")
    page.emulate_media(forced_colors="active")
    page.goto("/dashboards/")
    for chosen in (".nav-link[aria-current]", ".tab[aria-current]"):
        assert outline(page.locator(chosen)).startswith("solid"), chosen
    assert outline(page.locator(".nav-link:not([aria-current])")) in NONE
    assert outline(page.locator(".tab:not([aria-current])")) in NONE


def test_the_row_in_focus_and_the_selected_ones_stay_visible(sign_in: SignIn) -> None:
    page = sign_in("lead")
    page.emulate_media(forced_colors="active")
    page.goto("/?sort=age")
    rows = page.locator("[data-row]")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    expect(rows.nth(1)).to_be_focused()
    assert outline(rows.nth(1)).startswith("solid")
    assert outline(rows.nth(0)).startswith("dashed")
    assert outline(rows.nth(2)) in NONE
    expect(page.locator("#preview .button").first).to_be_visible()
    main = page.locator(".button.is-primary").first.evaluate(GROUND)
    assert main != page.locator("#preview .button").first.evaluate(GROUND)


def test_a_chart_is_drawn_on_the_ground_that_its_colours_are_made_for(sign_in: SignIn) -> None:
    page = sign_in("lead")
    page.emulate_media(forced_colors="active")
    page.goto("/dashboards/")
    chart = page.locator(".chart").first
    expect(chart).to_have_css("forced-color-adjust", "none")
    expect(chart).to_have_css("background-color", "rgb(255, 255, 255)")
