"""What dashboards are drawn from: counts by day, so that no page counts a million rows."""

from django.conf import settings
from django.db import models

from scoring.core.types import DECISIONS, RISK_LEVELS
from scoring.models import Detector


class DailyTally(models.Model):
    """How many of one kind there were on one day (UTC) of one detector; see `Kind` for the rest.

    All rows of a day are made anew together (cases.tallying), so counting twice changes nothing.
    `amount` is the sum of the amounts that are known, in `currency`. `bucket` is a class of
    durations (cases.durations).
    """

    class Kind(models.TextChoices):
        """By what each kind is told apart, beside day and detector."""

        EVENT = "event", "Events, by level, decision, newest label and currency"
        OPENED = "opened", "Alerts opened, by level and how they stand now"
        CLOSED = "closed", "Alerts closed, by how long that took"
        BACKLOG = "backlog", "Alerts not closed when the day ended, by level"
        HANDLED = "handled", "Alerts closed, by analyst and time spent"

    day = models.DateField()
    kind = models.CharField(max_length=8, choices=Kind)
    detector = models.ForeignKey(Detector, models.CASCADE, db_index=False)
    level = models.PositiveSmallIntegerField(null=True, choices=list(enumerate(RISK_LEVELS)))
    decision = models.CharField(max_length=7, blank=True, choices=[(v, v) for v in DECISIONS])
    outcome = models.CharField(max_length=16, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, db_index=False, related_name="+"
    )
    bucket = models.SmallIntegerField(null=True)
    currency = models.CharField(max_length=3, blank=True)
    count = models.PositiveIntegerField()
    amount = models.DecimalField(max_digits=20, decimal_places=2, default=0)

    class Meta:
        indexes = (models.Index(fields=("kind", "day", "detector"), name="tally_by_day"),)
        permissions = (("view_analysts", "Can see the figures of single analysts"),)

    def __str__(self) -> str:
        return f"{self.count} {self.kind} on {self.day}"


class WaitingTally(models.Model):
    """How many open alerts of a detector and level wait for at least `hours`, when last counted."""

    detector = models.ForeignKey(Detector, models.CASCADE)
    level = models.PositiveSmallIntegerField(choices=list(enumerate(RISK_LEVELS)))
    hours = models.PositiveSmallIntegerField()
    count = models.PositiveIntegerField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("detector", "level", "hours"), name="one_waiting"),
        )

    def __str__(self) -> str:
        return f"{self.count} for {self.hours} h"


class TallyRun(models.Model):
    """Up to when everything is counted: one row."""

    as_of = models.DateTimeField()

    def __str__(self) -> str:
        return f"as of {self.as_of:%Y-%m-%d %H:%M}"
