import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import redis
from django.db import connection
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from accounts import ratelimit
from accounts.models import ApiKey, RateWindow
from accounts.rates import Limit, parse_rate
from tests.accounts.factories import UserFactory, key_for

NEEDS_REDIS = pytest.mark.skipif(
    "RISK_TEST_REDIS_URL" not in os.environ, reason="RISK_TEST_REDIS_URL is not set"
)
READS = "/api/v1/predictions"
STORES = ["database", pytest.param("redis", marks=[pytest.mark.redis, NEEDS_REDIS])]


@pytest.fixture(params=STORES)
def store(request, settings, monkeypatch):
    settings.REDIS_URL = ""
    if request.param == "redis":
        # Who waits in vain counts in the database from then on: busy is not gone.
        monkeypatch.setattr(ratelimit, "_REDIS_TIMEOUT_SECONDS", 10.0)
        ratelimit._redis_script.cache_clear()
        # A Redis database for each of the suite's processes: their keys have the same numbers.
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        server = os.environ["RISK_TEST_REDIS_URL"].rpartition("/")[0]
        settings.REDIS_URL = f"{server}/{4 + worker % 8}"
        redis.Redis.from_url(settings.REDIS_URL).flushdb()
    return request.param


class Limited(APIView):
    required_scope = "score"

    def get(self, request):
        return Response({})


def call(plain):
    request = APIRequestFactory().get("/", headers={"X-API-Key": plain})
    return Limited.as_view()(request)


def test_a_rate_is_read_as_limits():
    assert parse_rate("100/min, 1000/h") == (Limit(100, 60), Limit(1000, 3600))
    assert parse_rate("none") == ()


@pytest.mark.parametrize("text", ["", "100", "0/min", "-1/min", "1/year", "1/min;2/h", "none,1/s"])
def test_what_is_no_rate_is_refused(text):
    with pytest.raises(ValueError, match="is no rate"):
        parse_rate(text)


@pytest.mark.django_db(transaction=True)
def test_ten_threads_get_exactly_what_the_limit_allows(store):
    key, _ = key_for(rate="30/min,1000/h")

    def take(_):
        try:
            return ratelimit.take_slot(key)
        finally:
            connection.close()

    began = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        waits = list(pool.map(take, range(80)))
    assert waits.count(0.0) == 30
    took = time.monotonic() - began
    assert all(60 - took <= wait <= 60 for wait in waits if wait)


@pytest.mark.django_db
def test_the_window_slides(store, monkeypatch):
    key, _ = key_for(rate="2/s")
    # A second may pass between two lines on a busy machine.
    monkeypatch.setattr(ratelimit, "parse_rate", lambda rate: (Limit(2, seconds=3),))
    assert [ratelimit.take_slot(key) for _ in range(2)] == [0.0, 0.0]
    wait = ratelimit.take_slot(key)
    assert 0 < wait <= 3
    time.sleep(wait + 0.01)
    assert ratelimit.take_slot(key) == 0.0


@pytest.mark.django_db
def test_a_clock_that_was_set_back_keeps_nobody_out_until_it_has_come_there_again():
    key, limits, ahead = key_for()[0], [Limit(2, 60), Limit(3, 3600)], 1e9
    take = partial(ratelimit.take_slot_in_database, key.pk, limits)
    assert [take(now=ahead), take(now=ahead + 1)] == [0.0, 0.0]
    assert [take(now=1000.0), take(now=1059.0), take(now=1060.0)] == [60.0, 1.0, 0.0]
    assert [take(now=1061.0), take(now=4600.0)] == [3539.0, 0.0]


@pytest.mark.django_db
@pytest.mark.parametrize("store", STORES[1:], indirect=True)
def test_nor_does_one_of_redis_that_was_set_back(store, settings):
    key, _ = key_for(rate="3/min,5/h")
    server, name = redis.Redis.from_url(settings.REDIS_URL), f"riskplatform:rate:{key.pk}"
    next_year = (time.time() + 365 * 86_400) * 1e6
    server.zadd(name, {f"allowed {i}": next_year + i for i in range(3)})
    assert 55 < ratelimit.take_slot(key) <= 60
    for member, at in server.zrange(name, 0, -1, withscores=True):
        server.zadd(name, {member: at - 61e6})
    assert [ratelimit.take_slot(key) for _ in range(2)] == [0.0, 0.0]
    assert 3500 < ratelimit.take_slot(key) <= 3600 - 61


@pytest.mark.django_db
def test_the_longer_limit_holds_too(store):
    key, _ = key_for(rate="5/s,3/h")
    waits = [ratelimit.take_slot(key) for _ in range(4)]
    assert waits[:3] == [0.0] * 3
    assert 3590 < waits[3] <= 3600


@pytest.mark.django_db
def test_keys_do_not_share_a_window(store):
    first, second = key_for(rate="1/h")[0], key_for(rate="1/h")[0]
    assert ratelimit.take_slot(first) == ratelimit.take_slot(second) == 0.0


@pytest.mark.django_db
def test_a_window_forgets_to_the_microsecond():
    key, _ = key_for()
    limits = [Limit(1, 60)]
    assert ratelimit.take_slot_in_database(key.pk, limits, now=1000.0) == 0.0
    assert ratelimit.take_slot_in_database(key.pk, limits, now=1059.999999) == pytest.approx(1e-6)
    assert ratelimit.take_slot_in_database(key.pk, limits, now=1060.0) == 0.0


@pytest.mark.django_db
def test_beyond_the_rate_the_answer_is_429_with_retry_after(store):
    _, plain = key_for(rate="1/min")
    assert call(plain).status_code == 200
    refused = call(plain)
    assert refused.status_code == 429
    assert 55 < int(refused["Retry-After"]) <= 60


def log_in(client, username):
    body = {"username": username, "password": "correct horse battery"}
    pair = client.post("/api/v1/auth/login", body, content_type="application/json").json()
    return {"authorization": f"Bearer {pair['access_token']}"}


@pytest.mark.django_db
def test_a_person_has_one_rate_for_all_their_tokens_and_sessions(
    store, client, analyst, settings, payments_detector
):
    settings.API_USER_RATE = "3/min"
    first, second = log_in(client, "analyst"), log_in(client, "analyst")
    client.force_login(analyst)
    answers = [client.get(READS, headers=headers) for headers in (first, second, {}, first, {})]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert all(50 < int(answer["Retry-After"]) <= 60 for answer in answers[3:])


@pytest.mark.django_db
def test_people_and_keys_do_not_share_a_window(store, client, analyst, lead, settings):
    settings.API_USER_RATE = "1/min"
    key, _ = key_for(analyst, rate="1/min")
    ApiKey.objects.filter(pk=key.pk).update(id=analyst.pk)
    key = ApiKey.objects.get()
    taken = [ratelimit.take_user_slot(user) for user in (analyst, lead)]
    assert [*taken, ratelimit.take_slot(key)] == [0.0, 0.0, 0.0]
    assert ratelimit.take_user_slot(analyst) > 0


@pytest.mark.django_db
def test_who_may_not_is_counted_too(client, outsider, settings):
    settings.API_USER_RATE = "1/min"
    client.force_login(outsider)
    assert [client.get(READS).status_code for _ in range(2)] == [403, 429]


@pytest.mark.django_db
def test_people_may_ask_as_often_as_a_key_unless_set_otherwise(settings):
    assert settings.API_USER_RATE == "100/min,1000/h"


@pytest.mark.django_db(transaction=True)
def test_ten_threads_of_one_person_get_exactly_what_the_limit_allows(store, settings):
    settings.API_USER_RATE = "30/min"
    user = UserFactory()

    def take(_):
        try:
            return ratelimit.take_user_slot(user)
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(take, range(80))).count(0.0) == 30


@pytest.mark.django_db
def test_no_limit_costs_no_query(django_assert_num_queries):
    key, _ = key_for(rate="none")
    with django_assert_num_queries(0):
        assert ratelimit.take_slot(key) == 0.0


@pytest.mark.django_db
def test_without_redis_the_database_counts(settings, monkeypatch):
    monkeypatch.setattr(ratelimit, "_redis_paused_until", 0.0)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    key, _ = key_for(rate="1/min")
    assert ratelimit.take_slot(key) == 0.0
    assert ratelimit.take_slot(key) > 0
    assert RateWindow.objects.filter(api_key=key).exists()
