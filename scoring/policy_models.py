"""What people decide between two trainings: rules, list entries, snoozes, lists of names."""

from django.conf import settings
from django.db import models

from scoring.core.types import Stage


class Rule(models.Model):
    """A rule of a detector; what it says stands in its versions."""

    detector = models.ForeignKey("scoring.Detector", models.CASCADE, related_name="rules")
    code = models.CharField(max_length=40)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("code",)
        constraints = (
            models.UniqueConstraint(fields=("detector", "code"), name="one_rule_per_code"),
        )

    def __str__(self) -> str:
        return self.code


class RuleVersion(models.Model):
    """What a rule says. Never changed once it was live or shadow; at most one of each is in force.

    `when` reads `parameters` by name, so that a threshold can be edited without touching it.
    A version forces `outcome` or, where that is blank, adds `weight` to the rule score.
    """

    rule = models.ForeignKey(Rule, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    stage = models.CharField(max_length=8, choices=[(v, v) for v in Stage], default=Stage.DRAFT)
    when = models.TextField(max_length=2000)
    parameters = models.JSONField(default=dict, blank=True)
    outcome = models.CharField(
        max_length=7, blank=True, choices=[("", "weight"), ("REVIEW", "REVIEW"), ("BLOCK", "BLOCK")]
    )
    weight = models.FloatField(default=0.0)
    text = models.CharField(max_length=300)
    note = models.CharField(max_length=300, blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-number",)
        constraints = (
            models.UniqueConstraint(fields=("rule", "number"), name="one_number_per_rule_version"),
            models.UniqueConstraint(
                fields=("rule", "stage"),
                condition=models.Q(stage__in=("live", "shadow")),
                name="one_version_in_force",
            ),
            models.CheckConstraint(
                condition=models.Q(weight__gte=0.0, weight__lte=1.0), name="weight_is_a_share"
            ),
        )

    def __str__(self) -> str:
        return f"{self.rule} v{self.number}"


class Standing(models.Model):
    """What a list entry and a snooze share: who, why, until when. Never deleted: revoked."""

    token = models.CharField(max_length=32)
    shown = models.TextField(blank=True, help_text="The value, encrypted where it is PII.")
    reason = models.CharField(max_length=300)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True
        ordering = ("-created_at", "-id")


class ListEntry(Standing):
    """A value of a field that is always approved or always blocked."""

    class Kind(models.TextChoices):
        ALLOW = "allow", "Allow"
        DENY = "deny", "Deny"

    detector = models.ForeignKey("scoring.Detector", models.CASCADE, related_name="list_entries")
    kind = models.CharField(max_length=5, choices=Kind)
    field = models.CharField(max_length=64)

    class Meta(Standing.Meta):
        indexes = (models.Index(fields=("detector", "token"), name="list_entry_by_value"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.field} {self.token}"


class Snooze(Standing):
    """A rule that does not count for one entity until `expires_at`; its matches are recorded."""

    rule = models.ForeignKey(Rule, models.CASCADE, related_name="snoozes")

    class Meta(Standing.Meta):
        indexes = (models.Index(fields=("token", "rule"), name="snooze_by_entity"),)

    def __str__(self) -> str:
        return f"{self.rule} {self.token}"


class PolicySnapshot(models.Model):
    """A policy as it was in force, named by the SHA-256 of its content (scoring.core.policy)."""

    digest = models.CharField(max_length=64, primary_key=True)
    detector = models.ForeignKey("scoring.Detector", models.CASCADE, related_name="policies")
    content = models.JSONField()
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.digest[:12]


class Watchlist(models.Model):
    """One reading of a published sanctions list. `content` is packed (scoring.watchlists)."""

    digest = models.CharField(max_length=64, primary_key=True)
    name = models.CharField(max_length=40)
    title = models.CharField(max_length=200)
    source = models.CharField(max_length=500)
    content = models.BinaryField()
    entries = models.PositiveIntegerField()
    names = models.PositiveIntegerField()
    active = models.BooleanField(default=False)
    synced_at = models.DateTimeField()

    class Meta:
        ordering = ("name", "-synced_at")
        constraints = (
            models.UniqueConstraint(
                fields=("name",), condition=models.Q(active=True), name="one_active_reading"
            ),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.digest[:12]}"
