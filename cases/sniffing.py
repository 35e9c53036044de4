"""What kind of file somebody attached, by its content; what is not on the list is refused. Pure.

The name says nothing that the content does not say too: its ending has to fit what was found.
"""

import io
import re
import zipfile
from dataclasses import dataclass

LONGEST_NAME = 120
MOST_PARTS = 5000
"""Files in a document, to be looked at: reading the list of all that fit into one takes ten times
its size of memory."""
_PART = b"PK\x01\x02"
_OFFICE = "application/vnd.openxmlformats-officedocument."


class FileRefused(ValueError):
    """A file that is not taken; the message says why."""


@dataclass(frozen=True, slots=True)
class FileKind:
    """A type that is taken, and the endings that its names may have."""

    content_type: str
    words: str
    endings: tuple[str, ...]


PDF = FileKind("application/pdf", "PDF", ("pdf",))
PNG = FileKind("image/png", "PNG image", ("png",))
JPEG = FileKind("image/jpeg", "JPEG image", ("jpg", "jpeg"))
GIF = FileKind("image/gif", "GIF image", ("gif",))
WEBP = FileKind("image/webp", "WebP image", ("webp",))
DOCX = FileKind(f"{_OFFICE}wordprocessingml.document", "Word document", ("docx",))
XLSX = FileKind(f"{_OFFICE}spreadsheetml.sheet", "Excel workbook", ("xlsx",))
TEXT = FileKind(
    "text/plain", "Text", ("txt", "csv", "tsv", "log", "md", "json", "eml", "yaml", "yml")
)
KINDS = (PDF, PNG, JPEG, GIF, WEBP, DOCX, XLSX, TEXT)
ACCEPT = ",".join(f".{ending}" for kind in KINDS for ending in kind.endings)
_TEXT_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


def kind_of(content: bytes) -> FileKind:
    """The kind of a whole file. Raises FileRefused."""
    if not content:
        raise FileRefused("This file is empty.")
    for kind, found in (
        (PDF, content.startswith(b"%PDF-")),
        (PNG, content.startswith(b"\x89PNG\r\n\x1a\n")),
        (JPEG, content.startswith(b"\xff\xd8\xff")),
        (GIF, content.startswith((b"GIF87a", b"GIF89a"))),
        (WEBP, content[:4] == b"RIFF" and content[8:12] == b"WEBP"),
    ):
        if found:
            return kind
    if content.startswith(b"PK\x03\x04"):
        return _office(content)
    if _is_text(content):
        return TEXT
    raise FileRefused(
        "This kind of file is not taken. Attach PDF, an image (PNG, JPEG, GIF, WebP), text or CSV, "
        "DOCX or XLSX."
    )


def _office(content: bytes) -> FileKind:
    """DOCX or XLSX without macros, told by what the archive holds; nothing is unpacked."""
    # Each entry of the list begins so, wherever the list lies.
    if content.count(_PART) > MOST_PARTS:
        raise FileRefused(f"This document has more than {MOST_PARTS:,} parts.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = {info.filename.lower() for info in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise FileRefused("This archive is damaged.") from error
    if any(name.endswith("vbaproject.bin") for name in names):
        raise FileRefused("This document has macros in it. Attach it without them.")
    if "[content_types].xml" in names:
        if "word/document.xml" in names:
            return DOCX
        if "xl/workbook.xml" in names:
            return XLSX
    raise FileRefused("Archives are not taken: attach the files in it one by one.")


def _is_text(content: bytes) -> bool:
    if _TEXT_CONTROL.search(content):
        return False
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return True


def check_name(name: str, kind: FileKind) -> str:
    """A name that is safe to keep and to send, if its ending fits the kind. Raises FileRefused."""
    # What a browser of another system sends as a path is a path.
    bare = re.split(r"[\\/]", name)[-1]
    # Controls and the marks that turn the direction of writing ("exe.fdp" read backwards) go.
    kept = re.sub(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\"<>|:*?;]", "", bare)
    kept = " ".join(kept.split()).strip(". ")
    stem, dot, ending = kept.rpartition(".")
    if not dot or not stem or ending.lower() not in kind.endings:
        wanted = " or ".join(f".{one}" for one in kind.endings[:3])
        raise FileRefused(f"The content is {kind.words}: the name has to end in {wanted}.")
    room = LONGEST_NAME - len(ending) - 1
    return f"{stem[:room]}.{ending}"
