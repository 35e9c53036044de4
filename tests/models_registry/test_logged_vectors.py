"""Vectors of stored events, computed anew."""

import numpy as np
import pytest
from django.db import transaction
from django.utils import timezone

from models_registry.logged_vectors import Replay, in_chunks
from scoring.erasing import (
    erase_some,
    forget_token,
    fresh_token,
    hold_still,
    person_named,
    windows_beside,
)
from scoring.models import Prediction
from tests.factories import payments, scored_many

pytestmark = pytest.mark.django_db


def test_a_person_who_was_erased_keeps_their_history_in_vectors_computed_anew(payments_detector):
    scored_many("payments", payments(40, users=2))
    rows, spec = Prediction.objects.all(), payments_detector.spec()
    (before,) = [Replay(spec).vectors(chunk) for chunk in in_chunks(rows, whole=True)]
    person = person_named(payments_detector, "user_id", "user-1")
    with transaction.atomic():
        hold_still(person)
        fresh = fresh_token()
        now = timezone.now()
        assert (
            erase_some(person, fresh, now=now)
            == forget_token(person, fresh, windows_beside(person))
            > 10
        )
    (after,) = [Replay(spec).vectors(chunk) for chunk in in_chunks(rows, whole=True)]
    assert before[:, spec.feature_names.index("user_id_count_24h")].max() > 10
    np.testing.assert_array_equal(before, after)
