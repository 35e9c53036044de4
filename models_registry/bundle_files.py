"""A bundle as one file: a zip whose bytes depend on nothing but the bundle, read with distrust.

    <digest>/manifest.json, model.onnx, explain.npz   the bundle as it lies on disk
    <digest>/version.json                             what the registry knew of the version

The digest of the first three is the bundle's; `version.json` says its own in its first line.
Reading trusts nothing: sizes are bounded before anything is unpacked, names are plain, every byte
is hashed. What the model and its arrays hold is for models_registry.trial to say.
"""

import io
import json
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scoring.core.bundle import EXPLAIN, FORMAT, MANIFEST, MODEL, sha256

RECORD: Final = "version.json"
RECORD_FORMAT: Final = 2
UNDIGESTED_FORMAT: Final = 1
"""Of earlier releases: nothing says whether its `version.json` is what was exported."""
RECORD_DIGEST: Final = "digest"
BLANK: Final = b"0" * 64
"""Stands for the digest of `version.json` in the text that is digested."""
MOST_FILES: Final = 12
MOST_BYTES: Final = 64 * 1024 * 1024
"""Of the file as it comes."""
MOST_UNPACKED: Final = 256 * 1024 * 1024
"""Of all that is in it, and of the arrays in that."""
MOST_ENTRIES: Final = 1000
"""Entries that a zip may have, to be looked at: reading the list of a million takes a gigabyte."""
ENTRY: Final = b"PK\x01\x02"
MOST_JSON: Final = 8 * 1024 * 1024
NAME: Final = re.compile(r"([0-9a-f]{64})/([a-z][a-z0-9_]{0,40}\.(?:json|onnx|npz))")
BROKEN: Final = (
    zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError,
    struct.error, MemoryError,
)  # fmt: skip
EPOCH: Final = (1980, 1, 1, 0, 0, 0)


class ExchangeError(ValueError):
    """A bundle that cannot be handed out or taken in; the message says why."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A bundle that holds what its digest says; nothing of it has been run or loaded yet."""

    digest: str
    manifest: dict[str, Any]
    files: dict[str, bytes]
    record: dict[str, Any]
    is_digested: bool
    """Whether `record` is known to be what was exported."""

    @property
    def model_files(self) -> dict[str, bytes]:
        """The files that the manifest names."""
        return {name: data for name, data in self.files.items() if name != MANIFEST}


def pack(digest: str, files: Mapping[str, bytes]) -> bytes:
    """The zip of these files under `digest`; the same files give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{digest}/{name}", date_time=EPOCH)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return buffer.getvalue()


def write_record(record: Mapping[str, Any]) -> bytes:
    """`version.json` of what is JSON already, with its own digest in the first line."""
    rest = json.dumps(record, sort_keys=True, indent=1).encode()
    blank = b'{\n "%b": "%b",%b' % (RECORD_DIGEST.encode(), BLANK, rest[1:])
    return blank.replace(BLANK, sha256(blank).encode(), 1)


def unpack(content: bytes) -> Unpacked:
    """Read a file from elsewhere. Raises ExchangeError on the first thing that is not right."""
    if len(content) > MOST_BYTES:
        raise ExchangeError(f"The file is larger than {MOST_BYTES >> 20} MB.")
    digest, files = _entries(content)
    written = files.pop(RECORD, None)
    record = _json(written, RECORD)
    is_digested = _check_record(written or b"", record)
    manifest = _json(files.get(MANIFEST), MANIFEST)
    if sha256(files[MANIFEST]) != digest:
        raise ExchangeError(f"{MANIFEST} was changed: its digest is not {digest[:12]}.")
    if manifest.get("format") != FORMAT:
        raise ExchangeError(
            f"The bundle has format {str(manifest.get('format'))[:20]}; {FORMAT} is what is read."
        )
    _check_hashes(manifest, files)
    if MODEL not in files or EXPLAIN not in files:
        raise ExchangeError(f"The bundle has no {MODEL} or no {EXPLAIN}: there is no model in it.")
    return Unpacked(digest, manifest, files, record, is_digested)


def check_directory(content: bytes) -> None:
    """Raises ExchangeError for a zip with very many entries, before anything reads their list.

    Each begins with the same four bytes, wherever the list lies. Data may hold them by chance, or
    a zip that was put in unpacked, but not so often.
    """
    if content.count(ENTRY) > MOST_ENTRIES:
        raise ExchangeError(f"The file holds more than {MOST_ENTRIES:,} entries.")


def _entries(content: bytes) -> tuple[str, dict[str, bytes]]:
    check_directory(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check_entries(entries)
            files = {entry.filename: _read(archive, entry) for entry in entries}
    except BROKEN as error:
        raise ExchangeError(f"The file is no zip that can be read: {error}.") from error
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, ExchangeError):
            raise
        raise ExchangeError(f"The file cannot be unpacked: {error}.") from error
    digests = {name.partition("/")[0] for name in files}
    if len(digests) != 1:
        raise ExchangeError("The file must hold one bundle.")
    return digests.pop(), {name.partition("/")[2]: data for name, data in files.items()}


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    if not 0 < len(entries) <= MOST_FILES:
        raise ExchangeError(f"The file holds {len(entries)} entries; 1 to {MOST_FILES} are read.")
    if len({entry.filename for entry in entries}) != len(entries):
        raise ExchangeError("An entry stands in the file twice.")
    for entry in entries:
        shown = entry.filename[:60]
        mode = entry.external_attr >> 16
        if not NAME.fullmatch(entry.filename) or entry.is_dir():
            raise ExchangeError(f"'{shown}' is no file of a bundle.")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
            raise ExchangeError(f"'{shown}' is no plain file.")
        if entry.flag_bits & 0x1:
            raise ExchangeError(f"'{shown}' is encrypted.")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ExchangeError(f"'{shown}' is packed in a way that is not read.")
    if sum(entry.file_size for entry in entries) > MOST_UNPACKED:
        raise ExchangeError(f"Unpacked it is larger than {MOST_UNPACKED >> 20} MB.")


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    # The header may lie about the size: one byte more than it says is one too many.
    with archive.open(entry) as file:
        data = file.read(entry.file_size + 1)
    if len(data) != entry.file_size:
        raise ExchangeError(f"'{entry.filename[:60]}' is not as long as it says.")
    return data


def _json(data: bytes | None, name: str) -> dict[str, Any]:
    if data is None:
        raise ExchangeError(f"{name} is missing.")
    if len(data) > MOST_JSON:
        raise ExchangeError(f"{name} is larger than {MOST_JSON >> 20} MB.")
    try:
        found = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ExchangeError(f"{name} is no JSON: {error}.") from error
    if not isinstance(found, dict):
        raise ExchangeError(f"{name} must hold an object.")
    if not all(map(_is_text, _texts(found))):
        raise ExchangeError(f"{name} holds U+0000 or half of a character, which is no text.")
    return found


def _is_text(text: str) -> bool:
    """Whether every database and every answer can hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _texts(found: Any) -> Iterator[str]:
    """All texts of a JSON value, names of objects among them."""
    waiting = [found]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            waiting += item


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _check_record(written: bytes, record: Mapping[str, Any]) -> bool:
    """Whether its digest was checked, and is right: one of an earlier release has none."""
    if record.get("format") not in (UNDIGESTED_FORMAT, RECORD_FORMAT):
        raise ExchangeError(
            f"{RECORD} has another format than {UNDIGESTED_FORMAT} or {RECORD_FORMAT}."
        )
    if record["format"] == UNDIGESTED_FORMAT and RECORD_DIGEST not in record:
        return False
    told = str(record.get(RECORD_DIGEST, "")).encode()
    if len(told) != len(BLANK) or sha256(written.replace(told, BLANK, 1)).encode() != told:
        raise ExchangeError(f"{RECORD} was changed: its digest is not the one that it says.")
    return True


def _check_hashes(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
    named = manifest.get("files")
    if not isinstance(named, dict) or set(named) != set(files) - {MANIFEST}:
        raise ExchangeError("The file holds other files than its manifest names.")
    for name, expected in named.items():
        if sha256(files[name]) != expected:
            raise ExchangeError(f"{name} was changed: its digest is not that of the manifest.")
