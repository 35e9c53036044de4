"""Alerts (predictions of one entity that need a human), cases (investigations), their timeline."""

from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse

from accounts.models import AppendOnlyError
from cases import (  # noqa: F401 - where Django looks for models
    case_models,
    dashboard_models,
    links_models,
    queue_models,
    rate_models,
    report_models,
    second_look_models,
    signature_models,
    work_queue_models,
)
from cases.exchange import approximation
from cases.workflow import LIVE_CASES, PRIORITIES, AlertStatus, CaseStatus, Disposition
from scoring.core.types import RISK_LEVELS
from scoring.models import Detector, Prediction


def choices(
    values: type[AlertStatus] | type[CaseStatus] | type[Disposition],
) -> list[tuple[str, str]]:
    """Django choices of an enumeration: `in_case` reads `In case`."""
    return [(value.value, value.value.replace("_", " ").capitalize()) for value in values]


class Served(models.Model):
    """What a team queue has: by when it is due, when it is escalated, and how much of it one person
    may close.

    `approval_limit` is the lowest loss limit that it met: raising a queue's limit later lifts
    nothing over it.
    """

    work_queue = models.ForeignKey(
        "cases.WorkQueue", models.SET_NULL, null=True, blank=True, related_name="+"
    )
    due_at = models.DateTimeField(null=True, blank=True)
    escalate_at = models.DateTimeField(null=True, blank=True)
    escalated_at = models.DateTimeField(null=True, blank=True)
    approval_limit = models.DecimalField(
        max_digits=18, decimal_places=2, null=True, blank=True, editable=False
    )

    class Meta:
        abstract = True


class Case(Served):
    """An investigation over alerts. One status, moved by the table in `workflow`.

    Its priority only rises on new evidence; lowering it takes a person and a reason.
    `approval_limit` counts its queue and its alerts' queues when they came in, and what was merged.
    """

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
    case_type = models.ForeignKey(
        "cases.CaseType", models.PROTECT, null=True, blank=True, related_name="cases"
    )
    priority = models.PositiveSmallIntegerField(default=0, choices=list(enumerate(PRIORITIES)))
    tags = models.ManyToManyField("cases.Tag", blank=True, related_name="cases")
    merged_into = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="merged"
    )

    class Meta:
        ordering = ("-opened_at",)
        constraints = (
            models.CheckConstraint(
                condition=models.Q(status=CaseStatus.CLOSED) ^ models.Q(disposition=""),
                name="closed_case_has_outcome",
            ),
            models.CheckConstraint(
                condition=models.Q(status=CaseStatus.MERGED) ^ models.Q(merged_into=None),
                name="merged_case_is_somewhere",
            ),
            models.CheckConstraint(
                condition=models.Q(priority__lt=len(PRIORITIES)), name="case_priority_exists"
            ),
        )
        indexes = (
            models.Index(fields=("status", "-opened_at"), name="case_by_status"),
            models.Index(fields=("-priority", "due_at", "id"), name="case_by_priority"),
            models.Index(fields=("owner", "status"), name="case_by_owner"),
            models.Index(
                fields=("escalate_at",),
                name="case_to_escalate",
                condition=models.Q(escalated_at=None, status__in=LIVE_CASES),
            ),
        )
        permissions = (
            ("work_case", "Can open, move, comment on and close cases"),
            ("approve_case", "Can approve or return closings above the loss limit"),
        )

    def __str__(self) -> str:
        # Without its title, which may name somebody: the audit trail keeps this for ever.
        return f"Case {self.pk}"

    def get_absolute_url(self) -> str:
        return reverse("case_detail", args=[self.pk])


class Alert(Served):
    """Predictions of one entity of one detector that need a human, grouped while it is open.

    Level, probability and the top reason are those of its riskiest prediction so far; `exposure` is
    the sum of its predictions' amounts in its `currency`, others left out. The queue is ordered by
    `loss_per_minute`: expected loss times recoverability over `handling_minutes`, the predicted
    handling time. The expected loss is in the common currency: `rate` is what `currency` was
    converted by (null: it is the common one, or has no rate and counts as it stands), and
    `rates_version` the newest rate of then (cases.exchange_rates; null: none was declared).
    `threshold_gap` is how far the probability lies from the review threshold.
    `audit`: it was drawn at random, nothing spoke against it. A lock or a snooze counts until its
    time. `taken_out_by` took it out of a case above its limit, and so does not close it.
    """

    detector = models.ForeignKey(Detector, models.PROTECT)
    entity = models.CharField(max_length=32)
    status = models.CharField(max_length=8, choices=choices(AlertStatus), default=AlertStatus.OPEN)
    level = models.PositiveSmallIntegerField(choices=list(enumerate(RISK_LEVELS)))
    risk = models.FloatField(null=True)
    exposure = models.DecimalField(max_digits=18, decimal_places=2, null=True)
    currency = models.CharField(max_length=3, blank=True)
    expected_loss = models.FloatField(default=0.0)
    rate = models.DecimalField(max_digits=15, decimal_places=9, null=True, editable=False)
    rates_version = models.BigIntegerField(null=True, editable=False)
    handling_minutes = models.FloatField(default=3.0)
    loss_per_minute = models.FloatField(default=0.0)
    threshold_gap = models.FloatField(null=True)
    audit = models.BooleanField(default=False)
    facet = models.ForeignKey(
        "cases.AlertFacet", models.PROTECT, null=True, db_index=False, related_name="+"
    )
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
    locked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    locked_until = models.DateTimeField(null=True, blank=True)
    snoozed_until = models.DateTimeField(null=True, blank=True)
    snoozed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True,
        db_index=False, related_name="+",
    )  # fmt: skip
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )
    taken_out_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False,
        db_index=False, related_name="+",
    )  # fmt: skip

    class Meta:
        ordering = ("-loss_per_minute", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("detector", "entity"),
                condition=~models.Q(status=AlertStatus.CLOSED),
                name="one_live_alert_per_entity",
            ),
        )
        indexes = (
            models.Index(fields=("status", "-loss_per_minute", "-id"), name="alert_queue"),
            models.Index(fields=("status", "opened_at", "id"), name="alert_by_age"),
            models.Index(fields=("status", "due_at", "id"), name="alert_by_due"),
            models.Index(fields=("status", "threshold_gap", "id"), name="alert_by_gap"),
            models.Index(fields=("status", "facet", "owner", "snoozed_until"), name="alert_counts"),
            models.Index(
                fields=("status", "id"), name="alert_audit", condition=models.Q(audit=True)
            ),
            models.Index(fields=("entity", "-opened_at"), name="alert_by_entity"),
            models.Index(
                fields=("escalate_at",),
                name="alert_to_escalate",
                condition=models.Q(escalated_at=None, status=AlertStatus.OPEN),
            ),
            models.Index(
                fields=("work_queue", "owner", "due_at", "id"),
                name="alert_of_queue",
                condition=models.Q(status=AlertStatus.OPEN),
            ),
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
    def loss_currency(self) -> str:
        """The currency in which its expected loss counts."""
        converted = self.rates_version is not None and self.rate is not None
        return settings.COMMON_CURRENCY if converted else self.currency

    @property
    def common_note(self) -> str:
        """How its amount counts in the order, where that is not the amount itself."""
        if self.exposure is None or self.rates_version is None:
            return ""
        common = settings.COMMON_CURRENCY
        if self.rate is not None:
            return approximation(self.exposure, self.rate, common)
        same = self.currency.upper() == common
        return "" if same else f"no rate to {common}: ordered as it stands"

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


class CaseEventQuerySet(models.QuerySet["CaseEvent"]):
    """Reads only; the database has triggers that say the same."""

    def update(self, **kwargs: Any) -> int:
        raise AppendOnlyError("Entries of a timeline are never changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError("Entries of a timeline are never deleted.")


class CaseEvent(models.Model):
    """One entry of a case's timeline; entries are only ever added."""

    class Kind(models.TextChoices):
        OPENED = "opened", "opened the case"
        ALERT_ADDED = "alert_added", "added an alert"
        ALERT_REMOVED = "alert_removed", "took an alert out"
        EVIDENCE = "evidence", "added new evidence"
        COMMENT = "comment", "commented"
        ATTACHED = "attached", "attached a file"
        CHECKED = "checked", "ticked"
        UNCHECKED = "unchecked", "unticked"
        TAGGED = "tagged", "changed the tags"
        TYPED = "typed", "changed the type"
        PRIORITY = "priority", "changed the priority"
        ASSIGNED = "assigned", "changed the owner"
        HANDED_OVER = "handed_over", "handed the case over"
        HANDOVER_ENDED = "handover_ended", "answered the hand-over"
        ASKED = "asked", "asked to close the case"
        RETURNED = "returned", "returned the case for rework"
        WITHDRAWN = "withdrawn", "took the request back"
        MERGED = "merged", "merged the case"
        UNMERGED = "unmerged", "took the case out again"
        ESCALATED = "escalated", "escalated the case"
        SETTLED = "settled", "settled a second look"
        MOVED = "moved", "changed the status"
        CLOSED = "closed", "closed the case"

    # Protected: a timeline outlives whoever stands in it, and no case is deleted.
    case = models.ForeignKey(Case, models.PROTECT, related_name="timeline")
    kind = models.CharField(max_length=16, choices=Kind)
    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    text = models.TextField(blank=True)
    detail = models.JSONField(default=dict)

    objects = CaseEventQuerySet.as_manager()

    class Meta:
        ordering = ("at", "id")
        indexes = (
            models.Index(
                fields=("at",),
                name="alerts_moved",
                condition=models.Q(kind__in=("alert_added", "alert_removed")),
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} at {self.at:%Y-%m-%d %H:%M}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyError("Entries of a timeline are never changed.")
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError("Entries of a timeline are never deleted.")
