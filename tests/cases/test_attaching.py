"""Files are what their content says, and are handed out as they were attached."""

import io
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import AuditEntry
from cases.attaching import FileLost, attach, hand_out, place_of
from cases.sniffing import MOST_PARTS, FileRefused, check_name, kind_of
from cases.workflow import MoveRefused
from tests.cases.alerts import case_of

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 32


def archive(*names):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as out:
        for name in names:
            # A moment of its own, or every process that collects the tests would name them anew.
            out.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), "x")
    return held.getvalue()


DOCX = archive("[Content_Types].xml", "word/document.xml")
XLSX = archive("[Content_Types].xml", "xl/workbook.xml")


@pytest.mark.parametrize(
    ("content", "name", "content_type"),
    [
        (b"%PDF-1.7\n", "a.pdf", "application/pdf"),
        (PNG, "a.PNG", "image/png"),
        (b"\xff\xd8\xff\xe0", "a.jpeg", "image/jpeg"),
        (b"GIF89a", "a.gif", "image/gif"),
        (b"RIFF\0\0\0\0WEBP", "a.webp", "image/webp"),
        (DOCX, "a.docx", "wordprocessingml.document"),
        (XLSX, "a.xlsx", "spreadsheetml.sheet"),
        ("Grüße, 5 €".encode(), "a.txt", "text/plain"),
        (b"a;b\r\n1;2\r\n", "a.csv", "text/plain"),
    ],
)
def test_a_kind_is_told_by_the_content(content, name, content_type):
    kind = kind_of(content)
    assert kind.content_type.endswith(content_type)
    assert check_name(name, kind) == name


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"MZ\x90\0\x03",
        b"\x7fELF\x02",
        archive("run.sh"),
        archive("[Content_Types].xml", "xl/workbook.xml", "xl/vbaProject.bin"),
        b"PK\x03\x04 damaged",
        b"text with \0 in it",
        b"\xff\xfe\xfa",
    ],
)
def test_anything_else_is_refused(content):
    with pytest.raises(FileRefused):
        kind_of(content)


def test_a_document_of_very_many_parts_is_refused_before_their_list_is_read(monkeypatch):
    parts = [f"word/media/{n}.png" for n in range(MOST_PARTS)]
    content = archive("[Content_Types].xml", "word/document.xml", *parts)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(FileRefused, match="5,000 parts"):
        kind_of(content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("page.html", b"<script>alert(1)</script>"),
        ("image.svg", b"<svg onload='x'/>"),
        ("run.exe", b"%PDF-1.7"),
        ("photo.png", b"%PDF-1.7"),
        ("report\u202efdp.exe", b"%PDF-1.7"),
        ("pdf", b"%PDF-1.7"),
        (".pdf", b"%PDF-1.7"),
        ("", b"%PDF-1.7"),
    ],
)
def test_a_name_that_does_not_fit_the_content_is_refused(name, content):
    with pytest.raises(FileRefused):
        check_name(name, kind_of(content))


@given(st.text(max_size=200))
def test_a_name_that_is_kept_is_harmless(stem):
    kind = kind_of(b"%PDF-1.7")
    try:
        name = check_name(f"{stem}.pdf", kind)
    except FileRefused:
        return
    assert len(name) <= 120
    assert name.endswith(".pdf")
    assert not set(name) & set('/\\"<>|:*?;\0\r\n\u202e')


def upload(content=PNG, name="seen.png"):
    return SimpleUploadedFile(name, content, content_type="text/html")


@pytest.fixture
def case(settings, tmp_path, payments_detector, analyst):
    settings.ATTACHMENT_DIR = tmp_path / "files"
    return case_of(analyst, "a")


@pytest.mark.django_db
def test_a_file_is_kept_by_its_hash_outside_static_files_and_told(case, analyst, settings):
    row = attach(case, file=upload(name="C:\\x\\seen.png"), actor=analyst, text="Screenshot")
    assert (row.name, row.content_type, row.size) == ("seen.png", "image/png", len(PNG))
    path = place_of(row.sha256)
    assert path.read_bytes() == PNG
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert str(settings.STATIC_ROOT) not in str(path)
    assert (case.timeline.last().kind, case.timeline.last().text) == ("attached", "Screenshot")
    assert hand_out(row, actor=analyst) == PNG
    audited = list(AuditEntry.objects.order_by("number").values_list("action", flat=True))
    assert audited[-2:] == ["case.file_attached", "case.file_read"]


@pytest.mark.django_db
def test_the_same_content_is_kept_once(case, analyst, settings):
    for name in ("one.png", "two.png"):
        attach(case, file=upload(name=name), actor=analyst)
    assert len([path for path in settings.ATTACHMENT_DIR.rglob("*") if path.is_file()]) == 1


@pytest.mark.django_db
def test_a_changed_or_lost_file_is_not_handed_out(case, analyst):
    row = attach(case, file=upload(), actor=analyst)
    place_of(row.sha256).write_bytes(PNG + b"!")
    with pytest.raises(FileLost, match="changed"):
        hand_out(row, actor=analyst)
    place_of(row.sha256).unlink()
    with pytest.raises(FileLost, match="not in the store"):
        hand_out(row, actor=analyst)


@pytest.mark.django_db
@pytest.mark.parametrize("damaged", [PNG[:-1] + b"!", PNG[:-1], b""])
def test_attaching_a_damaged_file_again_heals_it(case, analyst, damaged):
    row = attach(case, file=upload(), actor=analyst)
    place_of(row.sha256).write_bytes(damaged)
    again = attach(case, file=upload(name="again.png"), actor=analyst)
    assert hand_out(row, actor=analyst) == hand_out(again, actor=analyst) == PNG


@pytest.mark.django_db
def test_too_large_a_file_and_a_stranger_are_refused(case, analyst, outsider, settings):
    settings.ATTACHMENT_MAX_BYTES = len(PNG) - 1
    with pytest.raises(FileRefused, match="too large"):
        attach(case, file=upload(), actor=analyst)
    settings.ATTACHMENT_MAX_BYTES = len(PNG)
    with pytest.raises(MoveRefused):
        attach(case, file=upload(), actor=outsider)
    assert case.attachments.count() == 0
