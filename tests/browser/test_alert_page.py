"""The alert in a real Chromium: one screen, what it fetches, the reveal, the way back."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.accessibility import assert_accessible
from tests.e2e.stack import Stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-1"),
]
SignIn = Callable[[str], Page]
NAMES, UNTITLED = ["elsewhere", "Paris", "Berlin"], {"title": {"text": ""}}
DAYS = {"type": "date", "range": ["2026-10-23", "2026-11-26"], "anchor": "y2"}
PLACES = json.dumps(
    {
        "data": [{"y": NAMES, "text": NAMES, "yaxis": "y2", "marker": {"size": 7}}],
        "layout": {
            "xaxis": DAYS | UNTITLED,
            "yaxis": {"rangemode": "tozero", "domain": [0.4, 1.0]} | UNTITLED,
            "yaxis2": {"domain": [0.0, 0.3], "type": "category", "anchor": "x"} | UNTITLED,
        },
    }
)
"""A time line of three places, the upper panel empty."""
FIND = """
from cases.links_models import EntityLink, SharedValue
from cases.models import Alert
rows = Alert.objects.filter(detector__slug='{slug}', status='open', top_prediction__score__gt=0)
few = SharedValue.objects.filter(entities__gte=2, entities__lte=25).values('token')
links = lambda row: EntityLink.objects.filter(entity=row.entity, token__in=few).count()
print('alert', max(rows.order_by('-level', 'pk'), key=links).pk)
"""
PAYMENTS = """
from datetime import timedelta
from django.utils import timezone
from cases import linking
from cases.models import Alert
from cases.selectors import predictions_without_alert
from cases.services import open_alerts
from cases.signing import sign_closed_alerts
from models_registry.datasets import DatasetError
from models_registry.fitting import QuietProgress
from models_registry.promotion import promote
from models_registry.training import train_version
from scoring.models import Detector
from scoring.simulating import simulate_history

detector = Detector.objects.get(slug='payments')
now = timezone.now()
recent = now - timedelta(days=3)
version = None
for seed in range(7, 12):  # what is simulated depends on the hour; in some there is little fraud
    simulate_history(detector, start=now - timedelta(days=75), end=recent, events=5000, seed=seed)
    try:
        version = train_version(
            detector, learner='logistic_regression', trained_by=None, job=None,
            progress=QuietProgress(),
        )
        break
    except DatasetError:
        continue
promote(version, actor=None, reason='First champion.')
scored = Alert.objects.filter(detector=detector, status='open', top_prediction__score__gt=0)
for seed in range(7, 12):  # in some hours the model flags nothing of so few
    simulate_history(detector, start=recent, end=now, events=800, seed=seed)
    open_alerts(predictions_without_alert(timezone.now() + timedelta(minutes=2)))
    if scored.exists():
        break
linking.GRACE = timedelta(seconds=-1)
while linking.index_links():
    pass
sign_closed_alerts()
"""


@pytest.fixture(scope="module")
def alerts(platform: Stack) -> dict[str, str]:
    """Addresses of an open alert of each detector, the one with most links; payments trained."""
    platform.run(PAYMENTS)
    found = {}
    for slug in ("fraud", "payments"):
        said = platform.run(FIND.format(slug=slug))
        found[slug] = f"/alerts/{said.split()[-1]}/"
    return found


def open_alert(page: Page, address: str, width: int = 1440, height: int = 900) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(address)
    page.wait_for_load_state("networkidle")
    expect(page.locator(".js-plotly-plot").first).to_be_visible()


def top_of(page: Page, name: str) -> float:
    box = page.locator(".panel", has=page.get_by_role("heading", name=name)).first.bounding_box()
    assert box is not None
    return box["y"]


def bottom_of(page: Page, name: str) -> float:
    box = page.locator(".panel", has=page.get_by_role("heading", name=name)).first.bounding_box()
    assert box is not None
    return box["y"] + box["height"]


@pytest.mark.landing
def test_everything_of_the_first_level_is_on_one_screen(
    sign_in: SignIn, alerts: dict[str, str]
) -> None:
    page = sign_in("analyst")
    open_alert(page, alerts["payments"])
    for name in ("Why", "Usual and now", "What to check next", "Timeline"):
        assert bottom_of(page, name) <= 900
    for name in ("Linked by what they share", "Similar past alerts"):
        assert top_of(page, name) < 760
    assert page.evaluate("window.scrollY") == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_nothing_moves_when_what_is_fetched_comes(sign_in: SignIn, alerts: dict[str, str]) -> None:
    page = sign_in("analyst")
    page.add_init_script(
        "window.shift = 0; new PerformanceObserver(list => list.getEntries().forEach("
        "one => { if (!one.hadRecentInput) window.shift += one.value; }))"
        ".observe({type: 'layout-shift', buffered: true});"
    )
    open_alert(page, alerts["payments"])
    expect(page.locator("#timeline .js-plotly-plot")).to_be_visible()
    expect(page.locator(".link-graph")).to_be_visible()
    assert page.evaluate("window.shift") < 0.05


@pytest.mark.landing
def test_a_reveal_asks_for_a_reason_and_goes_away_with_the_page(
    sign_in: SignIn, alerts: dict[str, str], platform: Stack
) -> None:
    page = sign_in("analyst")
    open_alert(page, alerts["payments"])
    page.keyboard.press("v")
    reason = page.get_by_label("Why do you need to see it?")
    expect(reason).to_be_focused()
    page.keyboard.type("x")
    page.keyboard.press("Enter")
    expect(reason).to_be_focused()
    assert page.locator("[data-revealed]").count() == 0
    reason.fill("The customer called back")
    page.keyboard.press("Enter")
    expect(page.locator("[data-revealed]")).to_contain_text("masked again in")
    assert "••••" not in page.locator("#event-body dl").inner_text()
    assert "called" not in page.url
    page.get_by_role("button", name="Hide").click()
    expect(page.locator("#event-body dl")).to_contain_text("••••")
    said = platform.run(
        "from accounts.models import AuditEntry\n"
        "print(AuditEntry.objects.filter(action='prediction.revealed').last().detail['reason'])",
    )
    assert said.strip() == "The customer called back"


def test_what_was_revealed_is_not_there_after_the_way_back(
    sign_in: SignIn, alerts: dict[str, str]
) -> None:
    page = sign_in("analyst")
    open_alert(page, alerts["payments"])
    page.keyboard.press("v")
    page.get_by_label("Why do you need to see it?").fill("The customer called back")
    page.keyboard.press("Enter")
    expect(page.locator("[data-revealed]")).to_be_visible()
    page.goto("/cases/")
    page.go_back()
    page.wait_for_load_state("networkidle")
    expect(page.locator("#event-body")).to_contain_text("••••")
    assert page.locator("[data-revealed]").count() == 0


def test_the_graph_opens_and_closes_and_its_table_says_the_same(
    sign_in: SignIn, alerts: dict[str, str]
) -> None:
    page = sign_in("analyst")
    open_alert(page, alerts["payments"])
    graph = page.locator("#links")
    opener = graph.locator("a.open").first
    expect(opener).to_be_visible()
    opener.focus()
    page.keyboard.press("Enter")
    expect(graph.get_by_role("link", name="Close what was opened")).to_be_visible()
    graph.get_by_text("Show as table").click()
    expect(graph.get_by_role("table")).to_be_visible()
    graph.get_by_role("link", name="Close what was opened").click()
    expect(graph.get_by_role("link", name="Close what was opened")).to_have_count(0)


def test_the_span_of_the_timeline_switches_in_place_and_keeps_the_focus(
    sign_in: SignIn, alerts: dict[str, str]
) -> None:
    page = sign_in("analyst")
    open_alert(page, alerts["fraud"])
    page.locator("#span-90").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#span-90")).to_have_attribute("aria-current", "true")
    expect(page.locator("#span-90")).to_be_focused()
    expect(page.locator("#timeline .js-plotly-plot")).to_be_visible()


def test_an_answer_that_exchanges_nothing_leaves_the_chart(
    sign_in: SignIn, alerts: dict[str, str]
) -> None:
    """As an error does; one that the browser does not complain about."""
    page = sign_in("analyst")
    open_alert(page, alerts["fraud"])
    chart = page.locator("#timeline .js-plotly-plot .main-svg").first
    expect(chart).to_be_visible()
    asked: list[str] = []

    def nothing(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=204)

    page.route(re.compile("range="), nothing)
    with page.expect_response(re.compile("range=")):
        page.locator("#span-90").click()
    page.wait_for_load_state("networkidle")
    assert len(asked) == 1
    expect(chart).to_be_visible()


def test_the_way_back_leads_from_a_linked_entity_to_the_alert(
    sign_in: SignIn, alerts: dict[str, str]
) -> None:
    page = sign_in("analyst")
    open_alert(page, alerts["payments"])
    page.locator(".link-graph .is-entity a").first.click()
    page.wait_for_url(re.compile(r"/entities/payments/"))
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    page.go_back()
    page.wait_for_url(lambda url: url.endswith(alerts["payments"]))
    page.wait_for_load_state("networkidle")
    expect(page.locator(".link-graph")).to_be_visible()


def test_a_chart_finds_its_margins_whatever_room_its_upper_names_take(sign_in: SignIn) -> None:
    page = sign_in("analyst")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.locator("[data-row-open]").first.click()
    chart = page.locator("[data-chart-src='#timeline-figure']")
    expect(chart.locator(".ytick text").first).to_be_visible()
    page.locator("#timeline-figure").evaluate("(e, it) => { e.textContent = it; }", PLACES)
    page.evaluate("document.dispatchEvent(new CustomEvent('risk:theme'))")
    expect(chart.locator(".y2tick text", has_text="elsewhere")).to_be_visible()
    assert [text for text in said if "redraws" in text] == []


def test_no_panel_has_an_accessibility_violation(sign_in: SignIn, alerts: dict[str, str]) -> None:
    page = sign_in("analyst")
    for address in alerts.values():
        open_alert(page, address)
        for view in ("rules", "event", "past"):
            page.locator(f"label:has(#facts-{view})").click()
            assert_accessible(page)


@pytest.mark.parametrize("width", [1280, 820])
def test_it_is_usable_on_smaller_screens(
    sign_in: SignIn, alerts: dict[str, str], width: int
) -> None:
    page = sign_in("analyst")
    open_alert(page, alerts["payments"], width, 1100)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for name in ("Why", "What to check next", "Timeline", "Similar past alerts"):
        expect(page.get_by_role("heading", name=name)).to_be_visible()


def test_a_key_that_is_pressed_once_too_often_decides_once(
    sign_in: SignIn, platform: Stack
) -> None:
    """The answer to the first press is shown, with its Undo; the second is not sent."""
    page, sent = sign_in("analyst"), []
    said = platform.run(FIND.format(slug="fraud"))
    number = said.split("alert ")[-1].split()[0]
    page.goto(f"/alerts/{number}/")
    page.on("request", lambda one: sent.append(one) if one.method == "POST" else None)
    page.keyboard.press("2")
    for _ in range(3):
        page.keyboard.press("1")
    expect(page.get_by_text(f"Closed alert {number}: false positive")).to_be_visible()
    assert len([one for one in sent if one.url.endswith("/label/")]) == 1
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("1 open again.")).to_be_visible()
