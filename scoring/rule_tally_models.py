"""What rules found, by day: counted in the background, so that no page has to."""

from django.db import models

LAYOUT_KEY = "live"
"""What `RuleTally.content` has once it was counted; an earlier layout has it not."""


class RuleTally(models.Model):
    """One day (UTC, by event time) of one detector.

    `content`: by stage ("live", "shadow") and rule code, and under "flagged" and "" for everything
    that was flagged, the counts of `scoring.rule_tallying.Count`, and where its packed distinct
    entities (scoring.core.distinct) stand: `offset` and `size` in `sketches`, decompressed.
    `pairs`: [stage, code, stage, code, events that both matched]. `stale`: something came since, it
    is counted again. `began_at`: it is being counted since then.
    """

    detector = models.ForeignKey("scoring.Detector", models.CASCADE, db_index=False)
    day = models.DateField()
    stale = models.BooleanField(default=True)
    began_at = models.DateTimeField(null=True)
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

    @property
    def is_readable(self) -> bool:
        """Whether it was counted in the present layout; if not, it waits to be counted anew."""
        return LAYOUT_KEY in self.content


class TallyMark(models.Model):
    """Up to where a detector's predictions and labels were looked through for days to count."""

    detector = models.OneToOneField("scoring.Detector", models.CASCADE, related_name="tally_mark")
    received_at = models.DateTimeField()
    label_id = models.BigIntegerField(default=0)
    looked_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.detector_id} up to {self.received_at:%Y-%m-%d %H:%M}"
