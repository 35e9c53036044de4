"""README and docs: links lead somewhere, pictures are shown, commands, metrics and
routes of the API are told."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scoring.core.spec import parse_spec

ROOT = Path(__file__).resolve().parent.parent

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OF_DJANGO = {"changepassword", "createsuperuser", "flush"}
"""Commands of Django's that we only add to."""


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("text", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(text):
    for link in re.findall(r"\]\(([^)\s]+)\)", text.read_text()):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = (text.parent / path).resolve() if path else text
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


def test_every_picture_is_shown():
    shown = "".join(page.read_text() for page in PAGES)
    pictures = [path.name for path in (ROOT / "docs" / "images").rglob("*.*")]
    assert [name for name in pictures if f"/{name})" not in shown] == []


def test_every_command_is_told():
    told = _told()
    commands = {path.stem for path in ROOT.glob("*/management/commands/[a-z]*.py")} - OF_DJANGO
    named = r"(manage\.py|make|`)\s?%s\b"
    assert {name for name in commands if not re.search(named % name, told)} == set()


def _yaml(page: str) -> list[dict[str, Any]]:
    text = (ROOT / "docs" / page).read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [yaml.safe_load(block) for block in blocks]


def test_the_declaration_of_the_docs_is_one_with_each_example_of_rules_and_training():
    whole, *examples = [*_yaml("detectors.md"), *_yaml("promotion.md")]
    changes = [one for one in examples if set(one) <= {"rules", "training"}]
    assert len(changes) == 3
    for change in [{}, *changes]:
        assert parse_spec({**whole, **change}).slug == "refunds"


WINDOWS = {
    "time_window_aggregation": [
        {
            "windows": ["7d"],
            "aggregations": [
                *("count", "sum", "mean", "std", "min", "max", "distinct", "ratio_to_mean"),
                "time_since_last",
            ],
            "distinct": ["reason"],
        },
        {"windows": ["7d"], "aggregations": ["count"], "offset": "2d"},
    ],
    "time_since_last": [{"cap": "30d"}],
    "deviation_from_mean": [{"value": "amount", "window": "30d"}],
    "peak_to_mean": [{"value": "amount", "recent": ["1h"], "window": "30d"}],
    "velocity": [{"place": "city", "windows": ["1h"]}],
    "label_risk": [
        {
            "windows": ["30d"],
            "delay": "7d",
            "figures": ["count", "risk", "newest_risk", "seconds_since_first_risk"],
        }
    ],
}


def test_features_are_called_as_the_docs_say():
    whole = _yaml("detectors.md")[0] | {"rules": []}
    whole["event"]["schema"]["properties"]["city"] = {"type": "string"}
    steps = [
        {"type": kind, "config": {"entity_key": "customer_id"} | config}
        for kind, configs in WINDOWS.items()
        for config in configs
    ]
    whole["features"] = {"name": "All windows", "transformations": steps}
    made = {feature.name for feature in parse_spec(whole).features}
    text = (ROOT / "docs" / "detectors.md").read_text()
    table = text.partition("### What features are called")[2].partition("###")[0]
    told = set(re.findall(r"`(customer_id_\w+)`", table))
    assert told - made == set()
    assert made - told == {f"customer_id_{figure}_amount_7d" for figure in ("std", "min", "max")}


def test_every_metric_is_told():
    """By the names that a scrape has: prometheus-client adds `_total` to a counter's."""
    told = set(re.findall(r"^\| `(riskplatform_\w+)` \|", _told(), flags=re.MULTILINE))
    made = r"(Counter|Gauge|Histogram)\w*\(\s*\"(riskplatform_\w+)\""
    sources = [ROOT / "riskplatform" / "metrics.py", ROOT / "scoring" / "measuring.py"]
    found = re.findall(made, "".join(path.read_text() for path in sources))
    assert len(found) > 10
    assert {name + "_total" * (kind == "Counter") for kind, name in found} == told


def test_every_route_of_the_api_is_told(client, db):
    """With `{id}`, `<slug>` or an example where the address has a variable."""
    told = _told()
    paths = json.loads(client.get("/api/schema/", {"format": "json"}).content)["paths"]
    missing = [path for path in paths if not re.search(_as_written(path), told)]
    assert len(paths) > 40
    assert missing == []


def _as_written(path: str) -> str:
    fixed = [re.escape(part) for part in re.split(r"\{\w+\}", path)]
    return r"[^/\s]+".join(fixed) + r"(?![\w/])"


def _told() -> str:
    return "".join(page.read_text() for page in PAGES if page.parent.name != "evidence")
