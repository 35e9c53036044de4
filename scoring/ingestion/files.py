"""Events from CSV and Parquet files: chunks of plain dicts, never the whole file in memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from scoring.core.reader import NUMBERS
from scoring.core.schema import key_text, parse_time
from scoring.core.spec import DetectorSpec
from scoring.importing import Chunk

BLOCK = 50_000
"""Rows that are read at once: where rows are filtered, each reading goes through the whole file."""
USUAL_TIMES = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f")

CSV_ADVICE = (
    "A CSV is UTF-8 text, and its lines have no more fields than its first one: mend it and import"
    " it again; what was imported is not imported twice."
)
PARQUET_ADVICE = "Write the Parquet file anew and import it again."


class FileProblem(ValueError):
    """A file that cannot be imported; the message says why."""


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
    ) -> None:
        """Only rows before `until`, and at most `limit`. Raises FileProblem.

        `columns_of`: the column that each field is read from, given the columns of the file, where
        a field does not simply have the name of its column.
        """
        self.path = path
        self.spec = spec
        self._has_types = path.suffix == ".parquet"
        self._advice = PARQUET_ADVICE if self._has_types else CSV_ADVICE
        with self._told():
            self._frame = self._scan(path)
        if columns_of is not None:
            read = columns_of(self._columns())
            self._frame = self._frame.select(pl.col(name).alias(own) for own, name in read.items())
        self._complete(spec)
        if until is not None:
            self._frame = self._frame.filter(self._time() < until)
        if limit is not None:
            self._frame = self._frame.head(limit)
        columns = set(self._columns())
        # Without ids a second run would not know its rows again, and import them twice.
        wanted = dict.fromkeys([spec.id_field, *spec.schema.get("required", ())])
        missing = [name for name in wanted if name and name not in columns]
        if missing:
            raise FileProblem(
                f"{path.name} lacks the columns {', '.join(missing)} of detector '{spec.slug}'."
            )
        self.fields = [name for name in spec.schema["properties"] if name in columns]
        self.has_labels = bool(spec.label_column) and spec.label_column in columns
        self.rows = int(self._collect(self._frame.select(pl.len())).item())

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

    def last_event_at(self) -> datetime | None:
        """Time of the newest event, None where the file has no time at all. Raises FileProblem."""
        if self.rows == 0 or self.spec.time_field not in self.fields:
            return None
        found: datetime | None = self._collect(self._frame.select(self._time().max())).item()
        return found and found.astimezone(UTC)

    @staticmethod
    def _scan(path: Path) -> pl.LazyFrame:
        if not path.is_file():
            raise FileProblem(f"{path} is not a file.")
        if path.suffix == ".parquet":
            return pl.scan_parquet(path)
        if path.suffix == ".csv":
            return pl.scan_csv(path, infer_schema=False)
        raise FileProblem(f"{path.name}: a file ends in .csv or .parquet.")

    def chunks(self, size: int) -> Iterator[Chunk]:
        """All rows in the order of the file, up to `size` at a time. Raises FileProblem."""
        wanted = [*self.fields, *([self.spec.label_column] if self.has_labels else [])]
        for begin in range(0, self.rows, BLOCK):
            block = self._collect(self._frame.slice(begin, BLOCK).select(wanted))
            for at in range(0, block.height, size):
                yield self._chunk(begin + at, block.slice(at, size))

    def _chunk(self, first: int, frame: pl.DataFrame) -> Chunk:
        name, ids = self.spec.id_field, [""] * frame.height
        if name:
            values = [self._value(name, value) for value in frame.get_column(name).to_list()]
            ids = ["" if value is None else key_text(value) for value in values]
        labels: list[bool | None] = [None] * frame.height
        if self.has_labels:
            labels = [_label(value) for value in frame.get_column(self.spec.label_column).to_list()]

        def read(places: Sequence[int]) -> list[dict[str, Any]]:
            if not places:
                return []
            rows = frame.select(self.fields)[list(places)].iter_rows(named=True)
            return [self._event(row) for row in rows]

        return Chunk(first, ids, labels, read)

    def _event(self, row: Mapping[str, Any]) -> dict[str, Any]:
        found = {name: self._value(name, value) for name, value in row.items()}
        return {name: value for name, value in found.items() if value is not None}

    def _value(self, name: str, value: Any) -> Any:
        """A plain JSON value of the kind that the schema wants, None where there is none.

        What cannot be one stays as it is, for the schema to refuse.
        """
        kind = self.spec.schema["properties"][name]["type"]
        match value:
            case datetime():
                return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
            case date() | time():
                return value.isoformat()
            case str() if self._has_types or kind == "string":
                return value
            case str():
                return _number(value) if kind in NUMBERS else _truth(value)
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
