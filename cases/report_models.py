"""Reports of the dashboards that come by e-mail: who wants which, and which were made."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from cases.dashboard_filters import SPANS, USUAL
from cases.report_timetable import DAILY, MONTHLY, WEEKDAYS, WEEKLY, Timetable
from notifications.models import Notification
from scoring.models import Detector


class ReportSubscription(models.Model):
    """What somebody wants sent, when by their own clock, and to whom beside themselves.

    What was due up to `handled_until` was made or left out. Without a detector it is about all.
    """

    OFTEN = ((DAILY, "Every day"), (WEEKLY, "Every week"), (MONTHLY, "Every month, on the 1st"))

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="report_subscriptions"
    )
    recipients = models.ManyToManyField(
        settings.AUTH_USER_MODEL, related_name="reports_received", blank=True
    )
    detector = models.ForeignKey(
        Detector, models.CASCADE, null=True, blank=True, related_name="report_subscriptions"
    )
    currency = models.CharField(max_length=3, blank=True)
    days = models.PositiveSmallIntegerField(
        default=USUAL, choices=[(days, f"Last {days} days") for days in SPANS]
    )
    often = models.CharField(max_length=7, choices=OFTEN, default=WEEKLY)
    weekday = models.PositiveSmallIntegerField(default=0, choices=list(enumerate(WEEKDAYS)))
    hour = models.PositiveSmallIntegerField(default=8)
    is_paused = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    handled_until = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ("pk",)
        permissions = (("share_report", "Can have reports sent to other people"),)
        constraints = (
            models.CheckConstraint(
                condition=Q(hour__lte=23, weekday__lte=6), name="report_at_an_hour_of_a_day"
            ),
        )

    def __str__(self) -> str:
        return f"{self.about}, {self.timetable.words().lower()}"

    def get_absolute_url(self) -> str:
        return reverse("dashboard_report_detail", args=[self.pk])

    @property
    def about(self) -> str:
        """`Card fraud, last 30 days`."""
        name = self.detector.name if self.detector else "All detectors"
        return f"{name}, {self.get_days_display().lower()}"

    @property
    def timetable(self) -> Timetable:
        """By its owner's clock, as it goes now."""
        return Timetable(self.often, self.weekday, self.hour, self.owner.time_zone)


class ReportRun(models.Model):
    """One report that was made. `key` is the moment in UTC at which it was due, or `now` and the
    minute in which somebody asked for it: so each is made once, whoever tries. Those of before
    have the local day."""

    subscription = models.ForeignKey(ReportSubscription, models.CASCADE, related_name="runs")
    key = models.CharField(max_length=40)
    first = models.DateField()
    last = models.DateField()
    made_at = models.DateTimeField(default=timezone.now)
    notification = models.ForeignKey(
        Notification, models.SET_NULL, null=True, related_name="+", help_text="What was sent."
    )

    class Meta:
        ordering = ("-made_at", "-pk")
        constraints = (
            models.UniqueConstraint(fields=("subscription", "key"), name="one_report_per_period"),
        )
        indexes = (models.Index(fields=("subscription", "-made_at"), name="report_runs_newest"),)

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"
