"""What the queue keeps beside alerts: facets, words, handling times, hand-outs, views, closings."""

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models

from accounts.quantities import half_up
from scoring.core.types import RISK_LEVELS
from scoring.models import Detector


class AlertFacet(models.Model):
    """What alerts are filtered by, once for all alerts that share it.

    Alerts carry its id: counting 100,000 of them by five properties is counting one number.
    `rules` are the codes of the rules that matched, sorted, between blanks.
    """

    detector = models.ForeignKey(Detector, models.CASCADE, db_index=False)
    level = models.PositiveSmallIntegerField(choices=list(enumerate(RISK_LEVELS)))
    reason = models.CharField(max_length=64, blank=True, help_text="Feature of the top reason.")
    rules = models.CharField(max_length=400, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("detector", "level", "reason", "rules"), name="one_facet"
            ),
        )

    def __str__(self) -> str:
        return f"{self.detector_id} {self.level} {self.reason}{self.rules}"


class AlertText(models.Model):
    """The words by which an alert is found, between blanks (cases.words); nothing that is masked.

    A table of its own keeps the queue's rows small. On PostgreSQL a GIN index finds words by
    their beginning (migration 0013).
    """

    alert = models.OneToOneField(
        "cases.Alert", models.CASCADE, primary_key=True, related_name="text"
    )
    words = models.TextField()

    def __str__(self) -> str:
        return f"Words of alert {self.alert_id}"


class HandlingTime(models.Model):
    """Minutes that an alert of a kind takes (cases.handling_time); without a value: of any."""

    detector = models.ForeignKey(Detector, models.CASCADE, null=True)
    level = models.PositiveSmallIntegerField(null=True)
    size = models.PositiveSmallIntegerField(null=True)
    minutes = models.FloatField()
    alerts = models.PositiveIntegerField()
    measured_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{half_up(self.minutes):.1f} min"


class QueueBudget(models.Model):
    """How a user's queue is split, in whole per cent; what is left is exploited.

    The row without a user holds for everybody who has none of their own.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="queue_budget"
    )
    uncertain = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(100)])
    audit = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(100)])

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(uncertain__lte=100 - models.F("audit")),
                name="budget_is_a_whole",
            ),
        )

    def __str__(self) -> str:
        return f"{self.exploit} / {self.uncertain} / {self.audit}"

    @property
    def exploit(self) -> int:
        """The share that goes to the largest expected loss."""
        return 100 - self.uncertain - self.audit


class HandOut(models.Model):
    """One alert given to one user by Next, and why that one.

    `share` is the part of the user's budget that the reason has. `propensity` is the chance that
    this very alert was drawn at that moment, where a draw decided; null where an order did.
    """

    class Reason(models.TextChoices):
        EXPLOIT = "exploit", "Largest expected loss"
        ORDER = "order", "First of the chosen order"
        UNCERTAIN = "uncertain", "Nearest to the review threshold"
        RANDOM_AUDIT = "random_audit", "Drawn at random"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    alert = models.ForeignKey("cases.Alert", models.CASCADE, related_name="hand_outs")
    reason = models.CharField(max_length=12, choices=Reason)
    share = models.FloatField()
    propensity = models.FloatField(null=True)
    at = models.DateTimeField()

    class Meta:
        indexes = (models.Index(fields=("user", "-at"), name="hand_outs_of_user"),)

    def __str__(self) -> str:
        return f"{self.alert_id} to {self.user_id}: {self.reason}"


class SavedView(models.Model):
    """A name for a query string of the queue; shared by leads, else its owner's alone."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=800, blank=True)
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("created_at", "id")
        constraints = (
            models.UniqueConstraint(fields=("owner", "name"), name="one_view_of_a_name"),
        )
        permissions = (("share_view", "Can share views of the queue with everybody"),)

    def __str__(self) -> str:
        return self.name


class Closing(models.Model):
    """An alert that one user closed at one moment, so that a slip can be undone."""

    alert = models.ForeignKey("cases.Alert", models.CASCADE, related_name="closings")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    at = models.DateTimeField()
    batch = models.UUIDField(help_text="Shared by what one act closed.", db_index=True)
    undone_at = models.DateTimeField(null=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        indexes = (
            models.Index(
                fields=("undone_at",),
                name="closing_undone",
                condition=models.Q(undone_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"Alert {self.alert_id} closed at {self.at:%Y-%m-%d %H:%M}"


class Comments(models.Manager["AlertComment"]):
    """Comments with their authors: nobody shows one without the other."""

    def get_queryset(self) -> "models.QuerySet[AlertComment]":
        return super().get_queryset().select_related("author")


class AlertComment(models.Model):
    """What somebody noted on an alert; only ever added."""

    alert = models.ForeignKey("cases.Alert", models.CASCADE, related_name="comments")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    at = models.DateTimeField(auto_now_add=True)
    text = models.TextField()

    objects = Comments()

    class Meta:
        ordering = ("at", "id")

    def __str__(self) -> str:
        return self.text[:60]
