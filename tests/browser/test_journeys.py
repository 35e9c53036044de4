"""The loop as people walk it, in a real Chromium."""

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
    pytest.mark.xdist_group("browser-1"),
]
SignIn = Callable[[str], Page]


@pytest.mark.landing
def test_an_analyst_labels_an_alert_from_the_queue_by_keyboard_alone(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    expect(page.get_by_role("heading", name="Queue")).to_be_visible()
    page.keyboard.press("n")
    page.wait_for_url(re.compile(r"/alerts/\d+/"))
    alert = page.url.split("?")[0]
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: url.split("?")[0] != alert)
    page.goto(alert)
    expect(page.locator("main")).to_contain_text("Closed as fraud")


@pytest.mark.landing
def test_an_analyst_opens_a_case_comments_and_closes_it_with_a_reason(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    page.goto("/?order=age")
    page.keyboard.press("n")
    page.wait_for_url(re.compile(r"/alerts/\d+/"))
    page.keyboard.press("3")
    page.locator("dialog[open] [name=title]").fill("Several odd payments")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/cases/\d+/"))
    page.get_by_label("Comment").fill("The customer denies it.")
    page.get_by_role("button", name="Add comment").click()
    expect(page.locator("main")).to_contain_text("The customer denies it.")
    page.locator("details.close-case summary").click()
    page.get_by_label("Outcome").select_option("fraud")
    page.get_by_label("Reason").select_option("account_takeover")
    page.get_by_role("button", name=re.compile("Close case and")).click()
    expect(page.locator("main")).to_contain_text("Closed")


@pytest.mark.landing
def test_a_model_owner_retrains_and_asks_a_second_person_approves_and_one_click_rolls_back(
    sign_in: SignIn, platform: Stack
) -> None:
    page, second = sign_in("owner"), sign_in("admin")
    page.goto("/models/")
    # Whoever leaves before the answer takes the request back.
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.get_by_role("button", name="Retrain now").first.click()
    page.goto("/models/")
    version = page.get_by_role("link", name="v2").first
    expect(version).to_be_visible(timeout=90_000)
    version.click()
    expect(page.locator("table").first).to_contain_text("v1")
    page.get_by_label("Reason").fill("It has seen a week more.")
    page.locator("#promote").click()
    expect(page.locator("main")).to_contain_text("Waits for a second person", timeout=15_000)
    expect(page.locator("#approve")).to_have_count(0)
    assert served(platform) == "v1"
    second.goto("/models/")
    expect(second.locator("main")).to_contain_text("asks to promote v2")
    second.goto(page.url)
    assert_accessible(second)
    second.get_by_label("Note").fill("Agreed.")
    second.locator("#approve").click()
    expect(second.locator("main")).to_contain_text("approved by Ada Min", timeout=15_000)
    second.wait_for_load_state("networkidle")
    assert served(platform) == "v2"
    page.reload()
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.locator("#roll-back").click()
    expect(page.locator("main")).to_contain_text("v1", timeout=15_000)
    assert served(platform) == "v1"


def served(platform: Stack) -> str:
    printed = platform.manage(
        "create_api_key",
        "--user",
        "admin",
        "--name",
        "probe",
        "--scopes",
        "score",
        "--rate",
        "none",
    )
    body = {
        "transaction_amount": 40.0,
        "merchant_type": "grocery",
        "country": "US",
        "time_delta": 40.0,
        "device_type": "desktop",
    }
    answer = platform.call(
        "POST", "/api/v1/detectors/fraud/score", key=printed.strip().splitlines()[-1], body=body
    )
    return str(answer.json()["model_version"])


PAGES = {
    "analyst": ("/", "/alerts/1/", "/cases/", "/cases/1/", "/detectors/", "/detectors/fraud/"),
    "owner": ("/models/", "/models/1/", "/jobs/"),
}


@pytest.mark.parametrize("username", PAGES)
def test_no_page_has_an_accessibility_violation(sign_in: SignIn, username: str) -> None:
    page = sign_in(username)
    for path in PAGES[username]:
        page.goto(path)
        assert_accessible(page)


@pytest.mark.landing
def test_an_analyst_cannot_promote_and_an_owner_cannot_label(sign_in: SignIn) -> None:
    analyst = sign_in("analyst")
    analyst.goto("/models/1/")
    expect(analyst.locator("#promote")).to_have_count(0)
    owner = sign_in("owner")
    owner.goto("/")
    owner.keyboard.press("n")
    owner.wait_for_url(re.compile(r"/alerts/\d+/"))
    expect(owner.get_by_role("link", name="Confirm fraud")).to_have_count(0)
