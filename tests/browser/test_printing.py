"""What pages are on paper: facts in dark words on white, and nothing to press."""

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


def test_on_paper_a_case_has_its_facts_and_nothing_to_press(sign_in: SignIn) -> None:
    page = sign_in("lead")
    page.emulate_media(media="print")
    page.goto("/cases/1/")
    expect(page.locator("main").get_by_text("Total at risk")).to_be_visible()
    assert page.locator("main :is(.button, textarea):visible").all_inner_texts() == []
    # On the first page, with times as they were and not as long ago.
    assert page.locator(".case-side").first.evaluate("e => getComputedStyle(e).display") == "block"
    ago = page.locator("main :not(td) > time[data-ago]").first
    told = ago.evaluate("e => getComputedStyle(e, '::after').content")
    assert told == f'"{ago.get_attribute("title")}"'


def test_who_works_in_the_dark_prints_dark_words_on_white(sign_in: SignIn) -> None:
    page = sign_in("lead")
    page.evaluate("localStorage.setItem('risk-theme', 'dark')")
    page.goto("/cases/1/")
    panel, head = page.locator("main .panel").first, page.locator("main .panel h2").first
    root, white = page.locator("html"), "rgb(255, 255, 255)"
    expect(panel).not_to_have_css("background-color", white)
    page.emulate_media(media="print")
    expect(panel).to_have_css("background-color", white)
    ink = head.evaluate("e => getComputedStyle(e).color.match(/[0-9]+/g).slice(0, 3).map(Number)")
    assert max(ink) < 90
    page.emulate_media(media="screen")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    for event, theme in (("beforeprint", "light"), ("afterprint", "dark")):
        page.evaluate("name => window.dispatchEvent(new Event(name))", event)
        expect(root).to_have_attribute("data-bs-theme", theme)


def test_a_list_that_scrolls_inside_the_window_has_all_of_its_rows_on_paper(
    sign_in: SignIn,
) -> None:
    page = sign_in("lead")
    page.set_viewport_size({"width": 794, "height": 400})
    page.goto("/")
    rows = page.locator("main [data-row]")
    assert rows.count() > 12
    page.emulate_media(media="print")
    stage, last = page.locator(".stage").bounding_box(), rows.last.bounding_box()
    assert stage is not None and last is not None
    assert last["y"] + last["height"] <= stage["y"] + stage["height"]
    foot = page.locator(".queue-foot").bounding_box()
    assert foot is not None and foot["y"] >= last["y"] + last["height"] - 1
    for pressed in ("#bulk-bar", "#preview", "main [type=checkbox]"):
        expect(page.locator(pressed).first).to_be_hidden()
