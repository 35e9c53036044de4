"""What axe finds on a page, in both themes."""

from collections.abc import Iterable
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SCREENS = (820, 1280)
"""Widths of a tablet and of a small desktop."""
IS_THERE = "typeof axe !== 'undefined'"
JUDGE = """() => axe.run(document, {resultTypes: ["violations"]})
  .then(found => found.violations.map(one => `${one.id} at ${one.nodes[0].html.slice(0, 200)}`))"""


def violations(page: Page) -> list[str]:
    """Every violation of any impact as "theme: rule at markup"; leaves the page in light."""
    page.wait_for_load_state("networkidle")
    if not page.evaluate(IS_THERE):  # once a page: it is half a megabyte
        page.evaluate(Axe().axe_script)
    found = []
    for theme in reversed(THEMES):
        # Without motion: colours on their way from one theme to the other belong to neither.
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        found += [f"{theme}: {one}" for one in page.evaluate(JUDGE)]
    return found


def assert_accessible(page: Page, *, widths: Iterable[int] = ()) -> None:
    """No violation in either theme, and the page is no wider than these screens."""
    found = violations(page)  # First: it waits until the page stands.
    assert (page.url, found) == (page.url, [])
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (page.url, width)
