"""What the registry keeps of promotions on their way: who asked, who agreed, what watches."""

from django.conf import settings
from django.db import models

from scoring.models import Detector


class PromotionRequest(models.Model):
    """Somebody wants a version to serve; somebody else approves or refuses.

    `champion` served when it was asked (none: rules alone). `evidence` is the comparison that it
    leans on, as it stood then. `override`: asked without a passing comparison; `alone`: decided by
    the one who asked, on an installation whose policy allows that. Both need a reason.
    """

    class Status(models.TextChoices):
        PENDING = "pending", "Waits for a second person"
        APPROVED = "approved", "Approved"
        REFUSED = "refused", "Refused"
        WITHDRAWN = "withdrawn", "Withdrawn"
        OUTDATED = "outdated", "Outdated"

    detector = models.ForeignKey(Detector, models.PROTECT, related_name="+")
    version = models.ForeignKey(
        "models_registry.ModelVersion", models.PROTECT, related_name="promotion_requests"
    )
    champion = models.ForeignKey(
        "models_registry.ModelVersion", models.PROTECT, null=True, related_name="+"
    )
    digest = models.CharField(max_length=64, help_text="Of the bundle that was asked for.")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="promotion_requests"
    )
    requested_at = models.DateTimeField()
    reason = models.TextField(blank=True)
    evidence = models.JSONField(default=dict)
    override = models.BooleanField(default=False)
    alone = models.BooleanField(default=False)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)
    note = models.TextField(blank=True)
    decision = models.OneToOneField(
        "models_registry.PromotionDecision", models.SET_NULL, null=True, related_name="request"
    )

    class Meta:
        ordering = ("-requested_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("version",),
                condition=models.Q(status="pending"),
                name="one_pending_promotion_per_version",
            ),
            models.CheckConstraint(
                condition=models.Q(alone=True)
                | models.Q(decided_by=None)
                | ~models.Q(status="approved")
                | ~models.Q(decided_by=models.F("requested_by")),
                name="nobody_approves_their_own_promotion",
            ),
        )

    def __str__(self) -> str:
        return f"promotion of {self.version}"

    @property
    def is_pending(self) -> bool:
        """Whether it can still be decided."""
        return self.status == self.Status.PENDING


COULD_NOT_LOOK = "Its guard could not look"
"""How a guard that could not measure says so; before it stands a roll-back that failed."""


def faults_in(text: str) -> tuple[str, str]:
    """What the `fault` of a guard tells: of a roll-back that failed, and that it could not look."""
    failed, begin, rest = text.partition(COULD_NOT_LOOK)
    return failed.strip(), begin + rest


class PromotionGuard(models.Model):
    """Watches a new champion against the former one's level, and how that ended.

    `before` and `after` are levels (core.guard.Sample), `breaches` the broken bounds.
    """

    class State(models.TextChoices):
        WATCHING = "watching", "Watching"
        PASSED = "passed", "Passed"
        BROKEN = "broken", "Rolled back"
        ENDED = "ended", "Over"

    decision = models.OneToOneField(
        "models_registry.PromotionDecision", models.CASCADE, related_name="guard"
    )
    detector = models.ForeignKey(Detector, models.PROTECT, related_name="+")
    version = models.ForeignKey(
        "models_registry.ModelVersion", models.PROTECT, related_name="guards"
    )
    former = models.ForeignKey("models_registry.ModelVersion", models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=State, default=State.WATCHING)
    since = models.DateTimeField()
    until = models.DateTimeField()
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    breaches = models.JSONField(default=list)
    fault = models.TextField(blank=True)
    checked_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-since", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("detector",),
                condition=models.Q(state="watching"),
                name="one_watching_guard_per_detector",
            ),
        )

    def __str__(self) -> str:
        return f"guard of {self.version}"

    @property
    def not_rolled_back(self) -> str:
        """Why a version that broke its guard could not be rolled back; empty otherwise."""
        return faults_in(self.fault)[0]
