"""Every page of the admin answers."""

import pytest
from django.contrib import admin as administration
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tests.world import begin_world, grow_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(db):
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root", "root@bank.example", "a pass phrase"))
    return client


def pages_of(model):
    """The lists, the form of a new row, and the pages of one that is there."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    found = [reverse(f"{name}_changelist"), reverse(f"{name}_add")]
    found.append(f"{found[0]}?q=1")
    row = model._default_manager.first()
    if row is not None:
        found += [reverse(f"{name}_{page}", args=[row.pk]) for page in ("change", "history")]
    return found


def test_every_page_of_the_admin_answers(root, champion, payments_digest, admin):
    grow_world(begin_world(champion, payments_digest, admin), 2)
    answers = {
        address: root.get(address).status_code
        for model in administration.site._registry
        for address in pages_of(model)
    }
    # 403: what services write is added nowhere else; 302: a list that refuses the question.
    assert {a: status for a, status in answers.items() if status not in (200, 302, 403)} == {}
    assert sum(status == 200 for status in answers.values()) > 2 * len(
        administration.site._registry
    )
    assert any("/workqueue/" in a and a.endswith("/change/") for a in answers)
