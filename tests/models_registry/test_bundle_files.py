"""Every byte of an exported file is under a digest, what it states of its version too."""

import json

import pytest
from django.urls import reverse

from models_registry.bundle_files import RECORD, ExchangeError, pack, unpack
from models_registry.exporting import pack_bundle
from models_registry.importing import import_bundle
from models_registry.models import ModelVersion
from scoring.core.bundle import EXPLAIN, MANIFEST, MODEL
from tests.models_registry.bundle_zips import of_an_earlier_release, parts_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", [RECORD, MANIFEST, MODEL, EXPLAIN])
def test_no_entry_is_read_with_any_of_its_bytes_changed(exported, name):
    digest, files = parts_of(exported)
    right = files[name]
    places = {*range(0, len(right), max(1, len(right) // 40)), *range(min(20, len(right)))}
    for place in places:
        changed = bytearray(right)
        changed[place] ^= 3
        with pytest.raises(ExchangeError):
            unpack(pack(digest, {**files, name: bytes(changed)}))


def test_a_file_that_claims_an_earlier_format_is_still_held_to_its_digest(exported):
    digest, files = parts_of(exported)
    files[RECORD] = files[RECORD].replace(b'"format": 2', b'"format": 1')
    with pytest.raises(ExchangeError, match=r"version\.json was changed"):
        unpack(pack(digest, files))


def test_what_a_file_states_cannot_be_changed(payments_detector, exported):
    digest, files = parts_of(exported)
    rows = json.loads(files[RECORD])["dataset"]["rows"]
    files[RECORD] = files[RECORD].replace(b'"rows": %d' % rows, b'"rows": %d1' % rows)
    with pytest.raises(ExchangeError, match=r"version\.json was changed"):
        import_bundle(payments_detector, pack(digest, files), actor=None)
    assert not ModelVersion.objects.exists()


def test_a_file_of_an_earlier_release_is_taken_and_says_so(
    client, owner, payments_detector, exported
):
    client.force_login(owner)
    old = import_bundle(payments_detector, of_an_earlier_release(exported), actor=None)
    said = "Its statements are not digested"
    assert said in client.get(old.get_absolute_url()).content.decode()
    assert said in client.get(reverse("model_card", args=[old.pk])).content.decode()
    assert json.loads(parts_of(pack_bundle(old))[1][RECORD])["format"] == 2


def test_of_a_digested_file_no_page_says_so(client, owner, payments_detector, exported):
    client.force_login(owner)
    version = import_bundle(payments_detector, exported, actor=None)
    for url in (version.get_absolute_url(), reverse("model_card", args=[version.pk])):
        assert "not digested" not in client.get(url).content.decode()
