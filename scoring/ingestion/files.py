"""Events from CSV and Parquet files: chunks of plain dicts, never the whole file in memory."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from scoring.core.field_checks import parse_time
from scoring.core.reader import NUMBERS
from scoring.core.schema import key_text
from scoring.core.spec import DetectorSpec
from scoring.importing import Chunk
from scoring.ingestion.csv_faults import fault_of, is_utf16, misspelt, otherwise_separated

BLOCK = 50_000
"""Rows that are read at once: where rows are filtered, each reading goes through the whole file."""
PLAIN = ("string", "number", "integer", "boolean")
AS_IT_COMES = "as it comes: "
"""Leads the name of a column that is kept beside the detector's fields, to be checked."""
TWIN = "_duplicated_0"
"""Ends the name that polars gives to the second column of a name in a CSV."""
MOST_NAMES = 12
MOST_ODD = 3
USUAL_TIMES = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f")

CSV_ADVICE = (
    "A CSV is UTF-8 text, and its lines have no more fields than its first one: mend it and import"
    " it again; what was imported is not imported twice."
)
NO_ID = (
    "The detector '{}' declares no event.id, so a second import would take every row for a new"
    " event. Name the field of the id in its declaration (docs/detectors.md)."
)
PARQUET_ADVICE = "Write the Parquet file anew and import it again."


class FileProblem(ValueError):
    """A file that cannot be imported; the message says why."""


@dataclass(frozen=True, slots=True)
class OwnSchema:
    """A JSON Schema of the file's rows by the names of its columns, asked before the detector's.

    `problems_of` gives (column, message) of everything in which a row breaks it.
    """

    schema: Mapping[str, Any]
    problems_of: Callable[[Mapping[str, Any]], list[tuple[str, str]]]

    @property
    def properties(self) -> Mapping[str, Any]:
        """The columns that it tells of. Earlier releases took one without."""
        found: Mapping[str, Any] = self.schema.get("properties", {})
        return found

    def kind_of(self, name: str) -> str:
        """The plain type of a column; empty where it says none, or more than one."""
        rule = self.properties[name]
        said = rule.get("type") if isinstance(rule, Mapping) else None
        kinds = {said} if isinstance(said, str) else {*(said or ())} - {"null"}
        if kinds == {"integer", "number"}:
            return "number"
        (kind,) = kinds if len(kinds) == 1 else ("",)
        return kind if kind in PLAIN else ""


class EventFile:
    """A CSV or Parquet file whose columns carry the names of the detector's fields.

    Parquet has types. A CSV has texts, and what one means is told by the detector's schema, never
    guessed from the rows: `0042` is 42 in a number and stays `0042` in a string.
    """

    def __init__(
        self,
        path: Path,
        spec: DetectorSpec,
        *,
        until: datetime | None = None,
        limit: int | None = None,
        columns_of: Callable[[Sequence[str]], Mapping[str, str]] | None = None,
        own_schema: OwnSchema | None = None,
        separator: str = ",",
        decimal_comma: bool = False,
    ) -> None:
        """Only rows before `until`, and at most `limit`. Raises FileProblem.

        `separator`, `decimal_comma`: how a CSV parts its fields and writes 12.5, of no other file.

        `columns_of`: the column that each field is read from, given the columns of the file, where
        a field does not simply have the name of its column. `own_schema`: what rows have to keep
        besides.
        """
        self.path, self._separator, self._decimal_comma = path, separator, decimal_comma
        self.spec = spec
        self._has_types = path.suffix == ".parquet"
        self._advice = PARQUET_ADVICE if self._has_types else CSV_ADVICE
        with self._told():
            self._frame = self._scan(path, separator)
        self._refuse_twins()
        self._own, self._checked = own_schema, self._own_columns(own_schema)
        read = None if columns_of is None else columns_of(self._columns())
        self._column_of = dict(read or {})
        self._fields_of = {name: own for own, name in self._column_of.items()}
        self._name_columns(read)
        self._complete(spec)
        if until is not None:
            self._frame = self._frame.filter(self._time() < until)
        if limit is not None:
            self._frame = self._frame.head(limit)
        self._require_event(spec)
        columns = set(self._columns())
        self.fields = [name for name in spec.schema["properties"] if name in columns]
        self.has_labels = bool(spec.label_column) and spec.label_column in columns
        self.odd_labels: list[str] = []
        """What stood for a label in the rows read so far and is none, each once, up to a few."""
        self.odd_label_count = 0
        self.rows = int(self._collect(self._frame.select(pl.len())).item())

    def _name_columns(self, read: Mapping[str, str] | None) -> None:
        """Columns under the names of the fields that are read from them, those that are checked
        beside."""
        beside = [pl.col(name).alias(AS_IT_COMES + name) for name in self._checked]
        if read is not None:
            told = [pl.col(name).alias(own) for own, name in read.items()]
            self._frame = self._frame.select(*told, *beside)
        elif beside:
            self._frame = self._frame.with_columns(beside)

    def _own_columns(self, own: OwnSchema | None) -> list[str]:
        """Those that a schema of the file's own tells of. Raises FileProblem."""
        if own is None:
            return []
        self._require(own.schema.get("required", ()), "its schema")
        columns = set(self._columns())
        return [name for name in own.properties if name in columns]

    def _require_event(self, spec: DetectorSpec) -> None:
        """What no event goes without. Raises FileProblem."""
        # Without ids a second run would not know its rows again, and import them twice.
        if not spec.id_field:
            raise FileProblem(NO_ID.format(spec.slug))
        self._require([spec.id_field, *spec.schema.get("required", ())], f"detector '{spec.slug}'")

    def _require(self, wanted: Iterable[str], of: str) -> None:
        """Raises FileProblem where a column is missing."""
        columns = self._columns()
        missing = [name for name in dict.fromkeys(wanted) if name and name not in columns]
        if missing:
            own = [name for name in columns if not name.startswith(AS_IT_COMES)]
            has = ", ".join(own[:MOST_NAMES]) + (", ..." if len(own) > MOST_NAMES else "")
            lacks = f"{self.path.name} lacks the columns {', '.join(missing)} of {of}."
            hint = misspelt(own, missing)
            if not self._has_types:
                hint = hint or otherwise_separated(own, missing)
            raise FileProblem(f"{lacks} It has: {has}.{hint}")

    def _refuse_twins(self) -> None:
        """Of two columns of one name nobody can tell which is meant. Raises FileProblem."""
        columns = set(self._columns())
        twins = sorted(name for name in columns if name + TWIN in columns)
        if twins and not self._has_types:
            raise FileProblem(f"{self.path.name} has the column {twins[0]} twice.")

    def _columns(self) -> list[str]:
        """Raises FileProblem."""
        return self._schema().names()

    def _schema(self) -> pl.Schema:
        """Raises FileProblem."""
        with self._told():
            return self._frame.collect_schema()

    def _collect(self, frame: pl.LazyFrame) -> pl.DataFrame:
        """Raises FileProblem."""
        with self._told():
            return frame.collect()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What is wrong with the file is found wherever it is read: say it, and what to do."""
        try:
            yield
        except (pl.exceptions.PolarsError, OSError) as error:
            said = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            if not self._has_types and self.path.is_file():
                said = fault_of(self.path, self._separator) or said
            raise FileProblem(f"{self.path.name} cannot be read: {said}. {self._advice}") from error

    def _complete(self, spec: DetectorSpec) -> None:
        """Ids by row and times by seconds elapsed, where the file has neither and may lack them."""
        if not spec.elapsed_field:
            return
        columns = set(self._columns())
        if spec.id_field and spec.id_field not in columns:
            row = pl.int_range(pl.len()).cast(pl.String)
            named = pl.concat_str(pl.lit(f"{self.path.stem[:60]}-"), row)
            self._frame = self._frame.with_columns(named.alias(spec.id_field))
        if spec.time_field and spec.time_field not in columns and spec.elapsed_field in columns:
            since = pl.lit(datetime.fromtimestamp(spec.elapsed_since, UTC))
            # What is no number makes no time, and the schema refuses its row.
            seconds = pl.col(spec.elapsed_field).cast(pl.Float64, strict=False)
            elapsed = pl.duration(milliseconds=seconds * 1000)
            self._frame = self._frame.with_columns((since + elapsed).alias(spec.time_field))

    def _time(self) -> pl.Expr:
        """The event time as an aware UTC column; null where a text is no time."""
        column = pl.col(self.spec.time_field)
        kind = self._schema().get(self.spec.time_field)
        if isinstance(kind, pl.Datetime):
            return column.dt.replace_time_zone("UTC") if kind.time_zone is None else column
        if kind == pl.Date:
            return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        # What no usual form fits is read as the schema reads it, which takes ten times as long.
        text, utc = column.cast(pl.String), pl.Datetime("us", "UTC")
        usual = pl.coalesce(text.str.strptime(utc, form, strict=False) for form in USUAL_TIMES)
        other = pl.when(usual.is_null()).then(text).map_elements(_moment, return_dtype=utc)
        return pl.coalesce(usual, other)

    def column_of(self, name: str) -> str:
        """The column that a field of the detector is read from."""
        return self._column_of.get(name, name)

    def last_event_at(self) -> datetime | None:
        """Time of the newest event, None where the file has no time at all. Raises FileProblem."""
        if self.rows == 0 or self.spec.time_field not in self.fields:
            return None
        found: datetime | None = self._collect(self._frame.select(self._time().max())).item()
        return found and found.astimezone(UTC)

    @staticmethod
    def _scan(path: Path, separator: str) -> pl.LazyFrame:
        if not path.is_file():
            raise FileProblem(f"{path} is not a file.")
        if path.suffix == ".parquet":
            return pl.scan_parquet(path)
        if path.suffix == ".csv":
            if is_utf16(path):
                raise FileProblem(f"{path.name} is UTF-16: save it as UTF-8 and import it again.")
            return pl.scan_csv(path, infer_schema=False, separator=separator)
        raise FileProblem(f"{path.name}: a file ends in .csv or .parquet.")

    def chunks(self, size: int) -> Iterator[Chunk]:
        """All rows in the order of the file, up to `size` at a time. Raises FileProblem."""
        wanted = [*self.fields, *([self.spec.label_column] if self.has_labels else [])]
        wanted += [AS_IT_COMES + name for name in self._checked]
        for begin in range(0, self.rows, BLOCK):
            block = self._collect(self._frame.slice(begin, BLOCK).select(wanted))
            for at in range(0, block.height, size):
                yield self._chunk(begin + at, block.slice(at, size))

    def _chunk(self, first: int, frame: pl.DataFrame) -> Chunk:
        name, ids = self.spec.id_field, [""] * frame.height
        if name:
            kind = self._kind(name)
            values = [self._value(kind, value) for value in frame.get_column(name).to_list()]
            ids = ["" if value is None else key_text(value) for value in values]
        labels: list[bool | None] = [None] * frame.height
        if self.has_labels:
            said = frame.get_column(self.spec.label_column).to_list()
            labels = [_label(value) for value in said]
            self._note_odd(said, labels)

        def read(places: Sequence[int]) -> list[dict[str, Any]]:
            if not places:
                return []
            rows = frame.select(self.fields)[list(places)].iter_rows(named=True)
            return [self._event(row) for row in rows]

        def problems(places: Sequence[int]) -> list[list[tuple[str, str]]]:
            if self._own is None or not places:
                return [[] for _ in places]
            found = frame.select(pl.col(AS_IT_COMES + n).alias(n) for n in self._checked)
            kinds = {name: self._own.kind_of(name) or self._read_as(name) for name in self._checked}
            rows = [self._typed(row, kinds) for row in found[list(places)].iter_rows(named=True)]
            return [
                # What a text stands for is not known where neither schema says it.
                [(name, told) for name, told in self._own.problems_of(row)
                 if kinds.get(name, PLAIN[0]) or name not in row]
                for row in rows
            ]  # fmt: skip

        return Chunk(first, ids, labels, read, problems)

    def _note_odd(self, said: Sequence[Any], labels: Sequence[bool | None]) -> None:
        pairs = zip(said, labels, strict=True)
        odd = [str(value) for value, label in pairs if label is None and value not in (None, "")]
        self.odd_label_count += len(odd)
        self.odd_labels = list(dict.fromkeys([*self.odd_labels, *odd]))[:MOST_ODD]

    def _read_as(self, column: str) -> str:
        """The type of the detector's field that is read from the column; empty without one."""
        field = self._fields_of.get(column, column)
        return self._kind(field) if field in self.spec.schema["properties"] else ""

    def _event(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return self._typed(row, {name: self._kind(name) for name in row})

    def _typed(self, row: Mapping[str, Any], kinds: Mapping[str, str]) -> dict[str, Any]:
        found = {name: self._value(kinds[name], value) for name, value in row.items()}
        return {name: value for name, value in found.items() if value is not None}

    def _kind(self, name: str) -> str:
        return str(self.spec.schema["properties"][name]["type"])

    def _value(self, kind: str, value: Any) -> Any:
        """A plain JSON value of the kind that a schema wants, None where there is none.

        What cannot be one stays as it is, for the schema to refuse.
        """
        match value:
            case datetime():
                return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
            case date() | time():
                return value.isoformat()
            case str() if self._has_types or kind == "string":
                return value
            case str():
                if kind not in NUMBERS:
                    return _truth(value)
                return _with_comma(value) if self._decimal_comma else _number(value)
            case Decimal():
                return f"{value:f}" if kind == "string" else _plain(value)
            case int() if kind == "string":
                return str(value)
        return value


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(parse_time(text)[0], UTC)
    except (ValueError, OverflowError):
        return None


def _plain(value: Decimal) -> int | float:
    """A number as JSON has it; whole ones stay exact, they may be ids."""
    return int(value) if value == value.to_integral_value() else float(value)


def _number(text: str) -> int | float | str | None:
    """The number that a text of a CSV writes; None when it is empty, the text when it is none."""
    if not text.strip():
        return None
    if "_" in text or not text.isascii():
        return text  # Python would read 1_000.
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _with_comma(text: str) -> int | float | str | None:
    """The number of a text that writes 12.5 as `12,5`; one with a point could mean either."""
    return text if "." in text else _number(text.replace(",", "."))


def _truth(text: str) -> bool | str | None:
    """True or false as a text of a CSV writes it; None when it is empty, else the text."""
    if not text.strip():
        return None
    return {"true": True, "false": False}.get(text.strip().casefold(), text)


def _label(value: Any) -> bool | None:
    """1, true, "1", "fraud" mean fraud; 0, false, "0" mean legitimate; all else means unknown."""
    text = str(value).strip().casefold()
    if text in ("true", "fraud", "yes"):
        return True
    if text in ("false", "legitimate", "genuine", "no"):
        return False
    number = _number(text)
    return bool(number) if number in (0, 1) else None
