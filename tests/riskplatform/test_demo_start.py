"""How `manage.py demo` starts: an empty installation or its own, and nobody's account changed."""

import subprocess
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import AuditEntry, User
from accounts.roles import ANALYST, LEAD
from cases.case_alerts import open_case
from cases.dashboard_models import DailyTally
from cases.models import Alert
from cases.services import open_alerts
from riskplatform import demo, demo_marks
from riskplatform.management.commands import demo as command
from tests.accounts.factories import UserFactory, user_with_role
from tests.factories import risky_payment, scored

pytestmark = pytest.mark.django_db
PASSWORD = "the-demo's-password-71"


@pytest.fixture(autouse=True)
def folder(tmp_path, settings):
    settings.VAR_DIR, settings.EMBEDDED = tmp_path, True
    return tmp_path


@pytest.fixture
def start(monkeypatch):
    """`start()`: what `manage.py demo` prints; filling and serving are left out, and `fills` says
    how often it filled."""
    monkeypatch.setattr(command, "prepare", lambda: None)
    monkeypatch.setattr(command, "refuse_taken", lambda host, port: None)
    monkeypatch.setattr(command.signal, "signal", lambda *_: None)
    monkeypatch.setattr(command, "call_command", lambda *_, **__: None)

    def fill(*_, **__):
        started.fills += 1
        if started.comes_to_its_end:
            demo_marks.mark_filled()
        else:
            raise subprocess.CalledProcessError(-9, "fill")

    def started(password=PASSWORD):
        said = StringIO()
        monkeypatch.setenv("DEMO_PASSWORD", password)
        call_command("demo", stdout=said)
        return said.getvalue()

    monkeypatch.setattr(command.subprocess, "run", fill)
    started.fills, started.comes_to_its_end = 0, True
    return started


def alert_in_a_case():
    open_alerts([scored("payments", risky_payment()).pk])
    alert = Alert.objects.get()
    open_case([alert], title="Unusual payments", actor=User.objects.order_by("pk").first())
    return alert


def test_it_makes_people_once_and_says_their_password(start):
    for _ in range(2):
        assert f"password for all: {PASSWORD}" in start()
    assert User.objects.count() == len(demo.PEOPLE)
    assert start.fills == 1


def test_people_who_are_there_keep_their_password_and_their_roles():
    lead = user_with_role(ANALYST, username="lead")
    entries = AuditEntry.objects.filter(object_id=str(lead.pk)).count()
    demo.make_people(PASSWORD)
    lead.refresh_from_db()
    assert lead.check_password("correct horse battery")
    assert [group.name for group in lead.groups.all()] == [ANALYST]
    assert AuditEntry.objects.filter(object_id=str(lead.pk)).count() == entries
    admin = User.objects.get(username="admin")
    assert admin.check_password(PASSWORD)
    told = AuditEntry.objects.filter(object_id=str(admin.pk)).order_by("number")
    assert list(told.values_list("action", flat=True)) == [
        "user.created", "user.superuser_made", "user.roles_changed",
    ]  # fmt: skip


def test_a_password_that_was_changed_stays_and_is_said_to_be_another(start):
    start()
    admin = User.objects.get(username="admin")
    admin.set_password("My-own-password-9")
    admin.save()
    lines = start().splitlines()
    assert [line for line in lines if "of their own" in line] == [
        "  admin      Admin  (has a password of their own)"
    ]
    assert User.objects.get(username="admin").check_password("My-own-password-9")
    assert "passwords stay as they are" in start("another-password-8")


def test_somebody_who_was_removed_does_not_come_back(start):
    start()
    User.objects.filter(username="analyst").update(username="ana", is_active=False)
    assert "analyst " not in start()
    assert not User.objects.filter(username="analyst").exists()


@pytest.mark.parametrize("make", [UserFactory, lambda: scored("payments", risky_payment())])
def test_an_installation_that_is_somebodys_is_refused(start, folder, payments_detector, make):
    make()
    users = User.objects.count()
    for _ in range(2):
        with pytest.raises(CommandError, match="not the demo's"):
            start()
    assert (User.objects.count(), start.fills) == (users, 0)
    assert not (folder / "demo_password").exists()


def test_the_demo_of_another_database_does_not_count(start, settings):
    start()
    settings.EMBEDDED = False
    with pytest.raises(CommandError, match="not the demo's"):
        start()


def test_a_fill_that_was_interrupted_goes_on_at_the_next_start(start, payments_detector):
    start.comes_to_its_end = False
    for _ in range(2):
        with pytest.raises(subprocess.CalledProcessError):
            start()
    alert_in_a_case()
    start.comes_to_its_end = True
    start()
    start()
    assert start.fills == 3


def test_a_demo_of_before_is_the_demos_and_filled_when_it_has_everything(
    start, folder, payments_detector
):
    then = timezone.now()
    (folder / "demo_started_at").write_text(then.isoformat())
    demo.make_people(PASSWORD)
    DailyTally.objects.create(
        detector=alert_in_a_case().detector, day=then.date(), kind="opened", count=1
    )
    start()
    assert start.fills == 0
    assert demo_marks.started_at() == then


def test_a_demo_of_before_that_lacks_its_tallies_is_filled_on(start, folder, payments_detector):
    (folder / "demo_password").write_text(PASSWORD)
    user_with_role(LEAD, username="lead")
    alert_in_a_case()
    start()
    assert start.fills == 1
