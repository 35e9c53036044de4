"""Windows learnt anew are those that scoring had kept, whoever scores meanwhile."""

import json
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from functools import partial
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction

from accounts import vault
from scoring import rebuilding, services
from scoring.api import views
from scoring.calls import Call
from scoring.declarations import load_detector
from scoring.deployment import serving
from scoring.feature_store.base import WindowsBusy
from scoring.feature_store.choosing import feature_store
from scoring.feature_store.history import clear
from scoring.labelling import record_label
from scoring.models import Detector, EntityState, Label, Prediction
from scoring.rebuilding import rebuild_if_outdated, rebuild_windows
from scoring.services import score_event, score_events
from tests.factories import START, card, config_of, payment, payments, scored, scored_many

EVENTS = 30


def states():
    rows = EntityState.objects.exclude(state=b"")
    return {(row.key_field, row.token): bytes(row.state) for row in rows}


@pytest.mark.django_db
def test_what_is_learnt_anew_is_what_was_known(payments_detector):
    scored_many("payments", payments(20))
    before = states()
    assert rebuild_windows(payments_detector) == 20
    assert states() == before


@pytest.mark.django_db
def test_who_waits_for_it_sees_how_far_it_is(payments_detector, monkeypatch, capsys):
    scored_many("payments", payments(20))
    monkeypatch.setattr(rebuilding, "CHUNK", 5)
    monkeypatch.setattr("scoring.management.commands.rebuild_windows.EVERY", 10)
    call_command("rebuild_windows", detector="payments")
    told = capsys.readouterr()
    assert told.err.splitlines() == ["10 events read so far ...", "20 events read so far ..."]
    assert told.out == "20 events read.\n"


def windows(detector):
    """The rows of every window, oldest first, whether folded into its base yet or not."""
    keys = list(EntityState.objects.values_list("key_field", "token"))
    plan = serving(detector.slug).bundle.plan
    found = feature_store().load(detector.pk, plan, keys, lock=False)
    return {key: window.rows.tobytes() for key, window in found.items()}


def tied(*locations):
    """Payments of one user at one second."""
    return [payment(location=location) for location in locations]


@pytest.mark.django_db
def test_events_of_one_second_are_learnt_anew_in_the_order_in_which_they_were_scored(
    payments_detector,
):
    scored_many("payments", tied(*["Berlin"] * 5, *["Paris"] * 5))
    for one in tied(*["Rome", "Berlin"] * 3):
        scored("payments", one)
    scored_many("payments", tied(*["Rome", "Paris"] * 30))
    before = windows(payments_detector)
    assert rebuild_windows(payments_detector) == 76
    assert windows(payments_detector) == before


@pytest.mark.django_db
def test_an_event_that_waited_is_learnt_anew_after_those_that_were_scored_before_it(
    payments_detector,
):
    early = Call("payments", tied("Berlin", "Paris"), announce=False)
    late = Call("payments", tied("Rome", "Berlin"), announce=False)
    early.received = late.received - 5.0
    for call in (late, early):
        call.read(serving("payments"))
        services.score_calls([call])
    before = windows(payments_detector)
    rebuild_windows(payments_detector)
    assert windows(payments_detector) == before


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["integer", "number"])
def test_entities_whose_numbers_came_as_5_0_are_learnt_anew_as_one(cards_detector, kind):
    config = config_of("cards")
    config["event"]["schema"]["properties"]["CUSTOMER_ID"]["type"] = kind
    config["event"]["pii"] = ["CUSTOMER_ID"]
    Detector.objects.filter(slug="cards").update(config=config)
    scored_many("cards", [card(i, CUSTOMER_ID=(7, 7.0)[i % 2]) for i in range(6)])
    before = windows(cards_detector)
    assert len(before) == 2
    rebuild_windows(cards_detector)
    assert windows(cards_detector) == before


def with_personal_numbers(*more):
    """A declaration whose windows read a number and a truth that are personal data."""
    config = config_of("cards")
    config["event"]["schema"]["properties"] |= {
        "abroad": {"type": "boolean"}, "device": {"type": "number"}, "steps": {"type": "integer"},
    }  # fmt: skip
    config["event"]["pii"] = ["TX_AMOUNT", "abroad", "device", "steps"]
    config["rules"] = []
    window = {"entity_key": "CUSTOMER_ID", "windows": ["7d"]}
    config["features"]["labels"] = {}
    config["features"]["transformations"] = [
        {"type": "numeric", "config": {"fields": ["TX_AMOUNT", "abroad", "steps"]}},
        {"type": "velocity", "config": window | {"place": "device"}},
        *(
            {
                "type": "time_window_aggregation",
                "config": window | {"aggregations": ["sum", "max"], "value": value},
            }
            for value in ("TX_AMOUNT", "abroad", "steps", *more)
        ),
    ]
    return config


def personal(i):
    return card(i, TX_AMOUNT=10 * i, abroad=i % 2 == 0, device=(4111, 4111.0)[i % 2], steps=i)


def declare(tmp_path, config):
    path = tmp_path / "cards.yaml"
    path.write_text(json.dumps(config))
    load_detector(path)


def vector_of(i):
    row = scored("cards", personal(i))
    return dict(zip(serving("cards").bundle.plan.names, row.vector_array(), strict=True))


@pytest.mark.django_db
def test_personal_numbers_and_truths_are_learnt_anew_as_they_were_scored(cards_detector, tmp_path):
    declare(tmp_path, with_personal_numbers())
    scored_many("cards", [personal(i) for i in range(6)])
    before = windows(cards_detector)
    rebuild_windows(cards_detector)
    assert windows(cards_detector) == before
    now = vector_of(6)
    assert now["CUSTOMER_ID_sum_abroad_7d"] == 4.0
    assert now["CUSTOMER_ID_distinct_device_7d"] == 1.0


@pytest.mark.django_db
def test_a_declaration_whose_windows_read_personal_numbers_can_be_loaded_again(
    cards_detector, tmp_path
):
    declare(tmp_path, with_personal_numbers())
    scored_many("cards", [personal(i) for i in range(3)])
    declare(tmp_path, with_personal_numbers("device"))
    assert vector_of(3)["CUSTOMER_ID_sum_device_7d"] == 4 * 4111.0


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "value", "known"),
    [
        ("boolean", False, False),
        ("number", 4111, 4111.0),
        ("integer", -5, -5),
        ("string", "7", "7"),
    ],
)
def test_personal_data_is_read_again_as_what_it_was(kind, value, known):
    again = clear(vault.encrypt(str(value)), kind)
    assert (again, type(again)) == (known, type(known))


def test_what_cannot_be_read_again_is_missing_where_a_number_is_asked_for():
    lost = vault.encrypt("5").replace("enc:", "enc:gone-", 1)
    assert [clear(lost, kind) for kind in ("number", "integer", "boolean")] == [None] * 3
    assert clear(lost) == lost
    others = [("yes", "boolean"), ("Berlin", "number"), ("inf", "number"), ("one", "integer")]
    assert [clear(vault.encrypt(text), kind) for text, kind in others] == [None] * 4


@pytest.mark.django_db
def test_windows_that_an_earlier_release_kept_otherwise_are_learnt_anew_at_the_next_start(
    payments_detector,
):
    scored_many("payments", payments(20))
    before, kept = states(), EntityState.objects.exclude(state=b"")
    for row in kept:  # Its signature told of other columns.
        row.state = bytes(row.state[:4]) + b"then" + bytes(row.state[8:])
        row.save()
    told = StringIO()
    call_command("load_detectors", stdout=told)
    assert "windows payments" in told.getvalue()
    assert states() == before
    assert not rebuild_if_outdated(payments_detector)


@pytest.mark.django_db
def test_payloads_of_earlier_releases_are_learnt_as_what_is_scored_now(cards_detector):
    rows = scored_many("cards", [card(i) for i in range(3)])
    before = windows(cards_detector)
    Prediction.objects.filter(pk=rows[0].pk).update(event=rows[0].event | {"CUSTOMER_ID": 1.0})
    rebuild_windows(cards_detector)
    assert windows(cards_detector) == before


@pytest.mark.django_db(transaction=True)
def test_no_event_is_missed_by_those_who_score_meanwhile(payments_detector):
    def act(number):
        try:
            if number % 10 == 5:
                rebuild_windows(payments_detector)
            else:
                at = START + timedelta(seconds=number)
                score_event("payments", payment(timestamp=at.isoformat()))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(act, range(EVENTS)))
    row = scored("payments", payment(timestamp=(START + timedelta(minutes=1)).isoformat()))
    names = payments_detector.spec().feature_names
    assert row.vector_array()[names.index("user_id_count_1h")] == EVENTS - 3 + 1


@pytest.fixture
def elsewhere():
    """Calls in another thread, on a connection of its own."""
    pool = ThreadPoolExecutor(2)

    def start(work, *args):
        def run():
            try:
                return work(*args)
            finally:
                connections.close_all()

        return pool.submit(run)

    yield start
    pool.shutdown(wait=True)


@pytest.fixture
def only_on_postgresql():
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer at a time")


@pytest.mark.django_db(transaction=True)
def test_while_one_detectors_windows_are_made_anew_the_others_are_scored(
    only_on_postgresql, payments_detector, cards_detector, elsewhere, monkeypatch
):
    monkeypatch.setattr(services, "PATIENCE", 30.0)
    with transaction.atomic():
        rebuild_windows(payments_detector)
        waiting = elsewhere(score_event, "payments", payment())
        assert elsewhere(score_event, "cards", card(1)).result(10).created
        assert wait([waiting], 0.5).not_done
    assert waiting.result(10).created


@pytest.mark.django_db(transaction=True)
def test_whoever_would_wait_too_long_for_windows_is_refused(
    only_on_postgresql, payments_detector, elsewhere, monkeypatch
):
    monkeypatch.setattr(services, "PATIENCE", 0.1)
    with transaction.atomic():
        rebuild_windows(payments_detector)
        with pytest.raises(WindowsBusy, match="made anew"):
            elsewhere(score_event, "payments", payment()).result(10)
    assert scored("payments", payment()).pk


@pytest.mark.django_db(transaction=True)
def test_history_waits_for_windows_as_long_as_it_takes_and_a_large_batch_does_not(
    only_on_postgresql, payments_detector, elsewhere, monkeypatch
):
    monkeypatch.setattr(services, "PATIENCE", 0.1)
    with transaction.atomic():
        rebuild_windows(payments_detector)
        with pytest.raises(WindowsBusy, match="made anew"):
            elsewhere(scored_many, "payments", payments(60)).result(10)
        waiting = elsewhere(partial(score_events, "payments", payments(60), waits=True))
        assert wait([waiting], 0.5).not_done
    assert all(outcome.created for outcome in waiting.result(20))


@pytest.mark.django_db(transaction=True)
def test_a_label_waits_for_windows_and_teaches_them(only_on_postgresql, cards_detector, elsewhere):
    row = scored("cards", card(1))
    with transaction.atomic():
        rebuild_windows(cards_detector)
        waiting = elsewhere(partial(record_label, row, is_fraud=True, source="analyst"))
        assert wait([waiting], 0.5).not_done
    assert waiting.result(10).pk
    taught = states()
    rebuild_windows(cards_detector)
    assert states() == taught


@pytest.mark.django_db(transaction=True)
def test_feedback_that_would_wait_too_long_for_windows_is_told_to_come_again(
    only_on_postgresql, cards_detector, elsewhere, api, monkeypatch
):
    monkeypatch.setattr(views, "PATIENCE", 0.1)
    row, client = scored("cards", card(1)), api("feedback:write")
    body = {"prediction_id": str(row.pk), "actual_label": True}
    post = partial(client.post, "/api/v1/feedback", body, "application/json")
    with transaction.atomic():
        rebuild_windows(cards_detector)
        response = elsewhere(post).result(10)
    assert (response.status_code, int(response["Retry-After"]) > 0) == (503, True)
    assert not Label.objects.exists()
    assert post().status_code == 201
