"""Flagged predictions and the alerts and cases over them."""

from accounts.models import User
from cases.models import Alert, Case
from cases.services import open_alerts, open_case
from scoring.models import Prediction
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
