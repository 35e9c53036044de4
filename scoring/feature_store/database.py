"""Window state in the database: one row an entity, locked by the row while it is taught.

A row is a base and a tail (docs/adr/0013): an event writes the tail alone, which is merged into
the base when it has grown; a label writes the base. Plain SQL that both databases speak: composing
these statements by the ORM took longer than running them.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from django.db import OperationalError, connection, transaction
from django.utils import timezone

from scoring import postgres
from scoring.core.features import EntityPlan, FeaturePlan
from scoring.core.windows import EntityWindow
from scoring.feature_store.base import Asked, Key, Learnt, WindowsBusy
from scoring.models import EntityState
from scoring.postgres import Parameter, Trip

MOST_PARAMETERS = 10_000
MOST_TAIL_BYTES = 1_800
"""A longer tail goes to the base. With this one PostgreSQL still keeps it inside the row (2 kB)."""
Stored = tuple[str, str, bytes, bytes]
READS = (postgres.text, postgres.text, bytes, bytes)
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
# One look by the unique index for each key: as a join, a table without statistics (a new one) is
# read whole.
LOAD = f"""
    SELECT named.key_field, named.token, stored.state, stored.tail
    FROM {NAMED} AS named(key_field, token)
    CROSS JOIN LATERAL (
        SELECT state, tail FROM {TABLE} one WHERE one.detector_id = %s
        AND one.key_field = named.key_field AND one.token = named.token LIMIT 1 {{lock}}
    ) stored
"""  # noqa: S608 - our own names
LOAD_LOCKED = f"{LOAD.format(lock='FOR UPDATE')} WHERE {MAY_WRITE}"
LOAD = LOAD.format(lock="")
SAVE = f"""
    {INSERT} SELECT %s, key_field, token, state, '', now()
    FROM unnest(%s::text[], %s::text[], %s::bytea[]) AS taught(key_field, token, state)
    {REPLACE}
"""  # noqa: S608 - our own names
# A state that is stored out of line is not touched: the new row points to the same bytes. The rows
# are there; written as an insert, they are found by the unique index whatever the planner thinks.
SAVE_TAILS = f"""
    {INSERT} SELECT %s, key_field, token, '', tail, now()
    FROM unnest(%s::text[], %s::text[], %s::bytea[]) AS taught(key_field, token, tail)
    ON CONFLICT (detector_id, key_field, token)
    DO UPDATE SET tail = excluded.tail, updated_at = excluded.updated_at
"""  # noqa: S608 - our own names


class DatabaseFeatureStore:
    """The embedded default; right on PostgreSQL (row locks) and SQLite (one writer at a time)."""

    def load(
        self, detector_id: int, plan: FeaturePlan, keys: Sequence[Key], *, lock: bool
    ) -> dict[Key, EntityWindow]:
        """See FeatureStore."""
        return self.ask(detector_id, plan, keys, lock=lock)()

    def ask(
        self,
        detector_id: int,
        plan: FeaturePlan,
        keys: Sequence[Key],
        *,
        lock: bool,
        trip: Trip | None = None,
    ) -> Asked:
        """See FeatureStore. Rows are locked in one order everywhere, so writers cannot deadlock."""
        plans = {entity.key: entity for entity in plan.entities}
        wanted = dict.fromkeys(keys)
        rows = ask_states(detector_id, sorted(wanted), lock=lock, trip=trip)

        def windows() -> dict[Key, EntityWindow]:
            found = {key: EntityWindow.empty(plans[key[0]].width) for key in wanted}
            for field, token, state, tail in rows():
                if (field, token) in found and len(state):
                    found[field, token] = window_of(plans[field], state, tail)
            return found

        return windows

    def save(
        self,
        detector_id: int,
        plan: FeaturePlan,
        windows: Mapping[Key, EntityWindow],
        learnt: Sequence[Learnt] = (),
        trip: Trip | None = None,
    ) -> None:
        """See FeatureStore. Needs no `learnt`: what is committed here is not lost."""
        plans = {entity.key: entity for entity in plan.entities}
        states: dict[Key, bytes] = {}
        tails: dict[Key, bytes] = {}
        for key, window in sorted(windows.items()):
            if window.tail is not None and len(window.tail) <= MOST_TAIL_BYTES:
                tails[key] = window.tail
            else:
                states[key] = state_of(plans[key[0]], window)
        write_states(detector_id, states, trip)
        _write_tails(detector_id, tails, trip)

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


def state_of(entity: EntityPlan, window: EntityWindow) -> bytes:
    """The window as a base, without what no feature reads."""
    return window.thinned(entity.whole).to_bytes(signature=entity.signature)


def ask_states(
    detector_id: int, keys: Sequence[Key], *, lock: bool, trip: Trip | None = None
) -> Callable[[], Iterable[Stored]]:
    """(key field, token, state, tail) of the rows there are; with `lock` of all, made if missing.

    `keys` are sorted: rows are locked in one order everywhere, so writers cannot deadlock.
    """
    if not keys:
        return lambda: ()
    if not postgres.is_used():
        return lambda: _rows(detector_id, keys)
    fields, tokens = _columns(keys)
    if not lock:
        return postgres.execute(LOAD, [fields, tokens, detector_id], *READS, trip=trip).rows
    shared = Trip() if trip is None else trip
    shared.ask(MAKE_MISSING, [detector_id, fields, tokens, detector_id])
    answer = shared.ask(LOAD_LOCKED, [fields, tokens, detector_id, detector_id], *READS)
    if trip is None:
        shared.go()

    def rows() -> list[tuple[str, str, bytes, bytes]]:
        found = answer.rows()
        if len(found) < len(keys):  # The lock was not to be had: none was made or read.
            raise WindowsBusy
        return found

    return rows


def write_states(detector_id: int, states: Mapping[Key, bytes], trip: Trip | None = None) -> None:
    """Replace the states of rows, in the order given; their tails are empty then."""
    if not states:
        return
    if postgres.is_used():
        fields, tokens = _columns(list(states))
        values: list[Parameter] = [detector_id, fields, tokens, list(states.values())]
        postgres.execute(SAVE, values, trip=trip)
        return
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.executemany(
            UPSERT, [(detector_id, *key, state, b"", now) for key, state in states.items()]
        )


def _write_tails(detector_id: int, tails: Mapping[Key, bytes], trip: Trip | None) -> None:
    """Replace the tails of rows that were loaded, so they are there."""
    if not tails:
        return
    if postgres.is_used():
        fields, tokens = _columns(list(tails))
        values: list[Parameter] = [detector_id, fields, tokens, list(tails.values())]
        postgres.execute(SAVE_TAILS, values, trip=trip)
        return
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.executemany(APPEND, [(tail, now, detector_id, *key) for key, tail in tails.items()])


def _rows(detector_id: int, keys: Sequence[Key]) -> Iterator[Stored]:
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


def _columns(keys: Sequence[Key]) -> tuple[list[str], list[str]]:
    return [field for field, _ in keys], [token for _, token in keys]


def _marks(values: Sequence[object]) -> str:
    return ", ".join(["%s"] * len(values))


def _parts(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    for first in range(0, len(keys), MOST_PARAMETERS // 5):
        yield keys[first : first + MOST_PARAMETERS // 5]
