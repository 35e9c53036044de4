"""What all tests share: people, keys, detectors, a champion; and no skip where CI forbids it."""

import errno
import os
from collections.abc import Callable, Iterator, Sequence

import hypothesis
import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.test import Client

from accounts import own_keys
from accounts.models import User
from accounts.roles import ADMIN, ANALYST, DATA_ENGINEER, LEAD, MODEL_OWNER
from accounts.scopes import WRITING_SCOPES
from riskplatform import context_processors
from scoring import announcing, breakers, deployment, judging, services, source_tallies
from scoring.calls import Call
from scoring.core import bundle as bundles
from scoring.core.bundle import write_bundle
from scoring.models import Detector
from tests.accounts.factories import UserFactory, key_for, user_with_role
from tests.dialects import TRIED_BY
from tests.e2e import prepared
from tests.factories import shipped_detector, trained_payments
from tests.settings import remove_folder

# The same examples in every run, however busy; `--hypothesis-profile=explore` looks for new ones.
CALM = hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.register_profile("explore", CALM)
hypothesis.settings.register_profile("fixed", CALM, derandomize=True)
hypothesis.settings.load_profile("fixed")
REQUIRED = set(filter(None, os.environ.get("RISK_CI_REQUIRE", "").split(",")))
GROUPS = ("browser-1", "streams", "processes", "compose", "browser-2")
"""In this order, before all other tests: long ones first. Both browser groups begin with a copy of
one filled platform, so the second comes when it is there instead of waiting for the first."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where RISK_CI_REQUIRE names a marker, its tests fail instead of being skipped."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        marks = {mark.name for mark in item.iter_markers()}
        missing = REQUIRED & marks
        # Data that may not be shipped is absent in most places, whatever runs there.
        if missing and not ("realdata" in marks and "realdata" not in REQUIRED):
            report.outcome = "failed"
            report.longrepr = f"skipped, though {', '.join(sorted(missing))} is required here"
    return report


def pytest_configure(config: pytest.Config) -> None:
    """pytest-xdist would begin with the groups of most tests, both browsers at once."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what `tests.dialects` names."""
    test = item.nodeid.partition("[")[0]
    if test in TRIED_BY or test.partition("::")[0] in TRIED_BY:
        item.add_marker("dialect")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups first, in the order of GROUPS; all else stays as it was."""
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    mark = item.get_closest_marker("xdist_group")
    if mark is None:
        return len(GROUPS) + 1
    return GROUPS.index(mark.args[0]) if mark.args[0] in GROUPS else len(GROUPS)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tests of one group share a platform that takes a minute to start: they stay together."""
    if not session.config.getoption("loadgroup", False):
        return
    alone = [i.nodeid for i in session.items if _is_grouped(i) and "@" not in i.nodeid]
    if alone:
        raise pytest.UsageError(f"pytest-xdist takes no notice of the group of {alone[0]}")


def _is_grouped(item: pytest.Item) -> bool:
    return item.get_closest_marker("xdist_group") is not None


def pytest_unconfigure(config: pytest.Config) -> None:
    remove_folder()
    if not hasattr(config, "workerinput"):  # Who began the run ends it.
        prepared.remove()


@pytest.fixture(autouse=True)
def forget_what_is_remembered() -> None:
    """What one test's process remembered must not serve in the next."""
    deployment._last_good.clear()
    deployment._latest.clear()
    deployment._refused.clear()
    deployment._stand_ins.clear()
    judging.cache.clear()
    breakers.reset()
    own_keys.forget()
    announcing._announcements.clear()
    source_tallies._gathered.clear()


@pytest.fixture(autouse=True)
def know_roles(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Queries are counted in a process that knows whose menu names which roles, as all do but once
    a minute; whether it does must not depend on the tests before."""
    context_processors._role_names.cache_clear()
    if request.module.__name__ != "tests.riskplatform.test_context_processors":
        monkeypatch.setattr(context_processors, "_role_names", lambda user_id, when: "Analyst")


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the groups of calls that were stored together."""
    sizes: list[int] = []
    store = services._store_calls

    def count(calls: Sequence[Call], **again: bool) -> None:
        sizes.append(len(calls))
        store(calls, **again)

    monkeypatch.setattr(services, "_store_calls", count)
    return sizes


@pytest.fixture
def only_on_sqlite() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("about SQLite")


@pytest.fixture
def analyst(db: None) -> User:
    return user_with_role(ANALYST, username="analyst")


@pytest.fixture
def lead(db: None) -> User:
    return user_with_role(LEAD, username="lead")


@pytest.fixture
def engineer(db: None) -> User:
    return user_with_role(DATA_ENGINEER, username="engineer")


@pytest.fixture
def owner(db: None) -> User:
    return user_with_role(MODEL_OWNER, username="owner")


@pytest.fixture
def second_owner(db: None) -> User:
    """Whoever approves what `owner` asks for."""
    return user_with_role(MODEL_OWNER, username="second")


@pytest.fixture
def admin(db: None) -> User:
    return user_with_role(ADMIN, username="admin")


@pytest.fixture
def outsider(db: None) -> User:
    """Somebody with an account and no role."""
    return UserFactory(username="outsider")


@pytest.fixture
def api(db: None) -> Callable[..., Client]:
    """`api("score")` is a client with a key of those scopes; `api()` has a key without any.

    The key of a scope that writes acts for somebody who may; any other for who has no role.
    """

    def client_with(*scopes: str) -> Client:
        writes = not WRITING_SCOPES.isdisjoint(scopes)
        user = user_with_role(DATA_ENGINEER, MODEL_OWNER) if writes else UserFactory()
        _, secret = key_for(user, scopes=scopes)
        return Client(headers={"authorization": f"Token {secret}"})

    return client_with


@pytest.fixture
def payments_detector(db: None) -> Detector:
    """The shipped `payments`, served by its rules alone."""
    return shipped_detector("payments")


@pytest.fixture
def cards_detector(db: None) -> Detector:
    """The shipped `cards`, served by its rules alone."""
    return shipped_detector("cards")


@pytest.fixture
def fraud_detector(db: None) -> Detector:
    """The shipped `fraud`, served by its rules alone."""
    return shipped_detector("fraud")


@pytest.fixture(scope="session")
def payments_digest() -> str:
    """A small trained payments bundle, written once."""
    manifest, files = trained_payments()
    return write_bundle(deployment.bundle_root(), manifest, files)


@pytest.fixture
def champion(payments_detector: Detector, payments_digest: str) -> Detector:
    """The shipped `payments` with a trained champion, v1."""
    deployment.install(payments_detector, slot="champion", digest=payments_digest, version="v1")
    return payments_detector


@pytest.fixture
def bundle_dir(tmp_path, monkeypatch):
    """A bundle folder of this test's own, with nothing loaded from it yet."""
    monkeypatch.setattr(django_settings, "BUNDLE_DIR", str(tmp_path / "bundles"))
    monkeypatch.setattr(deployment, "_loaded", {})
    return tmp_path / "bundles"


@pytest.fixture
def full_disk(monkeypatch):
    """No bundle fits the disk any more; what lies there can be read."""

    def no_space(number):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(bundles.os, "fsync", no_space)
