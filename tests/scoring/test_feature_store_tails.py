"""Windows are stored as a base and a tail; what is read is what one list would hold."""

from datetime import timedelta
from itertools import count

import numpy as np
import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scoring.core.features import FeaturePlan, identity_of
from scoring.core.vectors import build_many, teach, teach_label
from scoring.core.windows import EntityWindow, packed
from scoring.feature_store import database
from scoring.feature_store.choosing import feature_store
from scoring.labelling import record_label
from scoring.models import EntityState, Label
from tests.factories import START, card, parse_all, scored, spec_of

pytestmark = pytest.mark.django_db
SPEC = spec_of("cards")
PLAN = FeaturePlan(SPEC)
TERMINAL = next(entity for entity in PLAN.entities if entity.key == "TERMINAL_ID")
HOUR = 3600.0
_numbers = count(1)

ahead = st.integers(0, 48)
anywhere = st.integers(-1100, 900)
"""Hours since the newest event; the windows remember 888."""
batches = st.tuples(
    st.sampled_from(["single", "batch"]),
    st.one_of(st.lists(ahead, min_size=1, max_size=4), st.lists(anywhere, min_size=1, max_size=4)),
)
labels = st.tuples(st.just("label"), st.integers(0, 20))
steps = st.lists(st.one_of(batches, batches, labels), min_size=1, max_size=14)


class Naive:
    """The rows of one terminal by the definition: a list, sorted, cut off."""

    def __init__(self, terminal):
        self.terminal, self.key = terminal, ("TERMINAL_ID", str(terminal))
        self.now, self.rows, self.ids = 0.0, [], []

    def events(self, hours):
        """Events that many hours after the newest one, in time order."""
        times = sorted(max(self.now + HOUR * gap, 0.0) for gap in hours)
        raws = [
            card(
                next(_numbers),
                TX_DATETIME=(START + timedelta(seconds=time)).isoformat(),
                TERMINAL_ID=self.terminal,
            )
            for time in times
        ]
        found = parse_all(SPEC, raws)
        self.ids += [event.external_id for event in found]
        self.now = max(self.now, *times)
        return found

    def learn(self, event):
        rows = sorted([*self.rows, TERMINAL.values(event)], key=lambda row: row[0])
        self.rows = [row for row in rows if row[0] >= rows[-1][0] - TERMINAL.horizon]

    def label(self, external_id, since):
        for row in self.rows:
            if row[TERMINAL.risk_column - 1] == identity_of(external_id):
                row[TERMINAL.risk_column :] = since, np.inf


def take(store, detector, naive, kind, what):
    """One step in a transaction of its own: load, teach, save."""
    with transaction.atomic():
        if kind == "label":
            windows = store.load(detector.pk, PLAN, [naive.key], lock=True)
            external_id, since = (
                (naive.ids or ["unknown"])[what % max(len(naive.ids), 1)],
                naive.now,
            )
            teach_label(PLAN, [naive.key], external_id, (since, np.inf), windows)
            naive.label(external_id, since)
        else:
            events = naive.events(what)
            keys = [key for event in events for key in PLAN.keys(event)]
            windows = store.load(detector.pk, PLAN, keys, lock=True)
            if kind == "batch":
                build_many(PLAN, events, windows)
            for event in events:
                naive.learn(event)
                if kind == "single":
                    teach(PLAN, event, windows)
        store.save(detector.pk, PLAN, windows)


@pytest.mark.parametrize("most_tail_bytes", [0, 100, 1_800])
def test_any_history_of_late_and_labelled_events_survives_reloads(
    store, cards_detector, monkeypatch, most_tail_bytes
):
    monkeypatch.setattr(database, "MOST_TAIL_BYTES", most_tail_bytes)

    @settings(
        max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(steps)
    def survives(history):
        naive = Naive(next(_numbers))
        for kind, what in history:
            take(store, cards_detector, naive, kind, what)
            (found,) = store.load(cards_detector.pk, PLAN, [naive.key], lock=False).values()
            expected = np.array(naive.rows).reshape(-1, TERMINAL.width)
            assert np.array_equal(found.rows, expected, equal_nan=True)

    survives()


def stored(detector):
    """(base, tail) of the one terminal that there is."""
    rows = EntityState.objects.filter(detector=detector, key_field="TERMINAL_ID")
    return tuple(bytes(part) for part in rows.values_list("state", "tail").get())


def after(hours, number, **changed):
    return card(number, TX_DATETIME=(START + timedelta(hours=hours)).isoformat(), **changed)


def hours_of(tail):
    return (
        (np.frombuffer(tail).reshape(-1, TERMINAL.width)[:, 0] - START.timestamp()) / HOUR
    ).tolist()


def test_events_leave_the_base_alone_however_late(cards_detector):
    scored("cards", after(4, 0))
    base, tail = stored(cards_detector)
    for number, hours in enumerate((5, 3), 1):
        scored("cards", after(hours, number))
    assert (stored(cards_detector)[0], tail) == (base, b"")
    assert hours_of(stored(cards_detector)[1]) == [5, 3]


def test_a_label_writes_the_base_anew(cards_detector):
    rows = [scored("cards", after(hours, hours)) for hours in range(3)]
    record_label(rows[1], is_fraud=True, source=Label.Source.ANALYST)
    base, tail = stored(cards_detector)
    assert (len(base), tail) == (8 + 3 * 8 * TERMINAL.width, b"")


def test_a_tail_that_has_grown_goes_to_the_base(cards_detector, monkeypatch):
    monkeypatch.setattr(database, "MOST_TAIL_BYTES", 2 * 8 * TERMINAL.width)
    sizes = []
    for number in range(5):
        scored("cards", after(number, number))
        sizes.append(tuple(len(part) // (8 * TERMINAL.width) for part in stored(cards_detector)))
    assert sizes == [(1, 0), (1, 1), (1, 2), (4, 0), (4, 1)]


def out_of_line():
    """{value: its bytes} of what PostgreSQL keeps beside the table of states."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reltoastrelid::regclass::text FROM pg_class WHERE relname = %s",
            [EntityState._meta.db_table],
        )
        (beside,) = cursor.fetchone()
        cursor.execute(f"SELECT chunk_id, sum(length(chunk_data)) FROM {beside} GROUP BY 1")  # noqa: S608 - the catalogue's
        return dict(cursor.fetchall())


@pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")
def test_postgres_keeps_the_base_as_it_was_and_the_tail_inside_the_row(cards_detector):
    key, rows = ("TERMINAL_ID", "busy"), np.ones((1000, TERMINAL.width))
    store = feature_store()
    store.save(cards_detector.pk, PLAN, {key: EntityWindow(rows)})
    before = out_of_line()
    assert list(before.values()) == [8 + rows.nbytes]
    fresh = database.MOST_TAIL_BYTES // (8 * TERMINAL.width)
    store.save(cards_detector.pk, PLAN, {key: EntityWindow(rows, packed(rows[:fresh]))})
    assert out_of_line() == before
    assert len(stored(cards_detector)[1]) == fresh * 8 * TERMINAL.width


def test_label_marks_survive_the_loss_of_redis(redis_windows, cards_detector):
    rows = [scored("cards", after(hours, hours)) for hours in range(6)]
    for row, is_fraud, hours in ((rows[1], True, 10), (rows[3], True, 11), (rows[3], False, 12)):
        known = START + timedelta(hours=hours)
        record_label(row, is_fraud=is_fraud, source=Label.Source.ANALYST, label_time=known)
    (token,) = EntityState.objects.filter(key_field="TERMINAL_ID").values_list("token", flat=True)
    key, store = ("TERMINAL_ID", token), feature_store()
    before = store.load(cards_detector.pk, PLAN, [key], lock=False)[key].rows
    redis_windows.client.flushall()
    again = store.load(cards_detector.pk, PLAN, [key], lock=False)[key].rows
    assert np.array_equal(before, again, equal_nan=True)
    hours = (again[:, TERMINAL.risk_column :] - START.timestamp()) / HOUR
    assert hours[[1, 3]].tolist() == [[10.0, np.inf], [11.0, 12.0]]
    assert np.isnan(hours[[0, 2, 4, 5]]).all()
