"""What every page says of detectors that have no model, and of who looks at it."""

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.urls import reverse

from accounts.roles import LEAD
from riskplatform.context_processors import _role_names
from scoring.deployment import install_rules_only
from tests.factories import shipped_detector
from tests.models_registry.versions import VersionFactory

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


def test_the_menu_says_the_version_of_the_platform_whatever_the_page_is_about(client, analyst):
    client.force_login(analyst)
    version = VersionFactory(detector=shipped_detector("payments"))
    for page in (reverse("detector_list"), version.get_absolute_url()):
        said = f'<p class="menu-note">Version {settings.VERSION}</p>'
        assert said in client.get(page).content.decode()


def test_the_menu_names_the_roles_of_its_user_without_asking_each_time(
    client, analyst, django_assert_num_queries, monkeypatch
):
    monkeypatch.setattr("riskplatform.context_processors.monotonic", lambda: 0.0)
    _role_names.cache_clear()
    analyst.groups.add(Group.objects.get(name=LEAD))
    client.force_login(analyst)
    page = reverse("detector_list")
    assert "· Analyst, Lead" in client.get(page).content.decode()
    with django_assert_num_queries(0):
        assert _role_names(analyst.pk, 0) == "Analyst, Lead"
