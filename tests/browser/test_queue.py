"""The queue in a real Chromium: by keyboard alone, two at once, many at once, nothing moves."""

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


def alert_path(page: Page) -> str:
    page.wait_for_url(re.compile(r"/alerts/\d+/"))
    return page.url.split("?")[0]


def test_from_the_queue_to_a_labelled_alert_in_three_keystrokes(
    sign_in: SignIn, second: str
) -> None:
    page = sign_in("analyst")
    page.keyboard.press("n")
    alert = alert_path(page)
    expect(page.locator("#lock")).to_contain_text("Locked by you")
    page.keyboard.press("1")
    page.keyboard.press("1")
    page.wait_for_url(lambda url: url.split("?")[0] != alert)
    expect(page.locator(".toasts")).to_contain_text("Closed alert")
    page.keyboard.press("u")
    page.wait_for_url(lambda url: url.split("?")[0] == alert)
    expect(page.locator("#lock")).to_contain_text("Locked by you")
    expect(page.locator("main")).not_to_contain_text("Closed as fraud")


def test_undo_by_its_key_takes_back_what_was_done_last(sign_in: SignIn, second: str) -> None:
    page = sign_in("analyst")
    page.keyboard.press("j")
    closed = []
    for _ in range(2):
        row = page.locator("[data-row].is-active")
        expect(row).to_be_focused()
        closed.append(str(row.get_attribute("id")))
        page.keyboard.press("2")
        page.keyboard.press("2")
        expect(page.locator(f"#{closed[-1]}")).to_have_count(0)
    expect(page.locator(".toasts").get_by_role("button", name="Undo")).to_have_count(2)
    page.keyboard.press("u")
    assert alert_path(page).endswith(f"/{closed[-1].removeprefix('alert-')}/")


@pytest.mark.landing
def test_triage_by_keyboard_alone(sign_in: SignIn, second: str) -> None:
    """Move, preview, label from the list, assign, comment, snooze, find, help: no mouse."""
    page = sign_in("analyst")
    page.keyboard.press("j")
    row = page.locator("[data-row].is-active")
    first = row.get_attribute("id")
    expect(page.locator("#preview h2")).to_have_text(row.locator("[data-row-open]").inner_text())
    page.keyboard.press("2")
    page.keyboard.press("2")
    expect(page.locator(".toasts")).to_contain_text("1 closed.")
    expect(page.locator(f"#{first}")).to_have_count(0)
    expect(page.locator("[data-row].is-active")).to_be_focused()
    page.keyboard.press("a")
    page.keyboard.press("1")
    expect(page.locator(".toasts")).to_contain_text("1 assigned.")
    page.keyboard.press("c")
    page.keyboard.type("Called them.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".toasts")).to_contain_text("1 commented on.")
    page.keyboard.press("s")
    page.keyboard.press("2")
    expect(page.locator(".toasts")).to_contain_text("1 snoozed.")
    expect(page.get_by_role("link", name=re.compile("Snoozed 1"))).to_be_visible()
    page.keyboard.press("?")
    expect(page.locator("#help")).to_contain_text("Merge into one case")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    alert_path(page)
    page.keyboard.press("Control+k")
    page.keyboard.type("cases")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/cases/"))


AT_ONCE = """
window.stayed = true;
new MutationObserver((_, observer) => {
  observer.disconnect();
  window.focused = document.activeElement.id;
  window.looks = document.activeElement.className;
  document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: "c", bubbles: true}));
  document.getElementById("bulk-note").value = "Called.";
  document.querySelector("#bulk-form [value='comment:add']").click();
}).observe(document.getElementById("content"), {childList: true});
"""


def test_a_list_that_was_exchanged_takes_the_next_act_in_the_same_moment(
    sign_in: SignIn, second: str
) -> None:
    """There is no time between the two in which forms or the focus are not ready."""
    page = sign_in("analyst")
    row = page.locator("[data-row].is-active")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(row).to_be_focused()
    alert = row.get_attribute("id")
    page.evaluate(AT_ONCE)
    page.keyboard.press("a")
    page.keyboard.press("1")
    expect(page.locator(".toasts")).to_contain_text("commented on.")
    assert page.evaluate("window.stayed && window.focused") == alert
    assert "is-active" in page.evaluate("window.looks")
    expect(row).to_be_focused()


@pytest.mark.landing
def test_two_analysts_race_for_the_same_alert(sign_in: SignIn, second: str) -> None:
    one, other = sign_in("analyst"), sign_in(second)
    one.keyboard.press("n")
    mine = alert_path(one)
    expect(one.locator("#lock")).to_contain_text("Locked by you")
    other.keyboard.press("n")
    assert alert_path(other) != mine
    other.goto(mine)
    expect(other.locator("#lock")).to_contain_text("Locked by Ana Lyst")
    assert other.locator(".actions").evaluate("e => e.clientHeight") < 40  # one line at 1280
    expect(other.get_by_role("button", name="Take over")).to_have_count(0)
    other.keyboard.press("1")
    expect(other.locator("dialog[open]")).to_have_count(0)
    expect(other.locator("#decisions .button:disabled")).to_have_count(5)
    lead = sign_in("lead")
    lead.goto(mine)
    lead.get_by_role("button", name="Take over").click()
    expect(lead.locator("#lock")).to_contain_text("Locked by you")
    one.keyboard.press("2")
    with one.expect_navigation():
        one.keyboard.press("1")
    expect(one.locator("#decide-problem")).to_contain_text("locked by Lea Dorn")


def is_free(platform: Stack, address: str) -> bool:
    """Whether nobody has the alert of this address in hands."""
    rows = f"Alert.objects.filter(pk={address.strip('/').split('/')[-1]}, locked_until=None)"
    code = f"from cases.models import Alert; print({rows}.exists())"
    return platform.run(code).strip().endswith("True")


def test_leaving_the_page_lets_the_alert_go(sign_in: SignIn, second: str, platform: Stack) -> None:
    one, other = sign_in("analyst"), sign_in(second)
    one.keyboard.press("n")
    mine = alert_path(one)
    expect(one.locator("#lock")).to_contain_text("Locked by you")
    # It renews itself once the page stands: a renewal under way would outlive the farewell.
    expect(one.locator("#lock")).to_have_attribute("hx-trigger", "lock:renew")
    one.goto("/cases/")
    one.wait_for_load_state("networkidle")
    # The farewell is a beacon: nobody waits for its answer.
    platform.wait_for(lambda: is_free(platform, mine), "the lock to go")
    other.keyboard.press("n")
    assert alert_path(other) == mine


def test_a_refused_act_keeps_the_dialog_open_with_what_was_typed(
    sign_in: SignIn, second: str
) -> None:
    page = sign_in("analyst")
    page.keyboard.press("j")
    page.keyboard.press("3")
    page.locator("#bulk-title").fill(" ")
    page.locator("#bulk-note").fill("Ring around one device.")
    page.get_by_role("button", name="Open case").click()
    expect(page.locator("#bulk-problem")).to_contain_text("Give the case a title")
    expect(page.locator("#bulk-note")).to_have_value("Ring around one device.")
    assert_accessible(page)
    page.locator("#bulk-title").fill("One ring")
    page.keyboard.press("Enter")
    expect(page.locator(".toasts")).to_contain_text("merged into one case")


def test_what_others_do_is_marked_in_place_and_nothing_moves(sign_in: SignIn, second: str) -> None:
    page, other = sign_in("analyst"), sign_in(second)
    page.keyboard.press("j")
    page.keyboard.press("j")
    row = page.locator("[data-row].is-active")
    ids_of = "rows => rows.map(row => row.id)"
    before, ids = row.bounding_box(), page.locator("[data-row]").evaluate_all(ids_of)
    other.goto(f"/alerts/{ids[0].removeprefix('alert-')}/")
    expect(other.locator("#lock")).to_contain_text("Locked by you")
    expect(page.locator(f"#{ids[0]} .row-state")).to_contain_text(
        "Locked by Sec Ond", timeout=45_000
    )
    expect(row).to_be_focused()
    assert row.bounding_box() == before
    assert page.locator("[data-row]").evaluate_all(ids_of) == ids


def test_filters_stand_in_the_address_views_are_saved_and_the_way_back_works(
    sign_in: SignIn, second: str
) -> None:
    page = sign_in("analyst")
    page.locator("#filter-level").focus()
    page.locator("#filter-level").select_option("HIGH")
    page.wait_for_url(re.compile("level=HIGH"))
    expect(page.locator("#filter-level")).to_be_focused()
    page.locator("#filter-sort").select_option("age")
    page.wait_for_url(re.compile("sort=age"))
    expect(page.locator("[data-order]")).to_have_text("Oldest first")
    page.keyboard.press("Escape")
    page.keyboard.press("v")
    expect(page.locator("#view-name")).to_be_focused()
    page.keyboard.type("Old and high")
    page.keyboard.press("Enter")
    tab = page.get_by_role("link", name=re.compile("Old and high"))
    expect(tab).to_have_attribute("aria-current", "page")
    page.get_by_role("link", name=re.compile("^All")).click()
    page.wait_for_url(lambda url: "level" not in url)
    page.go_back()
    page.wait_for_url(re.compile("level=HIGH"))
    expect(page.locator("#filter-level")).to_have_value("HIGH")


def test_escape_leaves_a_filter_for_good_however_long_the_list_takes_to_settle(
    sign_in: SignIn, second: str
) -> None:
    page = sign_in("analyst")
    page.evaluate("htmx.config.defaultSettleDelay = 1000")
    page.locator("#filter-level").focus()
    page.locator("#filter-level").select_option("HIGH")
    page.wait_for_url(re.compile("level=HIGH"))
    page.keyboard.press("Escape")
    page.wait_for_timeout(1200)
    expect(page.locator("select:focus")).to_have_count(0)
    page.keyboard.press("v")
    expect(page.locator("#view-name")).to_be_focused()


def test_escape_leaves_a_filter_for_good_where_the_list_did_not_come(
    sign_in: SignIn, second: str
) -> None:
    """What had the focus is remembered for a list that is exchanged, and for no other one."""
    page = sign_in("analyst")
    page.route(re.compile("level=HIGH"), lambda route: route.fulfill(status=204))
    page.locator("#filter-level").focus()
    with page.expect_response(re.compile("level=HIGH")):
        page.locator("#filter-level").select_option("HIGH")
    page.wait_for_load_state("networkidle")
    page.keyboard.press("Escape")
    expect(page.locator("select:focus")).to_have_count(0)
    page.evaluate("htmx.trigger('#news', 'htmx:afterSettle', {elt: document.body})")
    expect(page.locator("select:focus")).to_have_count(0)
    page.keyboard.press("v")
    expect(page.locator("#view-name")).to_be_focused()


def test_who_comes_back_stands_where_they_left_the_list(sign_in: SignIn, second: str) -> None:
    page = sign_in("analyst")
    for _ in range(3):
        page.keyboard.press("j")
    left = page.locator("[data-row].is-active").get_attribute("id")
    page.keyboard.press("Enter")
    alert_path(page)
    page.keyboard.press("g")
    page.keyboard.press("q")
    page.wait_for_url(re.compile(r"/$"))
    expect(page.locator(f"#{left}")).to_be_focused()
    expect(page.locator("#preview h2")).to_have_text(
        page.locator(f"#{left} [data-row-open]").inner_text()
    )


def test_what_one_writes_is_sent_without_leaving_the_text(sign_in: SignIn, second: str) -> None:
    page = sign_in("analyst")
    page.keyboard.press("n")
    alert_path(page)
    page.keyboard.press("c")
    page.keyboard.type("Called them.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".toasts")).to_contain_text("Comment added.")


def test_a_key_that_unfolds_a_form_leads_into_it(sign_in: SignIn, second: str) -> None:
    page = sign_in("lead")
    page.goto("/cases/1/")
    page.keyboard.press("f")
    expect(page.locator("#close-disposition")).to_be_focused()


def test_enter_leads_from_the_search_to_what_it_finds_and_escape_keeps_its_words(
    sign_in: SignIn, second: str
) -> None:
    page = sign_in("analyst")
    page.keyboard.press("/")
    page.keyboard.type("amount")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("q=amount"))
    expect(page.locator("[data-row]").first).to_be_focused()
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    expect(page.locator("#filter-q")).not_to_be_focused()
    expect(page.locator("#filter-q")).to_have_value("amount")


def test_the_split_moves_its_shares_and_rows_say_why_they_are_there(
    sign_in: SignIn, second: str
) -> None:
    page = sign_in("lead")
    page.keyboard.press("b")
    page.locator("#budget-uncertain").focus()
    page.keyboard.press("Home")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    expect(page.locator("[data-budget-rest]")).to_have_text("80 %")
    assert_accessible(page)
    page.get_by_role("button", name="Keep this split").click()
    expect(page.locator(".toasts")).to_contain_text("80 % by expected loss, 20 % uncertain")
    expect(page.locator(".tag", has_text="uncertain").first).to_be_visible()


def test_the_palette_finds_alerts_by_words_and_leads_there(sign_in: SignIn, second: str) -> None:
    page = sign_in("analyst")
    page.keyboard.press("Control+k")
    page.keyboard.type("travel")
    found = page.locator("#palette-found [role=option]")
    expect(found.first).to_be_visible()
    assert_accessible(page)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/\?q=travel|/alerts/|/cases/"))


@pytest.mark.parametrize("narrowed", ["detector=payments", "low=5&sort=amount"])
def test_clearing_the_filters_stands_in_their_line(sign_in: SignIn, narrowed: str) -> None:
    page = sign_in("analyst")
    page.goto(f"/?{narrowed}")
    clear = page.locator("form.filters a[data-key='0']").bounding_box()
    order = page.locator("#filter-sort").bounding_box()
    assert clear and order
    assert abs(clear["y"] - order["y"]) < order["height"]


def test_where_nothing_matches_nothing_is_offered_to_act_on(sign_in: SignIn, second: str) -> None:
    page = sign_in("lead")
    expect(page.locator("#bulk-bar")).to_be_visible()
    page.goto("/?q=nosuchwordanywhere")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    expect(page.locator("#bulk-bar")).to_be_hidden()
    expect(page.locator("#preview")).to_be_hidden()


def test_the_queue_fits_and_is_accessible(sign_in: SignIn, second: str) -> None:
    page = sign_in("analyst")
    for width, path in ((820, "/"), (1280, "/?view=snoozed"), (820, "/?q=nowhere&age=7d")):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(path)
        assert_accessible(page, widths=[width])
    for key, dialog in (("v", "views-dialog"), ("b", "budget-dialog")):
        page.goto("/")
        page.keyboard.press(key)
        expect(page.locator(f"#{dialog}")).to_be_visible()
        assert_accessible(page)
