"""Flagged predictions and the alerts and cases over them."""

from django.utils import timezone

from accounts.models import User
from accounts.roles import ANALYST
from cases.case_alerts import open_case
from cases.models import Alert, Case
from cases.queue_models import AlertFacet
from cases.services import open_alerts
from scoring.models import Prediction
from tests.accounts.factories import user_with_role
from tests.factories import risky_payment, scored_many


def flagged(*users: str, **changed: object) -> list[Prediction]:
    """One flagged prediction a user, not yet in any alert."""
    return scored_many("payments", [risky_payment(user_id=user, **changed) for user in users])


def alert_of(user: str = "user-1") -> Alert:
    """The live alert of a user with one more prediction in it."""
    (prediction,) = flagged(user)
    open_alerts([prediction.pk])
    return Alert.objects.get(links__prediction=prediction)


def case_of(actor: User, *users: str) -> Case:
    """A case over the alerts of these users."""
    return open_case([alert_of(user) for user in users], title="Odd", actor=actor)


def waiting(n: int, **changed: object) -> list[Alert]:
    """`n` open alerts of entities of their own over one prediction, the first the most pressing."""
    (prediction,) = flagged("somebody")
    now = timezone.now()
    facet, _ = AlertFacet.objects.get_or_create(detector_id=prediction.detector_id, level=2)
    fields = {
        "detector_id": prediction.detector_id, "level": 2, "currency": "EUR", "facet": facet,
        "top_prediction": prediction, "first_event_at": now, "last_event_at": now,
        "opened_at": now, "predictions_count": 1,
    } | changed  # fmt: skip
    return Alert.objects.bulk_create(
        [Alert(entity=f"e{i}", **{"loss_per_minute": float(n - i), **fields}) for i in range(n)]
    )


def lea_dorn(role: str = ANALYST) -> User:
    """A colleague with a name that pages show."""
    user = user_with_role(role, username="dorn")
    user.display_name = "Lea Dorn"
    user.save(update_fields=["display_name"])
    return user
