"""A report as PDF, made here: no browser, no request to anything, fonts of our own.

The font has Latin, Greek and Cyrillic; one with every script is larger than the platform. Letters
that it lacks, and those that nobody sees, stand as their code points: nothing is lost unseen.
"""

from collections.abc import Container, Iterator
from itertools import groupby
from pathlib import Path
from typing import cast
from unicodedata import category
from urllib.parse import urljoin

from django.conf import settings
from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import TTFFont

from cases.report import stamp
from cases.report_sections import Report, Section

FONTS = Path(settings.BASE_DIR) / "static" / "vendor" / "dejavu"
INK, MUTED, LINK = (27, 31, 36), (92, 102, 115), (36, 88, 211)
LINE = 4.6
INDENT = 5.0
MOST_CODES = 2_000
"""Code points in one document; each takes the room of seven letters."""
CODED = (
    "Letters that this document cannot show stand as their Unicode code points, <U+4E2D>, and as "
    f"<…> after the first {MOST_CODES:,}. The pages that it leads to show them as written."
)


class _Pages(FPDF):
    """Pages with a foot that says what they belong to, in letters that their font has."""

    foot = ""
    letters: Container[int] = ()
    codes_left = MOST_CODES

    def load_fonts(self) -> None:
        """The body's font, and what it can show."""
        self.add_font("body", "", FONTS / "DejaVuSans.ttf")
        self.add_font("body", "B", FONTS / "DejaVuSans-Bold.ttf")
        regular, bold = (cast(TTFFont, self.fonts[name]) for name in ("body", "bodyB"))
        self.letters = regular.cmap.keys() & bold.cmap.keys()

    def normalize_text(self, text: str) -> str:
        """All text comes through here before it is set."""
        text, codes = printable(super().normalize_text(text), self.letters, most=self.codes_left)
        self.codes_left -= codes
        return text

    def footer(self) -> None:
        self.set_y(-12)
        self.set_font("body", size=7.5)
        self.set_text_color(*MUTED)
        self.cell(0, 5, f"{self.foot} · page {self.page_no()} of {{nb}}", align="C")


def printable(text: str, letters: Container[int], *, most: int = MOST_CODES) -> tuple[str, int]:
    """`text` with what is not among these code points, or is not seen, told by its code points:
    `<U+4E2D U+6587>`, by `<…>` after `most`; and how many were told."""
    if text.isascii() and text.isprintable():
        return text, 0
    told: list[str] = []
    codes = 0
    for is_shown, run in groupby(text, lambda letter: _is_shown(letter, letters)):
        if is_shown:
            told.extend(run)
            continue
        found = [f"U+{ord(letter):04X}" for letter in run]
        kept = found[: most - codes]
        codes += len(kept)
        told.append(f"<{' '.join(kept if kept == found else [*kept, '…'])}>")
    return "".join(told), codes


def _is_shown(letter: str, letters: Container[int]) -> bool:
    return letter == "\n" or (ord(letter) in letters and category(letter) != "Cf")


def report_pdf(report: Report, *, base_url: str) -> bytes:
    """The report as bytes of a PDF; `base_url` makes its links whole."""
    pdf = _Pages(format="A4")
    pdf.foot = f"{report.subtitle} · {stamp(report.made_at)}"
    pdf.set_title(f"{report.subtitle}: {report.title}")
    pdf.set_creator("riskplatform")
    pdf.set_creation_date(report.made_at)
    pdf.set_lang("en")
    pdf.load_fonts()
    pdf.set_auto_page_break(True, margin=18)
    pdf.set_margins(18, 16, 18)
    pdf.add_page()
    _head(pdf, report)
    for section in report.sections:
        _section(pdf, section, base_url)
    _sources(pdf, report, base_url)
    return bytes(pdf.output())


def _line(pdf: FPDF, text: str, *, size: float, bold: bool = False, muted: bool = False) -> None:
    pdf.set_font("body", "B" if bold else "", size)
    pdf.set_text_color(*(MUTED if muted else INK))
    pdf.multi_cell(0, size * 0.5, text, align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _head(pdf: _Pages, report: Report) -> None:
    _line(pdf, report.subtitle, size=9, muted=True)
    _line(pdf, report.title, size=15, bold=True)
    pdf.ln(1)
    shown = "Personal data is shown." if report.revealed else "Personal data is masked."
    _line(
        pdf,
        f"Made on {stamp(report.made_at)} by {report.made_by}. {shown} The number behind each "
        "sentence leads to the stored fact that it states; all of them are listed at the end.",
        size=8,
        muted=True,
    )
    if any(printable(text, pdf.letters)[0] != text for text in _texts(report)):
        _line(pdf, CODED, size=8, muted=True)


def _texts(report: Report) -> Iterator[str]:
    """What the report says in words that people chose."""
    yield from (report.title, report.made_by)
    for section in report.sections:
        yield from (sentence.text for sentence in section.sentences)


def _section(pdf: FPDF, section: Section, base_url: str) -> None:
    pdf.ln(3)
    if pdf.will_page_break(20):
        pdf.add_page()
    _line(pdf, section.title, size=11, bold=True)
    pdf.ln(1)
    left = pdf.l_margin
    for sentence in section.sentences:
        pdf.set_left_margin(left + (INDENT if sentence.inner else 0.0))
        pdf.set_x(pdf.l_margin)
        pdf.set_font("body", size=8.5)
        pdf.set_text_color(*INK)
        pdf.write(LINE, f"{sentence.text} ")
        pdf.set_text_color(*LINK)
        link = urljoin(base_url, sentence.url) if sentence.url else ""
        pdf.write(LINE, f"[{sentence.number}]", link)
        pdf.ln(LINE + 0.6)
    pdf.set_left_margin(left)
    pdf.set_x(left)


def _sources(pdf: FPDF, report: Report, base_url: str) -> None:
    pdf.ln(3)
    _line(pdf, "Sources", size=11, bold=True)
    pdf.ln(1)
    for number, fact in enumerate(report.facts, start=1):
        pdf.set_font("body", size=7.5)
        pdf.set_text_color(*MUTED)
        digest = f", {fact.digest}…" if fact.digest else ""
        pdf.write(LINE, f"[{number}] {fact.kind} {fact.key}{digest} ")
        if fact.url:
            pdf.set_text_color(*LINK)
            pdf.write(LINE, fact.url, urljoin(base_url, fact.url))
        pdf.ln(LINE)
