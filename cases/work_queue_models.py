"""Team queues: what comes to which team, by when it is due, who works there; and escalations."""

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.urls import reverse

from accounts.time_zones import validate_time_zone
from cases.working_hours import WorkingHours, hours_of
from scoring.core.types import RISK_LEVELS
from scoring.models import Detector

Users = settings.AUTH_USER_MODEL


def office_week() -> list[list[list[int]]]:
    """Monday to Friday, 9 to 17, as `WorkQueue.week` keeps it."""
    return [[[9 * 60, 17 * 60]] if day < 5 else [] for day in range(7)]


class WorkQueue(models.Model):
    """A team's queue: the first active one, by position, that takes an alert has it."""

    class Assignment(models.TextChoices):
        NONE = "none", "Nobody: people take the next one"
        ROUND_ROBIN = "round_robin", "In turn"
        LEAST_LOADED = "least_loaded", "Whoever has the least open"
        SKILL = "skill", "Whoever's skills fit best"

    name = models.CharField(max_length=60, unique=True)
    position = models.PositiveSmallIntegerField(
        default=100, help_text="The lowest number is asked first."
    )
    is_active = models.BooleanField("Takes alerts", default=True)
    detectors = models.ManyToManyField(Detector, blank=True, related_name="+")
    least_level = models.PositiveSmallIntegerField(
        default=0, choices=list(enumerate(level.capitalize() for level in RISK_LEVELS))
    )
    due_after = models.PositiveIntegerField(default=8 * 60, help_text="Minutes of working time.")
    escalate_after = models.PositiveIntegerField(
        default=12 * 60, help_text="Minutes of working time."
    )
    week = models.JSONField(default=office_week)
    holidays = models.JSONField(default=list)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    assignment = models.CharField(max_length=12, choices=Assignment, default=Assignment.NONE)
    approval_limit = models.DecimalField(max_digits=18, decimal_places=2, null=True, blank=True)
    lead = models.ForeignKey(Users, models.SET_NULL, null=True, blank=True, related_name="+")
    escalation_raises = models.BooleanField(default=True)
    escalation_reassigns = models.BooleanField(default=True)
    escalation_notifies = models.BooleanField(default=True)

    class Meta:
        ordering = ("position", "name")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(due_after__gt=0, escalate_after__gt=0),
                name="queue_times_are_some",
            ),
            models.CheckConstraint(
                condition=models.Q(least_level__lt=len(RISK_LEVELS)), name="queue_level_exists"
            ),
        )

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("work_queue_detail", args=[self.pk])

    def day_at(self, now: datetime) -> date:
        """The day that it is where the queue works."""
        return now.astimezone(ZoneInfo(self.time_zone)).date()

    def hours(self) -> WorkingHours:
        """Its working hours. Raises HoursError when they were stored broken."""
        return hours_of(
            self.week, zone=self.time_zone, holidays=[str(row[0]) for row in self.holidays]
        )


class QueueMember(models.Model):
    """Somebody who works on a queue, with room for so much at a time."""

    queue = models.ForeignKey(WorkQueue, models.CASCADE, related_name="members")
    user = models.ForeignKey(Users, models.CASCADE, related_name="queue_members")
    capacity = models.PositiveSmallIntegerField(default=20)
    skills = models.JSONField(default=list, help_text="Words: detectors, levels, case types.")
    is_available = models.BooleanField(default=True)
    away_until = models.DateField(null=True, blank=True)
    last_assigned_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ("user__username",)
        constraints = (
            models.UniqueConstraint(fields=("queue", "user"), name="member_of_a_queue_once"),
        )

    def __str__(self) -> str:
        return f"{self.user_id} in {self.queue_id}"

    def works_on(self, day: date) -> bool:
        """Whether they take work on that day."""
        return self.is_available and (self.away_until is None or self.away_until < day)


class Escalation(models.Model):
    """Something was not done by its time: what was done about it, and whom to tell."""

    queue = models.ForeignKey(WorkQueue, models.SET_NULL, null=True)
    alert = models.ForeignKey("cases.Alert", models.CASCADE, null=True, related_name="escalations")
    case = models.ForeignKey("cases.Case", models.CASCADE, null=True, related_name="escalations")
    at = models.DateTimeField()
    recipient = models.ForeignKey(Users, models.SET_NULL, null=True, related_name="+")
    notify = models.BooleanField()
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ("-at", "-id")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(alert__isnull=False) ^ models.Q(case__isnull=False),
                name="escalation_of_alert_or_case",
            ),
        )

    def __str__(self) -> str:
        return f"escalation {self.pk}"


def taken_by(queue: WorkQueue, detectors: Any, *, detector_id: int, level: int) -> bool:
    """Whether a queue takes alerts of this detector and level; no `detectors` means every one."""
    return level >= queue.least_level and (not detectors or detector_id in detectors)
