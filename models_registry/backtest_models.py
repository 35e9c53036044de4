"""Backtests: what an unsaved rule or other thresholds would have meant on history."""

from datetime import UTC, datetime

from django.conf import settings
from django.db import models
from django.urls import reverse

from jobs.models import Job
from scoring.models import Detector
from scoring.policy_models import Rule


class Backtest(models.Model):
    """One question and its answer. Nothing but this row and its job is ever written by it.

    `asked`: what a version of a rule says (kind rule), or `review` and `block` (kind thresholds);
    `today`: what stands in its place, {} where nothing does. `result` is null until it is over; see
    models_registry.backtesting.
    """

    class Kind(models.TextChoices):
        RULE = "rule", "Rule"
        THRESHOLDS = "thresholds", "Thresholds"

    detector = models.ForeignKey(Detector, models.CASCADE, related_name="backtests")
    kind = models.CharField(max_length=10, choices=Kind)
    rule = models.ForeignKey(Rule, models.CASCADE, null=True, related_name="+")
    version = models.ForeignKey(
        "models_registry.ModelVersion", models.CASCADE, null=True, related_name="+"
    )
    asked = models.JSONField()
    today = models.JSONField(default=dict, blank=True)
    first_day = models.DateField()
    last_day = models.DateField()
    most = models.PositiveIntegerField(help_text="Events to read at most.")
    known_at = models.DateTimeField(help_text="Labels known at this time count, none later.")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    job = models.OneToOneField(Job, models.SET_NULL, null=True, related_name="backtest")
    result = models.JSONField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-known_at", "-id")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(first_day__lte=models.F("last_day")),
                name="backtest_days_in_order",
            ),
        )
        indexes = (models.Index(fields=("detector", "-known_at"), name="backtest_newest"),)

    def __str__(self) -> str:
        return f"backtest of {self.asked.get('code') or 'thresholds'} of {self.detector}"

    def get_absolute_url(self) -> str:
        return reverse("backtest_detail", args=[self.detector.slug, self.pk])

    def learnt_until(self) -> str | None:
        """The last moment of which the model learnt, where that is known."""
        if self.version is None or self.version.dataset is None:
            return None
        split = self.version.dataset.detail.get("split") or {}
        end = split.get("train_end")
        return datetime.fromtimestamp(end, UTC).isoformat() if end else None
