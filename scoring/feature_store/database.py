"""Window state in the database: one row an entity, locked by the row while it is taught.

Plain SQL that both databases speak: composing these statements by the ORM took longer than running
them.
"""

from collections.abc import Iterator, Mapping, Sequence

from django.db import connection
from django.utils import timezone

from scoring.core.features import FeaturePlan
from scoring.core.windows import EntityWindow
from scoring.feature_store.base import Key
from scoring.models import EntityState

MOST_PARAMETERS = 10_000
TABLE = EntityState._meta.db_table
INSERT = f"INSERT INTO {TABLE} (detector_id, key_field, token, state, updated_at)"
ROW = "(%s, %s, %s, %s, %s)"
UPSERT = (
    f"{INSERT} VALUES {ROW} ON CONFLICT (detector_id, key_field, token)"
    " DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at"
)


class DatabaseFeatureStore:
    """The embedded default; right on PostgreSQL (row locks) and SQLite (one writer at a time)."""

    def load(
        self, detector_id: int, plan: FeaturePlan, keys: Sequence[Key], *, lock: bool
    ) -> dict[Key, EntityWindow]:
        """See FeatureStore. Rows are locked in one order everywhere, so writers cannot deadlock."""
        plans = {entity.key: entity for entity in plan.entities}
        if lock:
            self._make_missing(detector_id, keys)
        windows = {key: EntityWindow.empty(plans[key[0]].width) for key in keys}
        wanted = sorted(windows)
        for part in _parts(wanted):
            for key_field, token, state in self._rows(detector_id, part, lock=lock):
                key = (key_field, token)
                if key in windows and len(state):
                    entity = plans[key_field]
                    windows[key] = EntityWindow.from_bytes(
                        state, columns=entity.width, signature=entity.signature
                    )
        return windows

    def _rows(
        self, detector_id: int, keys: Sequence[Key], *, lock: bool
    ) -> list[tuple[str, str, bytes]]:
        fields = sorted({field for field, _ in keys})
        sql = (
            f"SELECT key_field, token, state FROM {TABLE} WHERE detector_id = %s"  # noqa: S608
            f" AND key_field IN ({_marks(fields)}) AND token IN ({_marks(keys)})"
            " ORDER BY key_field, token"
        )
        if lock and connection.features.has_select_for_update:
            sql += " FOR UPDATE"
        with connection.cursor() as cursor:
            cursor.execute(sql, [detector_id, *fields, *(token for _, token in keys)])
            return cursor.fetchall()

    def _make_missing(self, detector_id: int, keys: Sequence[Key]) -> None:
        """A row that does not exist cannot be locked: PostgreSQL needs it there first.

        SQLite has one writer at a time, so nobody can come in between.
        """
        if connection.vendor != "postgresql":
            return
        now = timezone.now()
        with connection.cursor() as cursor:
            for part in _parts(sorted(set(keys))):
                cursor.execute(
                    f"{INSERT} VALUES {', '.join([ROW] * len(part))} ON CONFLICT DO NOTHING",
                    [value for f, t in part for value in (detector_id, f, t, b"", now)],
                )

    def save(
        self, detector_id: int, plan: FeaturePlan, windows: Mapping[Key, EntityWindow]
    ) -> None:
        """See FeatureStore."""
        signatures = {entity.key: entity.signature for entity in plan.entities}
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        rows = [
            (detector_id, *key, window.to_bytes(signature=signatures[key[0]]), now)
            for key, window in sorted(windows.items())
        ]
        if rows:
            with connection.cursor() as cursor:
                cursor.executemany(UPSERT, rows)


def _marks(values: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(values))


def _parts(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    for first in range(0, len(keys), MOST_PARAMETERS // 5):
        yield keys[first : first + MOST_PARAMETERS // 5]
