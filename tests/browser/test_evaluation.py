"""A model owner looks at a version's numbers, moves its thresholds, judges it again."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import THEMES, assert_accessible

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-2"),
]
SignIn = Callable[[str], Page]
SHOTS = os.environ.get("RISK_SCREENSHOTS", "")


def shot(page: Page, name: str) -> None:
    """A picture of the page where RISK_SCREENSHOTS names a folder."""
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True, caret="initial")


def without_fault(page: Page, name: str) -> None:
    assert_accessible(page)
    for theme in THEMES if SHOTS else ():
        page.emulate_media(color_scheme=theme)
        shot(page, f"{name}-{theme}")


def test_an_owner_previews_and_publishes_thresholds_and_judges_again(sign_in: SignIn) -> None:
    page = sign_in("owner")
    page.goto("/models/")
    page.get_by_role("link", name="v1", exact=True).first.click()
    page.wait_for_url(re.compile(r"/models/\d+/"))
    expect(page.locator("#curve-thresholds-chart .main-svg").first).to_be_visible()
    without_fault(page, "version")
    page.get_by_label("Review from").fill("0.5")
    page.get_by_label("Block from").fill("0.9")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#thresholds [role=status]")).to_contain_text("At 0.5000:")
    expect(page.locator("#curve-thresholds-chart .main-svg").first).to_be_visible()
    without_fault(page, "preview")
    publish = page.get_by_role("button", name="Publish as a new version")
    page.get_by_label("Review from").fill("0.6")
    expect(publish).to_be_disabled()
    expect(page.locator("[data-stale]")).to_contain_text("preview them again")
    page.get_by_label("Review from").fill("0.5")
    expect(publish).to_be_enabled()
    expect(page.locator("[data-stale]")).to_be_hidden()
    page.get_by_label("Why?").fill("A quiet week")
    publish.click()
    expect(page.locator("main")).to_contain_text("with its thresholds moved", timeout=15_000)
    expect(page.locator("main")).to_contain_text("the model of v1 with other thresholds")
    # The page follows the evaluation, and comes anew by itself when it has ended.
    judged = page.locator("#judgements")
    expect(judged).to_contain_text("As of today, as known at", timeout=120_000)
    without_fault(page, "judged")


def test_a_dataset_says_what_it_holds(sign_in: SignIn) -> None:
    page = sign_in("owner")
    page.goto("/models/")
    page.get_by_role("link", name="v1", exact=True).first.click()
    page.locator("a[href^='/models/datasets/']").first.click()
    expect(page.locator("main")).to_contain_text("Vectors as logged")
    without_fault(page, "dataset")
    with page.expect_download() as download:
        page.get_by_role("link", name="Ids as CSV").click()
    text = Path(download.value.path()).read_text()
    assert text.startswith("prediction_id,external_id,event_time,part")
