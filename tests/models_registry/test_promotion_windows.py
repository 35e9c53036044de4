"""Who asks for a promotion, or approves it, reads before that windows are learnt anew by it."""

import numpy as np
import pytest

from models_registry.approvals import request_promotion
from models_registry.promotion import promote
from scoring.core.bundle import write_bundle
from scoring.deployment import bundle_root
from tests.factories import config_of, payment, payments, scored, train_bundle
from tests.models_registry.versions import VersionFactory, comparison

pytestmark = pytest.mark.django_db
TOLD = "windows by user_id are learnt anew from stored events (1 scored so far)"


@pytest.fixture
def champion(payments_detector, payments_digest):
    made = VersionFactory(detector=payments_detector, number=1, digest=payments_digest)
    promote(made, actor=None)
    return made


@pytest.fixture
def other(champion):
    """A challenger whose windows of a user are longer."""
    config = config_of("payments")
    config["features"]["transformations"][4]["config"]["windows"] = ["7d", "60d"]
    raws = payments(300, users=40)
    bad = (np.array([raw["amount"] for raw in raws]) > 150.0).astype(int)
    digest = write_bundle(
        bundle_root(), *train_bundle(config, raws, bad, learner="logistic_regression")
    )
    return VersionFactory(
        detector=champion.detector,
        number=2,
        digest=digest,
        comparison=comparison(champion.digest),
    )


def page(client, user, version):
    client.force_login(user)
    return " ".join(client.get(version.get_absolute_url()).content.decode().split())


def test_it_is_told_before_one_asks_and_before_one_approves(
    client, other, owner, second_owner, analyst
):
    scored("payments", payment())
    assert TOLD in page(client, owner, other)
    request_promotion(other, actor=owner)
    assert TOLD in page(client, second_owner, other)


def test_where_windows_stay_or_nothing_was_scored_nothing_is_told(client, champion, other, owner):
    assert "learnt anew" not in page(client, owner, other)
    scored("payments", payment())
    same = VersionFactory(detector=champion.detector, number=3, digest=champion.digest)
    assert "learnt anew" not in page(client, owner, same)
    assert "learnt anew" not in page(client, owner, champion)


def test_a_bundle_that_is_gone_is_no_error_here(client, champion, owner):
    scored("payments", payment())
    gone = VersionFactory(detector=champion.detector, number=4, digest="f" * 64)
    assert "learnt anew" not in page(client, owner, gone)
