"""How pages lie on the screen: no word of a filter is cut, no panel half empty, and on a phone
every title is whole and nothing is wider than the screen."""

import json
import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.e2e.stack import Stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-2"),
]
SignIn = Callable[[str], Page]
LONG = "Cross-border instant transfers of new business customers, EU"
NAMED = "from scoring.models import Detector; Detector.objects.filter(slug='fraud')"
PHONE: ViewportSize = {"width": 390, "height": 844}
TOLD = """
from accounts.models import User
from notifications.models import Delivery
from notifications.services import notify
people = [User.objects.get(username='analyst')]
text = 'Two events of this entity within the last ten minutes, 12,000.00 EUR at risk.'
told = notify('alert.opened', key='layout', subject='A critical alert of Card transactions',
              text=text, url='/', users=people)
if told:
    Delivery.objects.get_or_create(notification=told, channel='email', user=people[0],
                                   defaults=dict(status='failed', attempt=5, error=text))
"""
"""A notification, and a mail of it that failed."""
JUDGED = """
from django.utils import timezone
from scoring.labelling import record_label
from scoring.models import Prediction
from scoring.rule_tallying import tally_rules
from scoring.services import score_events
large = dict(merchant_type='travel', country='NG', time_delta=0.5, device_type='mobile')
at, ids = timezone.now().isoformat(), [f'large-{i}' for i in range(12)]
sent = [dict(large, transaction_id=one, timestamp=at, transaction_amount=12_000.0) for one in ids]
score_events('fraud', sent, announce=False)
for row in Prediction.objects.filter(external_id__in=ids):
    record_label(row, is_fraud=row.external_id != 'large-0', source='analyst')
tally_rules(timezone.now(), seconds=60)
"""
"""Matches of the live rule, with labels: numbers that are explained."""
ARROW = 20
"""Pixels that a browser keeps for the arrow of a list of choices."""
CUT_FILTERS = """arrow => [...document.querySelectorAll(".filters .select")].filter(one => {
  const looks = getComputedStyle(one), pen = document.createElement("canvas").getContext("2d");
  pen.font = looks.font;
  const free = one.clientWidth - parseFloat(looks.paddingLeft) - parseFloat(looks.paddingRight);
  return pen.measureText(one.options[0].text).width > free - arrow;
}).map(one => one.name + " " + one.clientWidth)"""
CUT_CHOICES = """arrow => [...document.querySelectorAll(".picks .select")].filter(one => {
  const looks = getComputedStyle(one), pen = document.createElement("canvas").getContext("2d");
  pen.font = looks.font;
  const free = one.clientWidth - parseFloat(looks.paddingLeft) - parseFloat(looks.paddingRight);
  return [...one.options].some(each => pen.measureText(each.text).width > free - arrow);
}).map(one => one.id)"""
CUT_TITLE = """() => { const title = document.querySelector(".crumbs h1");
  return title.scrollWidth > title.clientWidth + 1 || title.scrollHeight > title.clientHeight + 1
    ? title.textContent : ""; }"""
LAST = """panel => panel.getBoundingClientRect().bottom - Math.max(
  ...[...panel.querySelectorAll("*")]
  .filter(one => !one.children.length && one.getBoundingClientRect().height)
  .map(one => one.getBoundingClientRect().bottom))"""
"""Pixels between the last thing in a panel and its lower edge."""
LISTS = (
    *("/", "/cases/", "/dashboards/", "/rules/", "/detectors/fraud/rules/", "/detectors/"),
    *("/detectors/fraud/", "/watchlists/", "/models/", "/models/1/", "/models/1/card/"),
    *("/models/payments/drift/", "/jobs/", "/manage/users/", "/cases/1/", "/models/integrity/"),
    *("/manage/roles/", "/dashboards/alerts/", "/dashboards/events/", "/cases/team-queues/"),
    *("/notifications/", "/notifications/deliveries/", "/cases/types/", "/dashboards/analysts/"),
)
WIDE_LISTS = (
    *("/detectors/payments/rules/", "/detectors/fraud/rules/", "/detectors/", "/watchlists/"),
    *("/models/", "/dashboards/alerts/", "/dashboards/events/"),
)
SIDEWAYS = """() => [...document.querySelectorAll(".table-scroll:has(table), .stage")]
  .filter(one => one.scrollWidth > one.clientWidth).map(one => one.ariaLabel || one.className)"""
CHALLENGED = """() => {
  const row = document.querySelector("[aria-label^='Versions of'] tbody tr"), cells = row.cells;
  const tell = (place, html) => { cells[place].innerHTML = html; };
  tell(0, "<a href='#'>v128</a>"); tell(1, "<span class='tag is-action'>Challenger</span>");
  tell(4, "<span class='muted'>&minus;0.0123, not sure</span>"); tell(6, "100.0 %");
  tell(7, "$ 1,234"); tell(9, `<span>99.1 % of 12,345<br><span class="more">
    <span class="nowrap">+1,234</span> <span class="nowrap">&minus;1,234</span> alerts</span><br>
    <span class="more">superseded</span></span>`);
}"""
"""The widest that a row of versions is like: a challenger that was in shadow."""
CUT_CELLS = """table => [...table.querySelectorAll("th, td")]
  .filter(one => one.scrollWidth > one.clientWidth).map(one => one.innerText)"""
ROOMY = """least => {
  const box = document.querySelector("[data-chart-src='#waterfall']");
  const plot = box.querySelector(".nsewdrag").getBoundingClientRect().width;
  return box.clientWidth < innerWidth && plot > least * box.clientWidth;
}"""
"""Bars have such a share of the waterfall's width, and it lies within the window."""
UNNAMED = """() => [...document.querySelectorAll(".is-stacking tbody tr:first-child td.num")]
  .filter(one => /^[\\d,.]+$/.test(one.innerText.trim()) && !one.dataset.name)
  .filter(one => !one.matches(":has(a)"))
  .map(one => one.closest("table").parentElement.ariaLabel + ": " + one.innerText)"""
"""Bare numbers of a list that do not say what they count."""


@pytest.mark.parametrize("width", [1280, 1440])
def test_filters_show_their_names_in_full(sign_in: SignIn, width: int) -> None:
    page = sign_in("lead")
    page.set_viewport_size({"width": width, "height": 900})
    for address in ("/", "/cases/", "/dashboards/"):
        page.goto(address)
        assert page.evaluate(CUT_FILTERS, ARROW) == [], address


def test_what_a_feature_means_has_room_beside_its_name(sign_in: SignIn) -> None:
    page = sign_in("lead")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto("/detectors/cards/")
    rows = page.get_by_role("region", name="Features").locator("tbody tr")
    heights = [one.bounding_box()["height"] for one in rows.all()]  # type: ignore[index]
    assert len(heights) > 20 and max(heights) < 100


def test_no_panel_of_a_version_is_half_empty(sign_in: SignIn) -> None:
    page = sign_in("owner")
    page.goto("/models/")
    page.get_by_role("link", name="v1", exact=True).first.click()
    page.wait_for_url(re.compile(r"/models/\d+/"))
    expect(page.locator("#curve-calibration-chart .main-svg").first).to_be_visible()
    panels = page.locator(".split > .panel, .split > .stack > .panel")
    assert panels.count() > 5
    assert [one for one in panels.all() if one.evaluate(LAST) > 60] == []


def test_a_short_panel_is_not_drawn_as_high_as_a_long_form_beside_it(sign_in: SignIn) -> None:
    page = sign_in("admin")
    for address in ("/detectors/fraud/lists/", "/cases/team-queues/1/", "/models/1/card/"):
        page.goto(address)
        panels = page.locator(".split > .panel").all()
        assert panels and [one for one in panels if one.evaluate(LAST) > 150] == [], address


def test_on_a_phone_titles_are_whole_and_nothing_is_wider_than_it(sign_in: SignIn) -> None:
    page = sign_in("admin")
    page.set_viewport_size(PHONE)
    rules = "/detectors/fraud/rules/"
    for address in ("/", f"{rules}HIGH_AMOUNT/", f"{rules}overlap/", "/detectors/fraud/policy/",
                    "/cases/1/report/", "/models/", "/models/1/", "/manage/audit/"):  # fmt: skip
        page.goto(address)
        assert page.evaluate(CUT_TITLE) == "", address
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], address


def test_on_a_tablet_nothing_is_wider_than_it(sign_in: SignIn) -> None:
    page = sign_in("admin")
    page.set_viewport_size({"width": 768, "height": 1024})
    for address in LISTS:
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 768, address
        assert page.evaluate(SIDEWAYS) == [], address


@pytest.mark.parametrize("width", [900, 1024, 1100, 1366, 1439])
def test_no_list_is_wider_than_the_window_of_a_laptop(
    sign_in: SignIn, platform: Stack, width: int
) -> None:
    platform.run(JUDGED)
    page = sign_in("admin")
    page.set_viewport_size({"width": width, "height": 900})
    for address in WIDE_LISTS:
        page.goto(address)
        assert page.evaluate(SIDEWAYS) == [], address


@pytest.mark.parametrize("width", [900, 1280])
def test_a_challenger_makes_the_versions_no_wider_than_the_window(
    sign_in: SignIn, width: int
) -> None:
    page = sign_in("owner")
    page.set_viewport_size({"width": width, "height": 900})
    page.goto("/models/")
    page.evaluate(CHALLENGED)
    assert page.evaluate(SIDEWAYS) == []


def test_on_a_phone_no_list_scrolls_sideways_and_its_numbers_are_named(sign_in: SignIn) -> None:
    page = sign_in("admin")
    page.set_viewport_size(PHONE)
    for address in LISTS:
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], address
        assert page.evaluate(SIDEWAYS) == [], address
        assert page.evaluate(UNNAMED) == [], address
    page.goto("/")
    expect(page.get_by_role("link", name="Probability")).to_be_visible()
    row = page.locator("[data-row]").first
    assert page.locator(".queue-list").evaluate("one => one.scrollHeight - one.clientHeight") == 0
    expect(row.locator("[data-name=Due]")).to_be_visible()


def test_on_a_phone_notifications_and_what_was_sent_fit(sign_in: SignIn, platform: Stack) -> None:
    platform.run(TOLD)
    for name, address in (("analyst", "/notifications/"), ("admin", "/notifications/deliveries/")):
        page = sign_in(name)
        page.set_viewport_size(PHONE)
        page.goto(address)
        expect(page.locator("[data-row]").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], address
        assert page.evaluate(SIDEWAYS) == [], address
        assert page.evaluate(UNNAMED) == [], address


def test_on_a_phone_what_a_list_is_about_is_as_wide_as_the_list(sign_in: SignIn) -> None:
    page = sign_in("lead")
    page.set_viewport_size(PHONE)
    page.goto("/cases/team-queues/")
    caption = page.locator("caption").bounding_box()
    assert caption and caption["width"] > 300


def test_the_list_of_rules_has_room_for_all_its_columns(sign_in: SignIn, platform: Stack) -> None:
    """What explains a number stands under it at 1280 pixels, and beside it on a wider screen."""
    platform.run(JUDGED)
    page = sign_in("lead")
    page.goto("/detectors/fraud/rules/")
    table, below = page.locator(".table-scroll"), page.locator("td .below")
    expect(below.first).to_contain_text("labelled")
    for width, display in ((1280, "block"), (1440, "inline")):
        page.set_viewport_size({"width": width, "height": 900})
        expect(below.first).to_have_css("display", display)
        assert table.evaluate("e => e.scrollWidth - e.clientWidth") == 0, width
        assert table.evaluate(CUT_CELLS) == [], width


def test_on_a_phone_the_acts_on_a_row_do_not_lie_on_the_rows(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    page.set_viewport_size(PHONE)
    page.goto("/")
    last = page.locator("#bulk-bar button").last.bounding_box()
    list_ = page.locator(".queue-list").bounding_box()
    assert last and list_ and last["y"] + last["height"] <= list_["y"]


def test_on_a_phone_a_legend_does_not_lie_on_its_chart(sign_in: SignIn) -> None:
    page = sign_in("lead")
    page.set_viewport_size(PHONE)
    page.goto("/dashboards/")
    chart = page.locator(".chart").first
    expect(chart.locator(".legend")).to_be_visible()
    legend, plot = (chart.locator(one).bounding_box() for one in (".legend", ".nsewdrag"))
    assert legend and plot and legend["y"] + legend["height"] <= plot["y"] + 1


def test_on_a_phone_the_audit_trail_shows_each_entry_whole(sign_in: SignIn) -> None:
    page = sign_in("admin")
    page.set_viewport_size(PHONE)
    page.goto("/manage/audit/")
    table = page.locator(".table-scroll")
    assert table.evaluate("e => e.scrollWidth - e.clientWidth") == 0
    cut = "e => [...e.querySelectorAll('td')].filter(c => c.scrollWidth > c.clientWidth).length"
    assert table.evaluate(cut) == 0


def test_on_a_phone_the_digests_of_an_audit_entry_and_its_json_break(sign_in: SignIn) -> None:
    page = sign_in("admin")
    page.set_viewport_size(PHONE)
    page.goto("/manage/audit/?action=detector.added")
    page.locator("[data-row-open]").first.click()
    page.get_by_text("As JSON").click()
    for one in (page.locator(".table-scroll"), page.locator("pre")):
        expect(one).to_be_visible()
        assert one.evaluate("e => e.scrollWidth - e.clientWidth") == 0


def test_on_a_phone_the_waterfall_has_as_many_ticks_as_there_is_room_for(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    page.set_viewport_size(PHONE)
    page.goto("/")
    page.locator("[data-row-open]").first.click()
    ticks = page.locator("[data-chart-src='#waterfall'] .xtick text")
    expect(ticks.first).to_be_visible()
    names = page.locator("[data-chart-src='#waterfall'] .ytick text")
    left = page.locator("[data-chart-src='#waterfall']").evaluate(
        "e => e.getBoundingClientRect().x"
    )
    assert all(box["x"] >= left for one in names.all() if (box := one.bounding_box()))
    boxes = sorted((box["x"], box["width"]) for one in ticks.all() if (box := one.bounding_box()))
    assert all(x + width < after for (x, width), (after, _) in pairwise(boxes))


def test_a_waterfall_has_room_for_its_names_at_the_width_that_it_comes_to(
    sign_in: SignIn,
) -> None:
    page = sign_in("analyst")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.locator("[data-row-open]").first.click()
    chart = page.locator("[data-chart-src='#waterfall']")
    plot = chart.locator(".nsewdrag").first
    expect(plot).to_be_visible()
    for width in (PHONE["width"], 1024, 768):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_function(ROOMY, arg=0.3)
        names = chart.locator(".ytick text").all()
        left = chart.evaluate("e => e.getBoundingClientRect().x")
        assert all(box["x"] >= left for one in names if (box := one.bounding_box())), width


def test_names_in_the_waterfall_are_cut_where_they_do_not_differ(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    page.set_viewport_size(PHONE)
    page.locator("[data-row-open]").first.click()
    chart = page.locator("[data-chart-src='#waterfall']")
    expect(chart.locator(".ytick text").first).to_be_visible()
    figure = json.loads(page.locator("#waterfall").text_content() or "")
    long = LONG.replace(" ", "_")  # one word: it cannot go on in a second line
    names = [f"{long}_over_{days}_days" for days in (7, 30)]
    for trace in figure["data"]:
        for key in ("x", "y", "text", "base", "customdata", "hovertext"):
            if isinstance(trace.get(key), list):
                trace[key] = trace[key][:2]
        trace["y"] = names
    figure["layout"]["yaxis"]["categoryarray"] = names
    page.locator("#waterfall").evaluate(
        "(e, text) => { e.textContent = text; }", json.dumps(figure)
    )
    page.evaluate("document.dispatchEvent(new CustomEvent('risk:theme'))")
    shown = chart.locator(".ytick text")
    expect(shown).to_have_count(2)
    for text, days in zip(shown.all(), (7, 30), strict=True):
        expect(text).to_contain_text(f"over_{days}_days")
        expect(text).to_contain_text("\u2026")


def test_a_name_in_the_waterfall_is_told_whole_on_hover_and_in_the_table(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    page.set_viewport_size(PHONE)
    page.locator("[data-row-open]").first.click()
    figure = json.loads(page.locator("#waterfall").text_content() or "")
    names = figure["layout"]["yaxis"]["categoryarray"]
    shown = page.locator("[data-chart-src='#waterfall'] .ytick text")
    expect(shown).to_have_count(len(names))
    assert shown.locator("title").evaluate_all("all => all.map(e => e.textContent)") == names
    under = "([x, y]) => document.elementFromPoint(x, y).closest('text')?.querySelector('title')"
    shown.nth(1).scroll_into_view_if_needed()
    box = shown.nth(1).bounding_box()
    assert box
    point = [box["x"] + box["width"] / 2, box["y"] + 5]
    assert page.evaluate(f"point => ({under})(point)?.textContent", point) == names[1]
    page.get_by_role("button", name="Show as table").first.click()
    expect(page.get_by_role("region", name=re.compile("table$")).first).to_contain_text(names[1])


def test_the_versions_to_compare_have_their_whole_names(sign_in: SignIn) -> None:
    page = sign_in("owner")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto("/models/compare/?detector=fraud")
    assert page.locator(".picks option").count() > 3
    assert page.evaluate(CUT_CHOICES, ARROW) == []


def test_a_name_of_sixty_characters_hides_neither_title_nor_actions(
    sign_in: SignIn, platform: Stack
) -> None:
    page = sign_in("lead")
    platform.run(f"{NAMED}.update(name={LONG!r})")
    try:
        page.goto("/detectors/fraud/rules/")
        title, actions = page.locator(".crumbs h1"), page.locator(".pagehead .actions")
        title_box, actions_box = title.bounding_box(), actions.bounding_box()
        assert title_box and actions_box and title_box["width"] > 30
        assert title_box["x"] + title_box["width"] <= actions_box["x"]
        page.goto("/detectors/")
        expect(page.get_by_text(LONG)).to_be_visible()
        list_of_them = page.locator(".table-scroll").first
        assert list_of_them.evaluate("one => one.scrollWidth <= one.clientWidth")
        page.goto("/models/")
        page.get_by_role("link", name="v1", exact=True).last.click()
        page.wait_for_url(re.compile(r"/models/\d+/"))
        assert page.evaluate(CUT_TITLE) == ""
    finally:
        platform.run(f"{NAMED}.update(name='Card fraud')")


def test_the_choices_of_notifications_are_cells_that_fill_their_table(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    page.goto("/notifications/preferences/")
    table = page.get_by_role("region", name="Kinds and channels").locator("table")
    last = table.locator("tbody tr:has(td)").first.locator("td").last
    assert last.evaluate("one => getComputedStyle(one).display") == "table-cell"
    table_box, last_box = table.bounding_box(), last.bounding_box()
    assert table_box and last_box
    right = table_box["x"] + table_box["width"] - last_box["x"] - last_box["width"]
    assert abs(right) < 2
