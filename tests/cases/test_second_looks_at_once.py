"""Two who ask for a second look at one moment get different ones."""

import time
from threading import Thread

import pytest
from django.db import connection, connections, transaction

from cases.second_look_models import SecondLook
from cases.second_looks import take_second_look
from cases.services import label_alert
from tests.cases.alerts import alert_of

pytestmark = [
    pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("payments_detector", "draw_everything"),
]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
WAITS = "SELECT count(*) FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"


class Asking(Thread):
    """Somebody who asks for a second look, on a connection of their own."""

    def __init__(self, user):
        super().__init__()
        self.user, self.look = user, None
        self.start()

    def run(self):
        try:
            self.look = take_second_look(self.user)
        finally:
            connections.close_all()


def wait_for_a_lock():
    """Until another connection waits for what ours holds."""
    with connection.cursor() as cursor:
        for _ in range(500):
            if cursor.execute(WAITS).fetchone()[0]:
                return
            time.sleep(0.02)
    raise AssertionError("Nobody waits.")


@pytest.mark.parametrize("looks", [1, 2])
def test_who_waited_for_the_first_to_take_a_look_gets_another(analyst, second, lead, looks):
    for name in "ab"[:looks]:
        label_alert(alert_of(name), actor=lead, **FRAUD)
    oldest, *others = SecondLook.objects.order_by("drawn_at", "pk")
    with transaction.atomic():
        assert take_second_look(analyst) == oldest
        asking = Asking(second)
        wait_for_a_lock()
    asking.join()
    assert [asking.look] == (others or [None])
    oldest.refresh_from_db()
    assert oldest.second_by == analyst


def test_who_asks_twice_at_once_holds_one(analyst, lead):
    for name in "ab":
        label_alert(alert_of(name), actor=lead, **FRAUD)
    with transaction.atomic():
        first = take_second_look(analyst)
        asking = Asking(analyst)
        wait_for_a_lock()
    asking.join()
    assert asking.look == first
    assert SecondLook.objects.filter(second_by=analyst).count() == 1
