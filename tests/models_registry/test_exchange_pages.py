"""Export and import for people and for the API: who may, and how refusals are told."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from models_registry.exporting import pack_bundle
from models_registry.models import ModelVersion
from scoring.core.bundle import MODEL
from scoring.deployment import bundle_root
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db
IMPORT = "/models/import/payments/"
API_IMPORT = "/api/v1/detectors/payments/import"


@pytest.fixture
def version(payments_detector, payments_digest):
    return VersionFactory(detector=payments_detector, number=1, digest=payments_digest)


@pytest.fixture
def content(version):
    """The file of a version that is gone from here."""
    found = pack_bundle(version)
    version.delete()
    return found


def upload(content, name="bundle.zip"):
    return {"bundle": SimpleUploadedFile(name, content, "application/zip")}


def test_an_owner_downloads_a_version_named_by_its_digest(client, owner, version):
    client.force_login(owner)
    answer = client.get(reverse("model_export", args=[version.pk]))
    assert answer.content == pack_bundle(version)
    name = f"payments-v1-{version.digest}.zip"
    assert answer["Content-Disposition"] == f'attachment; filename="{name}"'


def test_a_damaged_version_is_told_and_not_sent(client, owner, payments_detector):
    gone = VersionFactory(detector=payments_detector)
    client.force_login(owner)
    answer = client.get(reverse("model_export", args=[gone.pk]), follow=True)
    assert "cannot be exported" in answer.content.decode()


def test_an_owner_imports_a_file(client, owner, content):
    client.force_login(owner)
    assert "Every byte is checked" in client.get(IMPORT).content.decode()
    answer = client.post(IMPORT, upload(content))
    made = ModelVersion.objects.get()
    assert answer.url == made.get_absolute_url()
    assert (made.trained_by, made.stage) == (owner, "challenger")
    assert "imported" in client.get(answer.url).content.decode()


def test_a_refusal_is_422_with_its_reason(client, owner, content):
    client.force_login(owner)
    for data, said in ((upload(b"no zip"), "no zip"), ({}, "required"), (upload(b""), "empty")):
        answer = client.post(IMPORT, data)
        assert (answer.status_code, said in answer.content.decode()) == (422, True)
    assert not ModelVersion.objects.exists()


def test_a_body_over_the_bound_is_refused_unread(client, owner, settings, content):
    settings.UPLOAD_MAX_BYTES = 1000
    client.force_login(owner)
    assert client.post(IMPORT, upload(content)).status_code in (400, 413)
    assert not ModelVersion.objects.exists()


@pytest.mark.parametrize("who", ["analyst", "lead", "engineer", "outsider"])
def test_only_owners_and_admins_exchange(client, request, version, who):
    client.force_login(request.getfixturevalue(who))
    assert client.get(reverse("model_export", args=[version.pk])).status_code == 403
    assert client.get(IMPORT).status_code == 403
    assert client.post(IMPORT, upload(b"x")).status_code == 403


def test_the_api_exports_and_imports(api, version):
    writer = api("models:write")
    answer = writer.get(f"/api/v1/models/{version.pk}/bundle")
    assert answer["Content-Type"] == "application/zip"
    version.delete()
    made = writer.post(API_IMPORT, upload(answer.content))
    assert (made.status_code, made.json()["stage"]) == (201, "challenger")
    again = writer.post(API_IMPORT, upload(answer.content))
    assert (again.status_code, "here already" in again.content.decode()) == (422, True)


def test_page_and_api_put_a_damaged_bundle_back(client, owner, api, version):
    content, digest = pack_bundle(version), version.digest
    model = bundle_root() / digest / MODEL
    whole = model.read_bytes()
    model.write_bytes(b"other")
    answer = api("models:write").post(API_IMPORT, upload(content))
    assert (answer.status_code, model.read_bytes()) == (200, whole)
    model.write_bytes(b"other")
    client.force_login(owner)
    answer = client.post(IMPORT, upload(content), follow=True)
    assert "v1 has its bundle back" in answer.content.decode()
    assert model.read_bytes() == whole


def test_the_api_refuses_who_may_not_and_what_is_wrong(api, content, settings):
    reader, writer = api("models:read"), api("models:write")
    assert reader.post(API_IMPORT, upload(content)).status_code == 403
    assert writer.post("/api/v1/detectors/none/import", upload(content)).status_code == 404
    wrong = writer.post(API_IMPORT, upload(b"x"))
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "bundle")
    assert writer.post(API_IMPORT, {}).status_code == 422
    assert writer.post(API_IMPORT, "{}", content_type="application/json").status_code == 415
    settings.UPLOAD_MAX_BYTES = 1000
    assert writer.post(API_IMPORT, upload(content)).status_code == 413


def test_a_full_disk_is_told_to_who_imports(client, owner, api, content, bundle_dir, full_disk):
    client.force_login(owner)
    page = client.post(IMPORT, upload(content))
    said = "cannot be written: No space left on device. Nothing was changed."
    assert (page.status_code, said in page.content.decode()) == (422, True)
    answer = api("models:write").post(API_IMPORT, upload(content))
    assert (answer.status_code, said in answer.json()["detail"]) == (503, True)
    assert not ModelVersion.objects.exists()


def test_a_version_is_read_by_the_api(api, version):
    body = api("models:read").get(f"/api/v1/models/{version.pk}").json()
    assert (body["version"], body["lineage"], body["tracked"]) == ("v1", None, None)
    assert body["curves"]["roc"]
    assert api("models:read").get("/api/v1/models/99999").status_code == 404
    assert api("score").get(f"/api/v1/models/{version.pk}").status_code == 403


def test_tracking_by_the_api_needs_a_server(api, version, settings, monkeypatch):
    monkeypatch.setattr("models_registry.registry_api.announce_job", lambda job: None)
    url = f"/api/v1/models/{version.pk}/track"
    assert api("models:read").post(url).status_code == 403
    assert api("models:write").post(url).status_code == 409
    settings.MLFLOW_TRACKING_URI = "http://127.0.0.1:9"
    assert api("models:write").post(url).status_code == 202
