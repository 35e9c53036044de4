"""Window state in the database: one row an entity, locked by the row while it is taught.

A row is a base and a tail (docs/adr/0013): an event writes the tail alone, which is merged into
the base when it has grown; a label writes the base. Plain SQL that both databases speak: composing
these statements by the ORM took longer than running them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from django.db import OperationalError, connection, transaction
from django.utils import timezone

from scoring import postgres
from scoring.core.features import EntityPlan, FeaturePlan
from scoring.core.windows import EntityWindow, packed
from scoring.feature_store.base import Key, Learnt, WindowsBusy
from scoring.models import EntityState

MOST_PARAMETERS = 10_000
MOST_TAIL_BYTES = 1_800
"""A longer tail goes to the base. With this one PostgreSQL still keeps it inside the row (2 kB)."""
Stored = tuple[str, str, bytes, bytes]
TABLE = EntityState._meta.db_table
INSERT = f"INSERT INTO {TABLE} (detector_id, key_field, token, state, tail, updated_at)"
REPLACE = (
    "ON CONFLICT (detector_id, key_field, token) DO UPDATE"
    " SET state = excluded.state, tail = excluded.tail, updated_at = excluded.updated_at"
)
UPSERT = f"{INSERT} VALUES (%s, %s, %s, %s, %s, %s) {REPLACE}"
APPEND = f"""
    UPDATE {TABLE} SET tail = %s, updated_at = %s
    WHERE detector_id = %s AND key_field = %s AND token = %s
"""  # noqa: S608 - our own names
# On PostgreSQL: keys as arrays. A row that does not exist cannot be locked, so it is made first.
NAMED = "unnest(%s::text[], %s::text[])"
# Rows alone would let a writer that waits for a row find it deleted, and take its entity for a new
# one: all writers of a detector's windows share a lock, and who makes them anew has it alone.
WINDOWS = 0x77696E64
"""The first of the two numbers of that lock; the other is the detector's."""
KEEP_OUT = f"SELECT pg_advisory_xact_lock({WINDOWS}, %s::int)"
SHARE = f"SELECT pg_advisory_xact_lock_shared({WINDOWS}, %s::int)"
MAY_WRITE = f"(SELECT pg_try_advisory_xact_lock_shared({WINDOWS}, %s::int))"
MAKE_MISSING = f"""
    {INSERT} SELECT %s, key_field, token, '', '', now() FROM {NAMED} AS named(key_field, token)
    WHERE {MAY_WRITE} ON CONFLICT DO NOTHING
"""  # noqa: S608 - our own names
LOAD = f"""
    SELECT stored.key_field, stored.token, stored.state, stored.tail FROM {TABLE} stored
    JOIN {NAMED} AS named(key_field, token) USING (key_field, token)
    WHERE stored.detector_id = %s
"""  # noqa: S608 - our own names
LOAD_LOCKED = f"""
    {LOAD} AND {MAY_WRITE} ORDER BY stored.key_field, stored.token FOR UPDATE OF stored
"""
SAVE = f"""
    {INSERT} SELECT %s, key_field, token, state, '', now()
    FROM unnest(%s::text[], %s::text[], %s::bytea[]) AS taught(key_field, token, state)
    {REPLACE}
"""  # noqa: S608 - our own names
# A state that is stored out of line is not touched: the new row points to the same bytes.
SAVE_TAILS = f"""
    UPDATE {TABLE} stored SET tail = taught.tail, updated_at = now()
    FROM unnest(%s::text[], %s::text[], %s::bytea[]) AS taught(key_field, token, tail)
    WHERE stored.detector_id = %s AND stored.key_field = taught.key_field
    AND stored.token = taught.token
"""  # noqa: S608 - our own names


class DatabaseFeatureStore:
    """The embedded default; right on PostgreSQL (row locks) and SQLite (one writer at a time)."""

    def load(
        self, detector_id: int, plan: FeaturePlan, keys: Sequence[Key], *, lock: bool
    ) -> dict[Key, EntityWindow]:
        """See FeatureStore. Rows are locked in one order everywhere, so writers cannot deadlock."""
        plans = {entity.key: entity for entity in plan.entities}
        windows = {key: EntityWindow.empty(plans[key[0]].width) for key in keys}
        for field, token, state, tail in read_states(detector_id, sorted(windows), lock=lock):
            if (field, token) in windows and len(state):
                windows[field, token] = window_of(plans[field], state, tail)
        return windows

    def save(
        self,
        detector_id: int,
        plan: FeaturePlan,
        windows: Mapping[Key, EntityWindow],
        learnt: Sequence[Learnt] = (),
    ) -> None:
        """See FeatureStore. Needs no `learnt`: what is committed here is not lost."""
        signatures = {entity.key: entity.signature for entity in plan.entities}
        states: dict[Key, bytes] = {}
        tails: dict[Key, bytes] = {}
        for key, window in sorted(windows.items()):
            if window.tail is not None and window.tail.nbytes <= MOST_TAIL_BYTES:
                tails[key] = packed(window.tail)
            else:
                states[key] = window.to_bytes(signature=signatures[key[0]])
        write_states(detector_id, states)
        _write_tails(detector_id, tails)

    def forget(self, detector_id: int) -> None:
        """See FeatureStore."""
        EntityState.objects.filter(detector_id=detector_id).delete()


def lock_windows(detector_id: int) -> None:
    """Let the detector's scoring finish and then wait, until the caller's transaction ends.

    Other detectors go on. To be taken before a lock on the detector's row, which writers refer to.
    On SQLite the transaction itself keeps all others waiting.
    """
    if postgres.is_used():
        postgres.execute(KEEP_OUT, [detector_id])


def wait_for_windows(detector_id: int, seconds: float = 0.0) -> bool:
    """Wait while the detector's windows are made anew, at most `seconds` (0: as long as it takes);
    whether they may be written. In a transaction this stays so until its end."""
    if not postgres.is_used():
        return True
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            if seconds:
                cursor.execute(f"SET LOCAL lock_timeout = {int(seconds * 1000)}")
            cursor.execute(SHARE, [detector_id])
    except OperationalError:
        return False
    return True


def window_of(entity: EntityPlan, state: bytes, tail: bytes = b"") -> EntityWindow:
    """The window of a stored base and tail. Raises WindowStateError."""
    window = EntityWindow.from_bytes(state, tail, columns=entity.width, signature=entity.signature)
    return window.pruned(entity.horizon)


def read_states(detector_id: int, keys: Sequence[Key], *, lock: bool) -> Iterable[Stored]:
    """(key field, token, state, tail) of the rows there are; with `lock` of all, made if missing.

    `keys` are sorted: rows are locked in one order everywhere, so writers cannot deadlock.
    """
    read = _rows_of_postgres if postgres.is_used() else _rows
    return read(detector_id, keys, lock=lock)


def write_states(detector_id: int, states: Mapping[Key, bytes]) -> None:
    """Replace the states of rows, in the order given; their tails are empty then."""
    if not states:
        return
    if postgres.is_used():
        columns = (*_columns(list(states)), list(states.values()))
        postgres.execute(SAVE, [detector_id, *columns])
        return
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.executemany(
            UPSERT, [(detector_id, *key, state, b"", now) for key, state in states.items()]
        )


def _write_tails(detector_id: int, tails: Mapping[Key, bytes]) -> None:
    """Replace the tails of rows that were loaded, so they are there."""
    if not tails:
        return
    if postgres.is_used():
        columns = (*_columns(list(tails)), list(tails.values()))
        postgres.execute(SAVE_TAILS, [*columns, detector_id])
        return
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.executemany(APPEND, [(tail, now, detector_id, *key) for key, tail in tails.items()])


def _rows(detector_id: int, keys: Sequence[Key], *, lock: bool) -> Iterator[Stored]:
    """SQLite has one writer at a time, so there is nothing to lock."""
    with connection.cursor() as cursor:
        for part in _parts(keys):
            fields = sorted({field for field, _ in part})
            cursor.execute(
                f"SELECT key_field, token, state, tail FROM {TABLE} WHERE detector_id = %s"  # noqa: S608
                f" AND key_field IN ({_marks(fields)}) AND token IN ({_marks(part)})",
                [detector_id, *fields, *(token for _, token in part)],
            )
            yield from cursor.fetchall()


def _rows_of_postgres(detector_id: int, keys: Sequence[Key], *, lock: bool) -> list[Stored]:
    """One round trip: make the rows that are missing, then read them all, locked in order.

    Fewer rows than keys means that the lock was not to be had: then none was made or read.
    """
    names = _columns(keys)
    if not lock:
        return postgres.execute(LOAD, [*names, detector_id]).fetchall()
    with postgres.pipeline():
        postgres.execute(MAKE_MISSING, [detector_id, *names, detector_id])
        rows = postgres.execute(LOAD_LOCKED, [*names, detector_id, detector_id]).fetchall()
    if len(rows) < len(keys):
        raise WindowsBusy
    return rows


def _columns(keys: Sequence[Key]) -> list[list[str]]:
    return [[field for field, _ in keys], [token for _, token in keys]]


def _marks(values: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(values))


def _parts(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    for first in range(0, len(keys), MOST_PARAMETERS // 5):
        yield keys[first : first + MOST_PARAMETERS // 5]
