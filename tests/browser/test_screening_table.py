"""The table of a sanctions match in a real Chromium, as wide as its panel on the pages."""

from pathlib import Path

import pytest
from django.template.loader import render_to_string
from playwright.sync_api import Browser

from scoring.side_by_side import Compared, Line

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-1"),
]
STYLES = Path(__file__).parents[2] / "static" / "app.css"
HIT = {"list": "OFAC SDN", "outcome": "BLOCK", "text": "Like it.", "entry": "11018"}
YEARS = "1961, 1963, 1965, 1959, 1960, 1964-09-18"


def test_no_word_of_a_match_is_broken_while_there_is_room(chrome: Browser) -> None:
    lines = [
        Line("name", [("••••Kony", "")], [("KONY,", "same"), ("Joseph", "same")], "100 %"),
        Line("born", [("not said", "")], [(YEARS, "")], ""),
        Line("country", [("UG", "same")], [("CD, CF, SD, UG", "same")], "contradicts"),
    ]
    screening = [Compared(HIT, lines, masked=True)]
    page = chrome.new_page()
    page.set_content(
        render_to_string("scoring/prediction_screening.html", {"screening": screening})
    )
    page.add_style_tag(path=STYLES)
    page.evaluate("document.querySelector('.match').style.width = '360px'")
    for text in ("Name", "Country", "••••Kony", "contradicts"):
        cell = page.locator("table.compare tbody").get_by_text(text, exact=True)
        assert cell.evaluate(
            "one => { const range = document.createRange(); range.selectNodeContents(one);"
            " return new Set([...range.getClientRects()].map(box => box.top)).size; }"
        ) == 1, text  # fmt: skip
    page.close()
