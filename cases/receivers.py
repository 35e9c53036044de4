"""The one arrow that points downstream: recorded predictions become alerts."""

from typing import Any

from cases.tasks import open_alerts_task
from scoring.models import Prediction
from scoring.signals import predictions_recorded

MESSAGE = 200
"""Prediction ids a message; the sweep repairs a message that got lost."""


def on_predictions_recorded(predictions: list[Prediction], **kwargs: Any) -> None:
    """Announce flagged predictions to a worker."""
    ids = [str(prediction.pk) for prediction in predictions]
    for first in range(0, len(ids), MESSAGE):
        open_alerts_task.delay(ids[first : first + MESSAGE])


def connect() -> None:
    """Listen to scoring (once, from AppConfig.ready)."""
    predictions_recorded.connect(on_predictions_recorded, dispatch_uid="cases.open_alerts")
