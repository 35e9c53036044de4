"""A file whose texts no database can hold is refused, and leaves nothing behind."""

import json
from contextlib import contextmanager

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError
from django.db.transaction import atomic

from models_registry.bundle_files import RECORD
from models_registry.importing import import_bundle
from models_registry.models import Dataset, ModelVersion
from scoring.deployment import bundle_root
from tests.models_registry.bundle_zips import changed_record, parts_of, repacked

pytestmark = pytest.mark.django_db
ODD = pytest.mark.parametrize("odd", ["\0", "\ud800"], ids=["NUL", "half a character"])


def send(api, content):
    client = api("models:write")
    client.raise_request_exception = False
    file = SimpleUploadedFile("bundle.zip", content)
    return client.post("/api/v1/detectors/payments/import", {"bundle": file})


def refused(api, content, name):
    before = sorted(path.name for path in bundle_root().iterdir())
    answer = send(api, content)
    assert answer.status_code == 422, answer.content
    assert name in answer.content.decode() and "U+0000" in answer.content.decode()
    assert sorted(path.name for path in bundle_root().iterdir()) == before
    assert not ModelVersion.objects.exists() and not Dataset.objects.exists()


@ODD
@pytest.mark.parametrize("place", ["code", "curves", "label", "inside", "dataset"])
def test_odd_texts_of_the_record_are_refused(api, payments_detector, exported, odd, place):
    dataset = json.loads(parts_of(exported)[1][RECORD])["dataset"]
    changed = {
        "code": {"code": {f"a{odd}b": 1}},
        "curves": {"curves": {f"x{odd}": [[0, 1]]}},
        "label": {"label": f"v{odd}"},
        "inside": {"code": {"python": [{"deep": odd}]}},
        "dataset": {"dataset": dataset | {"digest": odd}},
    }[place]
    refused(api, changed_record(exported, **changed), RECORD)


@ODD
@pytest.mark.parametrize("place", ["learner", "parameters"])
def test_odd_texts_of_the_manifest_are_refused(api, payments_detector, exported, odd, place):
    told = {"learner": f"x{odd}y"} if place == "learner" else {"parameters": {f"a{odd}": 1}}
    refused(api, repacked(exported, manifest=told), "manifest")


def test_a_file_that_no_row_can_hold_leaves_no_bundle(
    api,
    payments_detector,
    exported,
    bundle_dir,
    monkeypatch,
):
    def fails(**said):
        raise RuntimeError("the disk is full")

    manifest = {"learner": "another"}
    monkeypatch.setattr("models_registry.importing.record_audit", fails)
    before = sorted(path.name for path in bundle_root().iterdir())
    assert send(api, repacked(exported, manifest=manifest)).status_code == 500
    assert sorted(path.name for path in bundle_root().iterdir()) == before
    assert not ModelVersion.objects.exists()


def test_a_transaction_that_fails_at_its_end_leaves_no_bundle(
    payments_detector,
    exported,
    monkeypatch,
):
    @contextmanager
    def refused_at_the_end():
        with atomic():
            yield
            raise DatabaseError("the disk is full")

    content = repacked(exported, manifest={"learner": "another"})
    place = bundle_root() / parts_of(content)[0]
    with pytest.raises(DatabaseError), monkeypatch.context() as patched:
        patched.setattr("models_registry.importing.transaction.atomic", refused_at_the_end)
        import_bundle(payments_detector, content, actor=None)
    assert not place.exists()
    assert import_bundle(payments_detector, content, actor=None).label == "v1" and place.exists()
