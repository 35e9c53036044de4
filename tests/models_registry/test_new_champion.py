"""What begins to serve is checked for drift at once, not when the hour is over."""

import pytest
from django.db import transaction

from jobs.models import Job
from models_registry import monitoring
from models_registry.drift_selectors import newest_check
from models_registry.models import PromotionDecision
from models_registry.monitoring import CHECK_DRIFT, check_new_champion, request_drift_check
from models_registry.promotion import promote, roll_back
from models_registry.tasks import check_drift_task
from scoring.deployment import install_rules_only
from tests.models_registry.rivals import other_digest
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def versions(payments_detector, payments_digest):
    return [
        VersionFactory(detector=payments_detector, number=1, digest=payments_digest),
        VersionFactory(detector=payments_detector, number=2, digest=other_digest(review=0.45)),
    ]


@pytest.fixture
def told(monkeypatch):
    """The ids of the drift jobs that workers are told of."""
    found = []
    monkeypatch.setattr(
        "jobs.dispatch.current_app.send_task",
        lambda name, args: found.extend(args) if name == CHECK_DRIFT else None,
    )
    return found


@pytest.fixture
def committed(django_capture_on_commit_callbacks):
    """Do what is given, commit it, and give back what it gave."""

    def act(done, *args, **given):
        with django_capture_on_commit_callbacks(execute=True):
            return done(*args, **given)

    return act


def test_promotion_and_roll_back_are_each_followed_by_a_check(versions, told, committed):
    detector = versions[0].detector
    for act, given in ((promote, versions[0]), (promote, versions[1]), (roll_back, detector)):
        decision = committed(act, given, actor=None)
        check_drift_task(told[-1])
        check = newest_check(detector)
        assert (check.bundle_digest, check.status) == (decision.version.digest, "unknown")
    assert len(set(told)) == 3


def test_what_is_not_committed_is_not_checked(versions, told, committed):
    def fail():
        with transaction.atomic():
            promote(versions[0], actor=None)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        committed(fail)
    assert not told
    assert not Job.objects.exists()


def test_rules_alone_are_not_checked(payments_detector, told, committed):
    install_rules_only(payments_detector)
    committed(check_new_champion, payments_detector)
    assert not told
    assert not Job.objects.exists()


def test_a_champion_serves_where_no_check_can_be_asked_for(versions, committed, monkeypatch):
    def fail(*args, **given):
        raise ConnectionError

    monkeypatch.setattr(monitoring, "request_drift_check", fail)
    committed(promote, versions[0], actor=None)
    assert PromotionDecision.objects.get().version == versions[0]


def test_a_check_of_the_former_champion_is_followed_by_one_of_the_new(
    versions, told, committed, monkeypatch
):
    promote(versions[0], actor=None)
    running = request_drift_check(versions[0].detector, requested_by=None)
    measure = monitoring.measure

    def meanwhile(*args, **given):
        if not told:
            committed(promote, versions[1], actor=None)
        return measure(*args, **given)

    monkeypatch.setattr(monitoring, "measure", meanwhile)
    committed(check_drift_task, running.pk)
    # While it ran there was no room for another one; the next is of what serves, and the last.
    assert told[0] == running.pk
    committed(check_drift_task, told[-1])
    assert newest_check(versions[0].detector).bundle_digest == versions[1].digest
    assert Job.objects.filter(kind=CHECK_DRIFT, status="succeeded").count() == len(set(told)) == 2
