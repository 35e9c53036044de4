"""What scoring keeps: detectors, deployments, window state, predictions and labels."""

from datetime import datetime
from typing import Any

import numpy as np
from django.conf import settings
from django.db import models
from django.urls import reverse

from scoring import (  # noqa: F401 - where Django looks for models
    import_models,
    policy_models,
    rule_request_models,
    rule_tally_models,
    source_models,
    source_tally_models,
)
from scoring.core.reader import SpecError, UnreadableDeclaration
from scoring.core.spec import DetectorSpec, parse_spec
from scoring.core.types import DECISIONS, RISK_LEVELS, SelectionReason


class Detector(models.Model):
    """A named detection problem. `config` is its declaration (docs/detectors.md)."""

    slug = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=100)
    description = models.TextField(blank=True)
    config = models.JSONField()
    loaded_digest = models.CharField(
        max_length=64, blank=True, help_text="Of the declaration as it was last read from a file."
    )
    enabled = models.BooleanField(default=True)
    policy_digest = models.CharField(
        max_length=64, blank=True, help_text="The policy in force (PolicySnapshot)."
    )
    policy_settings = models.JSONField(
        default=dict, blank=True, help_text="Audit rate and screening, where not as declared."
    )
    cache_epoch = models.PositiveIntegerField(
        default=0, help_text="Raised to flush cached predictions."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)
        permissions = (
            ("score_event", "Can send events to be scored"),
            ("import_events", "Can import events from files"),
            ("flush_cache", "Can flush cached predictions"),
        )

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("detector_detail", args=[self.slug])

    def spec(self) -> DetectorSpec:
        """The parsed declaration. Raises UnreadableDeclaration, a SpecError that says whose."""
        try:
            return parse_spec(self.config, stored=True)
        except SpecError as error:
            raise UnreadableDeclaration(self.slug, error.problems) from error

    def unreadable(self) -> str:
        """That the declaration cannot be read any more, why, and what to do; empty where it can."""
        try:
            self.spec()
        except UnreadableDeclaration as error:
            return str(error)
        return ""

    def currency(self) -> str:
        """As declared; empty where the declaration cannot be read."""
        try:
            return self.spec().currency
        except UnreadableDeclaration:
            return ""

    def review_after(self) -> float:
        """Seconds for which a champion may score, as set here, else as declared; 0.0: no end.

        Raises SpecError.
        """
        declared = self.spec().training.review_after
        return float(self.policy_settings.get("review_after", declared))


class DeclaredText(models.Model):
    """A declaration as its author wrote it: with comments, in an order of its own.

    It is for whoever reads or edits it; `Detector.config` is what counts. `digest` is that of the
    declaration that the text says, so that one that something else changed since is told apart.
    `loaded_digest` is that of the words of the last file, whatever stands by now.
    Apart from the detector, which is read with every page.
    """

    detector = models.OneToOneField(
        Detector, models.CASCADE, primary_key=True, related_name="declared_text"
    )
    text = models.TextField()
    digest = models.CharField(max_length=64)
    loaded_digest = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"{self.detector_id} {self.digest[:12]}"


class Deployment(models.Model):
    """Which bundle serves a detector in a slot. The row is read with every scored batch."""

    class Slot(models.TextChoices):
        CHAMPION = "champion", "Champion"
        CHALLENGER = "challenger", "Challenger"

    detector = models.ForeignKey(Detector, models.CASCADE, related_name="deployments")
    slot = models.CharField(max_length=12, choices=Slot)
    digest = models.CharField(max_length=64)
    version = models.CharField(max_length=40, help_text="What API clients see as model_version.")
    installed_at = models.DateTimeField()
    reviewed_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="From when on its review term counts, where not since it serves: a version that "
        "was brought back has been reviewed before.",
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("detector", "slot"), name="one_bundle_per_slot"),
        )

    def __str__(self) -> str:
        return f"{self.detector} {self.slot} {self.digest[:12]}"

    @property
    def term_from(self) -> datetime:
        """From when on its review term counts."""
        return self.reviewed_at or self.installed_at


class EntityState(models.Model):
    """The window state of one entity (scoring.core.windows), one row.

    `state` is the base, written seldom; `tail` holds the rows learnt since (docs/adr/0013).
    """

    detector = models.ForeignKey(Detector, models.CASCADE, db_index=False)
    key_field = models.CharField(max_length=64)
    token = models.CharField(max_length=32)
    state = models.BinaryField()
    tail = models.BinaryField(default=b"")
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("detector", "key_field", "token"), name="one_state_per_entity"
            ),
        )

    def __str__(self) -> str:
        return f"{self.key_field} {self.token}"


class EntityEvent(models.Model):
    """Which events an entity took part in, so that windows lost with Redis can be read again.

    Written only where the windows are kept in Redis.
    """

    detector = models.ForeignKey(Detector, models.CASCADE, db_index=False)
    key_field = models.CharField(max_length=64)
    token = models.CharField(max_length=32)
    event_time = models.DateTimeField()
    prediction = models.ForeignKey("Prediction", models.CASCADE, related_name="+")

    class Meta:
        indexes = (
            models.Index(
                fields=("detector", "key_field", "token", "event_time"), name="events_of_entity"
            ),
        )

    def __str__(self) -> str:
        return f"{self.key_field} {self.token}"


class ScoreTally(models.Model):
    """Running totals of predictions by hour, so that no page or metric has to count them.

    `shard` spreads the writers: each process adds to a row of its own.
    """

    detector = models.ForeignKey(Detector, models.CASCADE, db_index=False)
    hour = models.DateTimeField()
    shard = models.PositiveSmallIntegerField()
    risk_level = models.CharField(max_length=8)
    decision = models.CharField(max_length=7)
    count = models.BigIntegerField(default=0)
    degraded = models.BigIntegerField(default=0)
    latency_us = models.BigIntegerField(default=0)
    risk_sum = models.FloatField(default=0.0)
    risk_count = models.BigIntegerField(default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("detector", "hour", "shard", "risk_level", "decision"), name="one_tally"
            ),
        )

    def __str__(self) -> str:
        return f"{self.detector_id} {self.hour} {self.risk_level} {self.decision}"


class Prediction(models.Model):
    """The stored outcome of one event; never changed after it is written.

    But for personal data, which can be erased (scoring.erasing): `erased_at` says when.

    `event` is the payload as received, with fields declared as PII encrypted. `entity` is a keyed
    token, so equal entities can be grouped without storing who they are. `vector` and
    `contributions` are little-endian float64, in the feature order of the bundle.
    """

    id = models.UUIDField(primary_key=True)
    detector = models.ForeignKey(Detector, models.PROTECT, db_index=False)
    external_id = models.CharField(max_length=200)
    body_digest = models.CharField(max_length=32)
    event_time = models.DateTimeField()
    received_at = models.DateTimeField()
    event = models.JSONField()
    entity = models.CharField(max_length=32)
    vector = models.BinaryField()
    score = models.FloatField(null=True)
    probability = models.FloatField(null=True)
    risk_level = models.CharField(max_length=8, choices=[(v, v) for v in RISK_LEVELS])
    decision = models.CharField(max_length=7, choices=[(v, v) for v in DECISIONS])
    reasons = models.JSONField(default=list)
    contributions = models.BinaryField(null=True)
    additivity_error = models.FloatField(null=True)
    rule_hits = models.JSONField(default=list)
    rule_score = models.FloatField(default=0.0)
    screening_hits = models.JSONField(default=list)
    list_hits = models.JSONField(default=list)
    degraded = models.BooleanField(default=False)
    bundle_digest = models.CharField(max_length=64)
    policy_digest = models.CharField(max_length=64, blank=True)
    model_version = models.CharField(max_length=40)
    selection_reason = models.CharField(
        max_length=16, blank=True, choices=[(v, v or "none") for v in SelectionReason]
    )
    propensity = models.FloatField(default=1.0)
    exposure = models.DecimalField(max_digits=18, decimal_places=2, null=True)
    currency = models.CharField(max_length=3, blank=True)
    latency_us = models.PositiveIntegerField()
    erased_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-event_time", "-id")
        constraints = (
            # The id first: it alone tells nearly all rows apart.
            models.UniqueConstraint(
                fields=("external_id", "detector"), name="one_prediction_per_event"
            ),
        )
        indexes = (
            models.Index(fields=("detector", "-event_time"), name="prediction_by_time"),
            models.Index(fields=("entity", "-event_time"), name="prediction_by_entity"),
            models.Index(fields=("detector", "received_at"), name="prediction_by_arrival"),
            models.Index(
                fields=("received_at",),
                name="prediction_needs_human",
                condition=~models.Q(selection_reason=SelectionReason.NONE),
            ),
        )
        permissions = (
            ("reveal_pii", "Can reveal masked personal data"),
            ("erase_pii", "Can erase personal data"),
        )

    def __str__(self) -> str:
        return f"{self.external_id} {self.decision}"

    def get_absolute_url(self) -> str:
        return reverse("prediction_detail", args=[self.id])

    @property
    def risk(self) -> float | None:
        """Calibrated probability, or the score where there is no calibration."""
        return self.score if self.probability is None else self.probability

    def vector_array(self) -> "np.ndarray[Any, np.dtype[np.float64]]":
        """The feature vector, float64[n]."""
        return np.frombuffer(self.vector, "<f8")

    def contribution_array(self) -> "np.ndarray[Any, np.dtype[np.float64]] | None":
        """Contributions by feature, float64[n], or None when no model scored."""
        return None if self.contributions is None else np.frombuffer(self.contributions, "<f8")

    def counted_hits(self) -> list[dict[str, Any]]:
        """The rule hits that took part in the decision: live and not snoozed."""
        return [
            hit
            for hit in self.rule_hits
            if hit.get("stage", "live") == "live" and not hit.get("snoozed")
        ]


class StandingLabels(models.Manager["Label"]):
    """Labels that nobody has taken back: what every reader of the truth wants."""

    def get_queryset(self) -> "models.QuerySet[Label]":
        return super().get_queryset().filter(retracted_at=None)


class EveryLabel(models.Manager["Label"]):
    """All labels, those that were taken back too."""

    def known_at(self, moment: datetime) -> "models.QuerySet[Label]":
        """Labels of up to then that nobody had taken back by then."""
        standing = models.Q(retracted_at=None) | models.Q(retracted_at__gt=moment)
        return self.filter(standing, label_time__lte=moment)


class Label(models.Model):
    """Ground truth about one prediction. Never overwritten: the newest counts.

    A slip is taken back, not deleted: the row stays, with who took it back and when, and
    `Label.objects` and `prediction.labels` leave it out. `Label.history` has them all.
    """

    class Source(models.TextChoices):
        ANALYST = "analyst", "Analyst"
        FEEDBACK = "feedback", "Feedback over the API"
        IMPORT = "import", "Import"
        SIMULATOR = "simulator", "Simulator"

    prediction = models.ForeignKey(
        Prediction, models.CASCADE, related_name="labels", db_index=False
    )
    detector = models.ForeignKey(Detector, models.PROTECT, db_index=False)
    is_fraud = models.BooleanField()
    event_time = models.DateTimeField()
    label_time = models.DateTimeField()
    recorded_at = models.DateTimeField(auto_now_add=True)
    source = models.CharField(max_length=10, choices=Source)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    reason_code = models.CharField(max_length=40, blank=True)
    confidence = models.FloatField(default=1.0)
    notes = models.TextField(blank=True)
    retracted_at = models.DateTimeField(null=True, blank=True)
    retracted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    objects = StandingLabels()
    history = EveryLabel()

    class Meta:
        ordering = ("-label_time", "-id")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(confidence__gte=0.0, confidence__lte=1.0),
                name="confidence_is_a_share",
            ),
        )
        indexes = (
            models.Index(fields=("prediction", "-label_time", "-id"), name="newest_label"),
            models.Index(fields=("detector", "label_time"), name="label_by_time"),
            models.Index(fields=("detector", "recorded_at"), name="label_by_record"),
            models.Index(
                fields=("retracted_at",),
                name="label_taken_back",
                condition=models.Q(retracted_at__isnull=False),
            ),
        )
        permissions = (("label_prediction", "Can label predictions"),)

    def __str__(self) -> str:
        return f"{'fraud' if self.is_fraud else 'legitimate'} ({self.source})"
