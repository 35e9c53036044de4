"""What the registry keeps of challengers in shadow: how far each is, and what it said."""

from django.conf import settings
from django.db import models

from scoring.core.types import DECISIONS
from scoring.models import Detector, Prediction


class Shadow(models.Model):
    """A challenger that scores live traffic without effect.

    `watermark` and `cursor_id` are the arrival and the id of the last prediction that was looked
    at (the id is empty before the first). The totals count events that the champion of
    `champion_digest` scored: `agreed` with the same decision, `more` that the challenger alone
    would have flagged, `less` that the champion alone did. `histogram` holds counts of both risks
    in equal bins from 0 to 1. `fault` says why it cannot go on. `sequence` is what each day told
    the live comparison (models_registry.shadow_judging), which outlives the scores it was made of.
    """

    class State(models.TextChoices):
        RUNNING = "running", "In shadow"
        STOPPED = "stopped", "Stopped"
        DISPLACED = "displaced", "Displaced by newer challengers"
        BLOCKED = "blocked", "Cannot shadow"
        ENDED = "ended", "Over"

    version = models.OneToOneField(
        "models_registry.ModelVersion", models.CASCADE, related_name="shadow"
    )
    detector = models.ForeignKey(Detector, models.CASCADE, related_name="+")
    state = models.CharField(max_length=10, choices=State, default=State.RUNNING)
    fault = models.TextField(blank=True)
    watermark = models.DateTimeField()
    cursor_id = models.UUIDField(null=True)
    batches = models.PositiveBigIntegerField(default=0, help_text="How many were stored.")
    champion_digest = models.CharField(max_length=64, blank=True)
    rows = models.PositiveBigIntegerField(default=0)
    agreed = models.PositiveBigIntegerField(default=0)
    more = models.PositiveBigIntegerField(default=0)
    less = models.PositiveBigIntegerField(default=0)
    histogram = models.JSONField(default=dict)
    started_at = models.DateTimeField()
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    stopped_at = models.DateTimeField(null=True)
    stopped_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    scored_at = models.DateTimeField(null=True, help_text="When it last scored anything.")
    comparison = models.JSONField(default=dict)
    compared_at = models.DateTimeField(null=True)
    attempted_at = models.DateTimeField(
        null=True, help_text="When a comparison was last begun, whatever came of it."
    )
    asked_at = models.DateTimeField(null=True, help_text="When a person last asked for one.")
    sequence = models.JSONField(default=dict)
    forgotten_to = models.DateTimeField(
        null=True, help_text="Time of the newest event whose score was forgotten."
    )

    class Meta:
        ordering = ("-started_at",)

    def __str__(self) -> str:
        return f"shadow of {self.version}"

    @property
    def agreement(self) -> float | None:
        """Share of the events that both decided alike; None before the first."""
        return self.agreed / self.rows if self.rows else None


class ShadowScore(models.Model):
    """What one challenger said about one prediction; once, whatever runs twice."""

    version = models.ForeignKey(
        "models_registry.ModelVersion", models.CASCADE, related_name="+", db_index=False
    )
    prediction = models.ForeignKey(Prediction, models.CASCADE, related_name="shadow_scores")
    event_time = models.DateTimeField()
    score = models.FloatField()
    probability = models.FloatField(null=True)
    decision = models.CharField(max_length=7, choices=[(v, v) for v in DECISIONS])

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("version", "prediction"), name="one_shadow_score_per_prediction"
            ),
        )
        indexes = (models.Index(fields=("version", "event_time"), name="shadow_by_time"),)

    def __str__(self) -> str:
        return f"{self.version_id} {self.prediction_id} {self.decision}"
