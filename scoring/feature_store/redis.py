"""Windows in Redis, the truth in the database (docs/adr/0012).

The entity's row of `EntityState` stays: it is the lock among writers, and it holds a *fence*, a
random version that every save replaces. A state in Redis counts only while it has the version of
the row. It is written before the commit, beside the version that it may replace: a commit makes it
valid, a rollback leaves the other one valid. What is missing or stale, whatever Redis went through,
is learnt again from the stored predictions that `EntityEvent` names. While Redis cannot be reached,
the row itself carries the state behind the fence.
"""

import logging
import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import redis
from django.db import connection

from accounts.seldom import Seldom
from scoring import breakers, postgres
from scoring.core.features import EntityPlan, FeaturePlan
from scoring.core.windows import EntityWindow, WindowStateError
from scoring.feature_store import database, history
from scoring.feature_store.base import Asked, Key, Learnt
from scoring.models import EntityEvent, EntityState
from scoring.postgres import Trip

_told = Seldom(logging.getLogger(__name__))

FENCE = struct.Struct("<HHI16s")
FORMAT = 2
TIMEOUT_SECONDS = 0.5
PART = 500
"""Keys in one call: Redis serves nobody else meanwhile."""
SLACK_SECONDS = 86_400
PRUNED = 256 // 64
"""Of 256 saves so many look for events that no window can hold any more."""

# KEYS: hashes of version -> state. ARGV for each: the version that was loaded, the new version, the
# new state, its life in seconds. Two versions stay: the new one and the one that a rollback leaves.
_PUT = """
for i, key in ipairs(KEYS) do
  local loaded, new = ARGV[4 * i - 3], ARGV[4 * i - 2]
  for _, version in ipairs(redis.call('HKEYS', key)) do
    if version ~= loaded then redis.call('HDEL', key, version) end
  end
  redis.call('HSET', key, new, ARGV[4 * i - 1])
  redis.call('EXPIRE', key, ARGV[4 * i])
end
return #KEYS
"""
# KEYS: the same hashes. ARGV: the version wanted of each. Returns states, nil where there is none.
_GET = """
local found = {}
for i, key in ipairs(KEYS) do found[i] = redis.call('HGET', key, ARGV[i]) end
return found
"""

_EVENTS = EntityEvent._meta.db_table
_INSERT = f"INSERT INTO {_EVENTS} (detector_id, key_field, token, event_time, prediction_id)"
_ADD = f"{_INSERT} VALUES (%s, %s, %s, %s, %s)"
_ADD_MANY = f"""
    {_INSERT} SELECT %s, key_field, token, event_time, prediction_id
    FROM unnest(%s::text[], %s::text[], %s::text[]::timestamptz[], %s::text[]::uuid[])
    WITH ORDINALITY
    AS learnt(key_field, token, event_time, prediction_id, place) ORDER BY place
"""  # noqa: S608 - our own names


class LoadedWindows(dict[Key, EntityWindow]):
    """Windows by key, with the version that each was loaded as."""

    def __init__(self) -> None:
        self.versions: dict[Key, bytes] = {}


class RedisFeatureStore:
    """See the module. `url` names the Redis."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
        )
        self._put_script = self._client.register_script(_PUT)
        self._get_script = self._client.register_script(_GET)

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
        """See FeatureStore. Redis is asked when the versions are known, after the trip."""
        wanted = dict.fromkeys(keys)
        rows = database.ask_states(detector_id, sorted(wanted), lock=lock, trip=trip)
        return lambda: self._windows(detector_id, plan, wanted, rows())

    def _windows(
        self,
        detector_id: int,
        plan: FeaturePlan,
        keys: Iterable[Key],
        rows: Iterable[database.Stored],
    ) -> dict[Key, EntityWindow]:
        plans = {entity.key: entity for entity in plan.entities}
        windows, away = LoadedWindows(), []
        for key in keys:
            windows[key] = EntityWindow.empty(plans[key[0]].width)
        for field, token, row, _ in rows:
            key = (field, token)
            if key not in windows or not len(row):
                continue
            windows.versions[key], state = _open(row, plans[field])
            if state:
                windows[key] = database.window_of(plans[field], state)
            else:
                away.append(key)
        states = self._get(detector_id, {key: windows.versions[key] for key in away})
        for key, state in states.items():
            windows[key] = database.window_of(plans[key[0]], state)
        lost = [key for key in away if key not in states]
        windows.update(history.read_windows(detector_id, plan, lost))
        return windows

    def save(
        self,
        detector_id: int,
        plan: FeaturePlan,
        windows: Mapping[Key, EntityWindow],
        learnt: Sequence[Learnt] = (),
        trip: Trip | None = None,
    ) -> None:
        """See FeatureStore."""
        plans = {entity.key: entity for entity in plan.entities}
        loaded = windows.versions if isinstance(windows, LoadedWindows) else {}
        version = os.urandom(16)
        states = {
            key: database.state_of(plans[key[0]], window) for key, window in sorted(windows.items())
        }
        arguments = {
            key: (loaded.get(key, b""), version, state, int(plans[key[0]].horizon) + SLACK_SECONDS)
            for key, state in states.items()
        }
        is_kept = self._put(detector_id, arguments)
        fences = {key: _fence(plans[key[0]], version) for key in states}
        database.write_states(
            detector_id,
            fences if is_kept else {key: fences[key] + state for key, state in states.items()},
            trip,
        )
        _add_events(detector_id, learnt, trip)
        if version[0] < PRUNED:
            _prune_events(detector_id, plans, windows)

    def forget(self, detector_id: int) -> None:
        """See FeatureStore. What Redis holds of them no row names any more; it expires."""
        EntityEvent.objects.filter(detector_id=detector_id)._raw_delete("default")
        EntityState.objects.filter(detector_id=detector_id).delete()

    def _get(self, detector_id: int, versions: Mapping[Key, bytes]) -> dict[Key, bytes]:
        """The states that Redis has in just these versions."""
        found: dict[Key, bytes] = {}
        circuit = breakers.breaker("redis")
        for part in _parts(list(versions)):
            if not circuit.allows():
                break
            try:
                states = self._get_script(
                    keys=[_name(detector_id, key) for key in part],
                    args=[versions[key] for key in part],
                )
            except redis.RedisError as error:
                _report(circuit, error)
                break
            circuit.succeeded()
            found.update((k, s) for k, s in zip(part, states, strict=True) if s is not None)
        return found

    def _put(self, detector_id: int, arguments: Mapping[Key, tuple[Any, ...]]) -> bool:
        """Whether Redis has taken all states."""
        circuit = breakers.breaker("redis")
        for part in _parts(list(arguments)):
            if not circuit.allows():
                return False
            try:
                self._put_script(
                    keys=[_name(detector_id, key) for key in part],
                    args=[argument for key in part for argument in arguments[key]],
                )
            except redis.RedisError as error:
                _report(circuit, error)
                return False
            circuit.succeeded()
        return True


@lru_cache(maxsize=4)
def redis_store(url: str) -> RedisFeatureStore:
    """The process's store at `url`."""
    return RedisFeatureStore(url)


def _report(circuit: breakers.Breaker, error: redis.RedisError) -> None:
    # One that is silent (frozen, cut off) holds up everybody's scoring each time it is waited for.
    circuit.failed(at_once=isinstance(error, redis.TimeoutError))
    _told.warning("Redis is gone; windows are kept in the database (%r).", error)


def _name(detector_id: int, key: Key) -> str:
    return f"riskplatform:windows:{detector_id}:{key[0]}:{key[1]}"


def _fence(entity: EntityPlan, version: bytes) -> bytes:
    return FENCE.pack(FORMAT, entity.width, entity.signature, version)


def _open(row: bytes, entity: EntityPlan) -> tuple[bytes, bytes]:
    """(version, state) of a row; the state is empty while Redis has it. Raises WindowStateError."""
    if len(row) >= FENCE.size:
        form, columns, signature, version = FENCE.unpack_from(row)
        if (form, columns, signature) == (FORMAT, entity.width, entity.signature):
            return version, bytes(row[FENCE.size :])
    raise WindowStateError(
        "The stored windows were kept for other columns or in another store; run `rebuild_windows`."
    )


def _parts(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    for first in range(0, len(keys), PART):
        yield keys[first : first + PART]


def _add_events(detector_id: int, learnt: Sequence[Learnt], trip: Trip | None) -> None:
    if not learnt:
        return
    if postgres.is_used():
        columns = [
            [event.key[0] for event in learnt],
            [event.key[1] for event in learnt],
            [event.event_time.isoformat() for event in learnt],
            [str(event.prediction_id) for event in learnt],
        ]
        postgres.execute(_ADD_MANY, [detector_id, *columns], trip=trip)
        return
    adapt = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        cursor.executemany(_ADD, [(detector_id, *key, adapt(at), pk.hex) for key, at, pk in learnt])


def _prune_events(
    detector_id: int, plans: Mapping[str, EntityPlan], windows: Mapping[Key, EntityWindow]
) -> None:
    """Forget which events lie before all windows of these entities."""
    events = EntityEvent.objects.filter(detector_id=detector_id)
    for (field, token), window in windows.items():
        if len(window.rows):
            first = history.moment(window.rows[-1, 0] - plans[field].horizon)
            mine = events.filter(key_field=field, token=token, event_time__lt=first)
            mine._raw_delete("default")
