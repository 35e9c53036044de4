"""A running platform with a little data, and a real Chromium that tolerates no console error.

The tests are two groups (`xdist_group`), each with a platform of its own where two processes run.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.e2e import shared
from tests.e2e.stack import PASSWORD, Stack, running_stack

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=20_000)  # two platforms and two browsers may share two processors
WITHOUT_CHANCE = {"RISK_SECOND_LOOK_SHARE": "0", "RISK_CASE_APPROVAL_LIMIT": ""}
"""Which alert is judged twice and what takes two people, tests say: amounts move with the hour."""
COLLEAGUE = """
from accounts.models import User
from accounts.services import set_roles
user, _ = User.objects.get_or_create(username='second', defaults={{'display_name': 'Sec Ond'}})
user.set_password({password!r})
user.save()
set_roles(user, roles=['Analyst'], actor=None)
"""
AFRESH = """
from cases.models import Alert
from cases.queue_models import HandOut, QueueBudget
HandOut.objects.all().delete()
QueueBudget.objects.all().delete()
free = dict(locked_by=None, locked_until=None, snoozed_until=None, owner=None, case=None)
for alert in Alert.objects.exclude(case=1).order_by('-pk'):  # the demo's case keeps its alert
    if not Alert.objects.filter(entity=alert.entity, pk__gt=alert.pk).exists():
        Alert.objects.filter(pk=alert.pk).update(
            status='open', closed_at=None, disposition='', reason_code='', **free
        )
"""
FILL = "from riskplatform.demo import fill; fill(print, events={'fraud': 9000}, served_events=3000)"


def chromium() -> str:
    """Path of the browser; skips where there is none."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("there is no Chromium")
    return found


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Web and worker over a champion, alerts and one case."""
    chromium()
    var: Path = tmp_path_factory.mktemp("platform")
    like = shared.once("filled", _fill)
    with running_stack(var, WITHOUT_CHANCE, "web", "worker", like=like) as stack:
        yield stack


def _fill(folder: Path) -> None:
    with running_stack(folder, WITHOUT_CHANCE) as stack:
        stack.run(FILL)


@pytest.fixture(scope="package")
def chrome() -> Iterator[Browser]:
    """Closed with the last of these tests: its loop keeps Django from the database meanwhile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield browser
        browser.close()


class Faults:
    """What a page must not do: complain on the console, fail, ask another host."""

    def __init__(self, page: Page, address: str) -> None:
        self.found: list[str] = []
        self.address = address
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        # Chromium calls a form that was refused (422) an error too; the page says why. And htmx one
        # that was given up for the next: the cursor has moved on before the preview came.
        given_up = message.text.startswith(("htmx:afterRequest", "htmx:sendAbort"))
        if message.type in ("error", "warning") and not (
            "status of 422" in message.text or given_up
        ):
            self.found.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.found.append(f"another host: {request.url}")


@pytest.fixture
def sign_in(platform: Stack, chrome: Browser) -> Iterator[Callable[[str], Page]]:
    """`sign_in("analyst")` gives a page of a fresh session; faults fail the test at its end."""
    contexts, watched = [], []

    def enter(username: str) -> Page:
        context = chrome.new_context(
            base_url=platform.address, viewport={"width": 1280, "height": 900}
        )
        page = context.new_page()
        contexts.append(context)
        watched.append(Faults(page, platform.address))
        page.goto("/accounts/login/")
        page.fill("[name=username]", username)
        page.fill("[name=password]", PASSWORD)
        page.press("[name=password]", "Enter")
        page.wait_for_url(lambda url: "/login" not in url)
        return page

    yield enter
    for context in contexts:
        context.close()
    assert [fault for one in watched for fault in one.found] == []


@pytest.fixture
def second(platform: Stack) -> str:
    """A second analyst; every entity's newest alert waits, and nobody has any in hands."""
    platform.run(COLLEAGUE.format(password=PASSWORD) + AFRESH)
    return "second"
