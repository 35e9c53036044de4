"""What every page says of detectors that have no model."""

import pytest
from django.urls import reverse

from scoring.deployment import install_rules_only
from tests.factories import shipped_detector

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("slugs", "said"),
    [
        (["payments"], "Payments has no model in service: its rules decide alone"),
        (["payments", "fraud"], "Card fraud and Payments have no model in service: their rules"),
        (["payments", "fraud", "anomaly"], "Card fraud, Infrastructure anomaly and Payments have"),
    ],
)
def test_one_sentence_names_all_that_have_no_model(client, analyst, slugs, said):
    for slug in slugs:
        install_rules_only(shipped_detector(slug))
    client.force_login(analyst)
    assert said in client.get(reverse("detector_list")).content.decode()
