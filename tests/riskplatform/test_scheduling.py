"""The timetable: shipped tasks are there, their times are the admins', and changes are audited."""

import time
from html import unescape
from threading import Event

import pytest
from django.urls import reverse
from django_celery_beat import schedulers
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from kombu.exceptions import OperationalError

from accounts.models import AuditEntry, User
from riskplatform import beat_schedule, scheduling
from riskplatform.beat_schedule import BEAT_SCHEDULE
from riskplatform.celery import app
from riskplatform.scheduling import make_missing_tasks

pytestmark = pytest.mark.django_db
NAME = "Check models for drift"
LIST = reverse("admin:django_celery_beat_periodictask_changelist")


def start_beat():
    return schedulers.DatabaseScheduler(app=app).schedule


def task(name=NAME):
    return PeriodicTask.objects.select_related("interval", "crontab").get(name=name)


def audited():
    return list(AuditEntry.objects.filter(action__startswith="schedule.").order_by("number"))


def act(client, action, *names):
    rows = PeriodicTask.objects.filter(name__in=names)
    chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(LIST, chosen, follow=True)


def save(client, row, **changed):
    given = {"interval": row.interval_id or "", "crontab": row.crontab_id or "", "solar": ""}
    address = reverse("admin:django_celery_beat_periodictask_change", args=[row.pk])
    return client.post(address, given | {"enabled": "on"} | changed)


@pytest.fixture
def signed_in(client, admin):
    client.force_login(admin)
    return client


def test_a_migrated_database_has_every_shipped_task():
    rows = PeriodicTask.objects.select_related("interval").filter(name__in=BEAT_SCHEDULE)
    found = {row.name: {"task": row.task, "schedule": float(row.interval.every)} for row in rows}
    assert found == BEAT_SCHEDULE
    assert not make_missing_tasks()


def test_every_shipped_task_is_known_to_the_workers():
    app.loader.import_default_modules()
    assert {entry["task"] for entry in BEAT_SCHEDULE.values()} <= set(app.tasks)


def test_starting_beat_again_puts_nothing_back(monkeypatch):
    # Beat closes what its own process no longer needs.
    monkeypatch.setattr(schedulers, "close_old_connections", lambda: None)
    names = set(PeriodicTask.objects.values_list("name", flat=True))
    row = task()
    row.interval = IntervalSchedule.objects.create(every=1, period="days")
    row.save()
    PeriodicTask.objects.filter(name="Forget old notifications").update(enabled=False)
    assert NAME in start_beat()
    make_missing_tasks()
    start_beat()
    assert str(task().interval) == "every day"
    assert not task("Forget old notifications").enabled
    assert set(PeriodicTask.objects.values_list("name", flat=True)) == names


def test_an_upgrade_makes_what_is_new_moves_what_moved_and_removes_what_is_gone(monkeypatch):
    PeriodicTask.objects.filter(name="Count what rules found").delete()
    PeriodicTask.objects.filter(name=NAME).update(task="models_registry.old_name", enabled=False)
    every = IntervalSchedule.objects.first()
    for name in ("Shipped of old", "celery.backend_cleanup", "Somebody's own"):
        PeriodicTask.objects.create(name=name, task="t", interval=every)
    retired = beat_schedule.RETIRED | {"Shipped of old"}
    monkeypatch.setattr(scheduling, "RETIRED", retired)
    assert make_missing_tasks() == ["Count what rules found"]
    assert (task().task, task().enabled) == (BEAT_SCHEDULE[NAME]["task"], False)
    names = set(PeriodicTask.objects.values_list("name", flat=True))
    assert names == BEAT_SCHEDULE.keys() | {"Somebody's own"}


def test_times_and_switch_are_changed_and_nothing_else(signed_in, admin):
    tab = CrontabSchedule.objects.create(minute="0", hour="3")
    changed = {"interval": "", "crontab": tab.pk, "task": "os.system", "name": "x", "args": "[1]"}
    assert save(signed_in, task(), **changed).status_code == 302
    row = task()
    assert (row.crontab, row.interval, row.args) == (tab, None, "[]")
    assert row.task == BEAT_SCHEDULE[NAME]["task"]
    [entry] = audited()
    assert (entry.action, entry.actor, entry.object_id) == (
        "schedule.task_changed", admin, str(row.pk),
    )  # fmt: skip
    assert entry.detail["before"] == "every 3600 seconds"
    assert "0 3 * * *" in entry.detail["after"]


def test_saving_what_did_not_change_leaves_no_line(signed_in):
    assert save(signed_in, task()).status_code == 302
    assert audited() == []


def test_a_task_has_one_timetable(signed_in):
    tab = CrontabSchedule.objects.create(minute="0", hour="3")
    for changed in ({"crontab": tab.pk}, {"interval": ""}):
        assert save(signed_in, task(), **changed).status_code == 200
    assert audited() == []


@pytest.mark.parametrize(
    ("action", "enabled"),
    [("disable_tasks", False), ("enable_tasks", True), ("toggle_tasks", None)],
)
def test_actions_switch_and_are_audited(signed_in, action, enabled):
    PeriodicTask.objects.filter(name=NAME).update(enabled=False)
    other = "Watch new champions"
    act(signed_in, action, NAME, other)
    wanted = (True, False) if enabled is None else (enabled, enabled)
    assert (task().enabled, task(other).enabled) == wanted
    assert len(audited()) == (2 if enabled is None else 1)
    assert all(entry.action == "schedule.task_changed" for entry in audited())


def test_a_task_is_run_out_of_turn(signed_in, monkeypatch):
    sent = []
    monkeypatch.setattr(scheduling.current_app, "send_task", lambda name, **_: sent.append(name))
    act(signed_in, "run_tasks", NAME)
    assert sent == [BEAT_SCHEDULE[NAME]["task"]]
    assert [entry.action for entry in audited()] == ["schedule.task_run"]


def test_a_broker_that_is_silent_holds_nobody_up_and_the_page_says_so(signed_in, monkeypatch):
    asked, speaks = [], Event()

    def take_one(name, **_):
        asked.append(name)
        if len(asked) > 1:
            speaks.wait(30)

    monkeypatch.setattr(scheduling.current_app, "send_task", take_one)
    began = time.monotonic()
    page = act(signed_in, "run_tasks", *list(BEAT_SCHEDULE)[:6]).content.decode()
    waited = time.monotonic() - began
    speaks.set()
    assert waited < 5
    assert len(asked) == 2
    assert "asked for 1 of 6 tasks. The broker failed: it did not answer in time" in page


@pytest.mark.parametrize("problem", [OperationalError("no Redis"), OSError(28, "disk full")])
def test_a_broker_that_fails_is_told_on_the_page(signed_in, monkeypatch, problem):
    def refuse(name, **_):
        raise problem

    monkeypatch.setattr(scheduling.current_app, "send_task", refuse)
    page = unescape(act(signed_in, "run_tasks", NAME).content.decode())
    assert f"asked for 0 of 1 tasks. The broker failed: {problem}" in page


def test_who_may_only_look_runs_and_switches_nothing(client, analyst):
    analyst.is_staff = True
    analyst.save(update_fields=["is_staff"])
    client.force_login(analyst)
    for action in ("disable_tasks", "run_tasks"):
        assert act(client, action, NAME).status_code == 403
    assert task().enabled
    assert audited() == []


def test_nothing_is_added_and_nothing_is_deleted_not_by_a_superuser(client):
    client.force_login(User.objects.create_superuser("root", "root@bank.example", "a pass phrase"))
    every = task().interval
    for model, row in (("periodictask", task()), ("intervalschedule", every)):
        page = f"admin:django_celery_beat_{model}"
        assert client.post(reverse(f"{page}_delete", args=[row.pk])).status_code == 403
    address = reverse("admin:django_celery_beat_periodictask_add")
    assert client.post(address, {"name": "x", "task": "os.system"}).status_code == 403
    change = reverse("admin:django_celery_beat_intervalschedule_change", args=[every.pk])
    assert client.post(change, {"every": 1, "period": "seconds"}).status_code == 403
    assert task().interval.every == 3600


def test_an_admin_adds_times_which_is_audited(signed_in):
    address = reverse("admin:django_celery_beat_intervalschedule_add")
    signed_in.post(address, {"every": 7, "period": "hours"})
    assert IntervalSchedule.objects.filter(every=7, period="hours").exists()
    assert [entry.action for entry in audited()] == ["schedule.times_added"]
