"""Events from CSV and Parquet files: chunks of plain dicts, never the whole file in memory."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from scoring.core.spec import DetectorSpec
from scoring.importing import Chunk

CSV_SAMPLE = 200_000
"""Rows of a CSV that tell what its columns are: `1` may be followed by `1e+05` much later."""


class FileProblem(ValueError):
    """A file that cannot be imported; the message says why."""


class EventFile:
    """A CSV or Parquet file whose columns carry the names of the detector's fields."""

    def __init__(
        self,
        path: Path,
        spec: DetectorSpec,
        *,
        until: datetime | None = None,
        limit: int | None = None,
        mapping: Mapping[str, str] | None = None,
    ) -> None:
        """Only rows before `until`, and at most `limit`. Raises FileProblem.

        `mapping`: the column from which a field is read, where it is named otherwise.
        """
        self.path = path
        self.spec = spec
        self._frame = self._scan(path)
        if mapping:
            names = {column: own for own, column in mapping.items()}
            self._frame = self._frame.rename(names, strict=False)
        self._complete(spec)
        if until is not None:
            self._frame = self._frame.filter(self._time() < until)
        if limit is not None:
            self._frame = self._frame.head(limit)
        try:
            columns = set(self._frame.collect_schema().names())
        except (pl.exceptions.PolarsError, OSError) as error:
            raise FileProblem(f"{path.name} cannot be read: {error}") from error
        # Without ids a second run would not know its rows again, and import them twice.
        wanted = dict.fromkeys([spec.id_field, *spec.schema.get("required", ())])
        missing = [name for name in wanted if name and name not in columns]
        if missing:
            raise FileProblem(
                f"{path.name} lacks the columns {', '.join(missing)} of detector '{spec.slug}'."
            )
        self.fields = [name for name in spec.schema["properties"] if name in columns]
        self.has_labels = bool(spec.label_column) and spec.label_column in columns
        self.rows = int(self._frame.select(pl.len()).collect().item())

    def _complete(self, spec: DetectorSpec) -> None:
        """Ids by row and times by seconds elapsed, where the file has neither and may lack them."""
        if not spec.elapsed_field:
            return
        try:
            columns = set(self._frame.collect_schema().names())
        except (pl.exceptions.PolarsError, OSError):
            return  # The caller reports it.
        if spec.id_field and spec.id_field not in columns:
            row = pl.int_range(pl.len()).cast(pl.String)
            named = pl.concat_str(pl.lit(f"{self.path.stem[:60]}-"), row)
            self._frame = self._frame.with_columns(named.alias(spec.id_field))
        if spec.time_field and spec.time_field not in columns and spec.elapsed_field in columns:
            since = pl.lit(datetime.fromtimestamp(spec.elapsed_since, UTC))
            elapsed = pl.duration(milliseconds=pl.col(spec.elapsed_field).cast(pl.Float64) * 1000)
            self._frame = self._frame.with_columns((since + elapsed).alias(spec.time_field))

    def _time(self) -> pl.Expr:
        """The event time as an aware UTC column."""
        column = pl.col(self.spec.time_field)
        kind = self._frame.collect_schema().get(self.spec.time_field)
        if isinstance(kind, pl.Datetime):
            return column.dt.replace_time_zone("UTC") if kind.time_zone is None else column
        return column.str.to_datetime(time_zone="UTC")

    def last_event_at(self) -> datetime | None:
        """Time of the newest event, None in an empty file or without a time field."""
        if self.rows == 0 or self.spec.time_field not in self.fields:
            return None
        found: datetime = self._frame.select(self._time().max()).collect().item()
        return found.astimezone(UTC)

    def rows_older(self, row: int, by: timedelta) -> int:
        """Rows older than row number `row` by more than `by`; `row` without times or labels."""
        if not self.has_labels or self.spec.time_field not in self.fields or row >= self.rows:
            return row
        at = self._frame.slice(row, 1).select(self._time()).collect().item()
        return int(self._frame.filter(self._time() < at - by).select(pl.len()).collect().item())

    @staticmethod
    def _scan(path: Path) -> pl.LazyFrame:
        if not path.is_file():
            raise FileProblem(f"{path} is not a file.")
        if path.suffix == ".parquet":
            return pl.scan_parquet(path)
        if path.suffix == ".csv":
            return pl.scan_csv(path, infer_schema_length=CSV_SAMPLE)
        raise FileProblem(f"{path.name}: a file ends in .csv or .parquet.")

    def chunks(self, *, start: int, size: int) -> Iterator[Chunk]:
        """Rows from `start` on, `size` at a time, in the order of the file."""
        for first in range(start, self.rows, size):
            yield self.chunk(first, size)

    def chunk(self, first: int, size: int) -> Chunk:
        """Up to `size` rows from row `first` on."""
        wanted = [*self.fields, *([self.spec.label_column] if self.has_labels else [])]
        frame = self._frame.slice(first, size).select(wanted).collect()
        rows = frame.rows(named=True)
        labels: list[bool | None] = [None] * len(rows)
        if self.has_labels:
            labels = [_label(row.pop(self.spec.label_column)) for row in rows]
        return Chunk(first, [self._event(row) for row in rows], labels)

    def _event(self, row: dict[str, Any]) -> dict[str, Any]:
        """Plain JSON values; texts where the schema wants texts."""
        event = {}
        for name, value in row.items():
            if value is None:
                continue
            kind = self.spec.schema["properties"][name]["type"]
            if isinstance(value, datetime):
                value = (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
            elif isinstance(value, date):
                value = value.isoformat()
            elif kind == "string" and isinstance(value, int):
                value = str(value)
            event[name] = value
        return event


def _label(value: Any) -> bool | None:
    """1, true, "1", "fraud" mean fraud; 0, false, "0" mean legitimate; all else means unknown."""
    text = str(value).strip().casefold()
    if text in ("1", "1.0", "true", "fraud", "yes"):
        return True
    return False if text in ("0", "0.0", "false", "legitimate", "genuine", "no") else None
