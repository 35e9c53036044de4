"""Second looks: labelled alerts drawn at random for another analyst, who does not see the first
outcome."""

from django.conf import settings
from django.db import models

from cases.workflow import Disposition, SecondLookStatus
from scoring.models import Detector

OUTCOMES = [(found.value, found.value.replace("_", " ").capitalize()) for found in Disposition]
STATUSES = [(status.value, status.value.capitalize()) for status in SecondLookStatus]


def _person() -> models.ForeignKey:
    return models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )


class SecondLook(models.Model):
    """One closing of an alert that was drawn with chance `propensity`, and what others made of it.

    It counts while the alert stands as it was closed at `first_at`; whoever decided anew since has
    made it void.
    """

    alert = models.ForeignKey("cases.Alert", models.CASCADE, related_name="second_looks")
    status = models.CharField(max_length=8, choices=STATUSES, default=SecondLookStatus.WAITING)
    propensity = models.FloatField()
    drawn_at = models.DateTimeField()
    first_by = _person()
    first_at = models.DateTimeField()
    first_disposition = models.CharField(max_length=16, choices=OUTCOMES)
    first_reason = models.CharField(max_length=40)
    second_by = _person()
    taken_at = models.DateTimeField(null=True, blank=True)
    second_at = models.DateTimeField(null=True, blank=True)
    second_disposition = models.CharField(max_length=16, choices=OUTCOMES, blank=True)
    second_reason = models.CharField(max_length=40, blank=True)
    second_notes = models.TextField(blank=True)
    settled_by = _person()
    settled_at = models.DateTimeField(null=True, blank=True)
    settled_disposition = models.CharField(max_length=16, choices=OUTCOMES, blank=True)
    settled_reason = models.CharField(max_length=40, blank=True)
    settled_notes = models.TextField(blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("alert", "first_at"), name="one_look_per_closing"),
            models.CheckConstraint(
                condition=models.Q(propensity__gt=0.0, propensity__lte=1.0),
                name="look_was_drawn_with_a_chance",
            ),
            models.CheckConstraint(
                condition=models.Q(status=SecondLookStatus.WAITING)
                ^ models.Q(second_at__isnull=False),
                name="look_is_answered_or_waits",
            ),
        )
        indexes = (
            models.Index(fields=("status", "drawn_at"), name="look_by_status"),
            models.Index(fields=("second_at",), name="look_by_answer"),
        )
        permissions = (("settle_second_look", "Can settle what two analysts disagree on"),)

    def __str__(self) -> str:
        return f"Second look at alert {self.alert_id}"


class SecondLookShare(models.Model):
    """Which share of a detector's labelled alerts is drawn, where it is not the platform's."""

    detector = models.OneToOneField(Detector, models.CASCADE, related_name="second_look_share")
    share = models.FloatField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(share__gte=0.0, share__lte=1.0), name="look_share_is_a_share"
            ),
        )

    def __str__(self) -> str:
        return f"{self.share:.0%} of {self.detector_id}"
