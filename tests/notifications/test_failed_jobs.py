"""What the platform tries again by itself is told once a day, not at each try."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import BY
from notifications.failed_jobs import tell_failed_jobs
from notifications.models import Delivery, Receipt
from tests.jobs.factories import JobFactory
from tests.notifications.factories import route_for

pytestmark = pytest.mark.django_db
TRIES = 12


@pytest.fixture
def tries(owner):
    """How often each try of one work is told; the tries are ten minutes apart."""
    route_for(kinds=["job.failed"])
    begun = timezone.now() - timedelta(days=2)

    def tried(*statuses, every=timedelta(minutes=10), **columns):
        told = []
        for number, status in enumerate(statuses):
            at = begun + number * every
            given = {"unique_key": "track:7", "status": status, "queued_at": at, "finished_at": at}
            JobFactory(**(given | columns))
            told.append(tell_failed_jobs(now=at))
        return told

    return tried


def test_the_tries_of_one_work_are_told_once(tries):
    assert tries(*["failed"] * TRIES) == [1] + [0] * (TRIES - 1)
    assert (Receipt.objects.count(), Delivery.objects.count()) == (1, 1)


def test_while_it_goes_on_it_is_told_every_day(tries):
    assert tries(*["failed"] * 8, every=timedelta(hours=6)) == [1, 0, 0, 0, 1, 0, 0, 0]


def test_what_fails_after_it_succeeded_is_news(tries):
    assert tries("failed", "failed", "succeeded", "failed", "failed") == [1, 0, 0, 1, 0]


def test_who_asked_is_told_each_time_and_other_work_is_other_news(tries, engineer):
    assert tries("failed", "failed", requested_by=engineer) == [1, 1]
    assert tries("failed", "failed") == [1, 0]
    assert tries("failed", "failed", unique_key="track:8") == [1, 0]
    assert tries("failed", "failed", unique_key="") == [1, 1]


def test_the_command_line_is_told_each_time_and_takes_no_news_from_the_schedule(tries):
    assert tries("failed", "failed", params={BY: "the command line"}) == [1, 1]
    assert tries("failed", "failed") == [1, 0]


def test_tries_that_are_looked_at_together_are_told_once(owner):
    now = timezone.now()
    for minutes in (30, 20, 10):
        JobFactory(
            unique_key="track:7", status="failed", finished_at=now - timedelta(minutes=minutes)
        )
    assert tell_failed_jobs(now=now) == 1
