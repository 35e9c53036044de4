"""Sources as declared: read, checked with their lines, kept, and what their events become."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts import vault
from accounts.models import AuditEntry
from scoring.declarations import deploy_rules
from scoring.models import Prediction
from scoring.services import Refused, Scored
from scoring.source_declaration import SourceError, read_mapping, read_yaml
from scoring.source_models import Source
from scoring.sources import (
    NoDetector,
    how_it_comes,
    losses_of,
    save_source,
    score_source_events,
)
from tests.factories import START, shipped_detector

KAFKA = """name: "Credit Card Transactions"
source_type: "kafka"            # csv | parquet | kafka | mqtt | webhook | rest
config: {topic: "transactions", bootstrap_servers: ["localhost:9092"]}
schema:                          # JSON Schema
  type: object
  properties: {user_id: {type: string}, amount: {type: number}, merchant_category: {type: string}}
  required: [user_id, amount]
pii_fields: [user_id]
"""
WEBHOOK = """name: Shop payments
source_type: webhook
detector: payments
mapping: {transaction_id: order, user_id: customer, merchant_type: shop}
schema:
  type: object
  properties:
    order: {type: string, minLength: 1}
    customer: {type: string}
    amount: {type: number, minimum: 0}
    location: {type: string}
    timestamp: {type: string}
    shop: {type: string, enum: [books, games]}
    e_mail: {type: string}
  required: [order, customer, amount]
pii_fields: [customer, e_mail]
"""


def order(**changed):
    return {
        "order": "o-1",
        "customer": "Ada",
        "amount": 12.5,
        "location": "Berlin",
        "timestamp": START.isoformat(),
        "shop": "books",
        "e_mail": "ada@example.org",
    } | changed


def told(text):
    with pytest.raises(SourceError) as caught:
        read_yaml(text)
    return caught.value.told()


@pytest.fixture
def webhook(payments_detector):
    return save_source(read_yaml(WEBHOOK), actor=None)[0]


def test_the_contracts_own_example_is_read():
    found = read_yaml(KAFKA)
    assert (found.slug, found.source_type) == ("credit-card-transactions", "kafka")
    assert found.config["topic"] == "transactions"
    assert found.pii_fields == ["user_id"]
    assert found.detector == ""


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"kafka"', '"pigeon"', "line 2: source_type: is one of csv"),
        ('topic: "transactions", ', "", "line 3: config.topic: is needed by a source of type"),
        ("config: {", "config: {sasl_password: x, ", "line 3: config.sasl_password: does not"),
        ("config: {", "config: {alerts_topic: [a], ", "line 3: config.alerts_topic: is a text"),
        ("config: {", "config: {group: 7, ", "line 3: config.group: is a text"),
        ("config: {", "config: {batch: many, ", "line 3: config.batch: is a whole number"),
        ("config: {", "config: {threshold: true, ", "line 3: config.threshold: is a number"),
        ("config: {", "config: {threshold: 7, ", "line 3: config.threshold: is a number from 0"),
        ('["localhost:9092"]', "[null]", "line 3: config.bootstrap_servers: is a list of"),
        ('["localhost:9092"]', "9092", "line 3: config.bootstrap_servers: is a list of"),
        ("type: object", "type: thing", "line 5: schema.type: 'thing' is not valid"),
        ("type: object", "type: array", "line 5: schema.type: is object"),
        ("{type: number}", "{type: number, minimum: low}", "line 6: schema.properties.amount.min"),
        ("{type: number}", "{$ref: 'http://x/y'}", "line 6: schema.properties.amount.$ref: '$ref'"),
        ("{type: number}", "{pattern: '(a+)+'}", "line 6: schema.properties.amount.pattern"),
        ("pii_fields: [user_id]", "pii_fields: [name]", "line 8: pii_fields.0: 'name' is not a"),
        ("pii_fields: [user_id]", "pii: [user_id]", "line 8: pii: is not a setting"),
        ('name: "Credit Card Transactions"', "name: 7", "line 1: name: is a text"),
        ("{type: number}", "{multipleOf: .inf}", "line 6: schema.properties.amount.multipleOf: mu"),
        ("config: {", 'config: {group: "a\\0", ', "line 3: config.group: must not hold the"),
    ],
)
def test_every_mistake_names_its_line(old, new, said):
    assert told(KAFKA.replace(old, new))[0].startswith(said)


def test_a_blank_option_of_a_stream_is_not_given():
    assert read_yaml(KAFKA.replace("config: {", "config: {alerts_topic: , batch: 50, "))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("topic: t, host: 7", "config.host: is a text"),
        ("topic: t, host: h, port: mqtt", "config.port: is a whole number from 1 to 65,535"),
        ("topic: t, host: h, port: 0", "config.port: is a whole number from 1 to 65,535"),
        ("topic: {a: b}, host: h", "config.topic: is a text"),
    ],
)
def test_what_an_mqtt_source_says_is_checked_too(config, said):
    assert said in told(WEBHOOK.replace("webhook", f"mqtt\nconfig: {{{config}}}"))[0]


def test_broken_yaml_names_its_line():
    assert told("name: [1\nsource_type: kafka")[0].startswith("line 2")
    assert told("- a list")[0] == "line 1: source: a source is a mapping"
    assert told("")[0] == "source: a source is a mapping"
    assert told("x" * 100_001)


def test_all_mistakes_are_told_at_once():
    assert len(told("name: x\nsource_type: y\nschema: 3\n")) == 2
    with pytest.raises(SourceError) as caught:
        read_mapping({})
    assert {place for place, _ in caught.value.problems} >= {"name", "source_type", "schema"}


def test_a_schema_without_a_field_is_refused():
    with pytest.raises(SourceError) as caught:
        read_mapping({"name": "x", "source_type": "webhook", "schema": {}, "detector": "payments"})
    assert [place for place, _ in caught.value.problems] == ["schema.type", "schema.properties"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "minLength: 1}",
            f"minLength: {10**30}}}",
            "line 8: schema.properties.order.minLength: is",
        ),
        ("    order:", "    1:", "line 7: schema.properties: the name 1 is no text"),
        ("    order:", "    null: {}\n    order:", "the name None is no text"),
    ],
)
def test_what_no_reader_of_json_takes_is_refused(old, new, said):
    assert any(said in line for line in told(WEBHOOK.replace(old, new)))


def test_a_schema_nested_without_end_is_refused():
    schema = {"type": "object", "properties": {"a": {}}}
    inner = schema
    for _ in range(100):
        inner["allOf"] = [{}]
        inner = inner["allOf"][0]
    with pytest.raises(SourceError, match="too deeply"):
        read_mapping({"name": "x", "source_type": "rest", "schema": schema})


@pytest.mark.django_db
class TestKept:
    def test_a_source_is_kept_audited_and_updated_in_place(self, webhook):
        again, created = save_source(read_yaml(WEBHOOK.replace("Shop payments", "Shop Payments")),
                                     actor=None)  # fmt: skip
        assert (again.pk, created, again.name) == (webhook.pk, False, "Shop Payments")
        actions = list(AuditEntry.objects.order_by("number").values_list("action", flat=True))
        assert actions[-2:] == ["source.added", "source.changed"]

    def test_a_detector_that_nobody_has_is_refused(self, payments_detector):
        with pytest.raises(SourceError, match="line 3: detector: there is no detector 'x'"):
            save_source(read_yaml(WEBHOOK.replace("payments\n", "x\n", 2)), actor=None)
        assert not Source.objects.exists()

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("    location: {type: string}\n", "", "line 7: schema.properties: detector"),
            ("merchant_type: shop", "kind: shop", "line 4: mapping.kind: 'kind' is not a field"),
            ("[customer, e_mail]", "[customer, location]", "keeps 'location' in clear"),
        ],
    )
    def test_what_does_not_fit_the_detector_is_refused(self, payments_detector, old, new, said):
        with pytest.raises(SourceError) as caught:
            save_source(read_yaml(WEBHOOK.replace(old, new)), actor=None)
        assert any(said in line for line in caught.value.told())

    def test_events_are_checked_mapped_and_scored(self, webhook):
        outcomes = score_source_events(webhook, [order(), order(order="o-2", amount=-1), "text"])
        assert isinstance(outcomes[0], Scored)
        assert outcomes[0].prediction.external_id == "o-1"
        assert outcomes[1] == Refused((("amount", "breaks the schema's 'minimum'"),))
        assert isinstance(outcomes[2], Refused)
        assert Prediction.objects.count() == 1

    def test_missing_fields_and_wrong_words_are_named(self, webhook):
        [outcome] = score_source_events(webhook, [{"shop": "toys"}])
        assert dict(outcome.problems) == {
            "order": "is required",
            "customer": "is required",
            "amount": "is required",
            "shop": "breaks the schema's 'enum'",
        }

    def test_what_the_detector_asks_beyond_the_schema_is_refused_too(self, webhook):
        [outcome] = score_source_events(webhook, [order(timestamp="yesterday")])
        assert outcome.problems[0][0] == "timestamp"

    def test_a_mapped_field_is_refused_by_the_name_that_the_event_gives_it(self, webhook):
        [outcome] = score_source_events(webhook, [order(order="x" * 101, customer="y" * 101)])
        assert sorted(field for field, _ in outcome.problems) == ["customer", "order"]

    def test_a_field_that_is_mapped_to_two_is_refused_once(self, payments_detector):
        text = WEBHOOK.replace("mapping: {", "mapping: {location: order, ")
        source, _ = save_source(read_yaml(text), actor=None)
        [outcome] = score_source_events(source, [order(order="x" * 101)])
        assert [field for field, _ in outcome.problems] == ["order"]

    def test_personal_data_is_encrypted_or_left_out(self, webhook):
        score_source_events(webhook, [order()])
        event = Prediction.objects.get().event
        assert "e_mail" not in event
        assert "Ada" not in str(event)
        assert "user_id" in event

    def test_objects_and_lists_that_the_detector_does_not_read_are_left_out(
        self, payments_detector
    ):
        nested = "    basket: {type: array}\n    device: {type: [object, 'null']}\n  required"
        source, _ = save_source(read_yaml(WEBHOOK.replace("  required", nested)), actor=None)
        outcomes = score_source_events(
            source, [order(basket=[1], device={"os": "x"}), order(basket=1), order(amount=[1])]
        )
        assert [isinstance(outcome, Scored) for outcome in outcomes] == [True, False, False]
        assert not {"basket", "device"} & Prediction.objects.get().event.keys()
        assert "Objects and lists are left out: basket, device." in losses_of(source)

    def test_plain_fields_that_the_detector_drops_are_told(self, payments_detector):
        more = "    coupon: {type: string}\n    basket: {type: array}\n  required"
        source, _ = save_source(read_yaml(WEBHOOK.replace("  required", more)), actor=None)
        assert "coupon" not in losses_of(source)
        payments_detector.config["event"]["undeclared"] = "drop"
        payments_detector.save(update_fields=["config"])
        deploy_rules(payments_detector)
        score_source_events(source, [order(coupon="x")])
        assert "coupon" not in Prediction.objects.get().event
        told = losses_of(source)
        assert "Detector 'payments' drops what it does not declare: coupon." in told
        assert told.count("e_mail") == told.count("basket") == 1

    @pytest.mark.parametrize("own_first", [True, False])
    def test_a_mapped_field_comes_from_its_source_alone(self, webhook, own_first):
        theirs, own = order(), {"user_id": "internal-7", "transaction_id": "other"}
        [outcome] = score_source_events(webhook, [own | theirs if own_first else theirs | own])
        token = outcome.prediction.entity
        [other] = score_source_events(webhook, [order(order="o-2")])
        assert outcome.prediction.external_id == "o-1"
        assert token == other.prediction.entity
        assert "other" not in str(outcome.prediction.event)

    def test_what_is_personal_is_told_by_the_field_that_a_value_came_from(self, payments_detector):
        text = WEBHOOK.replace("mapping: {", "mapping: {location: town, ")
        text = text.replace("    e_mail:", "    town: {type: string}\n    e_mail:")
        text = text.replace("[customer, e_mail]", "[customer, location]")
        source, _ = save_source(read_yaml(text), actor=None)
        event = order(location="12 Canal Street") | {"town": "Berlin"}
        score_source_events(source, [event, dict(reversed(event.items())) | {"order": "o-2"}])
        assert [row.event["location"] for row in Prediction.objects.all()] == ["Berlin"] * 2

    def test_two_fields_may_come_from_one(self, payments_detector):
        text = WEBHOOK.replace("mapping: {", "mapping: {location: shop, ")
        source, _ = save_source(read_yaml(text), actor=None)
        [outcome] = score_source_events(source, [order()])
        event = outcome.prediction.event
        assert (event["merchant_type"], event["location"]) == ("books", "books")

    def test_two_fields_may_change_places(self, payments_detector):
        text = WEBHOOK.replace("shop}", "location, location: merchant_type}")
        text = text.replace("    shop:", "    merchant_type:")
        source, _ = save_source(read_yaml(text), actor=None)
        [outcome] = score_source_events(source, [order(merchant_type="books")])
        event = outcome.prediction.event
        assert (event["merchant_type"], event["location"]) == ("Berlin", "books")

    def test_the_contracts_source_feeds_the_shipped_detector_and_its_user_is_hidden(self):
        shipped_detector("credit_card_fraud")
        joined = "detector: credit_card_fraud\nmapping: {entity_id: user_id}\n"
        source, _ = save_source(read_yaml(KAFKA + joined), actor=None)
        event = {"user_id": "4000 1234 5678", "amount": 12.5, "merchant_category": "travel"}
        [outcome] = score_source_events(source, [event], made_up_ids=["m-1"])
        row = outcome.prediction
        assert vault.decrypt(row.event["entity_id"]) == event["user_id"]
        assert row.entity == vault.token("entity_id", event["user_id"])
        assert "1234" not in str(row.event) + str(row.reasons)
        assert (row.external_id, losses_of(source)) == ("m-1", "")

    def test_what_a_source_loses_on_its_way_to_the_detector_is_told(self):
        shipped_detector("credit_card_fraud")
        declared = read_yaml(KAFKA + "detector: credit_card_fraud\n")
        told = losses_of(save_source(declared, actor=None)[0])
        assert "keeps no 'user_id' as personal data: it is left out of its events" in told
        assert "no 'entity_id', by which detector 'credit_card_fraud' tells whose" in told
        assert "mapping: {entity_id: FIELD}" in told

    def test_a_champion_that_would_show_what_is_declared_as_personal_is_told_apart(self, champion):
        """It was trained before the declaration called the merchant personal."""
        champion.config["event"]["pii"].append("merchant_id")
        champion.save(update_fields=["config"])
        text = WEBHOOK.replace("    e_mail:", "    merchant_id: {type: string}\n    e_mail:")
        text = text.replace("[customer, e_mail]", "[customer, merchant_id]")
        with pytest.raises(SourceError) as caught:
            save_source(read_yaml(text), actor=None)
        [said] = caught.value.told()
        assert "pii_fields.1: the champion of detector 'payments'" in said
        assert "train and promote a version first" in said

    def test_a_source_without_a_detector_scores_nothing(self):
        source, _ = save_source(read_yaml(KAFKA), actor=None)
        assert "names no detector" in how_it_comes(source)
        with pytest.raises(NoDetector):
            score_source_events(source, [{}])

    def test_a_stream_says_what_reads_it_and_how_that_is_started(self, payments_detector):
        text = WEBHOOK.replace("webhook", "mqtt\nconfig: {topic: t, host: h}")
        source, _ = save_source(read_yaml(text), actor=None)
        # Said of one that is being read, too.
        assert "A consumer reads it, as long as one runs, and nothing else" in how_it_comes(source)
        assert f"manage.py consume --source {source.slug} starts one" in how_it_comes(source)

    @pytest.mark.parametrize(
        "way", ["webhook", "csv\nconfig: {path: a.csv}", "mqtt\nconfig: {topic: t, host: h}"]
    )
    def test_what_is_lost_is_told_apart_from_the_command(self, payments_detector, way):
        text = WEBHOOK.replace("webhook", way).replace(", user_id: customer", "")
        text = text.replace("customer", "user_id")
        source, _ = save_source(
            read_yaml(text.replace("[user_id, e_mail]", "[e_mail]")), actor=None
        )
        source.detector.enabled = False
        way, _, loss = how_it_comes(source).partition(" Detector 'payments'")
        assert source.slug in way
        assert way.endswith(".")
        assert loss == " is switched off: nothing is scored."

    def test_only_files_are_run(self, webhook):
        with pytest.raises(CommandError, match="POST its events"):
            call_command("run_source", "shop-payments")
        with pytest.raises(CommandError, match="There is no source"):
            call_command("run_source", "nothing")

    def test_a_file_is_loaded_and_a_wrong_one_tells_its_lines(self, payments_detector, tmp_path):
        path = tmp_path / "source.yaml"
        path.write_text(WEBHOOK)
        out = StringIO()
        call_command("load_source", path, stdout=out)
        assert "new     shop-payments. POST its events" in out.getvalue()
        path.write_text(WEBHOOK.replace("webhook", "pigeon"))
        with pytest.raises(CommandError, match="line 2: source_type"):
            call_command("load_source", path)
        with pytest.raises(CommandError, match="No such file"):
            call_command("load_source", tmp_path / "none.yaml")
