"""What tests of several files here begin with."""

import pytest

from models_registry.exporting import pack_bundle
from models_registry.models import Dataset
from models_registry.promotion import promote
from models_registry.promotion_models import PromotionGuard
from scoring.core.bundle import write_bundle
from scoring.deployment import bundle_root
from tests.factories import trained_payments
from tests.models_registry.guards import guarded_versions
from tests.models_registry.versions import VersionFactory


@pytest.fixture(scope="session")
def payments_bundle():
    """(manifest, files) of a model of payments."""
    return trained_payments()


@pytest.fixture
def exported(payments_detector, payments_bundle, bundle_dir):
    """A file as another platform made it; here nothing is left of the version."""
    manifest, files = payments_bundle
    told = {"metrics": {"roc_auc": 0.9, "rows": 10, "positives": 3, "intervals": {"f1": [0.1, 1]}}}
    digest = write_bundle(bundle_root(), manifest | told, files)
    version = VersionFactory(detector=payments_detector, digest=digest)
    content = pack_bundle(version)
    version.delete()
    Dataset.objects.all().delete()
    return content


@pytest.fixture
def guarded(payments_detector, payments_digest):
    """[v1, v2]: v1 serves, v2 waits."""
    return guarded_versions(payments_detector, payments_digest)


@pytest.fixture
def guard(guarded):
    """The guard of v2, which serves in place of v1."""
    promote(guarded[1], actor=None, reason="test")
    return PromotionGuard.objects.get()
