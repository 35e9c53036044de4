"""Alerts (predictions of one entity that need a human), cases (investigations), their timeline."""

from django.conf import settings
from django.db import models
from django.urls import reverse

from cases import dashboard_models, second_look_models  # noqa: F401 - where Django looks for models
from cases.workflow import AlertStatus, CaseStatus, Disposition
from scoring.core.types import RISK_LEVELS
from scoring.models import Detector, Prediction


def choices(
    values: type[AlertStatus] | type[CaseStatus] | type[Disposition],
) -> list[tuple[str, str]]:
    """Django choices of an enumeration: `in_case` reads `In case`."""
    return [(value.value, value.value.replace("_", " ").capitalize()) for value in values]


class Case(models.Model):
    """An investigation over alerts. One status, moved by the table in `workflow`."""

    title = models.CharField(max_length=200)
    status = models.CharField(max_length=16, choices=choices(CaseStatus), default=CaseStatus.OPEN)
    disposition = models.CharField(max_length=16, choices=choices(Disposition), blank=True)
    reason_code = models.CharField(max_length=40, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="cases"
    )
    opened_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="cases_opened"
    )
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-opened_at",)
        indexes = (models.Index(fields=("status", "-opened_at"), name="case_by_status"),)
        permissions = (("work_case", "Can open, move, comment on and close cases"),)

    def __str__(self) -> str:
        return f"Case {self.pk}: {self.title}"

    def get_absolute_url(self) -> str:
        return reverse("case_detail", args=[self.pk])


class Alert(models.Model):
    """Predictions of one entity of one detector that need a human, grouped while it is open.

    Level, probability, exposure and the top reason are those of its riskiest prediction so far;
    `exposure` is the sum of its predictions' amounts.
    """

    detector = models.ForeignKey(Detector, models.PROTECT)
    entity = models.CharField(max_length=32)
    status = models.CharField(max_length=8, choices=choices(AlertStatus), default=AlertStatus.OPEN)
    level = models.PositiveSmallIntegerField(choices=list(enumerate(RISK_LEVELS)))
    risk = models.FloatField(null=True)
    exposure = models.DecimalField(max_digits=18, decimal_places=2, null=True)
    currency = models.CharField(max_length=3, blank=True)
    expected_loss = models.FloatField(default=0.0)
    predictions_count = models.PositiveIntegerField(default=0)
    top_prediction = models.ForeignKey(Prediction, models.PROTECT, related_name="+")
    first_event_at = models.DateTimeField()
    last_event_at = models.DateTimeField()
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    disposition = models.CharField(max_length=16, choices=choices(Disposition), blank=True)
    reason_code = models.CharField(max_length=40, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="alerts"
    )
    case = models.ForeignKey(Case, models.SET_NULL, null=True, blank=True, related_name="alerts")
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        ordering = ("-expected_loss", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("detector", "entity"),
                condition=~models.Q(status=AlertStatus.CLOSED),
                name="one_live_alert_per_entity",
            ),
        )
        indexes = (
            models.Index(fields=("status", "-expected_loss", "-id"), name="alert_queue"),
            models.Index(fields=("entity", "-opened_at"), name="alert_by_entity"),
            models.Index(fields=("opened_at", "id"), name="alert_by_opening"),
            models.Index(fields=("closed_at", "id"), name="alert_by_closing"),
        )
        permissions = (
            ("triage_alert", "Can label and close alerts"),
            ("assign_alert", "Can assign alerts and reopen cases"),
        )

    def __str__(self) -> str:
        return f"Alert {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("alert_detail", args=[self.pk])

    @property
    def level_name(self) -> str:
        """LOW, MEDIUM, HIGH or CRITICAL."""
        return str(RISK_LEVELS[self.level])


class AlertPrediction(models.Model):
    """A prediction belongs to at most one alert, so that opening an alert twice changes nothing."""

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="links")
    prediction = models.OneToOneField(Prediction, models.CASCADE, related_name="alert_link")
    added_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.alert_id}: {self.prediction_id}"


class Touch(models.Model):
    """One stay of one user on an alert or a case: what handling time is measured from."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    alert = models.ForeignKey(Alert, models.CASCADE, null=True, related_name="touches")
    case = models.ForeignKey(Case, models.CASCADE, null=True, related_name="touches")
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(alert__isnull=False) ^ models.Q(case__isnull=False),
                name="touch_of_alert_or_case",
            ),
        )

    def __str__(self) -> str:
        return f"{self.user_id} at {self.opened_at:%Y-%m-%d %H:%M}"


class CaseEvent(models.Model):
    """One entry of a case's timeline; entries are only ever added."""

    class Kind(models.TextChoices):
        OPENED = "opened", "opened the case"
        ALERT_ADDED = "alert_added", "added an alert"
        COMMENT = "comment", "commented"
        MOVED = "moved", "changed the status"
        CLOSED = "closed", "closed the case"

    case = models.ForeignKey(Case, models.CASCADE, related_name="timeline")
    kind = models.CharField(max_length=12, choices=Kind)
    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    text = models.TextField(blank=True)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ("at", "id")

    def __str__(self) -> str:
        return f"{self.get_kind_display()} at {self.at:%Y-%m-%d %H:%M}"
