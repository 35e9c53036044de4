"""Which labelled alerts get a second look: drawn at random, with the chance written down."""

from random import SystemRandom
from typing import Final

from django.conf import settings
from django.utils import timezone

from cases.models import Alert
from cases.second_look_models import SecondLook, SecondLookShare

_DICE: Final = SystemRandom()


def share_of_detector(detector_id: int) -> float:
    """The share of a detector's labelled alerts that is drawn, 0 to 1: its own or the platform's.

    Never more than its row says, so that leads may turn it off.
    """
    own = SecondLookShare.objects.filter(detector=detector_id).values_list("share", flat=True)
    found = own.first()
    return float(settings.SECOND_LOOK_SHARE) if found is None else found


def draw_second_look(alert: Alert) -> SecondLook | None:
    """Draw an alert that has just been closed with a label; call it in that transaction."""
    share = share_of_detector(alert.detector_id)
    if _DICE.random() >= share or alert.closed_at is None:
        return None
    return SecondLook.objects.create(
        alert=alert,
        propensity=share,
        drawn_at=timezone.now(),
        first_by=alert.closed_by,
        first_at=alert.closed_at,
        first_disposition=alert.disposition,
        first_reason=alert.reason_code,
    )
