"""Cases as people work them, in a real Chromium: four eyes, hand-over, files, report, queues."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

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
SET_LIMIT = """
from cases.work_queue_models import WorkQueue
WorkQueue.objects.update(approval_limit={limit})
"""


@pytest.fixture
def any_loss_needs_two(platform: Stack) -> Iterator[None]:
    """Every amount is above the loss limit, for one test."""
    platform.run(SET_LIMIT.format(limit=0))
    yield
    platform.run(SET_LIMIT.format(limit=None))


def open_case(page: Page, title: str) -> str:
    """A case over the next alert that has an amount; its address."""
    page.goto("/?sort=amount")
    page.keyboard.press("n")
    page.wait_for_url(re.compile(r"/alerts/\d+/"))
    page.keyboard.press("3")
    page.locator("dialog[open] [name=title]").fill(title)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/cases/\d+/"))
    return page.url


def ask_to_close(page: Page) -> None:
    page.keyboard.press("f")
    page.get_by_label("Outcome", exact=True).select_option("fraud")
    page.get_by_label("Reason", exact=True).select_option("account_takeover")
    page.get_by_role("button", name="Ask for approval").click()
    expect(page.locator("#status")).to_contain_text("Waits for a second person")


@pytest.mark.usefixtures("any_loss_needs_two")
def test_a_case_is_investigated_and_closed_with_four_eyes(sign_in: SignIn, tmp_path: Path) -> None:
    analyst, lead = sign_in("analyst"), sign_in("lead")
    case = open_case(analyst, "Account taken over")
    status = analyst.locator("#status")
    with analyst.expect_navigation():
        analyst.keyboard.press("i")
    expect(status).to_contain_text("Investigating")
    tick = analyst.get_by_role("checkbox").first
    tick.click()
    expect(analyst.locator("#checklist .more").first).to_contain_text("Ana Lyst")
    expect(analyst.get_by_role("checkbox").first).to_be_focused()
    analyst.keyboard.press("c")
    analyst.keyboard.type("@lead the customer denies all three.")
    analyst.get_by_role("button", name="Add comment").click()
    expect(analyst.locator("#toasts")).to_contain_text("Lea Dorn will be told")
    analyst.get_by_text("Attach a file…").click()
    proof = tmp_path / "statement.txt"
    proof.write_text("Not me.")
    analyst.get_by_label("File", exact=True).set_input_files(proof)
    with analyst.expect_navigation():
        analyst.get_by_role("button", name="Attach", exact=True).click()
    expect(analyst.locator(".story")).to_contain_text("attached statement.txt")
    ask_to_close(analyst)
    expect(status.get_by_role("button")).to_have_count(1)  # take the request back
    assert_accessible(analyst)

    lead.goto("/cases/?status=pending_approval")
    lead.get_by_role("link", name=case.rstrip("/").split("/")[-1], exact=True).click()
    lead.wait_for_url(lambda url: "status=" not in url)
    expect(lead.locator("#status")).to_be_visible()
    lead.keyboard.press("r")
    lead.get_by_label("What is missing").fill("Which device was it?")
    lead.get_by_role("button", name="Return the case").click()
    expect(lead.locator("#status")).to_contain_text("Investigating")

    analyst.reload()
    expect(analyst.locator(".story")).to_contain_text("Which device was it?")
    ask_to_close(analyst)
    lead.reload()
    assert_accessible(lead)
    lead.keyboard.press("a")
    expect(lead.locator("#status")).to_contain_text("Closed")
    expect(lead.locator("main")).to_contain_text("Confirmed fraud")
    alert = lead.locator("#alerts tbody a").first
    alert.click()
    expect(lead.locator("main")).to_contain_text("Closed as fraud")
    lead.go_back()
    expect(lead.locator("#status")).to_contain_text("Closed")

    lead.keyboard.press("p")
    lead.wait_for_url(re.compile(r"/report/$"))
    expect(lead.locator(".report")).to_contain_text("Lea Dorn approved it on")
    assert_accessible(lead)
    with lead.expect_download() as pdf:
        lead.get_by_role("link", name="PDF").click()
    assert Path(pdf.value.path()).read_bytes().startswith(b"%PDF-")


def test_a_case_is_handed_over_merged_and_taken_apart(sign_in: SignIn) -> None:
    analyst, lead = sign_in("analyst"), sign_in("lead")
    first, second = open_case(analyst, "Ring, first"), open_case(analyst, "Ring, second")
    analyst.get_by_text("Merge into another case…").click()
    analyst.get_by_label("Number of the other case").fill(first.rstrip("/").split("/")[-1])
    analyst.get_by_role("button", name="Merge", exact=True).click()
    expect(analyst).to_have_url(first)
    expect(analyst.locator("#merged")).to_contain_text("Ring, second")
    analyst.get_by_role("button", name=re.compile("Take case .* out")).click()
    expect(analyst).to_have_url(second)
    expect(analyst.locator("#alerts tbody tr")).to_have_count(1)
    analyst.get_by_text("Hand over…").click()
    analyst.get_by_role("button", name="Hand over", exact=True).click()
    expect(analyst.get_by_label("To", exact=True)).to_be_focused()  # it is required
    analyst.get_by_label("To", exact=True).select_option(label="Lea Dorn")
    analyst.get_by_label("What they have to know").fill("Call back at nine.")
    analyst.get_by_role("button", name="Hand over", exact=True).click()
    expect(analyst.locator("#owner")).to_contain_text("hands it over to Lea Dorn")
    lead.goto("/cases/")
    lead.get_by_role("link", name="Ring, second").first.click()
    lead.get_by_role("button", name="Take the case").click()
    expect(lead.locator("#owner")).to_contain_text("Lea Dorn")


def test_a_lead_sets_up_a_team_queue_and_an_analyst_reads_it(sign_in: SignIn) -> None:
    lead, analyst = sign_in("lead"), sign_in("analyst")
    lead.goto("/cases/team-queues/")
    lead.keyboard.press("+")
    lead.get_by_label("Name").fill("Night shift")
    lead.get_by_label("Order").fill("2000")
    lead.get_by_label("Monday").fill("22:00-24:00")
    lead.get_by_role("button", name="Save team queue").click()
    lead.get_by_label("Add", exact=True).select_option(label="Ana Lyst")
    lead.get_by_role("button", name="Add to the queue").click()
    expect(lead.locator("#members")).to_contain_text(re.compile(r"\d of 20 open"))
    analyst.goto("/cases/team-queues/")
    analyst.get_by_role("button", name="Taking work").click()
    expect(analyst.locator("main")).to_contain_text("Away")
    analyst.get_by_role("link", name="Night shift").click()
    expect(analyst.get_by_role("button", name="Save team queue")).to_have_count(0)


@pytest.mark.usefixtures("any_loss_needs_two")
def test_each_role_has_exactly_its_buttons(sign_in: SignIn) -> None:
    buttons = {
        "analyst": ["Ask to close… f"],
        "lead": ["Ask to close… f"],
        "engineer": [],
        "owner": [],
    }
    for username, wanted in buttons.items():
        page = sign_in(username)
        page.goto("/cases/1/")
        found = page.locator("#status button:visible, #status summary:visible")
        assert [" ".join(text.split()) for text in found.all_inner_texts()] == wanted
        assert page.locator("#comment").count() == (1 if wanted else 0)


PAGES = (
    *("/cases/", "/cases/1/", "/cases/1/report/", "/cases/team-queues/", "/cases/team-queues/1/"),
    *("/cases/team-queues/new/", "/cases/types/", "/cases/types/1/", "/cases/?q=nothing"),
)


def test_no_page_of_cases_with_all_it_unfolds_has_a_violation_or_runs_over(
    sign_in: SignIn,
) -> None:
    page = sign_in("lead")
    for path in PAGES:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        for summary in page.locator("details.act > summary").all():
            summary.click()
        for width in SCREENS:
            page.set_viewport_size({"width": width, "height": 1180})
            assert_accessible(page, widths=[width])


@pytest.mark.parametrize("width", [427, 1280])
def test_the_long_name_of_an_owner_stays_within_its_panel(
    sign_in: SignIn, platform: Stack, width: int
) -> None:
    named = "from accounts.models import User; User.objects.filter(username='analyst')"
    platform.run(f"{named}.update(display_name='{'Quartermaster' * 6}')")
    try:
        page = sign_in("lead")
        page.set_viewport_size({"width": width, "height": 800})
        page.goto("/cases/1/")
        expect(page.locator("#owner")).to_contain_text("Quartermaster")
        assert page.locator("#owner").evaluate("e => e.scrollWidth <= e.clientWidth + 1")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        platform.run(f"{named}.update(display_name='Ana Lyst')")
