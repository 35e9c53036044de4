"""Jobs in Django's admin: to look at, without what leads to a person who is being erased."""

import pytest
from django.urls import reverse

from tests.jobs.factories import JobFactory

pytestmark = pytest.mark.django_db


def test_the_admin_shows_a_job_without_its_parameters(client, admin):
    job = JobFactory(kind="cases.erase_person", params={"token": "old-token", "fresh": "new-one"})
    client.force_login(admin)
    page = client.get(reverse("admin:jobs_job_change", args=[job.pk]))
    assert page.status_code == 200
    assert "old-token" not in page.content.decode()
    assert "new-one" not in page.content.decode()
