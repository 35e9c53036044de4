"""docs/map.md: every module of the apps is told there, once, under the topic it belongs to."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MAP = ROOT / "docs" / "map.md"
APPS = ("accounts", "jobs", "notifications", "scoring", "cases", "models_registry", "riskplatform")
APART = {"management", "migrations", "templatetags"}
"""Folders that Django names."""


def told() -> list[str]:
    """Paths of modules, as the tables under the headings name them."""
    found = []
    for section in re.split(r"^## ", MAP.read_text(), flags=re.MULTILINE)[1:]:
        folder, _, table = section.partition("\n")
        found += [f"{folder}/{name}.py" for name in re.findall(r"`(\w+)`", table)]
    return found


def there() -> set[str]:
    paths = (path.relative_to(ROOT) for app in APPS for path in (ROOT / app).rglob("*.py"))
    return {
        path.as_posix() for path in paths if path.stem != "__init__" and not APART & {*path.parts}
    }


def test_the_map_tells_every_module_once():
    names = told()
    assert set(names) == there()
    assert len(names) == len(set(names))
