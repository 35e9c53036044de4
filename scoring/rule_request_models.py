"""What people asked for and somebody else decides: changes of what rules and policies do."""

from django.conf import settings
from django.db import models


class RuleRequest(models.Model):
    """Somebody wants a change of what is in force; somebody else approves or refuses.

    `version` is the version to move (kind move, to `to`) or the live one whose thresholds change
    (kind thresholds); neither for kind settings. `asked` holds what is wanted, `before` what stood
    then. `live` is the version that was live when it was asked (none: the rule was not). `alone`:
    decided by who asked, on an installation that allows that.
    """

    class Kind(models.TextChoices):
        MOVE = "move", "Move"
        THRESHOLDS = "thresholds", "Thresholds"
        SETTINGS = "settings", "Settings"

    class Status(models.TextChoices):
        PENDING = "pending", "Waits for a second person"
        APPROVED = "approved", "Approved"
        REFUSED = "refused", "Refused"
        WITHDRAWN = "withdrawn", "Withdrawn"
        OUTDATED = "outdated", "Outdated"

    detector = models.ForeignKey("scoring.Detector", models.CASCADE, related_name="rule_requests")
    kind = models.CharField(max_length=10, choices=Kind)
    rule = models.ForeignKey("scoring.Rule", models.CASCADE, null=True, related_name="requests")
    version = models.ForeignKey("scoring.RuleVersion", models.CASCADE, null=True, related_name="+")
    live = models.ForeignKey("scoring.RuleVersion", models.CASCADE, null=True, related_name="+")
    to = models.CharField(max_length=8, blank=True)
    asked = models.JSONField(default=dict, blank=True)
    before = models.JSONField(default=dict, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="rule_requests"
    )
    requested_at = models.DateTimeField()
    reason = models.CharField(max_length=300, blank=True)
    alone = models.BooleanField(default=False)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ("-requested_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("rule",),
                condition=models.Q(status="pending"),
                name="one_pending_request_per_rule",
            ),
            models.UniqueConstraint(
                fields=("detector",),
                condition=models.Q(status="pending", kind="settings"),
                name="one_pending_settings_request",
            ),
            models.CheckConstraint(
                condition=models.Q(kind="settings", rule=None, version=None)
                | (
                    ~models.Q(kind="settings") & models.Q(rule__isnull=False, version__isnull=False)
                ),
                name="rule_request_says_of_which_rule",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="approved") | models.Q(decided_by__isnull=False),
                name="approved_rule_request_has_a_decider",
            ),
            models.CheckConstraint(
                condition=models.Q(alone=True)
                | models.Q(decided_by=None)
                | ~models.Q(status="approved")
                | ~models.Q(decided_by=models.F("requested_by")),
                name="nobody_approves_their_own_rule_request",
            ),
        )
        indexes = (models.Index(fields=("detector", "-requested_at"), name="rule_request_newest"),)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.rule or self.detector}"

    @property
    def is_pending(self) -> bool:
        """Whether it can still be decided."""
        return self.status == self.Status.PENDING
