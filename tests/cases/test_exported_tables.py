"""Tables of cases do no harm in a spreadsheet, and hold what the list shows."""

import csv
import io
import zipfile
from datetime import UTC, datetime
from decimal import Decimal
from xml.etree import ElementTree

import pytest
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from accounts.csv_tables import DANGEROUS, csv_stream, safe
from accounts.models import AuditEntry
from cases.exporting import xlsx_file
from cases.models import Case
from tests.cases.alerts import case_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
NAME = "Ada Lovelace"


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


cells = st.one_of(
    st.text(max_size=50),
    st.sampled_from(["=1+1", "+1", "-1", "@x", "\tx", "\rx", "=cmd|' /C calc'!A0", "＝1"]),  # noqa: RUF001
)


@given(cells)
def test_no_cell_begins_like_a_formula(cell):
    assert not safe(cell).startswith(DANGEROUS)


@pytest.mark.parametrize("between", [";", "\t", "\n", "; ", ';"', ";;"])
def test_no_formula_begins_where_another_spreadsheet_ends_a_cell(between):
    assert safe(f"Shop{between}=cmd|' /C calc'!A0") == f"Shop{between}'=cmd|' /C calc'!A0"
    assert safe(f"Shop{between}\r\nopens") == f"Shop{between}\r\nopens"


def test_numbers_stay_numbers():
    for number in (-5, 0.25, Decimal("-3.50"), None):
        assert safe(number) is number


LINE = ["=1+1", -5, Decimal("-3.50"), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None, "a\x07\0b"]


def test_csv_keeps_numbers_and_disarms_formulas():
    out = "".join(csv_stream(["H"], [LINE]))
    assert out.startswith("\ufeffH")
    (_, row) = csv.reader(io.StringIO(out))
    assert row == ["'=1+1", "-5", "-3.50", "2026-01-02 03:04:05", "", "ab"]


def sheet_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        return book.read("xl/worksheets/sheet1.xml").decode()


def test_xlsx_keeps_numbers_and_holds_no_formula():
    sheet = sheet_of(xlsx_file(["H"], [LINE], title="t").read())
    assert "<f>" not in sheet
    assert "=1+1" in sheet
    found = ElementTree.fromstring(sheet)  # noqa: S314
    values = [cell.text for cell in found.iter() if cell.tag.endswith("}v")]
    assert [float(value) for value in values[:2]] == [-5.0, -3.5]


def rows_of(response):
    out = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(out)))


def test_the_list_is_exported_as_it_is_filtered(reader, analyst):
    case, other = case_of(analyst, "a", "b"), case_of(analyst, "c")
    Case.objects.filter(pk=case.pk).update(title="=HYPERLINK(1)")
    Case.objects.filter(pk=other.pk).update(priority=0)
    answer = reader.get(reverse("case_export", args=["csv"]), {"q": "HYPERLINK"})
    (row,) = rows_of(answer)
    assert (row["Title"], row["At risk"], row["Alerts"]) == ("'=HYPERLINK(1)", "40000.00", "2")
    assert AuditEntry.objects.filter(action="case.list_exported", actor=analyst).exists()
    book = reader.get(reverse("case_export", args=["xlsx"]))
    sheet = sheet_of(b"".join(book.streaming_content))
    assert "<f>" not in sheet
    assert sheet.count("<row") == 3


def test_the_alerts_of_a_case_are_exported_masked(reader, analyst):
    case = case_of(analyst, "user-12345678", "user-87654321")
    rows = rows_of(reader.get(reverse("case_alerts_export", args=[case.pk, "csv"])))
    assert len(rows) == 2
    assert {row["Currency"] for row in rows} == {"EUR"}
    assert NAME not in str(rows)
    assert reader.get(reverse("case_alerts_export", args=[case.pk, "exe"])).status_code == 404


def test_an_export_reads_in_parts(reader, analyst, django_assert_max_num_queries):
    for i in range(12):
        case_of(analyst, f"user-{i}")
    with django_assert_max_num_queries(14):
        assert len(rows_of(reader.get(reverse("case_export", args=["csv"])))) == 12
