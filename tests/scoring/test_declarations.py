"""Detectors from YAML files: checked whole, made or updated, served by their rules."""

import pytest
import yaml
from django.core.management import call_command

from accounts.models import AuditEntry
from scoring.core.reader import SpecError
from scoring.declarations import change_declaration, load_detector, read_config, text_of
from scoring.deployment import serving
from scoring.models import Deployment, Detector, EntityState
from scoring.yaml_writing import write_yaml
from tests.factories import config_of, payment, scored

pytestmark = pytest.mark.django_db


@pytest.fixture
def declare(tmp_path):
    def write(config):
        path = tmp_path / "detector.yaml"
        path.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
        return path

    return write


def test_the_shipped_detectors_are_loaded_and_served():
    call_command("load_detectors", verbosity=0)
    call_command("load_detectors", verbosity=0)
    assert set(Detector.objects.values_list("slug", flat=True)) == {
        "anomaly", "cards", "credit_card_fraud", "creditcard", "fraud", "payments",
    }  # fmt: skip
    assert all(serving(detector.slug).bundle.policy.rules for detector in Detector.objects.all())


def test_a_detector_of_ones_own_is_a_file_and_no_code(declare):
    config = config_of("cards") | {"slug": "my_cards", "name": "Mine"}
    detector, what = load_detector(declare(config))
    assert (detector.name, what) == ("Mine", "new")
    assert load_detector(declare(config))[1] == "updated"
    assert serving("my_cards").bundle.policy.rules[0].code == "ABOVE_USUAL_LIMIT"


def test_an_edited_rule_counts_at_once(declare, payments_detector):
    config = config_of("payments")
    config["rules"][0]["when"] = "amount > 5"
    load_detector(declare(config))
    assert scored("payments", payment()).decision == "REVIEW"


def test_an_edited_declaration_leaves_the_champion_alone(declare, champion):
    digest = Deployment.objects.get().digest
    config = config_of("payments")
    config["rules"][0]["when"] = "amount > 5"
    load_detector(declare(config))
    assert Deployment.objects.get().digest == digest


def test_what_is_declared_immutable_changes_neither_the_champion_nor_the_policy(declare, champion):
    bundle, policy = Deployment.objects.get().digest, champion.policy_digest
    config = config_of("payments")
    config["features"]["immutable"] = ["channel"]
    detector, what = load_detector(declare(config), keep_edits=True)
    assert what == "updated" and detector.spec().immutable == {"channel"}
    assert (Deployment.objects.get().digest, detector.policy_digest) == (bundle, policy)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("slug: a\nname: b: c", "line 2"),
        ("just words", "a mapping"),
        ("slug: x", "slug"),
        ("!!python/object/apply:os.system ['true']", "line 1"),
    ],
)
def test_a_file_that_is_no_declaration_is_refused(declare, text, says):
    with pytest.raises(SpecError, match=says):
        read_config(declare(text))


def test_a_rule_that_cannot_be_read_is_refused_by_name(declare):
    config = config_of("cards")
    config["rules"][0]["when"] = "os.system('true')"
    with pytest.raises(SpecError, match="ABOVE_USUAL_LIMIT"):
        load_detector(declare(config))
    assert not Detector.objects.exists()


def test_a_detector_that_is_switched_off_can_be_loaded_again(declare, payments_detector):
    Detector.objects.update(enabled=False)
    config = config_of("payments")
    config["features"]["transformations"][-1]["config"]["windows"] = ["2h"]
    detector, what = load_detector(declare(config))
    assert (detector.enabled, what) == (False, "updated")


def test_a_new_release_keeps_what_was_edited_here(declare, payments_detector):
    edited = config_of("payments") | {"name": "Edited here"}
    Detector.objects.update(config=edited)
    shipped = declare(config_of("payments") | {"description": "Newer"})
    assert load_detector(shipped, keep_edits=True)[1] == "kept"
    assert Detector.objects.get().config == edited


def test_a_new_release_updates_what_nobody_edited(declare, payments_detector):
    shipped = declare(config_of("payments") | {"description": "Newer"})
    assert load_detector(shipped, keep_edits=True)[1] == "updated"
    assert Detector.objects.get().description == "Newer"


@pytest.fixture
def shipped(declare):
    """`payments` as a release brings it; then a later one, with a comment and more of its own."""

    def load(comment="", **changed):
        text = f"# ours{comment}\n{write_yaml(config_of('payments') | changed)}"
        return load_detector(declare(text), keep_edits=True)

    load()
    return load


def rewrite(actor, edited):
    """Somebody writes a declaration otherwise, that says the same."""
    detector = Detector.objects.get()
    text = edited(text_of(detector))
    change_declaration(detector, detector.config, actor=actor, text=text)
    return text


@pytest.mark.parametrize("release", [{}, {"description": "Newer"}])
def test_a_new_release_keeps_comments_that_were_written_here(shipped, engineer, release):
    text = rewrite(engineer, lambda text: "# mine\n" + text)
    assert shipped(" anew", **release)[1] == "kept"
    assert text_of(Detector.objects.get()) == text


@pytest.mark.parametrize("release", [{}, {"description": "Newer"}])
def test_a_new_release_brings_its_comments_where_nobody_wrote_any(shipped, engineer, release):
    rewrite(engineer, lambda text: "# mine\n" + text)
    rewrite(engineer, lambda text: text.removeprefix("# mine\n") + "\n\n")
    assert shipped(" anew", **release)[1] == "updated"
    assert text_of(Detector.objects.get()).startswith("# ours anew\n")


def test_white_space_is_kept_without_a_word_in_the_audit_trail(shipped, engineer):
    text = rewrite(engineer, lambda text: text.replace("\n", "\n\n", 1))
    assert text_of(Detector.objects.get()) == rewrite(engineer, str) == text
    assert not AuditEntry.objects.filter(action="detector.changed").exists()


def test_windows_are_learnt_anew_from_events_that_look_encrypted(declare, payments_detector):
    scored("payments", payment(device_id="enc:a:b"))
    config = config_of("payments")
    config["features"]["transformations"][7]["config"]["windows"] = ["24h", "14d"]
    load_detector(declare(config))
    assert EntityState.objects.filter(key_field="device_id").count() == 1
    row = scored("payments", payment(device_id="enc:a:b"))
    names = Detector.objects.get().spec().feature_names
    assert row.vector_array()[names.index("device_id_count_24h")] == 2.0


def test_a_file_that_changes_a_declaration_is_in_the_audit_trail(declare, payments_detector):
    config = config_of("payments") | {"description": "Newer"}
    for _ in range(2):
        load_detector(declare(config))
    entry = AuditEntry.objects.get(action="detector.changed")
    assert entry.actor is None and entry.detail["sections"] == ["description"]


def test_a_file_that_replaces_the_comments_of_a_person_is_in_the_audit_trail(
    shipped, engineer, declare
):
    rewrite(engineer, lambda text: "# mine\n" + text)
    for _ in range(2):
        load_detector(declare(f"# ours anew\n{write_yaml(config_of('payments'))}"))
    entries = AuditEntry.objects.filter(action="detector.changed").order_by("pk")
    assert [entry.actor for entry in entries] == [engineer, None]
    assert entries[1].detail["rewritten"] == "order or comments"


@pytest.mark.parametrize("code", ["A B", "a/b", "Ü", "A\n"])
def test_a_rule_whose_code_is_no_address_is_refused(declare, code):
    config = config_of("cards")
    config["rules"][0]["code"] = code
    with pytest.raises(SpecError, match="letters, digits"):
        load_detector(declare(config))


def test_a_slug_or_a_currency_with_a_line_break_is_refused(declare):
    config = config_of("cards") | {"slug": "cards\n"}
    config["event"]["currency"] = {"default": "EUR\n"}
    with pytest.raises(SpecError) as refused:
        read_config(declare(config))
    assert {"slug", "event.currency.default"} <= {
        place.partition(": ")[2] for place, _ in refused.value.problems
    }


def test_a_detector_from_before_policies_gets_one(payments_detector):
    Detector.objects.filter(pk=payments_detector.pk).update(slug="ours", policy_digest="")
    call_command("load_detectors")
    payments_detector.refresh_from_db()
    assert payments_detector.slug == "ours" and payments_detector.policy_digest
