"""Rate limits of API keys and of people: a sliding window, in Redis or in the database.

A key has a rate of its own; everybody who comes by token or session has API_USER_RATE.

A request is allowed when, for each limit `count` per `seconds`, fewer than `count` were allowed in
the `seconds` before it. Looking and counting is one atomic step in both stores, so parallel clients
cannot slip through between the two. Refused requests do not count. In Redis the window is
exact; in the database it is so up to MOST_EXACT requests (accounts/rate_windows.py).
"""

import logging
import os
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.models import ApiKey, RateWindow, User, UserRateWindow
from accounts.rate_windows import MICRO, SlidingWindow
from accounts.rates import Limit, parse_rate
from accounts.seldom import Seldom

_told = Seldom(logging.getLogger(__name__))

Window = type[RateWindow] | type[UserRateWindow]
_NAMES: dict[Window, str] = {
    RateWindow: "riskplatform:rate",
    UserRateWindow: "riskplatform:rate:user",
}
_REDIS_TIMEOUT_SECONDS = 0.5
# After a failure Redis is left alone this long: every request would wait for its timeout.
_REDIS_PAUSE_SECONDS = 5.0
_redis_paused_until = 0.0

# KEYS[1]: sorted set of allowed requests, scored by microsecond. ARGV: unique member, then count
# and window (microseconds) of each limit. Returns microseconds to wait; 0 = allowed and counted.
# Redis' own clock serves all web processes. What is still to come is of before it was set back, and
# counts as of now.
_LUA = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local longest, wait = 0, 0
for i = 2, #ARGV, 2 do
  local window = tonumber(ARGV[i + 1])
  if window > longest then longest = window end
end
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if newest[2] and tonumber(newest[2]) > now then
  local at = string.format('%.0f', now)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. at, '+inf')) do
    redis.call('ZADD', KEYS[1], at, member)
  end
  redis.call('PEXPIRE', KEYS[1], math.ceil(longest / 1000))
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - longest))
for i = 2, #ARGV, 2 do
  local count, window = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  local blocking = redis.call('ZREVRANGE', KEYS[1], count - 1, count - 1, 'WITHSCORES')
  if blocking[2] then
    local free_in = tonumber(blocking[2]) + window - now
    if free_in > wait then wait = free_in end
  end
end
if wait > 0 then return wait end
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('PEXPIRE', KEYS[1], math.ceil(longest / 1000))
return 0
"""


def take_slot(key: ApiKey) -> float:
    """Seconds until a request of `key` would be allowed; 0.0: it is allowed, and was counted."""
    return _take(RateWindow, key.pk, parse_rate(key.rate))


def take_user_slot(user: User) -> float:
    """The same for a person, however they logged in and from how many places."""
    return _take(UserRateWindow, user.pk, parse_rate(settings.API_USER_RATE))


def _take(window: Window, owner: int, limits: Sequence[Limit]) -> float:
    if not limits:
        return 0.0
    if settings.REDIS_URL and time.monotonic() >= _redis_paused_until:
        import redis  # 20 MB, for those who use it

        try:
            return take_slot_in_redis(owner, limits, window=window)
        except redis.RedisError as error:
            _pause_redis()
            _told.warning("Redis is gone; rate limits are counted in the database (%r).", error)
    return take_slot_in_database(owner, limits, window=window)


def take_slot_in_redis(
    owner: int, limits: Sequence[Limit], *, window: Window = RateWindow
) -> float:
    """As `take_slot`. Raises `redis.RedisError`."""
    arguments: list[str | int] = [os.urandom(8).hex()]
    for limit in limits:
        arguments += [limit.count, limit.seconds * MICRO]
    script = _redis_script(settings.REDIS_URL)
    return int(script(keys=[f"{_NAMES[window]}:{owner}"], args=arguments)) / MICRO


def take_slot_in_database(
    owner: int, limits: Sequence[Limit], now: float | None = None, *, window: Window = RateWindow
) -> float:
    """As `take_slot`; `now` in seconds since 1970, for tests."""
    window._default_manager.get_or_create(pk=owner)
    with transaction.atomic():
        row = window._default_manager.select_for_update().get(pk=owner)
        kept = SlidingWindow.read(row.stamps)
        at = round((time.time() if now is None else now) * MICRO)
        is_set_back = kept.set_back(at)
        wait = kept.take(at, limits)
        if wait == 0 or is_set_back:
            row.stamps = kept.write()
            row.save(update_fields=["stamps"])
    return wait / MICRO


def _pause_redis() -> None:
    global _redis_paused_until
    _redis_paused_until = time.monotonic() + _REDIS_PAUSE_SECONDS


@lru_cache(maxsize=4)
def _redis_script(url: str) -> Any:
    import redis

    client = redis.Redis.from_url(
        url,
        socket_timeout=_REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=_REDIS_TIMEOUT_SECONDS,
    )
    return client.register_script(_LUA)
