"""What the stores keep when many write, some die, and Redis comes and goes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import redis
from django.db import connection, connections, transaction

from accounts import vault
from scoring import breakers
from scoring.core.features import FeaturePlan
from scoring.core.windows import WindowStateError
from scoring.feature_store.choosing import feature_store
from scoring.models import EntityEvent, EntityState, Prediction
from scoring.rebuilding import rebuild_windows
from scoring.services import score_event, score_events
from tests.factories import START, payment, scored, spec_of
from tests.scoring import another_process

pytestmark = pytest.mark.django_db(transaction=True)
PLAN = FeaturePlan(spec_of("payments"))


def events(n, first=0, user="alice"):
    """`n` payments of one user, a second apart; amounts tell them apart."""
    return [
        payment(
            user_id=user,
            amount=float(i + 1),
            timestamp=(START + timedelta(seconds=i)).isoformat(),
        )
        for i in range(first, first + n)
    ]


def amounts_of(detector, user="alice"):
    """The amounts that the store remembers of a user, smallest first."""
    key = ("user_id", vault.token("user_id", user))
    entity = next(entity for entity in PLAN.entities if entity.key == "user_id")
    rows = feature_store().load(detector.pk, PLAN, [key], lock=False)[key].rows
    return sorted(rows[:, 1 + entity.columns.index("amount")].tolist())


def one_to(n):
    return [float(i + 1) for i in range(n)]


def score_all(raws):
    for raw in raws:
        score_event("payments", raw)


def another(tmp_path, raws, **options):
    if "memory" in str(connection.settings_dict["NAME"]):
        pytest.skip("another process cannot see a database in memory")
    return another_process.start(tmp_path, "payments", [[raw] for raw in raws], **options)


def test_threads_that_share_an_entity_lose_nothing_and_double_nothing(store, payments_detector):
    def work(raw):
        try:
            score_events("payments", [raw])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, events(60)))
    assert amounts_of(payments_detector) == one_to(60)


def test_processes_that_share_an_entity_lose_nothing_and_double_nothing(
    store, payments_detector, tmp_path
):
    processes = [another(tmp_path, events(40, first)) for first in (0, 40, 80)]
    assert [process.wait(timeout=240) for process in processes] == [0, 0, 0]
    last = scored("payments", payment(user_id="alice", amount=121.0))
    assert Prediction.objects.count() == 121
    assert amounts_of(payments_detector) == one_to(121)
    assert last.event_time == START


def test_what_is_rolled_back_taught_nothing(store, payments_detector):
    score_all(events(3))
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        score_all(events(2, 3))
        raise ZeroDivisionError
    assert amounts_of(payments_detector) == one_to(3)
    score_all(events(1, 3))
    assert amounts_of(payments_detector) == one_to(4)


def test_who_is_killed_before_the_commit_has_taught_nothing(store, payments_detector, tmp_path):
    score_all(events(3))
    assert another(tmp_path, events(1, 50), dies=True).wait(timeout=240) == -9
    assert amounts_of(payments_detector) == one_to(3)
    score_all(events(2, 3))
    assert amounts_of(payments_detector) == one_to(5)


def test_windows_learnt_anew_are_those_that_were_kept(store, payments_detector):
    score_all(events(9))
    assert rebuild_windows(payments_detector) == 9
    assert amounts_of(payments_detector) == one_to(9)


@pytest.fixture
def lost_writes(redis_windows, monkeypatch):
    """Redis takes what is written, and has forgotten it: as in a crash after the commit."""
    monkeypatch.setattr(type(feature_store()), "_put", lambda *args: True)


def test_a_commit_whose_state_redis_lost_is_read_again(lost_writes, payments_detector):
    score_all(events(5))
    assert amounts_of(payments_detector) == one_to(5)


def test_what_redis_holds_is_not_read_again(redis_windows, payments_detector, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "scoring.feature_store.redis.history.read_windows",
        lambda detector_id, plan, keys: asked.extend(keys) or {},
    )
    score_all(events(5))
    assert (amounts_of(payments_detector), asked) == (one_to(5), [])


def test_an_outage_of_redis_costs_time_and_no_event(redis_windows, payments_detector):
    score_all(events(4))
    redis_windows.kill()
    score_all(events(4, 4))
    assert amounts_of(payments_detector) == one_to(8)
    redis_windows.start()
    breakers.reset()
    score_all(events(4, 8))
    assert amounts_of(payments_detector) == one_to(12)
    assert len(bytes(EntityState.objects.get(key_field="user_id").state)) == 24


def test_a_redis_that_is_silent_is_waited_for_once(redis_windows, payments_detector, monkeypatch):
    score_all(events(4))
    asked = []

    def say_nothing(**_):
        asked.append("half a second")
        raise redis.TimeoutError

    for script in ("_get_script", "_put_script"):
        monkeypatch.setattr(feature_store(), script, say_nothing)
    for i in range(4):
        score_all(events(1, 4 + i))
    assert asked == ["half a second"]
    assert breakers.states()["redis"] == "OPEN"
    assert amounts_of(payments_detector) == one_to(8)


def test_a_stale_redis_is_not_believed(redis_windows, payments_detector):
    score_all(events(4))
    redis_windows.keep()
    score_all(events(4, 4))
    redis_windows.kill()
    redis_windows.start()
    assert redis_windows.client.dbsize() == 1
    score_all(events(1, 8))
    assert amounts_of(payments_detector) == one_to(9)


def test_others_may_still_reach_redis_during_an_outage(redis_windows, payments_detector, settings):
    there, gone = settings.REDIS_URL, "redis://127.0.0.1:1/0"
    for i in range(12):
        breakers.reset()
        settings.REDIS_URL = gone if i % 3 == 1 else there
        score_all(events(1, i))
    assert amounts_of(payments_detector) == one_to(12)


def test_an_emptied_redis_is_filled_again(redis_windows, payments_detector):
    score_all(events(6))
    redis_windows.client.flushall()
    score_all(events(1, 6))
    assert amounts_of(payments_detector) == one_to(7)
    assert redis_windows.client.dbsize() == 1
    assert 0 < redis_windows.client.ttl(redis_windows.client.keys()[0]) < 40 * 86_400


def test_personal_data_reaches_neither_redis_nor_its_names(redis_windows, payments_detector):
    scored("payments", payment(user_id="secret-user-77", user_name="Grace Hopper"))
    client = redis_windows.client
    kept = repr([(key, client.hgetall(key)) for key in client.scan_iter()])
    assert "secret-user-77" not in kept
    assert "Grace" not in kept


def test_events_that_no_window_can_hold_are_not_listed_for_ever(
    redis_windows, payments_detector, monkeypatch
):
    monkeypatch.setattr("scoring.feature_store.redis.PRUNED", 256)
    score_all(events(3))
    score_all([payment(user_id="alice", timestamp=(START + timedelta(days=90)).isoformat())])
    assert EntityEvent.objects.filter(key_field="user_id").count() == 1


def assert_refused(detector):
    with pytest.raises(WindowStateError, match="rebuild_windows"):
        amounts_of(detector)


def test_switching_stores_asks_for_a_rebuild_and_takes_it(
    redis_windows, payments_detector, settings
):
    settings.FEATURE_STORE = "database"
    score_all(events(3))
    settings.FEATURE_STORE = "redis"
    assert_refused(payments_detector)
    rebuild_windows(payments_detector)
    redis_windows.client.flushall()
    assert amounts_of(payments_detector) == one_to(3)
    settings.FEATURE_STORE = "database"
    assert_refused(payments_detector)
    rebuild_windows(payments_detector)
    assert amounts_of(payments_detector) == one_to(3)
