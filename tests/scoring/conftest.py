"""The stores that keep windows, each in turn; a rule, and a second lead to approve it."""

import pytest

from accounts.roles import LEAD
from scoring import breakers
from scoring.feature_store.choosing import feature_store
from scoring.rule_editing import create_rule, move_version
from tests.accounts.factories import user_with_role
from tests.scoring.gift import GIFT
from tests.scoring.redis_server import NEEDS_REDIS, RedisServer

STORES = ["database", pytest.param("redis", marks=NEEDS_REDIS)]


@pytest.fixture(scope="session")
def one_redis(tmp_path_factory):
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis_windows(one_redis, settings, monkeypatch):
    """Windows are kept in a Redis that is there and empty; whoever kills it finds it back."""
    monkeypatch.setattr("scoring.feature_store.redis.TIMEOUT_SECONDS", 10.0)  # busy is not gone
    one_redis.kill()
    (one_redis.folder / "dump.rdb").unlink(missing_ok=True)
    one_redis.start()
    breakers.reset()
    settings.FEATURE_STORE, settings.REDIS_URL = "redis", one_redis.url
    yield one_redis
    breakers.reset()


@pytest.fixture(params=STORES)
def store(request):
    """The chosen store, which scoring uses too."""
    if request.param == "redis":
        request.getfixturevalue("redis_windows")
    return feature_store()


@pytest.fixture
def second(db):
    """Another lead."""
    return user_with_role(LEAD, username="second_lead")


@pytest.fixture
def draft(payments_detector, analyst):
    """A draft that an analyst wrote."""
    return create_rule(payments_detector, code="GIFT", said=GIFT, author=analyst)


@pytest.fixture
def live(draft, analyst):
    """A live version that an analyst wrote."""
    return move_version(draft, to="live", seen="draft", author=analyst)
