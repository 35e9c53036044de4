"""A version goes out as one file and comes in as a challenger; a hostile file changes nothing."""

import io
import re
import shutil
import stat
import subprocess
import sys
import zipfile
from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone
from onnx import TensorProto, helper

from accounts.models import AuditEntry
from models_registry import bundle_files, importing, trial
from models_registry.bundle_files import RECORD, ExchangeError, pack, unpack
from models_registry.exporting import export_bundle, pack_bundle
from models_registry.importing import import_bundle, mend_bundle
from models_registry.models import Dataset, ModelVersion
from models_registry.promotion import promote
from models_registry.registry_models import Lineage, TrackedRun
from scoring import deployment
from scoring.core import inference
from scoring.core.bundle import EXPLAIN, MANIFEST, MODEL, read_files, sha256
from scoring.deployment import bundle_root
from tests.factories import payment, scored
from tests.models_registry.bundle_zips import (
    changed_record,
    of_an_earlier_release,
    parts_of,
    repacked,
)
from tests.models_registry.versions import make_detector

pytestmark = pytest.mark.django_db


def refused(detector, content, match):
    with pytest.raises(ExchangeError, match=match):
        import_bundle(detector, content, actor=None)
    assert not ModelVersion.objects.exists()
    assert not Dataset.objects.exists()


def test_it_arrives_as_a_challenger_on_record(payments_detector, exported, owner):
    version = import_bundle(payments_detector, exported, actor=owner)
    assert (version.stage, version.digest) == ("challenger", parts_of(exported)[0])
    assert version.lineage.origin == Lineage.Origin.IMPORTED
    assert version.metrics["intervals"] == {"f1": [0.1, 1]}
    assert version.curves["roc"]
    entry = AuditEntry.objects.order_by("-number").first()
    assert (entry.action, entry.actor) == ("model.import", owner)


def test_what_was_imported_is_brought_to_the_tracking_server(payments_detector, exported, settings):
    settings.MLFLOW_TRACKING_URI = "http://mlflow.example:5000"
    version = import_bundle(payments_detector, exported, actor=None)
    run = TrackedRun.objects.get()
    assert (run.version, run.status) == (version, "waiting")


def test_what_was_imported_can_serve(payments_detector, exported):
    promote(import_bundle(payments_detector, exported, actor=None), actor=None)
    row = scored("payments", payment())
    assert row.score is not None
    assert row.additivity_error < 1e-6


def test_the_same_version_gives_the_same_bytes(payments_detector, exported):
    version = import_bundle(payments_detector, exported, actor=None)
    assert pack_bundle(version) == pack_bundle(ModelVersion.objects.get())
    with zipfile.ZipFile(io.BytesIO(pack_bundle(version))) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_an_export_is_on_record(payments_detector, exported, owner):
    version = import_bundle(payments_detector, exported, actor=None)
    content = export_bundle(version, actor=owner)
    entry = AuditEntry.objects.order_by("-number").first()
    assert (entry.action, entry.detail["sha256"]) == ("model.export", sha256(content))


def test_a_bundle_that_is_here_already_is_refused(payments_detector, exported):
    import_bundle(payments_detector, exported, actor=None)
    with pytest.raises(ExchangeError, match="here already"):
        import_bundle(payments_detector, exported, actor=None)
    assert ModelVersion.objects.count() == 1


def test_a_damaged_bundle_is_not_exported(payments_detector, exported):
    version = import_bundle(payments_detector, exported, actor=None)
    (bundle_root() / version.digest / MODEL).write_bytes(b"other")
    with pytest.raises(ExchangeError, match="was changed"):
        export_bundle(version, actor=None)


@pytest.mark.parametrize("how", ["changed", "lost"])
def test_its_file_puts_a_damaged_bundle_back(payments_detector, exported, owner, how):
    version = import_bundle(payments_detector, exported, actor=None)
    promote(version, actor=None)
    place = bundle_root() / version.digest
    if how == "changed":
        (place / MODEL).write_bytes(b"other")
    else:
        shutil.rmtree(place)
    deployment._loaded.clear()
    assert mend_bundle(payments_detector, exported, actor=owner) == version
    assert read_files(place, version.digest)
    assert pack_bundle(version)
    assert scored("payments", payment()).model_version == version.label
    entry = AuditEntry.objects.order_by("-number").first()
    assert (entry.action, entry.actor) == ("model.bundle_mended", owner)
    assert ModelVersion.objects.count() == 1


def test_what_is_whole_or_not_here_is_not_mended(payments_detector, exported):
    assert mend_bundle(payments_detector, exported, actor=None) is None
    import_bundle(payments_detector, exported, actor=None)
    assert mend_bundle(payments_detector, exported, actor=None) is None
    assert not AuditEntry.objects.filter(action="model.bundle_mended").exists()


@pytest.mark.parametrize("name", [MANIFEST, MODEL, EXPLAIN])
def test_one_changed_byte_is_seen(payments_detector, exported, name):
    digest, files = parts_of(exported)
    middle = len(files[name]) // 2
    flipped = bytes([files[name][middle] ^ 1])
    files[name] = files[name][:middle] + flipped + files[name][middle + 1 :]
    refused(payments_detector, pack(digest, files), "was changed|no JSON|ONNX|arrays|too early")


def test_one_changed_byte_anywhere_in_the_file_is_refused_or_does_not_matter(exported):
    """What is no content (a time stamp of the zip) may change; what is unpacked may not."""
    right = unpack(exported)
    for place in range(0, len(exported), max(1, len(exported) // 400)):
        changed = bytearray(exported)
        changed[place] ^= 0x41
        try:
            found = unpack(bytes(changed))
        except ExchangeError:
            continue
        assert (found.files, found.digest) == (right.files, right.digest), place


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"x" * 1000, b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_zip_is_refused(payments_detector, content):
    refused(payments_detector, content, "no zip|entries|cannot be unpacked")


@pytest.mark.parametrize(
    "name",
    ["../../etc/cron.d/x", "/etc/passwd", "a" * 64 + "/../x.json", "a" * 64 + "/sub/x.json",
     "a" * 64 + "/model.pkl", "a" * 64 + "\\x.json", "a" * 64 + "/"],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(payments_detector, exported, name, bundle_dir):
    buffer = io.BytesIO(exported)
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(name, b"evil")
    refused(payments_detector, buffer.getvalue(), "no file of a bundle")


def test_a_link_is_refused(payments_detector, exported):
    buffer = io.BytesIO(exported)
    link = zipfile.ZipInfo(f"{'a' * 64}/link.json")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(link, b"/etc/passwd")
    refused(payments_detector, buffer.getvalue(), "no plain file")


def test_a_file_that_unpacks_too_large_is_refused_unread(payments_detector, exported):
    buffer = io.BytesIO(exported)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{'a' * 64}/bomb.npz", b"\0" * (bundle_files.MOST_UNPACKED + 1))
    assert len(buffer.getvalue()) < 2 * 1024 * 1024
    refused(payments_detector, buffer.getvalue(), "Unpacked it is larger")


def test_a_bomb_inside_the_arrays_is_refused_unread(payments_detector, exported):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("coef.npy", b"\0" * (bundle_files.MOST_UNPACKED + 1))
    content = repacked(exported, explain__npz=bomb.getvalue())
    refused(payments_detector, content, "unpacked it is larger")


def test_an_array_that_claims_more_than_it_has_is_refused(payments_detector, exported):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )
    arrays = io.BytesIO()
    with zipfile.ZipFile(arrays, "w") as archive:
        archive.writestr("coef.npy", header.getvalue())
    refused(payments_detector, repacked(exported, explain__npz=arrays.getvalue()), "not as long")


def test_a_pickle_is_refused(payments_detector, exported):
    arrays = io.BytesIO()
    np.savez(arrays, coef=np.array([{"a": 1}], dtype=object))
    content = repacked(exported, explain__npz=arrays.getvalue())
    refused(payments_detector, content, "only numbers are read")


def test_a_graph_of_forbidden_operators_is_refused(payments_detector, exported):
    graph = helper.make_graph(
        [helper.make_node("ConstantOfShape", ["matrix"], ["margin"])], "g",
        [helper.make_tensor_value_info("matrix", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("margin", TensorProto.DOUBLE, [None])],
    )  # fmt: skip
    content = repacked(exported, model__onnx=helper.make_model(graph).SerializeToString())
    refused(payments_detector, content, "ConstantOfShape")


@pytest.mark.parametrize("inside", [False, True])
def test_very_many_entries_are_refused_before_their_list_is_read(inside, monkeypatch):
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as archive:
        for number in range(1500):
            archive.writestr(f"{number}", b"")
    read = []
    monkeypatch.setattr(zipfile, "ZipFile", read.append)
    with pytest.raises(ExchangeError, match="more than 1,000 entries"):
        if inside:
            trial._check_arrays(EXPLAIN, many.getvalue())
        else:
            unpack(many.getvalue())
    assert read == []


def test_what_takes_too_long_is_ended_and_refused(payments_detector, exported, monkeypatch):
    monkeypatch.setattr(importing, "TRIAL_SECONDS", 0.01)
    refused(payments_detector, exported, "too much memory or time")


def test_a_trial_that_dies_is_a_refusal_and_the_log_says_why(
    payments_detector, exported, monkeypatch, caplog
):
    monkeypatch.setattr(importing, "TRIAL", "models_registry.nothing")
    refused(payments_detector, exported, "too much memory or time")
    assert "No module named models_registry.nothing" in caplog.text


def test_the_trial_has_little_memory_and_time():
    code = "from models_registry import trial; trial.limit(); bytearray({}); print('had it')"
    for size, has in ((2**20, True), (trial.MEMORY, False)):
        done = subprocess.run(
            [sys.executable, "-c", code.format(size)], capture_output=True, text=True, check=False
        )
        assert ("had it" in done.stdout) == has
    assert "MemoryError" in done.stderr
    code = "import resource; from models_registry import trial; trial.limit(); "
    code += "print(resource.getrlimit(resource.RLIMIT_CPU)[1])"
    assert int(subprocess.check_output([sys.executable, "-c", code])) == trial.SECONDS


def test_the_trial_is_told_no_secret(payments_detector, exported, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "not for strangers")
    told = []
    real = subprocess.run

    def run(*args, **options):
        told.append(options["env"])
        return real(*args, **options)

    monkeypatch.setattr(importing.subprocess, "run", run)
    import_bundle(payments_detector, exported, actor=None)
    assert "SECRET_KEY" not in told[0]
    assert not [name for name in told[0] if "URL" in name or "KEY" in name]


def test_nothing_of_a_file_is_loaded_where_it_comes_in(payments_detector, exported, monkeypatch):
    monkeypatch.setattr(inference, "onnxruntime", None)
    monkeypatch.setattr(np, "load", None)
    assert import_bundle(payments_detector, exported, actor=None).label == "v1"


def test_a_model_that_learnt_tomorrow_is_refused(payments_detector, exported):
    tomorrow = (timezone.now() + timedelta(days=1)).isoformat()
    content = changed_record(exported, trained_at=tomorrow)
    refused(payments_detector, content, "trained_at, .* lies in the future. Is the clock right")
    soon = (timezone.now() + timedelta(minutes=1)).isoformat()
    import_bundle(payments_detector, changed_record(exported, trained_at=soon), actor=None)


def test_numbers_too_large_for_any_database_are_left_out(payments_detector, exported):
    digest, files = parts_of(of_an_earlier_release(exported, curves="HERE"))
    curves = b'{"roc": [[0, 1e999]], "cost": [[0, 1], [1, 2]], "pr": [[0, 1%s]]}' % (b"0" * 400)
    files[RECORD] = files[RECORD].replace(b'"HERE"', curves)
    version = import_bundle(payments_detector, pack(digest, files), actor=None)
    assert version.curves == {"cost": [[0, 1], [1, 2]]}


def test_one_file_sent_twice_at_once_is_one_version(payments_detector, exported, monkeypatch):
    """Both are past every check when the first is registered."""
    arrived = []

    def try_both(content):
        if not arrived:
            arrived.append(content)
            import_bundle(payments_detector, content, actor=None)

    monkeypatch.setattr(importing, "_try", try_both)
    with pytest.raises(ExchangeError, match="here already: it is v1"):
        import_bundle(payments_detector, exported, actor=None)
    assert (ModelVersion.objects.count(), Dataset.objects.count()) == (1, 1)


def test_too_large_a_file_is_refused_unread(payments_detector, monkeypatch, exported):
    monkeypatch.setattr(bundle_files, "MOST_BYTES", 1000)
    refused(payments_detector, exported, "larger than")


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ({"format": 99}, "format 99"),
        ({"encoder": {"columns": [{"op": "exec"}]}}, "does not load"),
        ({"encoder": 7}, "does not load"),
        ({"thresholds": None}, "does not load"),
        ({"link": "shell"}, "does not load"),
        ({"detector": []}, "does not load"),
        ({"metrics": 5}, "metrics"),
        ({"parameters": [1]}, "parameters"),
        ({"training": 5}, "incomplete"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(payments_detector, exported, manifest, said):
    refused(payments_detector, repacked(exported, manifest=manifest), said)


def test_numbers_that_no_page_could_show_are_left_out(payments_detector, exported):
    told = {"metrics": {"roc_auc": "high", "f1": {"a": 1}, "recall": 0.5, "known_at": "2026-01-01"}}
    with pytest.raises(ExchangeError, match="time zone"):
        import_bundle(payments_detector, repacked(exported, manifest=told), actor=None)
    told["metrics"].pop("known_at")
    version = import_bundle(payments_detector, repacked(exported, manifest=told), actor=None)
    assert version.metrics == {"recall": 0.5}


@pytest.mark.parametrize(
    "changed",
    [
        {"dataset": None},
        {"dataset": {"rows": 1}},
        {"trained_at": "yesterday"},
        {"training_seconds": "long"},
        {"format": 3},
        {"curves": 5},
    ],
)
def test_a_record_that_makes_no_sense_is_refused(payments_detector, exported, changed):
    refused(payments_detector, changed_record(exported, **changed), "version.json")


def test_odd_curves_are_left_out(payments_detector, exported):
    curves = {"roc": [[0, 0], [1, 1]], "cost": [["a", 1]], "calibration": [[1, 2]], "x": "y"}
    version = import_bundle(payments_detector, changed_record(exported, curves=curves), actor=None)
    assert version.curves == {"roc": [[0, 0], [1, 1]]}


def test_another_detectors_bundle_is_refused(payments_detector, exported):
    refused(make_detector("other"), exported, re.escape("declaration differs in slug"))


def test_what_is_taken_from_the_detector_alone_may_be_declared_otherwise(
    payments_detector, exported
):
    config = payments_detector.config
    config["audit_rate"] = 0.031
    config["event"]["links"] = ["device_id"]
    config["features"]["immutable"] = ["merchant_type"]
    payments_detector.save(update_fields=["config"])
    version = import_bundle(payments_detector, exported, actor=None)
    assert version.stage == ModelVersion.Stage.CHALLENGER
    assert payments_detector.spec().audit_rate == 0.031


@pytest.mark.parametrize("change", ["missing", "otherwise", "event"])
def test_features_and_fields_must_be_declared_alike(payments_detector, exported, change):
    config = payments_detector.config
    steps = config["features"]["transformations"]
    if change == "missing":
        del steps[2]
    elif change == "otherwise":
        steps[3]["config"]["windows"][1] = "2h"
    else:
        config["event"] |= {"pii": ["user_id"], "undeclared": "drop"}
    payments_detector.save(update_fields=["config"])
    refused(payments_detector, exported, "needs the features|otherwise|event.pii, event.undeclared")


def test_unpacking_loads_nothing(exported):
    found = unpack(exported)
    assert sha256(found.files[MANIFEST]) == found.digest
    assert set(found.model_files) == {MODEL, EXPLAIN}
