"""Who looks after the platform hears of faults once, and of others at once."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from models_registry import fault_telling, integrity
from models_registry.fault_telling import KIND, MOST_NAMED, tell_faults
from models_registry.integrity_report import FAULT, WARNING, Finding, Report
from models_registry.promotion import promote
from models_registry.tasks import tell_faults_task
from notifications.models import Delivery, Notification
from notifications.selectors import list_receipts
from scoring.core.bundle import MODEL, write_bundle
from scoring.deployment import bundle_root
from tests.factories import trained_payments
from tests.models_registry.versions import VersionFactory
from tests.notifications.factories import route_for

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def look(monkeypatch):
    """What a look finds; how many faults are told then."""

    def looked(*findings, now):
        report = Report(tuple(findings), (), now)
        monkeypatch.setattr(fault_telling, "check_integrity", lambda now: report)
        return tell_faults(now=now)

    return looked


def fault(subject, kind="list", level=FAULT, detector="payments", url=""):
    return Finding(kind, level, subject, f"{subject} is broken.", "Mend it.", detector, url)


def told_to(user):
    return [one.notification.subject for one in list_receipts(user)]


@pytest.fixture
def damaged(payments_detector, bundle_dir, monkeypatch):
    """A champion whose file of the model was changed."""
    cache.clear()
    monkeypatch.setattr(integrity, "workers_answering", lambda: 1)
    digest = write_bundle(bundle_root(), *trained_payments())
    version = VersionFactory(detector=payments_detector, number=1, digest=digest)
    promote(version, actor=None)
    place = bundle_root() / digest / MODEL
    place.write_bytes(place.read_bytes()[:-1] + b"x")
    return version


def test_a_damaged_bundle_that_serves_is_told_with_what_to_do(damaged, owner, admin, analyst):
    assert tell_faults_task() == 1
    subject = f"Bundles: a fault of {damaged}"
    assert told_to(owner)[0] == told_to(admin)[0] == subject
    assert subject not in told_to(analyst)
    news = Notification.objects.get(kind=KIND)
    assert "model.onnx was changed" in news.text and "restore its folder" in news.text
    assert (news.url, news.about) == (damaged.get_absolute_url(), "payments")
    assert tell_faults_task() == 0


def test_what_lasts_is_told_once_a_day_and_what_is_new_at_once(look, admin, now):
    one, other = fault("A"), fault("B")
    assert look(one, now=now) == 1
    assert look(one, now=now + HOUR) == 0
    assert look(one, other, now=now + HOUR) == 1
    assert told_to(admin) == ["Watchlists: a fault of B", "Watchlists: a fault of A"]
    assert look(one, other, now=now + timedelta(days=1, minutes=30)) == 2


def test_many_faults_are_one_message(look, admin, now):
    assert look(*(fault(f"list {n}") for n in range(12)), now=now) == 12
    news = Notification.objects.get(kind=KIND)
    assert (news.subject, news.url) == ("12 faults", "/models/integrity/")
    assert news.text.splitlines()[0] == "list 0: list 0 is broken. Mend it."
    assert news.text.splitlines()[MOST_NAMED:] == ["And 2 more."]


def test_warnings_and_what_has_a_message_of_its_own_are_not_told(look, admin, now):
    others = ("stale", "worker", "beat", "job")
    assert (
        look(fault("W", level=WARNING), *(fault("X", kind=kind) for kind in others), now=now) == 0
    )
    assert told_to(admin) == []


def test_routes_of_its_detector_take_it(look, payments_detector, fraud_detector, now):
    mine = route_for(kinds=[KIND], about="payments")
    other = route_for(kinds=[KIND], about="fraud")
    look(fault("A"), now=now)
    assert (sent_by(mine), sent_by(other)) == (1, 0)


def test_what_nobody_hears_of_is_told_when_somebody_does(look, now):
    assert look(fault("A"), now=now) == 0
    route_for(kinds=[KIND])
    assert look(fault("A"), now=now + HOUR) == 1


def sent_by(route):
    return Delivery.objects.filter(route=route).count()
