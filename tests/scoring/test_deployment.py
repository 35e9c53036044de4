"""Which bundle serves: the newest installed in every process, the last good one in trouble."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from scoring import deployment
from scoring.core.bundle import BundleError, write_bundle
from scoring.deployment import RULES_ONLY, UnknownDetector, install, serving
from scoring.models import Deployment
from tests.factories import payment, scored, trained_payments

pytestmark = pytest.mark.django_db


@pytest.fixture
def two_versions(bundle_dir, payments_detector):
    """Digests of two trained bundles in a folder of their own; the first one serves."""
    manifest, files = trained_payments()
    first = write_bundle(bundle_dir, manifest, files)
    second = write_bundle(bundle_dir, {**manifest, "metrics": {"second": 1}}, files)
    install(payments_detector, slot="champion", digest=first, version="v1")
    return first, second


def damage(root, digest):
    path = root / digest / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def forget_loaded():
    """As in a process that has not loaded this bundle yet."""
    deployment._loaded.clear()


def test_nobody_serves_a_detector_that_is_not_there(db):
    with pytest.raises(UnknownDetector):
        serving("nothing")


def test_a_new_detector_serves_its_rules(payments_detector):
    found = serving("payments")
    assert (found.version, found.bundle.predictor, found.fault) == (RULES_ONLY, None, "")


def test_a_detector_without_a_deployment_serves_its_rules(payments_detector):
    Deployment.objects.all().delete()
    found = serving("payments")
    assert (found.version, found.detector_id) == (RULES_ONLY, payments_detector.pk)
    assert [rule.code for rule in found.bundle.policy.rules]


def test_the_very_next_event_is_scored_by_what_was_installed(two_versions, payments_detector):
    before = scored("payments", payment())
    install(payments_detector, slot="champion", digest=two_versions[1], version="v2")
    after = scored("payments", payment())
    assert (before.model_version, after.model_version) == ("v1", "v2")
    assert (before.bundle_digest, after.bundle_digest) == two_versions


@pytest.mark.django_db(transaction=True)
def test_another_thread_serves_what_this_one_installed(two_versions, payments_detector):
    def elsewhere():
        try:
            return scored("payments", payment()).model_version
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as other:
        assert other.submit(elsewhere).result() == "v1"
        install(payments_detector, slot="champion", digest=two_versions[1], version="v2")
        assert other.submit(elsewhere).result() == "v2"


def test_a_damaged_bundle_is_not_installed(two_versions, payments_detector, bundle_dir):
    damage(bundle_dir, two_versions[1])
    with pytest.raises(BundleError, match="was changed"):
        install(payments_detector, slot="champion", digest=two_versions[1], version="v2")
    assert Deployment.objects.get().version == "v1"


def test_a_bundle_damaged_after_it_was_loaded_is_not_installed_again(
    two_versions, payments_detector, bundle_dir
):
    serving("payments")
    damage(bundle_dir, two_versions[0])
    with pytest.raises(BundleError, match="was changed"):
        install(payments_detector, slot="champion", digest=two_versions[0], version="again")


def test_when_the_new_one_is_damaged_the_previous_one_goes_on(
    two_versions, payments_detector, bundle_dir
):
    assert serving("payments").version == "v1"
    install(payments_detector, slot="champion", digest=two_versions[1], version="v2")
    damage(bundle_dir, two_versions[1])
    forget_loaded()
    found = serving("payments")
    assert (found.version, found.bundle.digest) == ("v1", two_versions[0])
    assert "was changed" in found.fault
    assert scored("payments", payment()).bundle_digest == two_versions[0]


def test_a_fresh_process_with_a_damaged_bundle_serves_the_rules(two_versions, bundle_dir, caplog):
    damage(bundle_dir, two_versions[0])
    forget_loaded()
    deployment._last_good.clear()
    row = scored("payments", payment())
    assert (row.model_version, row.degraded, row.score) == (RULES_ONLY, True, None)
    assert "model.onnx was changed" in caplog.text


def test_a_bundle_is_loaded_once(two_versions, monkeypatch):
    serving("payments")
    monkeypatch.setattr(deployment, "load_bundle", lambda *args: 1 / 0)
    assert serving("payments").version == "v1"


def test_memory_holds_a_bounded_number_of_bundles(two_versions, monkeypatch):
    monkeypatch.setattr(deployment, "MOST_LOADED", 1)
    forget_loaded()
    for digest in (*two_versions, two_versions[0]):
        assert deployment.loaded(digest).digest == digest
    assert list(deployment._loaded) == [two_versions[0]]


def test_choosing_what_serves_costs_one_query(
    two_versions, django_assert_num_queries, only_on_sqlite
):
    serving("payments")
    with django_assert_num_queries(1):
        serving("payments")


def test_a_damaged_bundle_is_read_again_every_few_seconds_only(
    two_versions, bundle_dir, caplog, monkeypatch
):
    damage(bundle_dir, two_versions[0])
    forget_loaded()
    deployment._last_good.clear()
    read, load = [], deployment.load_bundle
    monkeypatch.setattr(deployment, "load_bundle", lambda *args: read.append(1) or load(*args))
    assert {serving("payments").fault for _ in range(20)} == {serving("payments").fault}
    assert "was changed" in serving("payments").fault
    assert (len(read), caplog.text.count("model.onnx was changed")) == (1, 1)
    monkeypatch.setattr(deployment, "RETRY_SECONDS", 0.0)
    deployment._refused.clear()
    assert [serving("payments").version for _ in range(3)] == [RULES_ONLY] * 3
    assert len(read) == 4


def test_who_asks_for_a_damaged_bundle_at_once_reads_it_once_together(
    two_versions, bundle_dir, monkeypatch
):
    damage(bundle_dir, two_versions[0])
    forget_loaded()
    read, load = [], deployment.load_bundle

    def slow(*args):
        read.append(1)
        time.sleep(0.2)
        return load(*args)

    monkeypatch.setattr(deployment, "load_bundle", slow)

    def ask(_):
        with pytest.raises(BundleError, match="was changed"):
            deployment.loaded(two_versions[0])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(8)))
    assert read == [1]


def test_a_bundle_that_was_put_back_is_read_at_once(two_versions, bundle_dir):
    kept = (bundle_dir / two_versions[0] / "model.onnx").read_bytes()
    damage(bundle_dir, two_versions[0])
    forget_loaded()
    with pytest.raises(BundleError):
        deployment.loaded(two_versions[0])
    (bundle_dir / two_versions[0] / "model.onnx").write_bytes(kept)
    deployment.read_again(two_versions[0])
    assert deployment.loaded(two_versions[0]).digest == two_versions[0]


def test_a_bundle_that_was_mended_serves_again_after_a_few_seconds(
    two_versions, bundle_dir, monkeypatch
):
    monkeypatch.setattr(deployment, "RETRY_SECONDS", 0.1)
    kept = (bundle_dir / two_versions[0] / "model.onnx").read_bytes()
    damage(bundle_dir, two_versions[0])
    forget_loaded()
    deployment._last_good.clear()
    assert serving("payments").version == RULES_ONLY
    (bundle_dir / two_versions[0] / "model.onnx").write_bytes(kept)
    time.sleep(0.15)
    assert (serving("payments").version, serving("payments").fault) == ("v1", "")
