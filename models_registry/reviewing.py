"""Champions whose review date is near or past: who owns them is told, before rules decide alone."""

import logging
from datetime import datetime, timedelta

from models_registry.models import ModelVersion
from models_registry.telling import tell_review
from scoring.core.reader import SpecError
from scoring.models import Deployment

logger = logging.getLogger(__name__)
NEAR = timedelta(days=7)
"""So long before its review date a champion is told of; of a short term its last quarter."""


def tell_reviews(*, now: datetime) -> int:
    """Tell of every champion whose term is nearly over, once, and of each whose term is over, once
    a day; how many are. One whose declaration cannot be read keeps none of the others."""
    slots = Deployment.objects.filter(slot=Deployment.Slot.CHAMPION, detector__enabled=True)
    return sum(_told(slot, now=now) for slot in slots.select_related("detector"))


def _told(champion: Deployment, *, now: datetime) -> bool:
    try:
        term = timedelta(seconds=champion.detector.review_after())
    except SpecError as error:
        logger.warning("When %s is to be reviewed cannot be told: %s", champion.detector, error)
        return False
    due = champion.term_from + term
    if not term or due - min(NEAR, term / 4) > now:
        return False
    version = ModelVersion.objects.filter(
        detector=champion.detector_id, stage=ModelVersion.Stage.CHAMPION
    ).first()
    if version is None:
        return False  # Installed by hand: nobody owns it here.
    tell_review(version, due=due, now=now)
    return True
