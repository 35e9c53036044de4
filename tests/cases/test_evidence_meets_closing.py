"""New evidence, an alert that goes into a case, and the case's closing, all at one moment."""

from threading import Event, Thread

import pytest
from django.db import connection, connections
from django.db.models.query import QuerySet

from cases import casework, services
from cases.case_alerts import add_to_case
from cases.casework import close_case
from cases.models import Alert, Case
from cases.services import open_alerts
from scoring.models import Label
from tests.cases.alerts import alert_of, case_of, flagged

FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
LONG = 1.5
"""Seconds, more than PostgreSQL lets two wait for each other."""


@pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("payments_detector")
def test_they_do_not_wait_for_each_other_in_a_circle(analyst, monkeypatch, caplog, settings):
    settings.CASE_APPROVAL_LIMIT = None
    alert, case = alert_of("a"), case_of(analyst, "b")
    (fresh,) = flagged("a")
    refused, has_case, threads = [], Event(), []
    find, sum_up, stake_of = QuerySet.first, services.sum_up, casework.stake_of

    def elsewhere(act):
        def run():
            try:
                act()
            except Exception as error:
                refused.append(error)
            finally:
                connections.close_all()

        thread = Thread(target=run)
        threads.append(thread)
        thread.start()
        return thread

    def looked_up(rows):
        """The alert goes into the case just after it was looked up in which case it is."""
        found = find(rows)
        if rows.model is Alert and not threads:
            elsewhere(lambda: add_to_case(case, [alert], actor=analyst)).join()
        return found

    def locked(*args, **options):
        """While the alert is locked, the case is closed."""
        if len(threads) == 1:
            elsewhere(lambda: close_case(case, **FRAUD, actor=analyst))
            has_case.wait(LONG)
        return sum_up(*args, **options)

    def closing(row):
        has_case.set()
        return stake_of(row)

    monkeypatch.setattr(QuerySet, "first", looked_up)
    monkeypatch.setattr(services, "sum_up", locked)
    monkeypatch.setattr(casework, "stake_of", closing)
    assert open_alerts([fresh.pk]) == 1
    threads[-1].join()
    assert refused == [] and "got no alert" not in caplog.text
    assert Case.objects.get().status == "closed"
    assert Label.objects.count() == 3
