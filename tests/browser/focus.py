"""Whether the keyboard stays where it was when a part of a page is exchanged."""

from playwright.sync_api import Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

CONTROLS = """() => {
  const asked = node => new URL(node.getAttribute("hx-get"), location).pathname
    .replace(/[0-9a-f-]{16,}|[0-9]+/g, "#");
  const kind = node => [asked(node), node.getAttribute("hx-target"), node.className].join(" ");
  return [...document.querySelectorAll("a[hx-get], button[hx-get]")]
    .map((node, place) => ({place, kind: kind(node), seen: node.checkVisibility()}))
    .filter(one => one.seen);
}"""
"""Links and buttons that fetch a part, by what is like them: one of a list stands for all."""
PRESS = """place => {
  const node = document.querySelectorAll("a[hx-get], button[hx-get]")[place];
  window.settled = false;
  document.addEventListener("htmx:afterSettle", event => {
    const asked = event.detail.requestConfig;
    if (!asked || asked.elt === node) window.settled = true; // and not what polls beside it
  });
  node.focus();
  return [node.textContent.replace(/\\s+/g, " ").trim(), document.activeElement === node];
}"""
IS_LOST = "window.settled && document.activeElement === document.body"
"""Not where a whole page has come."""


def lost_focus(page: Page, address: str, known: set[str]) -> list[str]:
    """Controls of the page (open at `address`) that lose the focus when Enter is pressed on them;
    kinds in `known` were tried before."""
    problems = []
    for control in page.evaluate(CONTROLS):
        if control["kind"] in known:
            continue
        known.add(control["kind"])
        page.goto(address, wait_until="networkidle")
        words, has_it = page.evaluate(PRESS, control["place"])
        if not has_it:
            problems.append(f"'{words}' takes no focus")
            continue
        page.keyboard.press("Enter")
        try:
            page.wait_for_function("() => window.settled !== false", timeout=20_000)
        except PlaywrightTimeout:
            problems.append(f"'{words}' fetches nothing")
            continue
        if page.evaluate(IS_LOST):
            problems.append(f"'{words}' loses the focus")
    return problems
