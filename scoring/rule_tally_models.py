"""What rules found, by day: counted in the background, so that no page has to."""

from django.db import models


class RuleTally(models.Model):
    """One day (UTC, by event time) of one detector.

    `content`: by rule code, and under "" for everything that was flagged, the counts of
    `scoring.rule_tallying.Count`; `pairs`: [code, code, events that both matched]; `sketches`:
    the packed distinct entities (scoring.core.distinct) in the order of `content`, compressed.
    `stale`: something came since, it is counted again.
    """

    detector = models.ForeignKey("scoring.Detector", models.CASCADE, db_index=False)
    day = models.DateField()
    stale = models.BooleanField(default=True)
    measured_at = models.DateTimeField(null=True)
    seconds = models.FloatField(default=0.0, help_text="What the last counting took.")
    events = models.PositiveIntegerField(default=0)
    content = models.JSONField(default=dict)
    pairs = models.JSONField(default=list)
    sketches = models.BinaryField(default=b"")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("detector", "day"), name="one_rule_tally_per_day"),
        )
        indexes = (
            models.Index(
                fields=("measured_at",), name="stale_rule_tally", condition=models.Q(stale=True)
            ),
        )

    def __str__(self) -> str:
        return f"{self.detector_id} {self.day}"


class TallyMark(models.Model):
    """Up to where a detector's predictions and labels were looked through for days to count."""

    detector = models.OneToOneField("scoring.Detector", models.CASCADE, related_name="tally_mark")
    received_at = models.DateTimeField()
    label_id = models.BigIntegerField(default=0)
    looked_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.detector_id} up to {self.received_at:%Y-%m-%d %H:%M}"
