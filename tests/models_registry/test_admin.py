"""Lineage in Django's admin: to look at, for nobody to change."""

import pytest
from django.test import Client
from django.urls import reverse

from models_registry.approvals import request_promotion
from models_registry.promotion import promote
from models_registry.retraining import policy_of
from tests.models_registry.drifting import kept_check
from tests.models_registry.rivals import rivals, shadow_of
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(django_user_model):
    client = Client()
    client.force_login(django_user_model.objects.create_superuser("root", password="x"))
    return client


NAMES = ["modelversion", "dataset", "promotiondecision", "driftcheck", "retrainingpolicy"]


@pytest.mark.parametrize("name", NAMES)
def test_lineage_is_read_only(root, payments_detector, payments_digest, name):
    promote(VersionFactory(detector=payments_detector, digest=payments_digest), actor=None)
    kept_check(payments_detector)
    policy_of(payments_detector).save()
    check_read_only(root, name)


@pytest.mark.parametrize("name", ["promotionrequest", "promotionguard", "shadow"])
def test_promotions_and_shadows_are_read_only(
    root, payments_detector, payments_digest, owner, name
):
    first, second = rivals(payments_detector, payments_digest)
    shadow_of(second)
    promote(second, actor=None)
    request_promotion(first, actor=owner, override=True, reason="A reason that is long.")
    check_read_only(root, name)


def check_read_only(root, name):
    page = root.get(reverse(f"admin:models_registry_{name}_changelist"))
    assert len(page.context["cl"].result_list) == 1
    row = page.context["cl"].result_list[0]
    change = reverse(f"admin:models_registry_{name}_change", args=[row.pk])
    assert root.get(change).status_code == 200
    assert root.post(change, {}).status_code == 403
    assert root.get(reverse(f"admin:models_registry_{name}_add")).status_code == 403
