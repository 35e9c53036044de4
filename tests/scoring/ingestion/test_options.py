"""What a stream is told by flags and by the environment; what it refuses to be told."""

import os
import subprocess
import sys

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from scoring.ingestion import kafka, mqtt
from scoring.ingestion.stream import Message, StreamProblem, settle, source_values
from scoring.management.commands.consume import Command
from scoring.source_models import Source
from tests.factories import payment
from tests.scoring.ingestion.brokers import ROOT

KAFKA = {"bootstrap": "broker:9092", "topic": "transactions", "detector": "payments"}
MQTT = {"broker": "broker", "topic": "hosts/+/metrics", "detector": "anomaly"}


def test_kafka_has_defaults_for_what_is_left_out():
    options = kafka.options_from({}, KAFKA)
    assert (options.group, options.dead_topic) == ("riskplatform-payments", "transactions.dead")
    assert (options.alert_above, options.alerts_topic) == (0.7, "")


def test_a_flag_beats_the_environment():
    assert kafka.options_from({"topic": "other"}, KAFKA).topic == "other"


def test_what_is_no_option_of_ours_goes_to_librdkafka():
    options = kafka.options_from({}, KAFKA | {"sasl_mechanism": "PLAIN"})
    assert options.properties == {"bootstrap.servers": "broker:9092", "sasl.mechanism": "PLAIN"}


@pytest.mark.parametrize("name", ["bootstrap", "bootstrap_servers", "metadata_broker_list"])
def test_a_declared_source_does_not_lead_passwords_to_brokers_of_its_own(name):
    environ = {"topic": "t", "detector": "payments", "sasl_password": "x", name: "broker:9092"}
    options = kafka.options_from({"declared_brokers": "elsewhere:9092"}, environ)
    assert options.properties == {"sasl.password": "x", "bootstrap.servers": "broker:9092"}
    assert mqtt.options_from({"declared_brokers": "elsewhere"}, MQTT).host == "broker"


@pytest.mark.parametrize("name", ["bootstrap", "bootstrap_servers", "metadata_broker_list"])
def test_brokers_that_a_flag_names_are_those_that_are_asked(name):
    flags = {"bootstrap": "test:9092", "declared_brokers": "elsewhere:9092"}
    options = kafka.options_from(flags, KAFKA | {"bootstrap": "", name: "production:9092"})
    assert options.properties == {"bootstrap.servers": "test:9092"}
    flags = {"broker": "test:1999", "declared_brokers": "elsewhere"}
    options = mqtt.options_from(flags, MQTT | {"broker": "production"})
    assert (options.host, options.port) == ("test", 1999)


@pytest.mark.parametrize("name", ["enable_auto_commit", "enable_auto_offset_store", "acks"])
def test_what_durability_rests_on_cannot_be_set(name):
    with pytest.raises(StreamProblem, match="no event may be lost"):
        kafka.options_from({}, KAFKA | {name: "1"})


@pytest.mark.parametrize("missing", ["bootstrap", "topic"])
def test_kafka_needs_brokers_and_a_topic(missing):
    with pytest.raises(StreamProblem, match="needs a topic"):
        kafka.options_from({}, KAFKA | {missing: ""})


@pytest.mark.parametrize("name", ["alerts_topic", "dead_topic"])
def test_kafka_does_not_read_what_it_writes(name):
    with pytest.raises(StreamProblem, match="read and written"):
        kafka.options_from({}, KAFKA | {name: "transactions"})


@pytest.mark.parametrize("topic", ["#", "hosts/+", "$share/risk/hosts/#"])
def test_mqtt_does_not_read_what_it_writes(topic):
    with pytest.raises(StreamProblem, match="would read"):
        mqtt.options_from({}, MQTT | {"topic": topic, "dead_topic": "hosts/dead"})


@pytest.mark.parametrize("topic", ["hosts/#/metrics", "hosts/a+", "#hosts"])
def test_mqtt_refuses_what_is_no_topic_filter(topic):
    with pytest.raises(StreamProblem, match="no topic filter"):
        mqtt.options_from({}, MQTT | {"topic": topic})


def test_every_source_has_a_session_of_its_own():
    ids = [
        mqtt.options_from(values, MQTT).client_id
        for values in ({}, {"source": "east"}, {"source": "west"}, {"client_id": "me"})
    ]
    assert ids == ["riskplatform-anomaly", "riskplatform.east", "riskplatform.west", "me"]


@pytest.mark.parametrize(
    ("topic", "ours"),
    [
        ("hosts/+/m", True),
        ("$share/risk/hosts/+/m", True),
        ("$queue/hosts/+/m", True),
        ("other/+/m", False),
        ("$share/hosts/other/+/m", False),
    ],
)
def test_what_an_earlier_subscription_brings_is_told_by_its_topic(topic, ours):
    assert mqtt.options_from({}, MQTT | {"topic": topic}).reads("hosts/1/m") is ours


def test_mqtt_knows_its_ports():
    assert mqtt.options_from({}, MQTT).port == 1883
    assert mqtt.options_from({}, MQTT | {"tls": "true"}).port == 8883
    assert mqtt.options_from({}, MQTT | {"broker": "broker:1999"}).port == 1999


@pytest.mark.parametrize("tls", ["ture", "tls", "2"])
def test_tls_that_is_mistyped_is_refused_and_not_taken_as_off(tls):
    with pytest.raises(StreamProblem, match=f"tls is true or false, not '{tls}'"):
        mqtt.options_from({}, MQTT | {"tls": tls})


def test_a_ca_file_without_tls_is_refused():
    with pytest.raises(StreamProblem, match="RISK_MQTT_TLS=true"):
        mqtt.options_from({}, MQTT | {"ca_file": "ca.pem"})
    assert mqtt.options_from({}, MQTT | {"ca_file": "ca.pem", "tls": "ON"}).tls is True


def test_an_unknown_setting_of_mqtt_is_named():
    with pytest.raises(StreamProblem, match="RISK_MQTT_TOPICS"):
        mqtt.options_from({}, MQTT | {"topics": "a"})


def test_a_password_is_not_in_what_is_printed_of_the_options():
    options = mqtt.options_from({}, MQTT | {"password": "hush-hush"})
    assert "hush-hush" not in repr(options)


@override_settings(KAFKA={"security_protocoll": "SSL"})
def test_a_property_that_librdkafka_does_not_know_is_refused(payments_detector):
    flags = ["--detector", "payments", "--topic", "t", "--bootstrap", "127.0.0.1:1"]
    with pytest.raises(CommandError, match=r"security\.protocoll"):
        call_command("consume", "kafka", *flags)


def test_the_detector_must_be_there(db):
    with pytest.raises(CommandError, match="no detector 'nobody'"):
        call_command("consume", "kafka", "--detector", "nobody")


def test_a_missing_package_is_named_with_the_way_to_get_it(tmp_path):
    code = (
        "import sys; sys.modules['confluent_kafka'] = None;"
        "from django.core.management import execute_from_command_line as run;"
        "run(['manage.py', 'consume', 'kafka', '--detector', 'payments'])"
    )
    environment = os.environ | {
        "RISK_VAR_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "riskplatform.settings"
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "confluent_kafka is not installed: pip install -r requirements-streaming.lock" in (
        done.stderr
    )


@pytest.fixture
def declared(payments_detector):
    return Source.objects.create(
        slug="card-stream",
        name="Card stream",
        source_type="kafka",
        config={"topic": "cards-in", "bootstrap_servers": ["one:9092", "two:9092"]},
        schema={"type": "object", "properties": {"who": {"type": "string"}}},
        detector=payments_detector,
        mapping={"user_id": "who"},
    )


def test_a_declared_source_says_what_to_read(declared):
    kind, values = source_values("card-stream")
    options = kafka.options_from(values, {})
    assert (kind, options.detector, options.topic) == ("kafka", "payments", "cards-in")
    assert options.properties["bootstrap.servers"] == "one:9092,two:9092"


def test_the_events_of_a_source_are_checked_and_renamed(declared):
    good = payment(user_id=None) | {"who": "user-7"}
    messages = [Message(orjson.dumps(event), "t/0/1/5") for event in (good, good | {"who": 7})]
    stored, refused = settle("payments", messages, alert_above=0.7, source="card-stream")
    assert stored.created
    assert refused.dead.problems[0][0] == "who"


def test_a_flag_goes_before_the_environment_and_that_before_a_declaration(declared, monkeypatch):
    seen = []
    monkeypatch.setattr(kafka, "make_stream", lambda values, environ, **_: told(values, environ))

    def told(values, environ):
        seen.append(kafka.options_from(values, environ).properties["bootstrap.servers"])
        raise StreamProblem("seen")

    for environ in ({}, {"bootstrap": "production:9092"}):
        for flags in ([], ["--bootstrap", "test:9092"]):
            with override_settings(KAFKA=environ), pytest.raises(CommandError, match="seen"):
                call_command("consume", "--source", "card-stream", *flags)
    assert seen == ["one:9092,two:9092", "test:9092", "production:9092", "test:9092"]


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_option_left_blank_is_not_said(declared, nothing):
    declared.config |= {"alerts_topic": nothing, "group": nothing, "threshold": nothing}
    declared.save(update_fields=["config"])
    options = kafka.options_from(source_values("card-stream")[1], {})
    assert (options.alerts_topic, options.group) == ("", "riskplatform-payments")
    assert options.alert_above == 0.7


def test_an_option_of_the_wrong_kind_ends_the_start(declared):
    declared.config["alerts_topic"] = ["alerts"]
    declared.save(update_fields=["config"])
    with pytest.raises(StreamProblem, match=r"config\.alerts_topic is a text"):
        source_values("card-stream")


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["mqtt", "--source", "card-stream"], "is of type kafka"),
        (["--source", "nobody"], "no source 'nobody'"),
        (["--source", "card-stream", "--detector", "fraud"], "are payments's"),
        (["--source", "card-stream", "--client-id", "me"], "--client-id is no option of kafka"),
        ([], "Say kafka or mqtt"),
    ],
)
def test_flags_that_contradict_each_other_are_refused(declared, flags, problem):
    with pytest.raises(CommandError, match=problem):
        call_command("consume", *flags)


def test_every_flag_says_what_it_is_for():
    flags = Command().create_parser("manage.py", "consume")._actions
    assert [flag.dest for flag in flags if not flag.help] == []
