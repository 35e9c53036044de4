"""Pages of users: who may, who may not, and what nobody may."""

import pytest
from django.urls import reverse

pytestmark = pytest.mark.django_db
PAGES = ("user_list", "user_new", "role_list", "key_list", "key_new", "audit_list", "membership_list")


@pytest.mark.parametrize("name", PAGES)
def test_smoke(client, admin, name):
    client.force_login(admin)
    assert client.get(reverse(name)).status_code == 200


def test_smoke_detail(client, admin):
    client.force_login(admin)
    assert client.get(reverse("user_detail", args=[admin.pk])).status_code == 200
    assert client.get(reverse("audit_entry", args=[1])).status_code == 200
