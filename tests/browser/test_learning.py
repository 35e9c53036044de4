"""Drift and the retraining policy in a real Chromium: checked, looked at, put into force."""

import re
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
DRIFT = "/models/fraud/drift/"
RETRAINING = "/models/fraud/retraining/"


def check_now(page: Page) -> None:
    """Ask for a check and wait for its end: the page is loaded anew then."""
    button = page.get_by_role("button", name="Check now")
    button.click()
    expect(page.locator("#drift-job")).to_be_visible()
    expect(button).to_be_visible(timeout=60_000)


def test_an_owner_checks_for_drift_and_looks_at_a_feature(sign_in: SignIn) -> None:
    page = sign_in("owner")
    page.goto(DRIFT)
    check_now(page)
    expect(page.locator("#drift .verdict")).to_contain_text("training window", timeout=60_000)
    expect(page.locator("#drift-overlay-chart.js-plotly-plot")).to_be_visible(timeout=20_000)
    page.get_by_role("link", name="transaction_amount", exact=True).click()
    expect(page.locator("#shown-name")).to_have_text("transaction_amount")
    expect(page.locator("#drift-overlay-chart.js-plotly-plot")).to_be_visible(timeout=20_000)
    assert "show=feature.transaction_amount" in page.url
    assert_accessible(page)
    check_now(page)
    expect(page.locator("#drift-timeline-chart.js-plotly-plot")).to_be_visible(timeout=60_000)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert "transaction_amount" in download.value.path().read_text()


def test_an_owner_puts_a_retraining_policy_into_force(sign_in: SignIn) -> None:
    page = sign_in("owner")
    page.goto(RETRAINING)
    assert_accessible(page)
    page.get_by_label("After new matured labels").check()
    page.get_by_label("Labels", exact=True).fill("1")
    page.get_by_role("button", name="What would happen now?").click()
    expect(page.locator("#outlook")).to_contain_text(re.compile(r"labels? matured since v\d"))
    page.get_by_label("By the clock").check()
    page.get_by_label("Day", exact=True).select_option("every Friday")
    page.get_by_label("Quiet time, hours").fill("48")
    page.get_by_role("button", name="Put into force").click()
    expect(page.locator("#toasts")).to_contain_text("The retraining policy is in force.")
    expect(page.locator("#outlook")).to_contain_text("Every Friday at 03:00 UTC")
    expect(page.get_by_label("Quiet time, hours")).to_have_value("48")


def test_drift_and_policy_are_accessible_to_who_may_only_look(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    for path in (DRIFT, RETRAINING):
        page.goto(path)
        assert_accessible(page)
