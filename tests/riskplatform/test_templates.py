"""What templates name is there; how shared pieces read."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import get_commands
from django.core.paginator import Paginator
from django.template.loader import render_to_string

ROOT = Path(settings.BASE_DIR) / "templates"
TEMPLATES = sorted(ROOT.rglob("*.html"))
COMMAND = re.compile(r"manage\.py (\w+)")
NAMED = re.compile(r"""\{%\s*(?:include|extends)\s+["']([^"'#]+)""")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_template_that_is_included_exists(template):
    missing = {name for name in NAMED.findall(template.read_text()) if not (ROOT / name).exists()}
    assert not missing


def test_every_command_that_a_page_says_to_run_exists():
    named = {name for path in TEMPLATES for name in COMMAND.findall(path.read_text())}
    assert {"load_detectors", "sync_watchlist"} <= named
    assert named <= get_commands().keys()


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0 cases"), (1, "1 case, 1–1"), (2, "2 cases, 1–2")],  # noqa: RUF001
)
def test_one_case_is_no_cases(rf, n, text):
    page = Paginator(range(n), 50).page(1)
    given = {"page_obj": page, "one": "case", "many": "cases", "request": rf.get("/")}
    found = render_to_string("includes/pagination.html", given)
    assert f"<span>{text}</span>" in found
