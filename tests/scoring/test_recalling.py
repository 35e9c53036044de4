"""The windows of then: read back from what is kept now, and believed only when they prove right."""

import numpy as np
import pytest

from scoring.core.vectors import build
from scoring.models import EntityState, Prediction
from scoring.recalling import windows_of_then
from scoring.replaying import snapshot_of
from tests.factories import payment, payments, scored, scored_many

pytestmark = pytest.mark.django_db


def recalled(row):
    row = Prediction.objects.get(pk=row.pk)
    shot = snapshot_of(row)
    return windows_of_then(row, shot), shot


def asked(device=None, **changed):
    return scored(
        "payments",
        payment(
            user_id="user-1", timestamp="2020-06-02T01:00:00Z", amount=75.0, device_id=device,
            **changed,
        ),
    )  # fmt: skip


@pytest.fixture
def history(champion):
    return scored_many("payments", payments(120))


def test_windows_that_are_still_kept_give_the_stored_vector(history):
    windows, shot = recalled(asked(device="a"))
    assert {key for key, _ in windows} == {"user_id", "device_id"}
    again = build(shot.bundle.plan, shot.event, windows)
    assert np.allclose(again, shot.vector, rtol=1e-9, equal_nan=True)


def test_later_events_are_left_out(history):
    row = asked()
    scored("payments", payment(user_id="user-1", timestamp="2020-06-02T02:00:00Z", amount=9e3))
    windows, shot = recalled(row)
    [(_, window)] = windows.items()
    assert window.rows[:, 0].max() < shot.event.time


def test_what_was_forgotten_is_read_from_the_stored_events_of_the_entity(history):
    row = asked()
    scored("payments", payment(user_id="user-1", timestamp="2021-06-04T13:00:00Z"))
    assert len(recalled(row)[0]) == 1


def test_windows_of_another_entity_that_were_forgotten_are_not_made_up(history):
    row = asked(device="a")
    scored("payments", payment(user_id="user-3", device_id="a", timestamp="2021-06-04T13:00:00Z"))
    assert {key for key, _ in recalled(row)[0]} == {"user_id"}


def test_windows_that_do_not_give_the_stored_numbers_are_not_believed(history):
    row = asked()
    Prediction.objects.exclude(pk=row.pk).delete()
    EntityState.objects.all().delete()
    assert recalled(row)[0] == {}
