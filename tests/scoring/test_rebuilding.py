"""Windows learnt anew are those that scoring had kept, whoever scores meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connections

from scoring.models import EntityState
from scoring.rebuilding import rebuild_windows
from scoring.services import score_event
from tests.factories import START, payment, payments, scored, scored_many

EVENTS = 30


def states():
    rows = EntityState.objects.exclude(state=b"")
    return {(row.key_field, row.token): bytes(row.state) for row in rows}


@pytest.mark.django_db
def test_what_is_learnt_anew_is_what_was_known(payments_detector):
    scored_many("payments", payments(20))
    before = states()
    assert rebuild_windows(payments_detector) == 20
    assert states() == before


@pytest.mark.django_db(transaction=True)
def test_no_event_is_missed_by_those_who_score_meanwhile(payments_detector):
    def act(number):
        try:
            if number % 10 == 5:
                rebuild_windows(payments_detector)
            else:
                at = START + timedelta(seconds=number)
                score_event("payments", payment(timestamp=at.isoformat()))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(act, range(EVENTS)))
    row = scored("payments", payment(timestamp=(START + timedelta(minutes=1)).isoformat()))
    names = payments_detector.spec().feature_names
    assert row.vector_array()[names.index("user_id_count_1h")] == EVENTS - 3 + 1
