"""Take the pictures of docs/tour.md and write it: `make tour`.

Fills a demo of its own in a temporary folder, walks it in Chromium (CHROMIUM names it, else what
lies on the path) and removes it. Needs the packages of requirements-dev.txt.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.e2e.stack import PASSWORD, Stack  # noqa: E402 the repository must be on the path first

IMAGES = ROOT / "docs" / "images" / "tour"
SIZE = {"width": 1440, "height": 900}
Walk = Callable[[Page], None]
SECOND_FINDINGS = (*["False positive"] * 4, "Confirm")
ALL_JUDGED_TWICE = {"RISK_SECOND_LOOK_SHARE": "1"}
"""The demo closes few alerts: with the ordinary share mostly none would be drawn."""


@dataclass(frozen=True, slots=True)
class Stop:
    """One picture: who looks, where, what they do there first, and what is to be seen."""

    name: str
    title: str
    text: str
    who: str
    walk: Walk


def _go(address: str) -> Walk:
    return lambda page: _open(page, address)


def _open(page: Page, address: str) -> None:
    page.goto(address, wait_until="networkidle")


def _first(link: str, start: str) -> Walk:
    """Open `start`, then the first link that the selector finds."""

    def walk(page: Page) -> None:
        _open(page, start)
        address = page.locator(link).first.get_attribute("href")
        _open(page, str(address))

    return walk


def _dialog(address: str, key: str) -> Walk:
    """Open `address`, then the dialog that the key opens."""

    def walk(page: Page) -> None:
        _open(page, address)
        page.keyboard.press(key)
        page.wait_for_selector("dialog[open]")

    return walk


STOPS = (
    Stop("queue", "The queue", "What waits for a human, ordered by the loss that a minute of work"
         " saves. Filters, view and order stand in the address; `n` takes the next alert and locks"
         " it, `x` selects, `?` lists the keys.", "analyst", _go("/")),
    Stop("alert", "An alert on one screen", "What happened, why, what is usual here, what"
         " to check next; its timeline, who shares devices or merchants with it, and what"
         " similar alerts turned out to be.", "analyst", lambda page: _take_next(page)),
    Stop("palette", "Anywhere by Ctrl K", "Pages, entities, alerts, cases, saved views and what can"
         " be done here.", "analyst", _dialog("/", "Control+k")),
    Stop("case", "A case", "Alerts, money at risk, checklist and an append-only timeline; the"
         " buttons are the moves that you may make.", "analyst",
         _first("[data-row-open]", "/cases/")),
    Stop("case-report", "Its report", "Every sentence links to the stored fact that it states; as a"
         " page and as PDF.", "lead", lambda page: _report(page)),
    Stop("dashboards", "Dashboards", "Volume, precision with intervals, value found and lost, cost"
         " saved, backlog, label maturity. Every point leads to its rows.", "lead",
         _go("/dashboards/")),
    Stop("team-queues", "Team queues", "What each team takes, how fast it is due in working hours,"
         " who works there.", "lead", _go("/cases/team-queues/")),
    Stop("second-looks", "Agreement", "A drawn share of closed alerts is judged twice, blind."
         " Cohen's kappa and what people disagree on.", "lead", lambda page: _judge_again(page)),
    Stop("detector", "A detector", "What it reads, what its decisions cost, and how to send it an"
         " event.", "engineer", _go("/detectors/payments/")),
    Stop("features", "Where its features come from", "From the fields of an event to what the model"
         " sees, with how much each feature decides; on the detector's page.", "engineer",
         lambda page: _show_features(page)),
    Stop("rules", "Rules and their health", "Matches, precision, entities, repeats and overlap of"
         " each rule, and what is noisy, dead or redundant.", "engineer",
         _go("/detectors/payments/rules/")),
    Stop("rule-editor", "A rule, tried before it counts", "Checked while it is written, backtested"
         " on history with what was known then, published by two people.", "engineer",
         _first("main a[href*='/rules/']:not([href$='/new/']):not([href*='overlap'])",
                "/detectors/payments/rules/")),
    Stop("models", "Models", "What serves each detector, what is being tried, what is wrong.",
         "owner", _go("/models/")),
    Stop("version", "A version", "Is it better than what serves, by how much, and how sure is that?"
         " Promotion takes a comparison and a second person.", "owner",
         _first("main a[href^='/models/'][href$='/']:not([href*='compare']):not([href*='drift'])"
                ":not([href*='integrity']):not([href*='retraining']):not([href*='import'])",
                "/models/")),
    Stop("notifications", "Being told", "Kinds, channels and quiet hours are everybody's own"
         " choice.", "analyst", _go("/notifications/preferences/")),
    Stop("report", "A report by e-mail", "The dashboard of the day, week or month before, to"
         " colleagues who may read it, at their hour.", "lead", _go("/dashboards/reports/new/")),
    Stop("users", "Users", "Everybody who has an account, what they may do, and whether they can"
         " sign in.", "admin", _go("/manage/users/")),
    Stop("roles", "Roles", "What each role may see and do, side by side.", "admin",
         _go("/manage/roles/")),
    Stop("audit", "The audit trail", "Who did what, when, to what; searched by person, act, thing"
         " and day.", "admin", _go("/manage/audit/")),
    Stop("help", "What is this page for?", "`h` says it on every page.", "analyst",
         _dialog("/", "h")),
)  # fmt: skip


def _take_next(page: Page) -> None:
    _open(page, "/?detector=payments")
    page.keyboard.press("n")
    page.wait_for_url("**/alerts/**", wait_until="networkidle")


def _show_features(page: Page) -> None:
    _open(page, "/detectors/payments/")
    heading = page.get_by_role("heading", name="Where features come from")
    heading.evaluate("node => node.closest('section').scrollIntoView()")
    page.mouse.wheel(0, -60)  # from under the top bar


def _judge_again(page: Page) -> None:
    """Answer a few second looks, most of them like the analyst, and open what came of it."""
    _open(page, "/second-looks/")
    page.locator("[data-key=n]").click()
    for finding in SECOND_FINDINGS:  # the page goes on to the next by itself
        button = page.locator(f"button[name=judgement][aria-label^='{finding}']").first
        with page.expect_navigation(wait_until="networkidle"):
            button.click()
    _open(page, "/second-looks/agreement/")


def _report(page: Page) -> None:
    _open(page, "/cases/")
    case = page.locator("[data-row-open]").first.get_attribute("href")
    _open(page, f"{case}report/")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="risk-tour-") as folder:
        stack = Stack(Path(folder), ALL_JUDGED_TWICE)
        log = Path(folder) / "demo.log"
        environment = stack.environ() | {"PORT": str(stack.port), "DEMO_PASSWORD": PASSWORD}
        with log.open("wb") as out:
            demo = subprocess.Popen(
                [sys.executable, "manage.py", "demo"], cwd=ROOT, env=environment,
                stdout=out, stderr=out,
            )  # fmt: skip
        try:
            stack.wait_for(lambda: "is running at" in log.read_text(), "the demo", seconds=900)
            # A challenger, to be shown beside the champion.
            train = ["manage.py", "train", "--detector", "fraud", "--learner", "xgboost"]
            subprocess.run([sys.executable, *train], cwd=ROOT, env=environment, check=True)
            _take_pictures(stack.address)
        finally:
            demo.send_signal(signal.SIGTERM)
            demo.wait(timeout=60)
    _write()


def _take_pictures(address: str) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        people = {who: _sign_in(browser, address, who) for who in {stop.who for stop in STOPS}}
        for stop in STOPS:
            page = people[stop.who]
            stop.walk(page)
            page.wait_for_timeout(1000)
            page.screenshot(path=IMAGES / f"{stop.name}.png")
            sys.stdout.write(f"{stop.name}: {page.url}\n")
        browser.close()


def _sign_in(browser: Browser, address: str, who: str) -> Page:
    page = browser.new_context(base_url=address, viewport=SIZE, reduced_motion="reduce").new_page()
    page.goto("/accounts/login/")
    page.fill("[name=username]", who)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")
    page.wait_for_url(lambda url: "/login" not in url)
    return page


def _write() -> None:
    lines = [
        "# A tour",
        "",
        "The pages as they are, with the demo's simulated data. Taken and written by `make tour`.",
        "",
    ]
    for stop in STOPS:
        lines += [
            f"## {stop.title}", f"{stop.text} (Seen by: {stop.who}.)", "",
            f"![{stop.title}](images/tour/{stop.name}.png)", "",
        ]  # fmt: skip
    (ROOT / "docs" / "tour.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
