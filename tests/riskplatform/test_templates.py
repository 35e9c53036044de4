"""What templates name is there."""

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR) / "templates"
TEMPLATES = sorted(ROOT.rglob("*.html"))
NAMED = re.compile(r"""\{%\s*(?:include|extends)\s+["']([^"'#]+)""")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_template_that_is_included_exists(template):
    missing = {name for name in NAMED.findall(template.read_text()) if not (ROOT / name).exists()}
    assert not missing
