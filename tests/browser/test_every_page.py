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

pytestmark = [pytest.mark.browser, pytest.mark.worker, pytest.mark.xdist_group("browser-1")]
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
LOADED_BYTES = 1_500_000
"""Of a page without charts and all that it loads, as it comes over the network."""


@pytest.fixture(scope="module")
def addresses(platform: Stack) -> list[tuple[str, str]]:
    found = json.loads(platform.manage("shell", "-v", "0", "-c", ADDRESSES).splitlines()[-1])
    return [(name, address) for name, address in found if not address.startswith("/api/")]


def test_every_page_is_accessible_fits_and_keeps_the_focus(
    sign_in: Callable[[str], Page], addresses: list[tuple[str, str]]
) -> None:
    page = sign_in("admin")
    problems, seen, plain = [], 0, 0
    pressed: set[str] = set()
    for name, address in addresses:
        answer = page.request.get(address)
        if answer.status != 200 or '<aside class="rail">' not in answer.text():
            continue
        seen += 1
        if len(answer.body()) > HTML_BYTES:
            problems.append(f"{name}: {len(answer.body())} bytes of HTML")
        page.set_viewport_size({"width": WIDTHS["desktop"], "height": 900})
        page.goto(address, wait_until="networkidle")
        if not page.evaluate(DRAWS):
            plain += 1
            if (loaded := page.evaluate(LOADED)) > LOADED_BYTES:
                problems.append(f"{name}: loads {loaded} bytes")
        problems += [f"{name}, {found}" for found in violations(page)]
        for screen, width in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": 900})
            try:  # Charts follow the width a moment later.
                page.wait_for_function(FITS, arg=width, timeout=3000)
            except PlaywrightTimeout:
                problems.append(f"{name}, {screen}: wider than {width} px")
        page.set_viewport_size({"width": WIDTHS["desktop"], "height": 900})
        problems += [f"{name}: {found}" for found in lost_focus(page, address, pressed)]
    assert seen > 30 and plain > 20 and len(pressed) > 5
    assert problems == [], "\n".join(problems)
