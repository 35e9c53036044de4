"""What came by each source, by hour: counted as it comes, so that no page has to."""

from django.db import models


class SourceTally(models.Model):
    """Events of one source that came within an hour (UTC).

    `scored` has a new prediction, `refused` has none; the rest of `received` was there before.
    """

    source = models.ForeignKey(
        "scoring.Source", models.CASCADE, db_index=False, related_name="tallies"
    )
    hour = models.DateTimeField()
    received = models.BigIntegerField(default=0)
    scored = models.BigIntegerField(default=0)
    refused = models.BigIntegerField(default=0)
    last_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("source", "hour"), name="one_source_tally_per_hour"),
        )

    def __str__(self) -> str:
        return f"{self.source_id} {self.hour:%Y-%m-%d %H}"
