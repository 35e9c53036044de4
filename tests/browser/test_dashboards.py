"""Dashboards and second looks as people walk them, in a real Chromium."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import assert_accessible
from tests.e2e.stack import Stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-2"),
]
SignIn = Callable[[str], Page]
COUNT = "from cases.tallying import tally_everything; tally_everything()"


def test_a_lead_reads_the_dashboard_and_drills_down_by_keyboard(
    sign_in: SignIn, platform: Stack
) -> None:
    platform.run(COUNT)
    page = sign_in("lead")
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.wait_for_url("**/dashboards/")
    expect(page.get_by_role("heading", name="Dashboards")).to_be_visible()
    expect(page.locator(".actions")).to_contain_text(re.compile(r"as of \d\d:\d\d UTC"))
    expect(
        page.locator("#alerts-chart .js-plotly-plot, #alerts-chart.js-plotly-plot")
    ).to_be_visible()
    # Ticks as tables write numbers: 12,000, not 12k beside 8000.
    drawn = page.locator(".js-plotly-plot").first.evaluate("box => box._fullLayout.yaxis")
    assert (drawn["separatethousands"], drawn["minexponent"]) == (True, 6)
    panel = page.locator("section[aria-labelledby=alerts-name]")
    panel.get_by_role("button", name="Show as table").click()
    point = panel.locator("td a").filter(has_text=re.compile(r"^[1-9]")).first
    counted = int(point.inner_text().replace(",", ""))
    point.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/dashboards/alerts/**")
    expect(page.locator(".pager")).to_contain_text(re.compile(rf"(?<!\d){counted} alerts?\b"))
    assert_accessible(page)
    page.go_back()
    page.get_by_role("link", name="7 days").click()
    page.wait_for_url("**days=7**")
    with page.expect_download() as download:
        page.get_by_role("link", name="Alerts opened by level as CSV").click()
    assert download.value.suggested_filename == "alerts.csv"
    assert download.value.path().read_text().startswith("day,Low,Medium,High,Critical")
    page.get_by_label("First day").fill("2026-02-10")
    page.get_by_label("Last day").fill("2026-02-01")
    # The page says what is wrong and answers 422, which the browser logs as an error of its own.
    address = "/dashboards/?from=2026-02-10&to=2026-02-01"
    assert page.request.get(address).status == 422
    page.goto("/dashboards/analysts/")
    expect(page.locator("main")).to_contain_text("Ana Lyst")
    assert_accessible(page)


def test_two_analysts_judge_one_alert_blind_and_a_third_settles_it(sign_in: SignIn) -> None:
    admin, first, second = sign_in("admin"), sign_in("analyst"), sign_in("lead")
    admin.goto("/second-looks/agreement/")
    for box in admin.locator("input[name=share]").all():
        box.fill("100")
        with admin.expect_navigation():
            box.press("Enter")
    first.goto("/")
    first.keyboard.press("n")
    first.wait_for_url(re.compile(r"/alerts/\d+/"))
    alert = first.url.split("?")[0]
    first.keyboard.press("1")
    first.keyboard.press("Enter")
    first.wait_for_url(lambda url: url.split("?")[0] != alert)
    second.keyboard.press("g")
    second.keyboard.press("l")
    second.wait_for_url("**/second-looks/")
    second.keyboard.press("n")
    expect(second.get_by_role("heading", name="Your judgement")).to_be_visible()
    assert_accessible(second)
    expect(second.locator("main")).not_to_contain_text("Ana Lyst")
    second.keyboard.press("2")
    expect(second.locator(".key-hint")).to_contain_text("Customer confirmed it")
    second.keyboard.press("Escape")
    expect(second.locator(".key-hint")).to_have_count(0)
    second.goto(alert)
    second.wait_for_url("**/second-looks/")
    second.get_by_label("Note, optional").fill("The customer was abroad.")
    second.get_by_role("button", name=re.compile("^False positive: ")).first.click()
    expect(second.locator("main")).to_contain_text("No second look to take")
    admin.goto("/second-looks/agreement/")
    assert_accessible(admin)
    admin.locator("[data-row-open]").first.click()
    expect(admin.locator("main")).to_contain_text("The customer was abroad.")
    assert_accessible(admin)
    admin.get_by_role("button", name=re.compile("^False positive: ")).first.click()
    expect(admin.locator("main")).to_contain_text("Nothing is in dispute")
    admin.goto(alert)
    expect(admin.locator("main")).to_contain_text("Closed as false positive")
    admin.goto("/second-looks/agreement/")
    for box in admin.locator("input[name=share]").all():
        box.fill("")
        with admin.expect_navigation():
            box.press("Enter")
