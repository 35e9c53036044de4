"""What is kept of a closed alert to compare others with: the shape of its explanation."""

from django.db import models

from scoring.models import Detector


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
