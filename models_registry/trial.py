"""The first time that a bundle from elsewhere is loaded and run: in a process of its own.

`python -m models_registry.trial < file.zip` has little memory and little time, knows no password
and no database, and says in one line of JSON what is wrong; an empty text is a pass. Whatever the
file does to it, whoever asked goes on.
"""

import io
import json
import resource
import sys
import zipfile
from contextlib import suppress
from itertools import pairwise

import numpy as np

from models_registry.bundle_files import (
    BROKEN,
    MOST_UNPACKED,
    ExchangeError,
    Unpacked,
    check_directory,
    unpack,
)
from models_registry.core.graph_check import GraphError, check_graph
from scoring.core.bundle import Bundle, assemble
from scoring.core.pipeline import judge

MEMORY = 2 * 1024**3
"""Bytes of address space; a bundle may unpack to 256 MB."""
SECONDS = 30
"""Of a processor."""
ROWS = 100
SPREAD = 1000.0
"""Features are amounts and counts as often as they are shares."""
ADDITIVE = 1e-6
"""Of what an explanation may miss by, next to the size of its parts."""


def main() -> None:
    """Try what stands on the standard input."""
    limit()
    content = sys.stdin.buffer.read()
    try:
        try_file(content)
        said = ""
    except MemoryError:
        said = "It needs too much memory."
    except ExchangeError as error:
        said = str(error)
    sys.stdout.write("\n" + json.dumps(said))


def limit() -> None:
    """From here on this process gets no more memory and time than it may have."""
    _lower(resource.RLIMIT_CPU, SECONDS)
    _lower(resource.RLIMIT_CORE, 0)
    with suppress(ValueError):  # macOS knows no such limit; the time is limited all the same.
        _lower(resource.RLIMIT_AS, MEMORY)


def _lower(what: int, most: int) -> None:
    """Never upwards, which nobody may."""
    hard = resource.getrlimit(what)[1]
    least = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (least, least))


def try_file(content: bytes) -> None:
    """Raises ExchangeError unless the bundle loads, is bounded, and judges."""
    found = unpack(content)
    for name, data in found.model_files.items():
        _check_content(name, data)
    _check_judges(_assembled(found))


def _check_content(name: str, data: bytes) -> None:
    if name.endswith(".onnx"):
        try:
            check_graph(data)
        except GraphError as error:
            raise ExchangeError(f"{name}: {error}") from error
    elif name.endswith(".npz"):
        _check_arrays(name, data)


def _check_arrays(name: str, data: bytes) -> None:
    """Plain numeric arrays that are as long as their headers say: nothing else is ever loaded."""
    check_directory(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > MOST_UNPACKED:
                raise ExchangeError(f"{name}: unpacked it is larger than {MOST_UNPACKED >> 20} MB.")
            for entry in entries:
                _check_array(archive, entry)
    except (*BROKEN, OSError, ValueError, RuntimeError) as error:
        if isinstance(error, ExchangeError):
            raise
        raise ExchangeError(f"{name} holds no plain arrays: {error}.") from error


def _check_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    with archive.open(entry) as file:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read is None:
            raise ExchangeError(f"'{entry.filename[:40]}' is an array of an unknown format.")
        shape, _, dtype = read(file)
        at = file.tell()
    if dtype.hasobject or dtype.kind not in "biuf":
        raise ExchangeError(f"'{entry.filename[:40]}' holds objects; only numbers are read.")
    size = dtype.itemsize
    for length in shape:
        size *= int(length)
    if at + size != entry.file_size:
        raise ExchangeError(f"'{entry.filename[:40]}' is not as long as it says.")


def _assembled(found: Unpacked) -> Bundle:
    try:
        return assemble(found.digest, found.manifest, found.model_files)
    except MemoryError:
        raise
    except Exception as error:  # A hostile manifest may be wrong in any way whatever.
        raise ExchangeError(f"The bundle does not load: {str(error)[:300]}") from error


def _check_judges(bundle: Bundle) -> None:
    """The model gives finite numbers, and its contributions add up, for an event of nothing and
    for many others; its thresholds stand in their order."""
    width = len(bundle.plan.names)
    many = np.random.default_rng(0).normal(size=(ROWS, width))
    for rows in (np.full((1, width), np.nan), many, SPREAD * many):
        try:
            judged = judge(bundle.predictor, rows)
        except MemoryError:
            raise
        except Exception as error:  # As above: its arrays are whatever somebody made.
            raise ExchangeError(f"The model does not run: {str(error)[:300]}") from error
        if judged is None or not np.isfinite(judged.score).all():
            raise ExchangeError("The model does not run on this detector's features.")
        size = 1.0 + np.abs(judged.contributions).sum(axis=1)
        if not (judged.error < ADDITIVE * size).all():
            raise ExchangeError("The model's explanation does not add up to what it says.")
    _check_thresholds(bundle)


def _check_thresholds(bundle: Bundle) -> None:
    found = None if bundle.predictor is None else bundle.predictor.thresholds
    if found is None:
        return
    rising = (0.0, found.review, found.medium, found.high, found.critical)
    if not all(low <= high for low, high in pairwise(rising)) or not found.review <= found.block:
        raise ExchangeError(
            "Its thresholds are out of order: 0 <= review <= medium <= high <= critical, and "
            "review <= block, are wanted."
        )


if __name__ == "__main__":
    main()
