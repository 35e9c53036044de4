"""Contract B's two documents: a source, and the feature pipeline that makes a detector of it."""

from io import StringIO

import numpy as np
import pytest
import yaml
from django.core.management import CommandError, call_command

from accounts import vault
from accounts.models import AuditEntry
from scoring import deployment
from scoring.core.bundle import write_bundle
from scoring.ingestion.stream import Message, check_detector, settle, source_values
from scoring.models import Detector, Prediction
from scoring.services import Refused, Scored
from scoring.source_declaration import read_yaml
from scoring.source_models import Source
from scoring.source_texts import declaration_of, source_base, text_of
from scoring.sources import how_it_comes, save_source, score_source_events
from tests.factories import START, config_of, shipped_detector, train_bundle
from tests.scoring.test_sources import KAFKA, WEBHOOK

pytestmark = pytest.mark.django_db
PIPELINE = """name: "Transaction Features"
transformations:
  - {type: imputation, config: {strategy: mean}}
  - {type: scaling, config: {method: standard}}
  - {type: time_window_aggregation, config: {entity_key: user_id, windows: [1h, 24h, 7d], aggregations: [mean, std, count]}}
"""  # noqa: E501 - as the contract writes it
SLUG, SOURCE = "credit_card_transactions", "credit-card-transactions"


@pytest.fixture
def load(tmp_path):
    """`load(KAFKA, PIPELINE)` writes the documents and loads them in turn; what was said."""

    def run(*documents, **options):
        out = StringIO()
        for i, text in enumerate(documents):
            path = tmp_path / f"{i}.yaml"
            path.write_text(text)
            command = "load_source" if "source_type" in text else "load_detectors"
            call_command(command, path, stdout=out, **(options if command[5] == "d" else {}))
        return out.getvalue()

    return run


def refused(load, *documents, **options):
    with pytest.raises(CommandError) as caught:
        load(*documents, **options)
    return [line.strip() for line in str(caught.value).splitlines()[1:]]


def purchase(i=0, **changed):
    return {
        "user_id": "4000 1234 5678",
        "amount": 20.0 + i,
        "merchant_category": "travel",
    } | changed


def test_the_contracts_two_documents_make_a_detector_that_scores(load):
    told = load(KAFKA, PIPELINE)
    assert f"new     {SLUG}, of the events of source {SOURCE}" in told
    assert "id event_id, time of arrival, amount amount, entity user_id" in told
    source = Source.objects.get()
    assert (source.detector.slug, source.detector.name) == (SLUG, "Credit Card Transactions")
    outcomes = score_source_events(source, [purchase(i) for i in range(3)])
    assert all(isinstance(outcome, Scored) for outcome in outcomes)
    names = deployment.serving(SLUG).bundle.plan.names
    vector = dict(zip(names, outcomes[2].prediction.vector_array(), strict=True))
    assert (vector["amount"], vector["user_id_count_1h"]) == (22.0, 3.0)
    assert vector["user_id_mean_amount_7d"] == 21.0


def test_the_user_is_hidden_as_the_source_declares(load):
    load(KAFKA, PIPELINE)
    [outcome] = score_source_events(Source.objects.get(), [purchase()])
    row = outcome.prediction
    assert vault.decrypt(row.event["user_id"]) == "4000 1234 5678"
    assert row.entity == vault.token("user_id", "4000 1234 5678")
    assert "1234" not in str(row.event)


def test_a_model_learns_from_such_events_and_scores_them(load):
    load(KAFKA, PIPELINE)
    detector = Detector.objects.get()
    labels = np.arange(60) % 2
    raws = [purchase(user_id=f"u-{i % 5}", amount=30.0 + 500.0 * labels[i]) for i in range(60)]
    manifest, files = train_bundle(detector.config, raws, labels)
    digest = write_bundle(deployment.bundle_root(), manifest, files)
    deployment.install(detector, slot="champion", digest=digest, version="v1")
    dear, lacking = score_source_events(
        Source.objects.get(), [purchase(amount=900.0), {"user_id": "new", "amount": 12.0}]
    )
    assert dear.prediction.risk > lacking.prediction.risk


def test_a_stream_of_such_a_source_is_read_and_a_message_that_comes_again_known(load):
    load(KAFKA, PIPELINE)
    assert source_values(SOURCE)[1]["detector"] == SLUG
    assert check_detector(SLUG).id_field == "event_id"
    message = Message(b'{"user_id": "u-1", "amount": 5}', "transactions/0/7")
    first, again = (settle(SLUG, [message], alert_above=0.7, source=SOURCE)[0] for _ in range(2))
    assert (first.created, again.created, again.dead) == (True, False, None)
    assert Prediction.objects.count() == 1


def test_what_breaks_the_schema_of_the_source_is_refused(load):
    load(KAFKA, PIPELINE)
    [outcome] = score_source_events(Source.objects.get(), [{"user_id": 7}])
    assert isinstance(outcome, Refused)
    assert {field for field, _ in outcome.problems} == {"user_id", "amount"}


def test_both_documents_may_be_loaded_again_and_again(load):
    load(KAFKA, PIPELINE)
    detector = Detector.objects.get()
    detector.config["costs"] = {"review_cost": 9}
    detector.config["event"]["entity_word"] = "card holder"
    detector.save(update_fields=["config"])
    assert f"updated {SLUG}" in load(KAFKA, PIPELINE.replace("7d", "14d"))
    detector = Detector.objects.get()
    assert Source.objects.get().detector == detector
    assert detector.config["costs"] == {"review_cost": 9}
    assert detector.spec().entity_word == "card holder"
    assert "user_id_count_14d" in detector.spec().feature_names


def test_a_source_that_changed_says_to_load_its_pipeline_again(load):
    load(KAFKA, PIPELINE)
    changed = KAFKA.replace("{type: number}", "{type: number}, mail: {type: string}")
    changed = changed.replace("pii_fields: [user_id]", "pii_fields: [user_id, mail]")
    assert "load its feature pipeline again" in load(changed)
    load(PIPELINE)
    assert "again" not in how_it_comes(Source.objects.get())
    assert Detector.objects.get().spec().pii_fields == {"user_id", "mail"}


def test_the_order_of_fields_is_no_change_and_a_limit_is_one(load):
    load(KAFKA, PIPELINE)
    source = Source.objects.get()
    properties = source.schema["properties"]
    source.schema["properties"] = dict(reversed(properties.items()))
    source.schema["required"] = source.schema["required"][::-1]
    assert "again" not in how_it_comes(source)
    source.schema["properties"] = properties | {"amount": {"type": "number", "minimum": 0}}
    assert "load its feature pipeline again" in how_it_comes(source)


def test_a_keyword_that_an_earlier_release_kept_and_nothing_checks_is_no_change(load):
    load(KAFKA, PIPELINE)
    source = Source.objects.get()
    source.schema["properties"]["amount"]["minLength"] = 1
    source.detector.config["event"]["schema"]["properties"]["amount"]["minLength"] = 1
    assert "again" not in how_it_comes(source)


def test_a_schema_of_an_earlier_release_without_a_field_breaks_no_page(load, client, engineer):
    load(KAFKA, PIPELINE)
    Source.objects.update(schema={})
    client.force_login(engineer)
    assert client.get("/sources/").status_code == 200
    assert client.get(f"/sources/{SOURCE}/").status_code == 200


def test_the_browser_may_change_the_schema_of_such_a_source_as_a_file_may(load, client, engineer):
    load(KAFKA, PIPELINE)
    client.force_login(engineer)
    stands = declaration_of(Source.objects.get())
    fewer = {
        name: rule for name, rule in stands["schema"]["properties"].items() if name != "amount"
    }
    schema = {"type": "object", "properties": fewer, "required": ["user_id"]}
    text = yaml.safe_dump(stands | {"schema": schema})
    form = {"text": text, "act": "save", "base": source_base(Source.objects.get())}
    assert client.post(f"/sources/{SOURCE}/", form).status_code == 302
    assert "load its feature pipeline again" in how_it_comes(Source.objects.get())


def test_sources_of_a_detector_that_is_switched_off_say_so_without_asking_for_it_each(
    load, django_assert_num_queries
):
    load(KAFKA, PIPELINE)
    Detector.objects.update(enabled=False)
    [source] = Source.objects.select_related("detector")
    with django_assert_num_queries(0):
        assert f"Detector '{SLUG}' is switched off" in how_it_comes(source)


def test_joining_is_audited(load):
    load(KAFKA, PIPELINE)
    assert AuditEntry.objects.order_by("number").last().action == "source.changed"


def test_names_of_fields_tell_their_roles_and_a_document_may_tell_others(load):
    fields = """{id: {type: integer}, user_id: {type: string}, amount: {type: [number, "null"]},
    currency: {type: string}, timestamp: {type: string}, at: {type: string, format: date-time}}"""
    text = (
        KAFKA[: KAFKA.index("  properties:")] + f"  properties: {fields}\npii_fields: [user_id]\n"
    )
    load(text, PIPELINE)
    spec = Detector.objects.get().spec()
    assert (spec.id_field, spec.time_field, spec.amount_field) == ("id", "timestamp", "amount")
    assert (spec.currency_field, spec.entity_field, spec.entity_word) == (
        "currency", "user_id", "user",
    )  # fmt: skip
    load(text, PIPELINE + "event: {time: at, amount: null}\nlabels: {amount: price}\n")
    spec = Detector.objects.get().spec()
    assert (spec.time_field, spec.amount_field, spec.features[0].label) == ("at", "", "price")


def test_mapped_fields_have_the_detectors_names(load):
    text = WEBHOOK.replace("detector: payments\n", "")
    pipeline = "source: shop-payments\n" + PIPELINE
    told = load(text, pipeline)
    assert "id transaction_id, time timestamp, amount amount, entity user_id" in told
    event = {"order": "o-1", "customer": "Ada", "amount": 5, "shop": "books"}
    event["timestamp"] = START.isoformat()
    [outcome] = score_source_events(Source.objects.get(), [event])
    assert outcome.prediction.external_id == "o-1"
    assert outcome.prediction.event_time == START


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("user_id, windows", "customer, windows",
         "line 5: transformations[2].config.entity_key: 'customer' is not a property of the schema"
         f" of source '{SOURCE}'"),
        ("windows: [1h,", "windows: [1 hour,",
         "line 5: transformations[2].config.windows: '1 hour' is not a duration such as"),
        ("{strategy: mean}", "{strategy: guess}",
         "line 3: transformations[0].config.strategy: 'guess' is none of mean"),
        ("{strategy: mean}", "{strategy: mean, fields: [user_id]}",
         "line 3: transformations[0].config.fields: 'user_id' is no feature of this pipeline"),
        ('name: "Transaction Features"\n', "", "line 1: name: is a text of 1 to 100 characters"),
        ("transformations:", "rules: []\ntransformations:",
         "line 2: rules: is not a setting of a feature pipeline"),
        ("transformations:", "event: {time: amount}\ntransformations:",
         "line 2: event.time: 'amount' must be declared as string with format date-time"),
        ("transformations:", "event: {pii: []}\ntransformations:",
         "line 2: event.pii: comes from the source"),
        ("transformations:", "source: nothing\ntransformations:",
         "line 2: source: there is no source 'nothing': load it first, with manage.py load_source"),
        ("transformations:", "transformations: 7\nlabels:", "line 2: transformations: is a list"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_line_and_what_to_do(load, old, new, said):
    [line, *_] = refused(load, KAFKA, PIPELINE.replace(old, new))
    assert line.startswith(said)
    assert not Detector.objects.exists()
    assert Source.objects.get().detector is None


def test_without_a_source_it_says_to_load_one(load):
    [line] = refused(load, PIPELINE)
    assert line == (
        "line 1: source: no source is without a detector: load one with manage.py load_source FILE,"
        " or name the pipeline's: source: SLUG"
    )


def test_where_two_sources_could_be_meant_it_asks_which(load):
    other = KAFKA.replace("Credit Card Transactions", "Refunds")
    [line] = refused(load, KAFKA, other, PIPELINE)
    assert line.endswith(f"whose events it reads, source: {SOURCE} or source: refunds")
    assert "new     refunds" in load(PIPELINE, source="refunds")
    assert "new     credit_card_transactions" in load(f"source: {SOURCE}\n{PIPELINE}")
    assert Detector.objects.count() == 2


def test_a_detector_with_features_of_its_own_keeps_them(load):
    shipped_detector("credit_card_fraud")
    text = KAFKA + "detector: credit_card_fraud\nmapping: {entity_id: user_id}\n"
    [line] = refused(load, text, PIPELINE, source=SOURCE)
    assert (
        "detector 'credit_card_fraud', which declares its own features: change them there" in line
    )
    Detector.objects.update(slug=SLUG)
    [line] = refused(load, KAFKA, PIPELINE, source=SOURCE)
    assert f"there is a detector '{SLUG}' with features of its own" in line


def test_a_number_that_is_personal_is_a_feature_only_where_it_is_named(load):
    text = KAFKA.replace("{type: number}", "{type: number}, tax_number: {type: integer}")
    text = text.replace("pii_fields: [user_id]", "pii_fields: [user_id, tax_number]")
    [line] = refused(load, text, PIPELINE)
    step = "{type: numeric, config: {fields: [amount]}}"
    assert line == (
        "line 3: transformations[0]: 'tax_number' is personal data: name the numbers that may be "
        f"features, {step}"
    )
    load(PIPELINE.replace("transformations:", f"transformations:\n  - {step}"))
    assert "tax_number" not in Detector.objects.get().spec().feature_names


def test_fields_that_are_no_plain_values_stay_out_until_they_are_asked_for(load):
    text = KAFKA.replace("{type: number}", "{type: number}, place: {type: object}, any: true")
    load(text, PIPELINE)
    assert {"place", "any"}.isdisjoint(
        Detector.objects.get().config["event"]["schema"]["properties"]
    )
    asked = PIPELINE.replace("entity_key: user_id", "entity_key: place")
    [line] = refused(load, asked)
    assert "'place' is no string or number or integer or boolean in the schema of source" in line


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ("amount: {type: number}", "line 1: event.id: rows of a file are known again by their"),
        ("id: {type: string}, a: {type: string, format: date-time}, b: {type: string,"
         " format: date-time}", "line 1: event.time: a, b are times: add event: {time: FIELD}"),
    ],
)  # fmt: skip
def test_a_role_that_nothing_tells_is_asked_for(load, fields, said):
    text = f"""name: Sales
source_type: csv
config: {{path: sales.csv}}
schema: {{type: object, properties: {{user_id: {{type: string}}, n: {{type: number}}, {fields}}}}}
"""
    [line] = refused(load, text, PIPELINE)
    assert line.startswith(said)


def test_each_command_points_to_the_other(tmp_path, load):
    path = tmp_path / "x.yaml"
    path.write_text(PIPELINE)
    with pytest.raises(CommandError, match=r"line 2: transformations: .* manage.py load_detectors"):
        call_command("load_source", path)
    path.write_text(KAFKA)
    with pytest.raises(CommandError, match=r"line 2: source_type: .* manage.py load_source"):
        call_command("load_detectors", path)


def test_a_whole_detector_takes_no_source(tmp_path, load):
    [line] = refused(load, yaml.safe_dump(config_of("cards")), source="x")
    assert "this is a whole detector" in line


def test_a_source_that_names_another_detector_goes_over_to_it(load):
    load(KAFKA, PIPELINE)
    shipped_detector("credit_card_fraud")
    load(KAFKA + "detector: credit_card_fraud\nmapping: {entity_id: user_id}\n")
    assert Source.objects.get().detector.slug == "credit_card_fraud"
    assert Detector.objects.filter(slug=SLUG).exists()


def test_the_text_of_a_source_stays_when_its_pipeline_makes_a_detector_for_it(load):
    load(KAFKA, PIPELINE)
    source = Source.objects.get(detector__isnull=False)
    assert text_of(source) == KAFKA
    save_source(read_yaml("# mine\n" + KAFKA), actor=None)
    assert text_of(Source.objects.get()) == "# mine\n" + KAFKA
