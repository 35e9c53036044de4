"""Why a file cannot be imported, and in which line: asked once reading it has failed."""

import csv
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "bars"}
LONGEST: Final = 10_000_000
"""Characters of a field; what is longer has lost its closing quote."""
UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


def add_separator(parser: ArgumentParser) -> None:
    """The option of a command that reads a CSV."""
    parser.add_argument(
        "--separator",
        type=_separator,
        default=",",
        metavar="SIGN",
        help="What parts the fields of a CSV: ';', '|' or tab. Default: a comma.",
    )


def _separator(text: str) -> str:
    """The character that an argument names. Raises ArgumentTypeError."""
    sign = "\t" if text == "tab" else text
    if sign != "," and sign not in SEPARATORS:
        raise ArgumentTypeError(f"'{text}' is none of ',', ';', '|' and tab")
    return sign


def fault_of(path: Path, separator: str = ",") -> str:
    """What is wrong with the first line that is wrong, such as `line 31 has 9 fields, and the first
    line has 8`; empty where nothing is found. Reads the file, in bounded memory."""
    try:
        return _no_utf8(path) or _bad_record(path, separator)
    except OSError:  # That it cannot be opened is told by whoever could not read it.
        return ""


def otherwise_separated(columns: Sequence[str], wanted: Sequence[str]) -> str:
    """A sentence about the only column of a file that is made of columns; empty where it is not."""
    for separator, name in SEPARATORS.items() if len(columns) == 1 else ():
        if set(wanted) & set(next(csv.reader([columns[0]], delimiter=separator), [])):
            return f" Its fields are parted by {name}: say so (`--separator`)."
    return ""


def misspelt(columns: Sequence[str], wanted: Sequence[str]) -> str:
    """A sentence about columns whose names differ in case or blanks alone; empty without any."""
    near = {name.strip().casefold(): name for name in columns}
    found = [(near[name.casefold()], name) for name in wanted if name.casefold() in near]
    told = ", ".join(f"'{column}' to '{name}'" for column, name in found)
    return f" Rename {told}: names have to be the same." if told else ""


def is_utf16(path: Path) -> bool:
    """Whether it begins as texts of UTF-16 do: its every second byte is none of UTF-8's."""
    with path.open("rb") as file:
        return file.read(2) in UTF16


def _no_utf8(path: Path) -> str:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                return f"line {number} is no UTF-8 (byte 0x{line[error.start]:02x})"
    return ""


def _bad_record(path: Path, separator: str) -> str:
    before = csv.field_size_limit(LONGEST)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _first_fault(file, separator)
    finally:
        csv.field_size_limit(before)


def _first_fault(file: TextIO, separator: str) -> str:
    reader = csv.reader(file, delimiter=separator, strict=True)
    begin, most = 1, 0
    try:
        for fields in reader:
            most = most or len(fields)
            if len(fields) > most:
                return f"line {begin} has {len(fields)} fields, and the first line has {most}"
            begin = reader.line_num + 1
    except csv.Error:
        return f"in what begins in line {begin} a quote is not closed, or does not end its field"
    return ""
