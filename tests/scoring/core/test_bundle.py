"""A bundle is what was written, byte for byte, or it does not load."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from zipfile import ZipFile

import numpy as np
import pytest

from scoring.core import bundle as bundles
from scoring.core.bundle import (
    BundleError,
    BundleNotWritten,
    compile_rules,
    fault_at,
    load_bundle,
    sha256,
    write_bundle,
)
from scoring.core.spec import parse_spec
from scoring.core.vocabulary import RuleError
from tests.factories import config_of, trained_payments

FILES = ("manifest.json", "model.onnx", "explain.npz")


@pytest.fixture(scope="module")
def trained():
    return trained_payments()


@pytest.fixture
def written(tmp_path, trained):
    return tmp_path, write_bundle(tmp_path, *trained)


def rewrite_manifest(root, digest, **changed):
    """A manifest changed by somebody who knows how digests are made; returns the new digest."""
    manifest = json.loads((root / digest / "manifest.json").read_text()) | changed
    text = json.dumps(manifest).encode()
    new = sha256(text)
    (root / digest / "manifest.json").write_bytes(text)
    (root / digest).rename(root / new)
    return new


def test_what_is_written_loads_and_is_named_by_its_digest(written, trained):
    root, digest = written
    found = load_bundle(root, digest)
    assert found.digest == digest == sha256((root / digest / "manifest.json").read_bytes())
    assert found.predictor is not None
    assert found.reference == trained[0]["reference"]
    assert [rule.code for rule in found.policy.rules][:2] == ["HIGH_AMOUNT", "VELOCITY_MULTI_CITY"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", [0, 100, -1])
def test_one_changed_byte_anywhere_refuses_to_load(written, name, place):
    root, digest = written
    data = bytearray((root / digest / name).read_bytes())
    data[place] ^= 1
    (root / digest / name).write_bytes(data)
    with pytest.raises(BundleError, match=rf"{name} was changed"):
        load_bundle(root, digest)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_refuses_to_load(written, name):
    root, digest = written
    (root / digest / name).unlink()
    with pytest.raises(BundleError, match="cannot be read"):
        load_bundle(root, digest)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_seen_without_loading(written, name):
    root, digest = written
    assert fault_at(root / digest, digest) == ""
    (root / digest / name).unlink()
    assert "cannot be read" in fault_at(root / digest, digest)


def test_a_bundle_that_is_not_there_is_a_bundle_error(tmp_path):
    with pytest.raises(BundleError, match="No such file"):
        load_bundle(tmp_path, "0" * 64)


def test_another_format_refuses_to_load(written):
    root, digest = written
    new = rewrite_manifest(root, digest, format=99)
    with pytest.raises(BundleError, match="format 99"):
        load_bundle(root, new)


@pytest.mark.parametrize(
    "changed",
    [{"link": "magic"}, {"thresholds": {}}, {"calibration": {"kind": "platt"}, "link": 3},
     {"detector": {"slug": "x"}}, {"files": {}}, {"reference": []},
     {"reference": {"amount": 7}}, {"reference": {"amount": {"deciles": [1.0]}}},
     {"reference": {"amount": {"deciles": {"0": 1.0}}}},
     {"reference": {"amount": {"deciles": [1.0, "2"]}}}],
)  # fmt: skip
def test_a_manifest_that_makes_no_sense_refuses_to_load(written, changed):
    root, digest = written
    new = rewrite_manifest(root, digest, **changed)
    if changed == {"files": {}}:
        assert load_bundle(root, new).predictor is None
        return
    with pytest.raises(BundleError, match="incomplete"):
        load_bundle(root, new)


@pytest.mark.parametrize("known", [{}, {"deciles": None}, {"deciles": []}, {"deciles": [0, 1.5]}])
def test_what_is_usual_may_be_told_with_deciles_or_without(written, known):
    root, digest = written
    new = rewrite_manifest(root, digest, reference={"amount": known})
    assert load_bundle(root, new).reference == {"amount": known}


class Trap:
    """A pickle of it fails the test when it is loaded."""

    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def npz(**arrays):
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def packed_as(method):
    """Arrays packed in a way that there is not, as their directory says."""
    data = npz(coef=np.ones(3))
    place = data.index(b"PK\x01\x02") + 10
    return data[:place] + method.to_bytes(2, "little") + data[place + 2 :]


def with_text():
    buffer = BytesIO(npz(coef=np.ones(3)))
    with ZipFile(buffer, "a") as archive:
        archive.writestr("notes.txt", "no array")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        npz(coef=np.array([Trap()], dtype=object)),
        pickle.dumps(Trap()),
        npz(coef=np.ones(3))[:-9],
        npz(coef=np.ones(3)).replace(npz(coef=np.ones(3))[60:80], b"\xff" * 20),
        packed_as(99),
        with_text(),
        b"",
    ],
    ids=["object array", "pickle", "cut off", "overwritten", "way of packing", "text", "empty"],
)
def test_contributions_that_are_no_plain_arrays_refuse_to_load(tmp_path, trained, content):
    manifest, files = trained
    digest = write_bundle(tmp_path, manifest, {**files, "explain.npz": content})
    with pytest.raises(BundleError, match=r"incomplete: explain\.npz holds no plain arrays"):
        load_bundle(tmp_path, digest)


def test_the_order_in_which_things_are_named_does_not_change_the_digest(written, trained):
    root, digest = written
    manifest, files = (dict(reversed(part.items())) for part in trained)
    assert write_bundle(root, manifest, files) == digest


def test_writing_twice_changes_nothing(written, trained):
    root, digest = written
    before = (root / digest).stat().st_mtime_ns
    assert write_bundle(root, *trained) == digest
    assert (root / digest).stat().st_mtime_ns == before
    assert [path.name for path in root.iterdir()] == [digest]


@pytest.mark.parametrize("name", FILES)
def test_what_was_damaged_is_written_anew(written, trained, name):
    root, digest = written
    (root / digest / name).write_bytes(b"damaged")
    assert write_bundle(root, *trained) == digest
    assert load_bundle(root, digest).predictor is not None
    assert [path.name for path in root.iterdir()] == [digest]


def test_nothing_stands_in_its_place_before_it_is_whole(tmp_path, trained, monkeypatch):
    monkeypatch.setattr(bundles.os, "fsync", lambda number: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_bundle(tmp_path, *trained)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, trained, full_disk):
    with pytest.raises(BundleNotWritten, match=r"cannot be written: No space left on device\."):
        write_bundle(tmp_path, *trained)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_which_nothing_can_be_made_is_told(tmp_path, trained):
    (tmp_path / "bundles").write_text("a file")
    with pytest.raises(BundleNotWritten, match="cannot be written: Not a directory"):
        write_bundle(tmp_path / "bundles", *trained)


def test_many_writers_of_one_bundle_leave_one(tmp_path, trained):
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda _: write_bundle(tmp_path, *trained), range(16)))
    assert len(digests) == 1
    assert [path.name for path in tmp_path.iterdir()] == list(digests)
    assert load_bundle(tmp_path, digests.pop())


def test_the_rules_alone_are_a_bundle(tmp_path):
    digest = write_bundle(tmp_path, {"detector": config_of("cards")}, {})
    found = load_bundle(tmp_path, digest)
    assert found.predictor is None
    assert [rule.code for rule in found.policy.rules] == ["ABOVE_USUAL_LIMIT"]


def test_a_rule_may_not_read_personal_data(tmp_path):
    config = config_of("payments")
    config["rules"][0]["when"] = "user_name == 'Ada'"
    digest = write_bundle(tmp_path, {"detector": config}, {})
    with pytest.raises(BundleError, match=r"HIGH_AMOUNT.*user_name"):
        load_bundle(tmp_path, digest)


def test_a_bundle_of_an_earlier_release_loads_with_lists_that_are_refused_today(tmp_path):
    config = config_of("payments")
    config["rules"][0] |= {"when": "location in [7]", "parameters": {}}
    with pytest.raises(RuleError, match=r"HIGH_AMOUNT.*write '7'"):
        compile_rules(parse_spec(config))
    found = load_bundle(tmp_path, write_bundle(tmp_path, {"detector": config}, {}))
    assert not found.policy.rules[0].matches({"location": "7"})


def test_a_manifest_holds_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_bundle(tmp_path, {"metrics": {"auc": float("nan")}}, {})
    assert list(tmp_path.iterdir()) == []
