"""Whether a source lives: what comes by it is counted, and its pages say so."""

import threading
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.utils import timezone

from scoring import source_tallies
from scoring.ingestion.stream import Counts, Message, count_published, settle
from scoring.models import Prediction
from scoring.source_declaration import read_yaml
from scoring.source_models import Source
from scoring.source_tallies import (
    BEGINNING,
    Came,
    activities_of,
    came_of,
    note_came,
    note_soon,
    write_gathered,
)
from scoring.source_tally_models import SourceTally
from scoring.sources import save_source, score_source_events
from tests.scoring.test_sources import WEBHOOK, order

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(payments_detector):
    return save_source(read_yaml(WEBHOOK), actor=None)[0]


def activity():
    source = Source.objects.get()
    return activities_of([source])[source.pk]


def test_a_source_by_which_nothing_came_says_so(client, engineer, shop):
    client.force_login(engineer)
    assert (activity().ever, activity().last_at, activity().rate) == (Came(), None, 0.0)
    assert "No event has come" in client.get(shop.get_absolute_url()).content.decode()
    assert "never" in client.get("/sources/").content.decode()


def test_what_is_scored_refused_and_repeated_is_counted(shop):
    events = [order(), order(), order(order="o-2"), order(order="o-3", amount=-1)]
    note_came(shop, came_of(score_source_events(shop, events)))
    note_came(shop, came_of(score_source_events(shop, [order()])))
    assert activity().ever == activity().day == Came(received=5, scored=2, refused=1)
    assert activity().ever.repeated == 2


def test_a_page_tells_them(client, engineer, shop):
    note_came(shop, Came(1200, 1000, 150))
    client.force_login(engineer)
    page = " ".join(client.get(shop.get_absolute_url()).content.decode().split())
    assert "1,200 read: 1,000 scored, 150 refused, 50 there before" in page
    assert "1,200" in client.get("/sources/").content.decode()


def test_an_hour_that_is_long_past_counts_in_all_alone(shop):
    note_came(shop, Came(10, 10, 0))
    SourceTally.objects.update(hour=timezone.now() - timedelta(days=2))
    assert (activity().ever.received, activity().day.received, activity().rate) == (10, 0, 0.0)


def test_old_hours_are_added_up_in_one_row(shop, monkeypatch):
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    monkeypatch.setattr(timezone, "now", lambda: hour + timedelta(minutes=5))
    for age in range(24, 100):
        at = hour - timedelta(hours=age)
        SourceTally.objects.create(source=shop, hour=at, last_at=at, received=3, refused=1)
    note_came(shop, Came(10, 10, 0))
    note_came(shop, Came(10, 10, 0))
    assert sorted(SourceTally.objects.values_list("hour", "received"))[0] == (BEGINNING, 75 * 3)
    assert (SourceTally.objects.count(), activity().ever) == (3, Came(76 * 3 + 20, 20, 76))


def test_a_page_of_many_sources_with_long_histories_asks_once(shop, django_assert_num_queries):
    others = [
        Source(slug=f"shop-{i}", name=f"Shop {i}", source_type="rest", schema={}) for i in range(5)
    ]
    Source.objects.bulk_create(others)
    for source in others:
        note_came(source, Came(2, 1, 1))
    with django_assert_num_queries(1):
        found = activities_of([shop, *others])
    assert [found[one.pk].ever.received for one in (shop, *others)] == [0, 2, 2, 2, 2, 2]


@pytest.mark.django_db(transaction=True)
def test_what_requests_brought_is_added_up_before_it_is_written(
    shop, monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(source_tallies, "SOON", 5.0)
    with django_assert_num_queries(0):
        note_soon(shop, Came(3, 2, 1))
        note_soon(shop, Came(1, 1, 0))
    write_gathered()
    assert activity().ever == Came(4, 3, 1)
    write_gathered()
    assert activity().ever == Came(4, 3, 1)


@pytest.mark.django_db(transaction=True)
def test_without_a_thread_for_it_it_is_written_at_once(shop, monkeypatch):
    def none_left(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Timer, "start", none_left)
    note_soon(shop, Came(3, 2, 1))
    assert activity().ever == Came(3, 2, 1)


@pytest.mark.django_db(transaction=True)
def test_what_requests_brought_is_written_in_time(shop, monkeypatch):
    monkeypatch.setattr(source_tallies, "SOON", 0.01)
    note_soon(shop, Came(3, 2, 1))
    deadline = time.monotonic() + 20
    while activity().last_at is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert activity().ever == Came(3, 2, 1)


def test_a_stream_counts_what_is_malformed_too(shop):
    messages = [Message(b"{", "t/0/1"), Message(b'{"order": "o-1"}', "t/0/2")]
    settled = settle("payments", messages, alert_above=0.7, source=shop.slug)
    count_published(Counts(), settled, source=shop.slug)
    assert activity().ever == Came(received=2, scored=0, refused=2)


def test_a_file_counts_its_rows_once(shop, tmp_path, settings):
    path, settings.VAR_DIR = tmp_path / "shop.csv", tmp_path
    path.write_text("order,customer,amount,location,timestamp,shop\n"
                    "o-1,Ada,12.5,Berlin,2020-06-01T12:00:00Z,books\n"
                    "o-2,Ada,12.5,Berlin,2020-06-01T12:00:00Z,cars\n")  # fmt: skip
    Source.objects.update(source_type="csv", config={"path": str(path)})
    call_command("run_source", shop.slug, stdout=StringIO())
    assert activity().ever == Came(received=2, scored=1, refused=1)


def test_counting_that_fails_fails_nothing_else(shop, monkeypatch):
    def full(*args, **kwargs):
        raise OperationalError("disk full")

    monkeypatch.setattr(SourceTally.objects, "bulk_create", full)
    note_came(shop, came_of(score_source_events(shop, [order()])))
    assert (Prediction.objects.count(), SourceTally.objects.count()) == (1, 0)
