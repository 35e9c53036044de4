"""A batch of messages is settled: stored, or known why not; and nothing is ever skipped."""

import threading

import orjson
import pytest
from django.db import DataError, OperationalError

from accounts.seldom import Seldom
from scoring.core.windows import WindowStateError
from scoring.deployment import UnknownDetector
from scoring.ingestion import stream
from scoring.ingestion.stream import (
    Counts,
    Message,
    NotPublished,
    Patience,
    Pulse,
    StreamProblem,
    as_number,
    check_detector,
    settle,
)
from scoring.models import Prediction
from tests.factories import payment, risky_payment
from tests.scoring.ingestion.conftest import SAMPLE

pytestmark = pytest.mark.django_db


def message(event, place="t/0/1/5"):
    return Message(event if isinstance(event, bytes) else orjson.dumps(event), place)


def settled(*events, slug="payments", alert_above=0.7):
    messages = [message(event, f"t/0/{i}/5") for i, event in enumerate(events)]
    return settle(slug, messages, alert_above=alert_above)


def test_an_event_is_stored_once_however_often_it_comes(payments_detector):
    event = payment()
    [first], [again] = settled(event), settled(event)
    assert (first.created, again.created, again.dead) == (True, False, None)
    assert Prediction.objects.count() == 1


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"{", "is not JSON"),
        (b"", "is not JSON"),
        (b'{"amount": NaN}', "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[1]", "is a JSON object"),
        pytest.param(b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}", "nested deeper", id="deep"),
    ],
)
def test_what_is_no_event_is_malformed(payments_detector, value, problem):
    [found] = settled(value)
    assert found.dead.reason == "malformed"
    assert problem in found.dead.problems[0][1]


def test_a_deleted_record_is_malformed_too(payments_detector):
    [found] = settle("payments", [Message(None, "t/0/1/5")], alert_above=0.7)
    assert found.dead.reason == "malformed"


def test_a_refused_event_names_its_fields_and_leaves_the_others_alone(payments_detector):
    bad, good = settled(payment(amount=-1, location=None), payment())
    assert {field for field, _ in bad.dead.problems} == {"amount", "location"}
    assert good.created


def test_objects_and_lists_that_are_no_field_are_passed_over(payments_detector):
    event = payment()
    good, bad = settled(event | {"device": {"os": "x"}, "tags": [1]}, payment(amount=[1]))
    assert (good.created, Prediction.objects.get().event.keys()) == (True, event.keys())
    assert [field for field, _ in bad.dead.problems] == ["amount"]


def test_an_id_with_another_body_is_set_aside(payments_detector):
    event = payment()
    first, other = settled(event, event | {"amount": 1.0})
    assert (first.created, other.dead.reason) == (True, "conflicting")


def test_an_event_needs_the_id_that_its_schema_requires(payments_detector):
    [found] = settled(payment(transaction_id=None))
    assert found.dead.problems == (("transaction_id", "is required"),)


def test_a_sample_without_an_id_is_known_again_by_its_place(anomaly_detector):
    once, elsewhere = message(SAMPLE, "hosts/0/7/5"), message(SAMPLE, "hosts/0/8/5")
    for _ in range(2):
        settle("anomaly", [once, elsewhere], alert_above=0.7)
    assert Prediction.objects.count() == 2


def read_by(source, *places, **more):
    event = {f"{name}_now": value for name, value in SAMPLE.items()} | more
    source.save()
    messages = [message(event, place) for place in places]
    return settle("anomaly", messages, alert_above=0.7, source=source.slug)


@pytest.mark.parametrize("more", [{}, {"number": None}])
@pytest.mark.parametrize("mapped", [{}, {"sample_id": "number"}])
def test_a_closed_schema_of_a_source_takes_samples_without_an_id(hosts, mapped, more):
    hosts.mapping |= mapped
    for _ in range(2):
        found = read_by(hosts, "hosts/0/7/5", "hosts/0/8/5", **more)
    assert [item.dead for item in found] == [None, None]
    assert Prediction.objects.count() == 2


def test_an_id_that_a_source_gives_is_the_events(hosts):
    hosts.mapping["sample_id"] = "number"
    read_by(hosts, "hosts/0/7/5", number="s-1")
    assert Prediction.objects.get().external_id == "s-1"


def test_an_id_that_the_schema_of_a_source_requires_is_missed(hosts):
    hosts.mapping["sample_id"], hosts.schema["required"] = "number", ["number"]
    [found] = read_by(hosts, "hosts/0/7/5")
    assert found.dead.problems == (("number", "is required"),)


def test_only_what_lies_above_the_threshold_is_an_alert(champion):
    calm, loud = settled(payment(), risky_payment())
    assert calm.alert is None
    assert loud.alert["risk_score"] > 0.7
    assert settled(risky_payment(), alert_above=1.0)[0].alert is None


def test_an_alert_is_the_answer_of_the_payments_contract(champion):
    event = risky_payment()
    [found] = settled(event)
    assert found.alert["transaction_id"] == event["transaction_id"]
    assert "HIGH_AMOUNT" in found.alert["reason_codes"]
    assert found.alert["recommendation"] == Prediction.objects.get().decision


def test_a_repeated_event_repeats_its_alert(champion):
    event = risky_payment()
    assert settled(event)[0].alert == settled(event)[0].alert


def test_an_event_that_breaks_the_scoring_is_set_aside_alone(payments_detector, monkeypatch):
    real = stream.score_events

    def breaks(slug, events):
        if any(event["user_id"] == "poison" for event in events):
            raise DataError("of this event")
        return real(slug, events)

    monkeypatch.setattr(stream, "score_events", breaks)
    found = settled(payment(), payment(user_id="poison"), payment(), payment(), payment())
    assert [item.dead.reason if item.dead else "" for item in found] == ["", "failed", "", "", ""]
    assert Prediction.objects.count() == 4


def test_a_database_that_is_away_is_no_fault_of_the_events(payments_detector, monkeypatch):
    def away(slug, events):
        raise OperationalError("the server closed the connection")

    monkeypatch.setattr(stream, "score_events", away)
    with pytest.raises(OperationalError):
        settled(payment(), payment())


def test_a_step_is_tried_until_it_succeeds_with_growing_pauses():
    pauses, results = [], iter([OperationalError(), OperationalError(), KeyError()])

    def step():
        for error in results:
            raise error
        return "settled"

    counts = Counts()
    found = Patience(threading.Event(), counts).attempt(step, wait=pauses.append)
    assert (found, pauses, counts.waits) == ("settled", [0.5, 1.0, 2.0], 3)


def test_the_pauses_end_when_the_consumer_is_to_stop():
    stop = threading.Event()

    def step():
        raise OperationalError

    assert Patience(stop, Counts()).attempt(step, wait=lambda _: stop.set()) is None


def test_what_is_in_hand_when_the_stop_comes_is_finished():
    stop = threading.Event()
    stop.set()
    assert Patience(stop, Counts()).attempt(lambda: "settled", wait=[].append) == "settled"


def test_what_fails_while_stopping_is_left_without_a_wait():
    stop, pauses = threading.Event(), []
    stop.set()

    def step():
        raise OperationalError

    assert Patience(stop, Counts()).attempt(step, wait=pauses.append) is None
    assert pauses == []


def test_the_log_of_a_failure_does_not_quote_the_event(payments_detector, monkeypatch, caplog):
    def breaks(slug, events):
        raise DataError("Ada Lovelace is too long")

    monkeypatch.setattr(stream, "score_events", breaks)
    settled(payment())
    assert "DataError" in caplog.text
    assert "Ada" not in caplog.text


def said_of_a_wait(step, caplog):
    stop = threading.Event()
    Patience(stop, Counts()).attempt(step, wait=lambda _: stop.set())
    return caplog.text


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (NotPublished("topic authorization failed"), ": topic authorization failed)"),
        (WindowStateError("Run `rebuild_windows`."), ": Run `rebuild_windows`.)"),
        (OperationalError("failed:\n\tConnection refused"), ": failed: Connection refused)"),
        (UnknownDetector("shop"), ": there is no detector 'shop', or it is switched off)"),
    ],
)
def test_the_log_says_what_a_batch_waits_for(caplog, error, why):
    def step():
        raise error

    assert why in said_of_a_wait(step, caplog)


def test_a_declared_source_that_is_gone_is_named(payments_detector, caplog):
    def step():
        return settle("payments", [message(payment())], alert_above=0.7, source="shop")

    assert "there is no source 'shop' any more" in said_of_a_wait(step, caplog)


def test_the_log_of_a_wait_does_not_quote_the_event(caplog):
    def step():
        raise DataError("Ada Lovelace is too long")

    said = said_of_a_wait(step, caplog)
    assert "DataError at test_stream.py" in said
    assert "Ada" not in said


def test_counts_tell_what_became_of_every_message(champion):
    counts, event = Counts(), risky_payment()
    counts.add(settled(event, event, b"{"))
    assert (counts.received, counts.scored, counts.repeated, counts.dead) == (3, 1, 1, 1)
    assert counts.alerts == 2


def test_the_pulse_is_a_file_with_the_counts(tmp_path):
    pulse = Pulse(tmp_path / "consumers", "kafka-payments", Counts(received=3))
    pulse.beat()
    assert orjson.loads(pulse.path.read_bytes())["received"] == 3


def test_a_stream_goes_on_where_its_file_cannot_be_written(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(stream, "_seldom", Seldom(stream.logger))
    pulse = Pulse(tmp_path / "consumers", "kafka-payments", Counts())
    (tmp_path / "consumers").rmdir()  # A full disk, as far as it can tell.
    for _ in range(2):
        pulse.beat(now=True)
    assert caplog.text.count("its file is not written") == 1


def test_a_detector_without_an_id_field_cannot_be_fed_by_a_stream(payments_detector):
    config = payments_detector.config
    del config["event"]["id"]
    payments_detector.save(update_fields=["config"])
    with pytest.raises(StreamProblem, match="no id field"):
        check_detector("payments")


def test_a_stream_needs_a_detector(db):
    with pytest.raises(StreamProblem, match="no detector 'nobody'"):
        check_detector("nobody")


@pytest.mark.parametrize("text", ["1.5", "-1", "much", "nan"])
def test_an_option_that_is_no_number_in_range_is_refused(text):
    with pytest.raises(StreamProblem, match="threshold"):
        as_number({"threshold": text}, "threshold", 0.7, least=0.0, most=1.0)
