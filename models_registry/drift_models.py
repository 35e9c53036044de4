"""What drift checks found, kept as a history: one check, and a row for each thing measured."""

from django.db import models

from jobs.models import Job
from models_registry.core.drift import FEATURE, MAJOR_DRIFT, MODERATE_DRIFT, STABLE, UNKNOWN
from scoring.models import Detector

STATUSES = [(word, word) for word in (STABLE, MODERATE_DRIFT, MAJOR_DRIFT, UNKNOWN)]


class DriftCheck(models.Model):
    """The champion's newest predictions against what it learnt on, at one time.

    `first_at` and `last_at` are event times. `alarm_since`: when the alarm that this check
    confirms was raised, or became major; one that comes back within a day is the same. None
    without an alarm.
    """

    detector = models.ForeignKey(Detector, models.CASCADE, related_name="drift_checks")
    job = models.OneToOneField(Job, models.SET_NULL, null=True, related_name="+")
    bundle_digest = models.CharField(max_length=64)
    model_version = models.CharField(max_length=40)
    checked_at = models.DateTimeField()
    rows = models.PositiveIntegerField()
    first_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    status = models.CharField(max_length=8, choices=STATUSES)
    max_psi = models.FloatField(null=True)
    alarm_since = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-checked_at", "-id")
        indexes = (models.Index(fields=("detector", "-checked_at"), name="drift_check_newest"),)

    def __str__(self) -> str:
        return f"{self.model_version} {self.status}"


class DriftStatistic(models.Model):
    """One feature, the score or a rate in one check; the columns are those of `core.drift.Drift`.

    `histogram` holds both distributions; it is kept for a detector's newest check alone.
    """

    drift_check = models.ForeignKey(DriftCheck, models.CASCADE, related_name="statistics")
    place = models.PositiveSmallIntegerField(help_text="In the order of the feature vector.")
    name = models.CharField(max_length=200)
    role = models.CharField(max_length=8, default=FEATURE)
    kind = models.CharField(max_length=8)
    status = models.CharField(max_length=8, choices=STATUSES)
    reason = models.CharField(max_length=200, blank=True)
    rows = models.PositiveIntegerField()
    reference_rows = models.PositiveIntegerField()
    psi = models.FloatField(null=True)
    bound = models.FloatField(null=True)
    ks = models.FloatField(null=True)
    ks_error = models.FloatField(null=True)
    wasserstein = models.FloatField(null=True)
    wasserstein_error = models.FloatField(null=True)
    chi2 = models.FloatField(null=True)
    p = models.FloatField(null=True)
    missing = models.FloatField(null=True)
    reference_missing = models.FloatField(null=True)
    rate = models.FloatField(null=True)
    reference_rate = models.FloatField(null=True)
    change = models.FloatField(null=True)
    basis = models.CharField(max_length=8, blank=True)
    histogram = models.JSONField(default=dict)

    class Meta:
        ordering = ("place",)
        constraints = (
            models.UniqueConstraint(fields=("drift_check", "role", "name"), name="measured_once"),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.status}"
