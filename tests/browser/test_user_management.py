"""An admin takes somebody in, changes what they may, shuts them out; a key from birth to end."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import SCREENS, assert_accessible
from tests.browser.conftest import Faults
from tests.e2e.stack import PASSWORD, Stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-2"),
]
SignIn = Callable[[str], Page]
ANALYST_RAIL = [
    *("Queue", "Cases", "Dashboards", "Second looks", "Detectors", "Rules", "Watchlists"),
    *("Sources", "Models", "Jobs", "API"),
]
OWNER_RAIL = [
    *("Queue", "Cases", "Dashboards", "Detectors", "Rules", "Watchlists", "Sources", "Models"),
    *("Jobs", "API"),
]
ADMIN_RAIL = ["Users", "API keys", "Audit trail", "Django admin"]
LONG = "Maximiliane-Alexandra Wolfeschlegelsteinhausenbergerdorff Jr"
MANY = f"""
from accounts.models import User
from accounts.roles import ANALYST
from accounts.services import set_roles
from accounts.api_keys import create_api_key
from cases.work_queue_models import QueueMember, WorkQueue
queue = WorkQueue.objects.create(name="Night watch")
for n in range(120):
    user = User.objects.create(username=f"crowd{{n:03}}", display_name="{LONG}")
    set_roles(user, roles=[ANALYST], actor=None)
    QueueMember.objects.create(queue=queue, user=user, skills=["wire"])
    create_api_key(user=user, label="{LONG}", scopes=["score", "models:read"], actor=None)
"""


@pytest.fixture
def guest(platform: Stack, chrome: Browser) -> Iterator[Page]:
    """A browser where nobody is signed in."""
    context = chrome.new_context(base_url=platform.address)
    page = context.new_page()
    faults = Faults(page, platform.address)
    yield page
    context.close()
    assert faults.found == []


def rail(page: Page) -> list[str]:
    return page.locator(".rail .nav-link[data-command]").all_inner_texts()


def set_password(page: Page, link: str, password: str) -> None:
    page.goto(link)
    assert_accessible(page, widths=SCREENS)
    page.get_by_label("New password", exact=True).fill("12345678")
    page.get_by_label("New password confirmation").fill("12345678")
    page.get_by_role("button", name="Set the password").click()
    expect(page.locator("main")).to_contain_text("too common")
    assert_accessible(page, widths=SCREENS)
    page.get_by_label("New password", exact=True).fill(password)
    page.get_by_label("New password confirmation").fill(password)
    page.get_by_label("New password confirmation").press("Enter")
    expect(page.locator("main")).to_contain_text("Your password is set")


def sign_in_as(page: Page, username: str, password: str) -> None:
    page.fill("[name=username]", username)
    page.fill("[name=password]", password)
    page.press("[name=password]", "Enter")


def test_somebody_comes_changes_roles_and_goes(sign_in: SignIn, guest: Page) -> None:
    admin = sign_in("admin")
    assert rail(admin)[-5:] == [*ADMIN_RAIL, "API"]
    admin.keyboard.press("g")
    admin.keyboard.press("u")
    admin.wait_for_url("**/manage/users/")
    admin.keyboard.press("n")
    admin.wait_for_url("**/users/new/")
    assert_accessible(admin, widths=SCREENS)
    admin.get_by_label("User name").fill("no spaces please")
    admin.get_by_label("Name", exact=True).fill("Nora New")
    admin.get_by_role("checkbox", name=re.compile("^Analyst")).check()
    admin.get_by_role("button", name="Create the user").click()
    expect(admin.locator("main")).to_contain_text("Enter a valid username")
    expect(admin.get_by_label("Name", exact=True)).to_have_value("Nora New")
    expect(admin.get_by_role("checkbox", name=re.compile("^Analyst"))).to_be_checked()
    assert_accessible(admin, widths=SCREENS)
    admin.get_by_label("User name").fill("nora")
    admin.get_by_label("User name").press("Enter")
    link = admin.locator("#secret").inner_text()
    assert_accessible(admin, widths=SCREENS)
    set_password(guest, link, PASSWORD)
    sign_in_as(guest, "nora", PASSWORD)
    guest.wait_for_url(lambda url: "/login" not in url)
    assert rail(guest) == ANALYST_RAIL
    assert guest.request.get("/manage/users/").status == 403
    admin.get_by_role("link", name="I have copied it").click()
    admin.get_by_role("checkbox", name=re.compile("^Analyst")).uncheck()
    admin.get_by_role("checkbox", name=re.compile("^Model Owner")).check()
    admin.get_by_role("button", name="Save roles").press("Enter")
    expect(admin.locator("#toasts")).to_contain_text("Nora New may at once")
    guest.reload()
    assert rail(guest) == OWNER_RAIL
    admin.locator("#deactivate").press("Enter")
    expect(admin.locator("#access")).to_contain_text("Their sessions, tokens and password links")
    assert_accessible(admin, widths=SCREENS)
    admin.get_by_role("button", name="Deactivate Nora New").press("Enter")
    expect(admin.locator("#toasts")).to_contain_text("is out")
    guest.reload()
    guest.wait_for_url("**/login/**")
    sign_in_as(guest, "nora", PASSWORD)
    expect(guest.get_by_role("alert")).to_be_visible()
    admin.get_by_role("button", name="Activate again").click()
    expect(admin.locator("#toasts")).to_contain_text("can sign in again")
    admin.get_by_role("link", name="What was done to them").click()
    for action in ("user.created", "user.roles_changed", "user.deactivated", "user.activated"):
        expect(admin.get_by_role("region", name="Audit trail")).to_contain_text(action)


def test_a_key_is_made_used_revoked_and_found_in_the_trail(
    sign_in: SignIn, platform: Stack
) -> None:
    page = sign_in("admin")
    page.goto("/manage/keys/")
    page.keyboard.press("n")
    page.wait_for_url("**/keys/new/")
    assert_accessible(page, widths=SCREENS)
    page.get_by_label("Acts for").fill("nobody-at-all")
    page.get_by_label("What it is for").fill("Journey")
    page.get_by_role("checkbox", name=re.compile("^predictions:read")).check()
    page.get_by_role("button", name="Create the key").click()
    expect(page.locator("main")).to_contain_text("There is no user of this name.")
    expect(page.get_by_label("What it is for")).to_have_value("Journey")
    page.get_by_label("Acts for").fill("analyst")
    page.get_by_label("Acts for").press("Enter")
    secret = page.locator("#secret").inner_text()
    assert_accessible(page, widths=SCREENS)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#toasts")).to_contain_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == secret
    assert platform.call("GET", "/api/v1/predictions", key=secret).status == 200
    assert platform.call("GET", "/api/v1/models", key=secret).status == 403
    page.get_by_role("link", name="I have copied it").click()
    expect(page.locator("main")).not_to_contain_text(secret)
    expect(page.locator("main")).to_contain_text("In use")
    assert_accessible(page, widths=SCREENS)
    page.locator("#revoke-key").press("Enter")
    page.locator("#revoke-for-good").press("Enter")
    expect(page.locator("#toasts")).to_contain_text("opens nothing any more")
    platform.wait_for(
        lambda: platform.call("GET", "/api/v1/predictions", key=secret).status == 401,
        "the key to be refused",
        seconds=5,
    )
    page.goto("/manage/audit/")
    page.get_by_label("Who").fill("admin")
    page.get_by_label("Action begins with").fill("api_key.")
    page.get_by_role("button", name="Search", exact=True).press("Enter")
    page.wait_for_url("**action=api_key.*")
    expect(page.get_by_role("button", name="Search", exact=True)).to_be_focused()
    trail = page.get_by_role("region", name="Audit trail")
    expect(trail).to_contain_text("api_key.revoked")
    expect(trail).not_to_contain_text("user.logged_in")
    expect(page.locator("#chain")).to_contain_text("Verified")
    assert_accessible(page, widths=SCREENS)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    table = download.value.path().read_text("utf-8-sig")
    assert "api_key.created" in table
    assert secret.split("_", 2)[2] not in table
    trail.get_by_role("link", name=re.compile("^Journey")).first.click()
    page.wait_for_url(re.compile(r"/manage/keys/\d+/"))
    page.go_back()
    expect(page.get_by_label("Action begins with")).to_have_value("api_key.")


def test_a_wrong_search_says_where_and_keeps_what_was_typed(sign_in: SignIn) -> None:
    page = sign_in("admin")
    page.goto("/manage/audit/")
    page.get_by_label("Who").fill("nobody-at-all")
    page.get_by_label("Who").press("Enter")
    expect(page.locator("main")).to_contain_text("There is no user of this name.")
    expect(page.get_by_label("Who")).to_have_value("nobody-at-all")
    expect(page.get_by_label("Who")).to_be_focused()
    assert_accessible(page, widths=SCREENS)


def test_the_lists_hold_a_crowd_and_an_empty_answer(sign_in: SignIn, platform: Stack) -> None:
    platform.run(MANY)
    page = sign_in("admin")
    for address, heading in (
        ("/manage/users/", "Users"),
        ("/manage/roles/", "Roles"),
        ("/cases/team-queues/members/", "Memberships"),
        ("/manage/keys/", "API keys"),
        ("/manage/audit/", "Audit trail"),
    ):
        page.goto(address)
        expect(page.get_by_role("heading", name=heading, level=1)).to_be_visible()
        assert_accessible(page, widths=SCREENS)
    page.goto("/manage/users/")
    page.get_by_label("Role").focus()
    page.get_by_label("Role").select_option("Analyst")
    page.wait_for_url("**role=Analyst*")
    expect(page.get_by_label("Role")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press(".")
    page.wait_for_url("**page=2*")
    page.go_back()
    expect(page.locator(".pager")).to_contain_text("users, 1")
    page.get_by_label("Name, user name, e-mail").fill("nobody-at-all")
    page.get_by_label("Name, user name, e-mail").press("Enter")
    expect(page.locator("main")).to_contain_text("Nobody matches")
    assert_accessible(page, widths=SCREENS)
