"""What alerts and cases of before an upgrade get: a facet, a queue with times, who closed them."""

from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.utils import timezone

from cases import linking, summing_up
from cases.casework import approve_closing, ask_to_close, close_case
from cases.escalating import escalate_overdue
from cases.links_models import KnownEntity, LinkProgress
from cases.models import Alert, Case
from cases.services import label_alert
from cases.summing_up import sum_up_all
from cases.tasks import assign_waiting_task, open_missed_alerts
from cases.team_queues import place_unplaced
from cases.work_queue_models import WorkQueue
from riskplatform.preparing import prepare
from scoring.labelling import record_label, retract_labels
from scoring.models import Label
from tests.cases.alerts import alert_of, case_of
from tests.factories import payment, scored_many

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
UNSURE = {"disposition": "inconclusive", "reason_code": "no_contact"}


def as_before():
    """As rows are of before there were facets, queues and types."""
    long_ago = timezone.now() - timedelta(days=90)
    Alert.objects.update(facet=None)
    nothing = {"work_queue": None, "due_at": None, "escalate_at": None, "opened_at": long_ago}
    Alert.objects.update(**nothing)
    Case.objects.update(case_type=None, **nothing)


def without_facet():
    return Alert.objects.filter(facet=None).count()


@pytest.mark.parametrize("how", [open_missed_alerts, lambda: prepare(static=False)])
def test_all_that_wait_are_summed_up_and_not_only_the_first(monkeypatch, how):
    monkeypatch.setattr(summing_up, "AT_ONCE", 2)
    for i in range(5):
        alert_of(f"user-{i}")
    as_before()
    how()
    assert without_facet() == 0


def test_summing_up_ends_when_its_time_is_over(monkeypatch):
    monkeypatch.setattr(summing_up, "AT_ONCE", 2)
    for i in range(5):
        alert_of(f"user-{i}")
    as_before()
    assert sum_up_all(0.0) == 0
    call_command("sum_up_alerts", seconds=60.0)
    assert without_facet() == 0


@pytest.mark.parametrize("error", [DatabaseError("refused"), KeyError("gone")])
def test_alerts_that_cannot_be_summed_up_keep_no_other_waiting(monkeypatch, caplog, error):
    monkeypatch.setattr(summing_up, "AT_ONCE", 2)
    good, *bad = [alert_of(f"user-{i}") for i in range(4)]
    as_before()
    Alert.objects.filter(pk=good.pk).update(loss_per_minute=0)  # The last of all.
    sum_up = summing_up.sum_up

    def refusing(alert, *given):
        if alert.pk != good.pk:
            raise error
        sum_up(alert, *given)

    monkeypatch.setattr(summing_up, "sum_up", refusing)
    prepare(static=False)
    assert set(Alert.objects.filter(facet=None)) == set(bad)
    assert all(f"Alert {one.pk} cannot be summed up." in caplog.text for one in bad)
    assert sum_up_all(60.0) == 0


def test_live_cases_get_a_queue_times_a_type_and_its_checklist(analyst):
    case = case_of(analyst, "a", "b")
    kind = case.case_type
    assert kind is not None
    case.checks.all().delete()
    closed = close_case(case_of(analyst, "c"), **UNSURE, actor=analyst)
    as_before()
    assign_waiting_task()
    case.refresh_from_db()
    closed.refresh_from_db()
    assert case.work_queue is not None and case.case_type == kind
    assert timezone.now() < case.due_at < case.escalate_at
    assert case.checks.count() == kind.items.count() > 0
    assert (closed.work_queue, closed.due_at) == (None, None)
    assert place_unplaced(timezone.now()) == 0


def test_nothing_of_before_is_late_because_it_is_old(analyst):
    case_of(analyst, "a")
    alert_of("b")
    as_before()
    assert place_unplaced(timezone.now()) == 2
    assert escalate_overdue(timezone.now() + timedelta(minutes=1)) == 0


def test_who_closed_is_found_again(analyst, lead, settings):
    settings.CASE_APPROVAL_LIMIT = None
    alone = label_alert(alert_of("a"), **UNSURE, actor=lead)
    labelled = label_alert(alert_of("b"), **FRAUD, actor=analyst)
    close_case(case_of(analyst, "c"), **UNSURE, actor=lead)
    settings.CASE_APPROVAL_LIMIT = 1
    asked = ask_to_close(case_of(analyst, "d"), **UNSURE, actor=analyst).case
    approve_closing(asked, actor=lead)
    before = dict(Alert.objects.values_list("entity", "closed_by"))
    assert set(before.values()) == {analyst.pk, lead.pk}
    Alert.objects.update(closed_by=None)
    import_module("cases.migrations.0011_who_closed").fill(apps, None)
    assert dict(Alert.objects.values_list("entity", "closed_by")) == before
    assert {alone.closed_by, labelled.closed_by} == {lead, analyst}


def test_open_alerts_keep_the_limit_of_their_queue(analyst, settings, monkeypatch):
    settings.CASE_APPROVAL_LIMIT = 30_000
    keeping = import_module("cases.migrations.0015_keep_alert_limits")
    monkeypatch.setattr(keeping, "BATCH", 2)
    for i in range(3):
        alert_of(f"user-{i}")
    case_of(analyst, "c")
    WorkQueue.objects.create(name="Small", position=1, approval_limit=10)
    alert_of("small")
    kept = alert_of("kept")
    Alert.objects.exclude(pk=kept.pk).update(approval_limit=None)
    Alert.objects.filter(pk=kept.pk).update(approval_limit=5)
    Alert.objects.filter(pk=alert_of("d").pk).update(
        status="closed", disposition="inconclusive", approval_limit=None
    )
    keeping.keep_limits(apps, None)
    limits = Alert.objects.order_by("pk").values_list("approval_limit", flat=True)
    assert list(limits) == [*[30_000] * 4, 10, 5, None]


def test_labels_taken_back_before_the_upgrade_are_not_subtracted(analyst, monkeypatch):
    monkeypatch.setattr(linking, "GRACE", timedelta(seconds=-1))
    rows = scored_many("payments", [payment(user_id="ada", device_id="p") for _ in range(2)])
    for row in rows:
        moment = timezone.now()
        record_label(
            row, is_fraud=True, source=Label.Source.ANALYST, label_time=moment, author=analyst
        )
        if row is rows[0]:  # Before a sweep has counted it.
            retract_labels([row.pk], author=analyst, label_time=moment, actor=analyst)
    linking.index_links()
    LinkProgress.objects.update(retracted_until=None)
    connection.check_constraints()  # As after the commit of what was before.
    editor = SimpleNamespace(connection=connection)
    import_module("cases.migrations.0016_links_anew").forget(apps, editor)
    linking.index_links()
    assert KnownEntity.objects.values_list("events", "frauds").get() == (2, 1)
