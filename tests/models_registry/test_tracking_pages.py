"""How a version stands at the tracking server: what its page says, and who may log it again."""

import pytest

from jobs.models import Job
from models_registry.registry_models import TrackedRun
from models_registry.tracking import TRACK_VERSION
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(payments_detector, payments_digest):
    return VersionFactory(detector=payments_detector, number=3, digest=payments_digest)


def test_the_version_says_how_it_stands(client, owner, settings, version):
    TrackedRun.objects.create(version=version, status="failed", attempts=2, error="refused")
    client.force_login(owner)
    page = client.get(version.get_absolute_url()).content.decode()
    assert "not there after 2 tries: refused" in page
    assert "Try again" in page


def test_a_version_that_is_logged_may_be_logged_again(client, owner, version):
    row = TrackedRun.objects.create(version=version, status="logged", registered_as="cards/1")
    client.force_login(owner)
    assert "Log again" in client.get(version.get_absolute_url()).content.decode()
    TrackedRun.objects.filter(pk=row.pk).update(status="waiting")
    page = client.get(version.get_absolute_url()).content.decode()
    assert "Log again" not in page and "Try again" not in page


def test_an_owner_may_try_again_and_an_analyst_not(client, owner, analyst, settings, version):
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    url = f"/models/{version.pk}/track/"
    client.force_login(analyst)
    assert client.post(url).status_code == 403
    client.force_login(owner)
    assert client.get(url).status_code == 405
    assert client.post(url).status_code == 302
    assert Job.objects.get().kind == TRACK_VERSION
    settings.MLFLOW_TRACKING_URI = ""
    client.post(url)
    assert Job.objects.count() == 1
