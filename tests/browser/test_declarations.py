"""Declaring in a real Chromium: lines, mistakes while one types, a preview, a save; axe."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import assert_accessible

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-2"),
]
SignIn = Callable[[str], Page]
IS_MARKED = """() => [...document.querySelectorAll('.editor-lines > .is-wrong')]
  .map(row => row.textContent)"""
SELECTED = """() => { const area = document.getElementById('id_text');
  return area.value.slice(area.selectionStart, area.selectionEnd) }"""


def test_a_detector_is_declared_and_edited_with_lines(sign_in: SignIn) -> None:
    page = sign_in("engineer")
    page.goto("/detectors/")
    page.get_by_role("link", name="Declare a detector").click()
    area = page.get_by_label("Declaration (YAML)")
    sketch = area.input_value().replace("my_detector", "refunds")
    lines = page.locator(".editor-lines > div")
    expect(lines).to_have_count(sketch.count("\n") + 1)

    # A mistake is told with its line while one types; a click leads there.
    area.fill(sketch.replace("windows: [1h,", "windows: [1 hour,"))
    page.get_by_role("link", name="Line 28").click()
    assert page.evaluate(IS_MARKED) == ["28"]
    assert "1 hour" in page.evaluate(SELECTED)
    expect(area).to_be_focused()
    expect(area).to_have_attribute("aria-invalid", "true")
    assert_accessible(page)

    # What was previewed is saved, and nothing else.
    area.fill(sketch)
    expect(page.locator("#outcome")).to_contain_text("Valid.")
    assert page.evaluate(IS_MARKED) == []
    page.get_by_role("button", name="Preview what changes").click()
    expect(page.locator("#outcome")).to_contain_text("A new detector, refunds")
    assert_accessible(page)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/detectors/refunds/")

    page.get_by_role("link", name="Edit its declaration").click()
    area.fill(area.input_value().replace("review_cost: 5", "review_cost: 7"))
    page.get_by_role("button", name="Preview what changes").click()
    expect(page.locator(".diff ins")).to_contain_text("review_cost: 7")
    expect(page.locator("#outcome")).to_contain_text("Its windows stay as they are.")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/detectors/refunds/")

    reader = sign_in("analyst")
    reader.goto("/detectors/refunds/declaration/")
    expect(reader.get_by_label("Declaration (YAML)")).not_to_be_editable()
    expect(reader.get_by_role("button", name="Preview what changes")).to_have_count(0)
    assert_accessible(reader)


def test_a_source_is_declared_with_the_same_editor(sign_in: SignIn) -> None:
    page = sign_in("engineer")
    page.goto("/sources/")
    page.get_by_role("link", name="Declare a source").first.click()
    page.get_by_role("button", name="Preview what changes").click()
    expect(page.locator("#outcome")).to_contain_text("A new source, my-source.")
    assert_accessible(page)
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/sources/my-source/")
    page.goto("/sources/")
    expect(page.locator("#source-my-source")).to_contain_text("It names no detector")
    assert_accessible(page)
