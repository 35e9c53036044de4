"""Whoever can write to a cache changes what is remembered, and runs nothing."""

import json
import pickle
import subprocess
import time

import pytest
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis import RedisError

from riskplatform.caching import JsonSerializer
from tests.deploy.processes import machine_environment, run
from tests.scoring.redis_server import NEEDS_REDIS, RedisServer

WIRED = """
import json
from django.conf import settings
print(json.dumps(settings.CACHES["default"]["OPTIONS"]))
"""


class Command:
    """A pickle of it runs a command when it is loaded."""

    def __init__(self, *words):
        self.words = words

    def __reduce__(self):
        return subprocess.call, (self.words,)


@pytest.fixture
def server(tmp_path):
    found = RedisServer(tmp_path)
    found.start()
    yield found
    found.kill()


@pytest.mark.parametrize("value", [0, 7, -1, 0.5, True, None, "text", ["a", {"b": 1}]])
def test_a_value_comes_back_as_it_was(value):
    kept = JsonSerializer().dumps(value)
    back = JsonSerializer().loads(kept if isinstance(kept, bytes) else str(kept).encode())
    assert (back, type(back)) == (value, type(value))


@pytest.mark.parametrize("key", [pytest.param("workers", marks=NEEDS_REDIS)])
def test_a_pickle_that_lies_in_redis_runs_nothing(server, tmp_path, key):
    serializer = {"serializer": "riskplatform.caching.JsonSerializer"}
    kept = RedisCache(server.url, {"OPTIONS": serializer})
    kept.set(key, 3)
    assert (kept.get(key), kept.incr(key)) == (3, 4)
    trap = tmp_path / "ran"
    server.client.set(kept.make_key(key), pickle.dumps(Command("touch", str(trap))))
    with pytest.raises(UnicodeDecodeError):
        kept.get(key)
    assert not trap.exists()


@pytest.fixture
def wired(tmp_path):
    """The options of an installation with Redis."""
    given = {
        "DJANGO_SETTINGS_MODULE": "riskplatform.settings",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "RISK_VAR_DIR": str(tmp_path),
    }
    done = run(["python", "-c", WIRED], machine_environment(given))
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_an_installation_with_redis_keeps_json_there(wired):
    assert wired["serializer"] == "riskplatform.caching.JsonSerializer"


@pytest.mark.parametrize("key", [pytest.param("workers", marks=NEEDS_REDIS)])
def test_a_redis_that_is_silent_holds_nobody_up_for_long(server, wired, key):
    kept = RedisCache(server.url, {"OPTIONS": wired})
    kept.set(key, 3)
    server.freeze()
    begun = time.monotonic()
    with pytest.raises(RedisError):
        kept.get(key)
    assert time.monotonic() - begun < 3


def test_an_installation_without_redis_keeps_nothing_where_others_write():
    # Django's caches in a database and in files load pickles.
    assert isinstance(caches["default"], LocMemCache)
