"""What belongs to one alert: what was said about it, and the shape of its explanation."""

from django.conf import settings
from django.db import models

from scoring.models import Detector


class AlertComment(models.Model):
    """What somebody said about an alert; comments are only ever added."""

    alert = models.ForeignKey("cases.Alert", models.CASCADE, related_name="comments")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    at = models.DateTimeField(auto_now_add=True)
    text = models.TextField()
    mentioned = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="+")

    class Meta:
        ordering = ("at", "id")

    def __str__(self) -> str:
        return f"{self.author} at {self.at:%Y-%m-%d %H:%M}"


class AlertSignature(models.Model):
    """A closed alert as a point among others: the direction of its contributions.

    `vector` holds float32, of length 1, in the feature order that `plan` names; empty where no
    model scored. `rules` are the codes that matched. Its outcome is read from the alert.
    """

    alert = models.OneToOneField("cases.Alert", models.CASCADE, related_name="signature")
    detector = models.ForeignKey(Detector, models.CASCADE, db_index=False, related_name="+")
    plan = models.CharField(max_length=16)
    vector = models.BinaryField()
    rules = models.JSONField(default=list)

    class Meta:
        indexes = (
            models.Index(fields=("detector", "plan", "-alert"), name="signatures_newest_first"),
        )

    def __str__(self) -> str:
        return f"signature of alert {self.alert_id}"
