"""Every page in a real browser: accessible in both themes, no wider than the screen, light; and the
focus stays when a part of it is exchanged."""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.accessibility import violations
from tests.browser.focus import lost_focus
from tests.e2e.stack import Stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-1"),
]
ADDRESSES = """
import json
from benchmarks.addresses import readable_pages, shown_rows
print(json.dumps([*readable_pages(shown_rows("fraud"))]))
"""
WIDTHS = {"desktop": 1280, "tablet": 820}
FITS = "width => document.documentElement.scrollWidth <= width"
HTML_BYTES = 150_000
LOADED = """() => [...performance.getEntriesByType("navigation"),
  ...performance.getEntriesByType("resource")].reduce((sum, one) => sum + one.encodedBodySize, 0)"""
DRAWS = (
    "() => performance.getEntriesByType('resource').some(one => one.name.includes('plotly-basic'))"
)
WATCH_TIMES = """window.retimed = []; new MutationObserver(changes => changes.forEach(one => {
  if (one.removedNodes.length && one.target.matches && one.target.matches("time[data-ago]"))
    window.retimed.push([one.removedNodes[0].textContent, one.target.textContent]);
})).observe(document, {childList: true, subtree: true})"""
"""What scripts write in place of the times that came: where the width changes, the page moves."""
TICK = 3
"""Characters by which "59 min" and "1 h" differ."""
MINUTE = {"now", "1\u00a0min", "1\u00a0min ago", "in 1\u00a0min"}
"""What may have become of a time that is a minute away by then."""
LOADED_BYTES = 1_500_000
"""Of a page without charts and all that it loads, as it comes over the network."""


@pytest.fixture(scope="module")
def addresses(platform: Stack) -> list[tuple[str, str]]:
    found = json.loads(platform.run(ADDRESSES).splitlines()[-1])
    return [(name, address) for name, address in found if not address.startswith("/api/")]


def test_every_page_is_accessible_fits_and_keeps_the_focus(
    sign_in: Callable[[str], Page], addresses: list[tuple[str, str]]
) -> None:
    page = sign_in("admin")
    page.add_init_script(WATCH_TIMES)
    problems: list[str] = []
    pressed: set[str] = set()
    seen = plain = 0
    for name, address in addresses:
        answer = page.request.get(address)
        if answer.status != 200 or '<aside class="rail">' not in answer.text():
            continue
        seen += 1
        page.set_viewport_size({"width": WIDTHS["desktop"], "height": 900})
        page.goto(address, wait_until="networkidle")
        found = retimed(page)
        if len(answer.body()) > HTML_BYTES:
            found.append(f"{len(answer.body())} bytes of HTML")
        if not page.evaluate(DRAWS):
            plain += 1
            if (loaded := page.evaluate(LOADED)) > LOADED_BYTES:
                found.append(f"loads {loaded} bytes")
        found += [*violations(page), *too_wide(page)]
        page.set_viewport_size({"width": WIDTHS["desktop"], "height": 900})
        found += lost_focus(page, address, pressed)
        problems += [f"{name}: {one}" for one in found]
    assert seen > 30 and plain > 20 and len(pressed) > 5
    assert problems == [], "\n".join(problems)


def retimed(page: Page) -> list[str]:
    """Times that came with words of another width than the scripts' own."""
    return [
        f"'{came}' becomes '{text}'"
        for came, text in page.evaluate("window.retimed")
        if abs(len(came) - len(text)) > TICK and not {came, text} <= MINUTE
    ]


def too_wide(page: Page) -> list[str]:
    """Screens that the page is wider than; leaves it on the last one."""
    problems = []
    for screen, width in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": 900})
        try:  # Charts follow the width a moment later.
            page.wait_for_function(FITS, arg=width, timeout=15_000)
        except PlaywrightTimeout:
            problems.append(f"wider than {width} px ({screen})")
    return problems
