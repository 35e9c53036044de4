"""Scoring keeps its promises: once each, all or nothing, exact under many writers, no clear PII."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

from accounts import vault
from scoring import services
from scoring.core.types import Decision, SelectionReason
from scoring.deployment import UnknownDetector
from scoring.feature_store.database import DatabaseFeatureStore
from scoring.labelling import record_label, record_truths
from scoring.models import EntityState, Label, Prediction
from scoring.services import (
    Conflicting,
    Refused,
    Scored,
    score_event,
    score_events,
)
from scoring.signals import predictions_recorded
from tests.factories import START, card, fraud, payment, risky_payment, scored, scored_many

pytestmark = pytest.mark.django_db
WRITERS = 8


def values_of(prediction, detector):
    names = detector.spec().feature_names
    return dict(zip(names, prediction.vector_array().tolist(), strict=True))


def in_threads(work, items):
    """`work` on every item, in threads with database connections of their own."""

    def run(item):
        try:
            return work(item)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(run, items))


def test_a_prediction_carries_all_that_the_first_migration_must_have(champion):
    row = Prediction.objects.get(pk=scored("payments", payment(amount=700.0)).pk)
    assert row.event_time == START
    assert row.received_at <= timezone.now()
    assert len(row.vector_array()) == len(row.contribution_array()) == len(champion.spec().features)
    assert 0 < row.score < 1
    assert 0 < row.probability < 1
    assert row.additivity_error < 1e-6
    assert row.reasons[0]["text"]
    assert (row.exposure, row.currency) == (Decimal("700.00"), "EUR")
    assert (row.model_version, len(row.bundle_digest)) == ("v1", 64)
    assert row.propensity == 1.0
    assert row.latency_us > 0


def test_without_a_model_the_score_is_null_and_never_zero(payments_detector):
    row = Prediction.objects.get(pk=scored("payments", risky_payment()).pk)
    assert (row.score, row.probability, row.degraded) == (None, None, True)
    assert (row.decision, row.selection_reason) == (Decision.REVIEW, SelectionReason.RULE)
    assert row.rule_hits[0]["code"] == "HIGH_AMOUNT"
    assert row.rule_hits[0]["values"] == {"amount": 20_000.0}


def test_the_same_event_again_gives_the_same_prediction(champion):
    raw = payment()
    first, again = score_event("payments", raw), score_event("payments", dict(raw))
    assert (first.created, again.created) == (True, False)
    assert first.prediction.pk == again.prediction.pk
    assert Prediction.objects.count() == 1


def test_a_whole_number_written_as_5_and_as_5_0_is_one_event_of_one_entity(cards_detector):
    first, again, third = scored_many(
        "cards",
        [
            card(5, CUSTOMER_ID=7),
            card(5.0, CUSTOMER_ID=7.0, TERMINAL_ID=2.0),
            card(6.0, CUSTOMER_ID=7.0),
        ],
    )
    assert again.pk == first.pk
    assert (third.external_id, third.entity) == ("6", first.entity)
    assert json.dumps(third.event["CUSTOMER_ID"]) == "7"
    assert values_of(third, cards_detector)["CUSTOMER_ID_count_1d"] == 2


def test_a_repeated_event_teaches_its_windows_nothing(payments_detector):
    raw = payment()
    scored("payments", raw)
    before = bytes(EntityState.objects.get(key_field="user_id").state)
    scored("payments", raw)
    assert bytes(EntityState.objects.get(key_field="user_id").state) == before


def test_the_same_id_with_another_body_conflicts(champion):
    raw = payment()
    scored("payments", raw)
    assert score_event("payments", raw | {"amount": 26.0}) == Conflicting(raw["transaction_id"])
    assert Prediction.objects.get().exposure == Decimal("25.00")


def test_in_one_batch_too_an_event_counts_once(champion):
    raw = payment()
    one, same, other = score_events("payments", [raw, dict(raw), raw | {"amount": 26.0}])
    assert isinstance(one, Scored)
    assert (same.prediction.pk, same.created) == (one.prediction.pk, False)
    assert isinstance(other, Conflicting)
    assert Prediction.objects.count() == 1


def test_the_same_id_at_another_detector_is_another_event(payments_detector, cards_detector):
    scored("payments", payment(transaction_id="7"))
    scored("cards", card(7))
    assert Prediction.objects.filter(external_id="7").count() == 2


def test_a_batch_is_scored_in_event_time_order_and_answered_in_its_own(payments_detector):
    times = ["2020-06-01T12:20:00Z", "2020-06-01T12:00:00Z", "2020-06-01T12:10:00Z"]
    found = scored_many("payments", [payment(timestamp=time) for time in times])
    counts = [values_of(row, payments_detector)["user_id_count_1h"] for row in found]
    assert counts == [3.0, 1.0, 2.0]
    assert [row.event_time.minute for row in found] == [20, 0, 10]


def test_a_late_event_does_not_see_what_happened_after_it(payments_detector):
    scored("payments", payment(timestamp="2020-06-01T13:00:00Z"))
    late = scored("payments", payment(timestamp="2020-06-01T12:30:00Z"))
    last = scored("payments", payment(timestamp="2020-06-01T13:10:00Z"))
    assert values_of(late, payments_detector)["user_id_count_1h"] == 1.0
    assert values_of(last, payments_detector)["user_id_count_1h"] == 3.0


def test_a_bad_event_stores_nothing_and_fails_no_other(payments_detector):
    good, bad = score_events("payments", [payment(), payment(amount=-1)])
    assert isinstance(good, Scored)
    assert bad == Refused((("amount", "must be at least 0"),))
    assert Prediction.objects.count() == 1
    (state,) = EntityState.objects.all()
    assert state.key_field == "user_id"


def test_an_unknown_detector_is_an_error(db):
    with pytest.raises(UnknownDetector):
        score_event("nothing", {})


def test_a_disabled_detector_scores_nothing(payments_detector):
    payments_detector.enabled = False
    payments_detector.save(update_fields=["enabled"])
    with pytest.raises(UnknownDetector):
        score_event("payments", payment())


def test_what_fails_half_way_leaves_nothing(champion, monkeypatch):
    monkeypatch.setattr(DatabaseFeatureStore, "save", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        score_event("payments", payment())
    assert not Prediction.objects.exists()
    assert not EntityState.objects.exclude(state=b"").exists()


def test_personal_data_is_nowhere_in_the_clear(champion, caplog):
    caplog.set_level(logging.DEBUG)
    row = scored("payments", payment(user_id="secret-user-77", user_name="Grace Hopper"))
    for table in ("scoring_prediction", "scoring_entitystate"):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table}")  # noqa: S608 - two known names
            stored = repr(
                [[bytes(c) if isinstance(c, memoryview) else c for c in r] for r in cursor]
            )
        assert "Grace" not in stored
        assert "secret-user-77" not in stored
    assert "Grace" not in caplog.text
    assert "secret-user-77" not in caplog.text
    assert vault.decrypt(Prediction.objects.get(pk=row.pk).event["user_name"]) == "Grace Hopper"


def test_an_entity_is_known_by_its_token(payments_detector):
    one, same, other = (scored("payments", payment(user_id=name)) for name in ("a", "a", "b"))
    assert one.entity == same.entity == vault.token("user_id", "a")
    assert other.entity != one.entity


def test_an_event_without_an_entity_is_an_entity_of_its_own(fraud_detector):
    rows = [scored("fraud", fraud(transaction_id=name)) for name in ("a", "b")]
    assert rows[0].entity != rows[1].entity


def test_what_needs_a_human_is_announced_after_the_commit(
    payments_detector, django_capture_on_commit_callbacks
):
    heard = []

    def listen(predictions, **kwargs):
        heard.extend(predictions)

    predictions_recorded.connect(listen)
    try:
        with django_capture_on_commit_callbacks() as callbacks:
            score_events("payments", [payment(), risky_payment(transaction_id="big")])
            score_events("payments", [risky_payment()], announce=False)
        assert (heard, len(callbacks)) == ([], 1)
        callbacks[0]()
    finally:
        predictions_recorded.disconnect(listen)
    assert [row.external_id for row in heard] == ["big"]


def test_a_listener_that_fails_does_not_take_the_answer_away(
    payments_detector, django_capture_on_commit_callbacks
):
    def broken(**kwargs):
        raise ConnectionError("the broker is gone")

    predictions_recorded.connect(broken)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            row = scored("payments", risky_payment())
    finally:
        predictions_recorded.disconnect(broken)
    assert Prediction.objects.get().pk == row.pk


@pytest.mark.django_db(transaction=True)
def test_many_processes_with_one_event_make_one_prediction(champion):
    raw = payment()
    outcomes = in_threads(lambda _: score_event("payments", raw), range(WRITERS * 2))
    assert sum(outcome.created for outcome in outcomes) == 1
    assert len({outcome.prediction.pk for outcome in outcomes}) == 1
    assert Prediction.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_windows_are_exact_under_many_writers_of_one_entity(payments_detector):
    raws = [payment(timestamp=(START + timedelta(seconds=i)).isoformat()) for i in range(40)]
    in_threads(lambda raw: scored("payments", raw), raws)
    after = scored("payments", payment(timestamp=(START + timedelta(seconds=50)).isoformat()))
    assert values_of(after, payments_detector)["user_id_count_1h"] == 41.0
    assert values_of(after, payments_detector)["user_id_sum_amount_1h"] == pytest.approx(41 * 25.0)


@pytest.mark.django_db(transaction=True)
def test_batches_that_share_entities_do_not_block_each_other_for_ever(payments_detector):
    users = [f"u{i}" for i in range(6)]
    batches = [
        [payment(user_id=user) for user in (users if i % 2 else reversed(users))]
        for i in range(WRITERS)
    ]
    in_threads(lambda batch: scored_many("payments", batch), batches)
    last = scored("payments", payment(user_id="u3"))
    assert values_of(last, payments_detector)["user_id_count_1h"] == WRITERS + 1


def test_labels_are_added_and_never_overwritten(payments_detector, analyst):
    row = scored("payments", payment())
    for is_fraud in (True, False):
        record_label(row, is_fraud=is_fraud, source=Label.Source.ANALYST, author=analyst)
    assert [label.is_fraud for label in row.labels.all()] == [False, True]
    assert row.labels.first().event_time == row.event_time


def test_truths_are_recorded_once_a_source(payments_detector):
    ids = [row.external_id for row in scored_many("payments", [payment(), payment()])]
    known = datetime(2020, 6, 8, tzinfo=UTC)
    truths = {ids[0]: (True, known), ids[1]: (False, known), "stranger": (True, known)}
    pk = payments_detector.pk
    assert record_truths(pk, truths, source=Label.Source.IMPORT) == (2, 0)
    assert record_truths(pk, truths, source=Label.Source.IMPORT) == (0, 0)
    assert record_truths(pk, truths, source=Label.Source.SIMULATOR) == (2, 0)
    label = Label.objects.filter(prediction__external_id=ids[0]).first()
    assert (label.is_fraud, label.label_time) == (True, known)


def test_a_stored_prediction_is_json_all_through(champion):
    row = Prediction.objects.get(pk=scored("payments", risky_payment()).pk)
    json.dumps([row.event, row.reasons, row.rule_hits, row.screening_hits], allow_nan=False)


class Deadlock(Exception):
    sqlstate = "40P01"


def test_a_deadlock_that_the_database_ended_is_tried_again(payments_detector, monkeypatch):
    write, calls = services.writer.write_predictions, []

    def write_at_second_try(rows, *trip):
        calls.append(rows)
        if len(calls) == 1:
            raise OperationalError("deadlock detected") from Deadlock()
        write(rows, *trip)

    monkeypatch.setattr(services.writer, "write_predictions", write_at_second_try)
    assert scored("payments", payment()).pk
    assert (len(calls), Prediction.objects.count()) == (2, 1)


@pytest.mark.parametrize(
    ("field", "feature", "unit"),
    [
        ("merchant_id", "merchant_id_count_1h", timedelta(minutes=1)),
        ("device_id", "device_id_count_24h", timedelta(minutes=24)),
    ],
)
def test_an_event_that_comes_late_reads_its_whole_window(payments_detector, field, feature, unit):
    names = payments_detector.spec().feature_names

    def send(moment):
        raw = payment(user_id=f"u{moment}", timestamp=(START + moment * unit).isoformat())
        row = scored("payments", raw | {field: "the same"})
        return dict(zip(names, row.vector_array().tolist(), strict=True))[feature]

    assert [send(moment) for moment in (0, 50, 65)] == [1, 2, 2]
    assert send(51) == 3  # 14 units late: 0 is still known, though 65 has no use for it.
    assert send(6) == 2  # As late as the window is long, nearly: 0 and itself.
