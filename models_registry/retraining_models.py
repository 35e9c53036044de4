"""When a detector learns again without being told to."""

import math
from datetime import timedelta
from typing import Self

from django.db import models

from models_registry.core.drift import MAJOR_DRIFT, MODERATE_DRIFT
from scoring.models import Detector

HOUR = 3600.0
DEFAULT_LABELS = 500
DEFAULT_QUIET_HOURS = 24


class RetrainingPolicy(models.Model):
    """The triggers of one detector. Its timetable is a PeriodicTask of django-celery-beat, and for
    how long a model may serve stands in the detector's policy settings."""

    class Level(models.TextChoices):
        MODERATE = MODERATE_DRIFT, "moderate or major"
        MAJOR = MAJOR_DRIFT, "major"

    detector = models.OneToOneField(Detector, models.CASCADE, related_name="retraining_policy")
    on_labels = models.BooleanField(default=False)
    labels = models.PositiveIntegerField(default=DEFAULT_LABELS)
    on_drift = models.BooleanField(default=False)
    drift_level = models.CharField(max_length=8, choices=Level, default=Level.MAJOR)
    on_age = models.BooleanField(default=True)
    age_hours = models.PositiveIntegerField()
    quiet_hours = models.PositiveIntegerField(default=DEFAULT_QUIET_HOURS)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "retraining policies"
        constraints = (
            models.CheckConstraint(
                condition=models.Q(labels__gte=1, age_hours__gte=1, quiet_hours__gte=1),
                name="retraining_terms_are_positive",
            ),
        )

    def __str__(self) -> str:
        return f"Retraining of {self.detector}"

    @classmethod
    def declared(cls, detector: Detector) -> Self:
        """The policy, not saved, of a detector for which nobody saved one: by age alone, once
        labels have come. Raises SpecError."""
        hours = max(math.ceil(detector.spec().training.retrain_every / HOUR), 1)
        return cls(detector=detector, age_hours=hours)

    @property
    def age(self) -> timedelta:
        """How old the newest version may become."""
        return timedelta(hours=self.age_hours)

    @property
    def quiet(self) -> timedelta:
        """How long no trigger counts after a training was asked for, however it ended. The clock
        keeps its times all the same."""
        return timedelta(hours=self.quiet_hours)
