"""What the registry keeps: datasets, model versions, promotion decisions."""

from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse

from jobs.models import Job
from models_registry import (  # noqa: F401 - where Django looks for models
    backtest_models,
    drift_models,
    evaluation_models,
    promotion_models,
    registry_models,
    retraining_models,
    shadow_models,
    tuning_models,
)
from models_registry.core.splits import TimeSplit
from scoring.models import Detector


class Dataset(models.Model):
    """The rows that a version learnt from: logged vectors joined with labels known at `known_at`.

    `digest` is the SHA-256 of the arrays, so equal data gives an equal digest.
    """

    detector = models.ForeignKey(Detector, models.PROTECT)
    digest = models.CharField(max_length=64)
    known_at = models.DateTimeField(help_text="Labels known at this time were used, none later.")
    first_event_at = models.DateTimeField()
    last_event_at = models.DateTimeField()
    rows = models.PositiveIntegerField()
    positives = models.PositiveIntegerField()
    feature_names = models.JSONField()
    detail = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.digest[:12]}"

    def get_absolute_url(self) -> str:
        return reverse("dataset_detail", args=[self.pk])

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """`events` and `positives` of each part by name (`Parts.counts`); empty where not kept."""
        return self.detail.get("parts") or {}

    @property
    def divided(self) -> list[dict[str, Any]]:
        """Name and span (`start`, `end`) of the parts, with how many `events` of each counted and
        how many of these were `positives`, None where it was not recorded; empty where the
        bounds were not kept."""
        split, counts = self.detail.get("split"), self.counts
        if not split:
            return []
        nothing = {"events": None, "positives": None}
        return [
            {
                "name": name,
                "start": datetime.fromtimestamp(start, UTC),
                "end": datetime.fromtimestamp(end, UTC),
                **counts.get(name, nothing),
            }
            for name, (start, end) in TimeSplit(**split).bounds.items()
        ]

    @property
    def counted_in_training(self) -> int | None:
        """How many of the rows are in the training part and counted, before anything was done about
        a rare class; None where it was not recorded."""
        found = self.counts.get("training")
        return None if found is None else int(found["events"])


class ModelVersion(models.Model):
    """One trained bundle of a detector, with how well it judged events that it had not seen."""

    class Stage(models.TextChoices):
        CHALLENGER = "challenger", "Challenger"
        CHAMPION = "champion", "Champion"
        RETIRED = "retired", "Retired"
        REJECTED = "rejected", "Rejected"

    detector = models.ForeignKey(Detector, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    stage = models.CharField(max_length=10, choices=Stage, default=Stage.CHALLENGER)
    learner = models.CharField(max_length=40)
    digest = models.CharField(max_length=64)
    dataset = models.ForeignKey(Dataset, models.PROTECT, related_name="versions")
    parameters = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict)
    comparison = models.JSONField(default=dict)
    curves = models.JSONField(default=dict)
    job = models.ForeignKey(Job, models.SET_NULL, null=True, related_name="+")
    trained_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    trained_at = models.DateTimeField()
    training_seconds = models.FloatField()

    promoted_at: datetime | None = None
    """Not stored: of a version that a roll-back would bring back (selectors.earlier_champions)."""

    class Meta:
        ordering = ("detector", "-number")
        constraints = (
            models.UniqueConstraint(fields=("detector", "number"), name="one_version_per_number"),
            models.UniqueConstraint(
                fields=("detector",),
                condition=models.Q(stage="champion"),
                name="one_champion_per_detector",
            ),
        )
        permissions = (
            ("train_model", "Can train models"),
            ("promote_model", "Can promote and roll back models"),
        )

    def __str__(self) -> str:
        return f"{self.detector.slug} {self.label}"

    def get_absolute_url(self) -> str:
        return reverse("model_detail", args=[self.pk])

    @property
    def label(self) -> str:
        """What people and API clients see: `v12`."""
        return f"v{self.number}"

    @property
    def trainer(self) -> str:
        """Who trained it, in words. Commands of earlier releases had no job."""
        if self.trained_by is not None:
            return self.trained_by.name or self.trained_by.username
        return "the command line" if self.job is None else self.job.asker


class PromotionDecision(models.Model):
    """Who put which version into service, or took it out, and why."""

    class Action(models.TextChoices):
        PROMOTE = "promote", "Promoted"
        ROLL_BACK = "roll_back", "Rolled back"

    detector = models.ForeignKey(Detector, models.PROTECT, related_name="promotions")
    action = models.CharField(max_length=10, choices=Action)
    version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="promotions")
    previous = models.ForeignKey(ModelVersion, models.PROTECT, null=True, related_name="+")
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    at = models.DateTimeField(auto_now_add=True)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.version}"

    @property
    def is_override(self) -> bool:
        """Whether it took a champion's place without a passing comparison, or by a command: past
        comparison and second person. Read with `request`."""
        asked = getattr(self, "request", None)
        if asked is not None:
            return bool(asked.override)
        return self.action == self.Action.PROMOTE and self.previous_id is not None
