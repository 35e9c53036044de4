"""The bell in a real Chromium: shows what happened, leads to it; routes are made and tested."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import SCREENS, assert_accessible
from tests.e2e.stack import Stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-2"),
]
SignIn = Callable[[str], Page]
CRITICAL = """
from accounts.models import User
from cases.models import Alert
from notifications.services import notify
alert = Alert.objects.filter(status="open").first()
notify(
    "alert.opened",
    key="browser",
    subject="Critical alert for the browser",
    text="One event.",
    url=alert.get_absolute_url(),
    users=[User.objects.get(username="analyst")],
)
print(alert.get_absolute_url())
"""


def test_the_bell_shows_and_leads_to_the_alert(sign_in: SignIn, platform: Stack) -> None:
    alert = platform.run(CRITICAL).splitlines()[-1]
    page = sign_in("analyst")
    expect(page.locator("#bell-count .number")).to_be_visible()
    assert_accessible(page, widths=SCREENS)
    before = int(page.locator("#bell-count .number").inner_text().rstrip("+"))
    page.keyboard.press("g")
    page.keyboard.press("n")
    page.wait_for_url("**/notifications/")
    assert_accessible(page, widths=SCREENS)
    page.get_by_role("link", name="Critical alert for the browser").click()
    page.wait_for_url(f"**{alert}")
    page.goto("/notifications/")
    number = page.locator("#bell-count .number")
    if before > 1:
        expect(number).to_have_text(str(before - 1))
    else:
        expect(number).to_have_count(0)


def test_marking_keeps_the_focus_and_counts_again(sign_in: SignIn, platform: Stack) -> None:
    platform.run(CRITICAL.replace('"browser"', '"marked"'))
    page = sign_in("analyst")
    page.goto("/notifications/?show=unread")
    button = page.get_by_role("button", name="Mark read").first
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Mark unread").first).to_be_focused()
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.locator("#toasts")).to_contain_text("Marked as read.")
    expect(page.locator("#bell-count .number")).to_have_count(0)


def test_a_person_sets_quiet_hours(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    page.goto("/notifications/preferences/")
    assert_accessible(page, widths=SCREENS)
    page.get_by_label("Quiet from").fill("22:00")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("main")).to_contain_text("Give both times, or neither.")
    expect(page.get_by_label("Quiet from")).to_have_value("22:00")
    assert_accessible(page, widths=SCREENS)
    page.get_by_label("until", exact=True).fill("07:00")
    page.get_by_label("Your time zone").select_option("Europe/Zurich")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")


def test_an_admin_makes_a_route_tests_it_and_reads_why_it_failed(sign_in: SignIn) -> None:
    page = sign_in("admin")
    page.goto("/notifications/routes/")
    assert_accessible(page, widths=SCREENS)
    page.keyboard.press("n")
    page.wait_for_url("**/routes/new/")
    page.get_by_label("Name").fill("Fraud ops")
    page.get_by_label("By", exact=True).select_option("webhook")
    page.get_by_label("Address").fill("https://127.0.0.1/hook")
    page.get_by_label("A model's data drifts").check()
    assert_accessible(page, widths=SCREENS)
    page.get_by_role("button", name="Create the route").click()
    expect(page.locator("#secret")).to_contain_text("whsec_")
    assert_accessible(page, widths=SCREENS)
    page.get_by_role("link", name="I have copied it").click()
    expect(page.locator("#secret")).to_have_count(0)
    assert_accessible(page, widths=SCREENS)
    page.get_by_role("button", name="Send a test").click()
    page.wait_for_url(re.compile(r"/deliveries/[0-9a-f-]+/"))
    expect(page.locator("#delivery-status")).to_contain_text("our own network", timeout=30_000)
    assert_accessible(page, widths=SCREENS)
    page.goto("/notifications/deliveries/?status=failed")
    expect(page.locator("main")).to_contain_text("A test of “Fraud ops”")
    assert_accessible(page, widths=SCREENS)
    page.goto("/notifications/routes/")
    assert_accessible(page, widths=SCREENS)
    page.get_by_role("link", name="Fraud ops").click()
    page.get_by_text("Remove this route…").click()
    page.get_by_role("button", name=re.compile("for good")).click()
    expect(page.locator("#toasts")).to_contain_text("was removed")


def test_a_server_that_is_gone_is_said_once_however_often_the_bell_asks(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    page.goto("/notifications/")
    page.wait_for_load_state("networkidle")
    page.evaluate(
        """() => { for (let i = 0; i < 3; i++) document.body.dispatchEvent(new CustomEvent(
        "htmx:sendError", { bubbles: true, detail: { elt: document.getElementById("bell") } })) }"""
    )
    expect(page.locator("#toasts .is-error")).to_have_count(1)
