"""What is kept of judging a version again, and of moving its thresholds."""

from django.conf import settings
from django.db import models
from django.urls import reverse

from jobs.models import Job


class Evaluation(models.Model):
    """A version judged again after its training, with what is known since.

    `as_of`: its own bundle on every event after those that it learnt from, labels as known at
    `known_at`. `folds`: its algorithm trained anew on earlier weeks, each judged on the next.
    """

    class Kind(models.TextChoices):
        AS_OF = "as_of", "As of today"
        FOLDS = "folds", "Over time"

    version = models.ForeignKey(
        "models_registry.ModelVersion", models.CASCADE, related_name="evaluations"
    )
    kind = models.CharField(max_length=5, choices=Kind)
    known_at = models.DateTimeField(help_text="Labels known at this time were used, none later.")
    first_event_at = models.DateTimeField()
    last_event_at = models.DateTimeField()
    metrics = models.JSONField(default=dict)
    curves = models.JSONField(default=dict)
    job = models.ForeignKey(Job, models.SET_NULL, null=True, related_name="+")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(fields=("version", "-created_at", "-id"), name="evaluation_of_version"),
        )

    def __str__(self) -> str:
        return f"{self.version} {self.get_kind_display().lower()} {self.known_at:%Y-%m-%d}"


class ThresholdMove(models.Model):
    """Why a version decides otherwise than the one whose model it has: a person moved thresholds.

    All thresholds are on the risk, as in the bundle.
    """

    version = models.OneToOneField(
        "models_registry.ModelVersion", models.CASCADE, related_name="threshold_move"
    )
    base = models.ForeignKey(
        "models_registry.ModelVersion", models.PROTECT, related_name="derived_moves"
    )
    review_before = models.FloatField()
    block_before = models.FloatField()
    review = models.FloatField()
    block = models.FloatField()
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    at = models.DateTimeField(auto_now_add=True)
    reason = models.TextField()

    class Meta:
        ordering = ("-at", "-id")

    def __str__(self) -> str:
        return f"{self.version} from {self.base.label}"

    def get_absolute_url(self) -> str:
        return reverse("model_detail", args=[self.version_id])
