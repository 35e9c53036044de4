"""Exported files taken apart and put together again, as nobody should."""

import io
import json
import zipfile

from models_registry.bundle_files import RECORD, pack, write_record
from scoring.core.bundle import MANIFEST, sha256


def parts_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        named = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    digest = next(iter(named)).partition("/")[0]
    return digest, {name.partition("/")[2]: data for name, data in named.items()}


def repacked(content, *, manifest=None, **changed):
    """The file with other contents, its digests right again."""
    _, files = parts_of(content)
    files |= {name.replace("__", "."): data for name, data in changed.items()}
    text = json.loads(files[MANIFEST]) | (manifest or {})
    text["files"] = {n: sha256(d) for n, d in files.items() if n not in (MANIFEST, RECORD)}
    files[MANIFEST] = json.dumps(text).encode()
    return pack(sha256(files[MANIFEST]), files)


def changed_record(exported, **changed):
    digest, files = parts_of(exported)
    record = json.loads(files[RECORD]) | changed
    record.pop("digest")
    files[RECORD] = write_record(record)
    return pack(digest, files)


def of_an_earlier_release(exported, **changed):
    """The file as releases wrote it whose `version.json` had no digest."""
    digest, files = parts_of(exported)
    record = json.loads(files[RECORD]) | changed | {"format": 1}
    del record["digest"]
    files[RECORD] = json.dumps(record, sort_keys=True, indent=1).encode()
    return pack(digest, files)
