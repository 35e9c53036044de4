"""Detectors from YAML files: checked whole, made or updated, served by their rules."""

import pytest
import yaml
from django.core.management import call_command

from scoring.core.spec import SpecError
from scoring.declarations import load_detector, read_config
from scoring.deployment import serving
from scoring.models import Deployment, Detector
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
        "anomaly", "cards", "fraud", "payments",
    }  # fmt: skip
    assert all(serving(detector.slug).bundle.rules for detector in Detector.objects.all())


def test_a_detector_of_ones_own_is_a_file_and_no_code(declare):
    config = config_of("cards") | {"slug": "my_cards", "name": "Mine"}
    detector, created = load_detector(declare(config))
    assert (detector.name, created) == ("Mine", True)
    assert load_detector(declare(config))[1] is False
    assert serving("my_cards").bundle.rules[0].code == "ABOVE_USUAL_LIMIT"


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
