"""Users, API keys, tokens, the counters of rate limits and failed log-ins, the audit trail."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.rates import DEFAULT_RATE, parse_rate
from accounts.time_zones import validate_time_zone

KEY_MARK = "rp"
"""What the text of every API key begins with."""


class User(AbstractUser):
    """Somebody who works here, or an integration. What they may do comes from their roles."""

    display_name = models.CharField(max_length=120, blank=True)
    time_zone = models.CharField(
        max_length=64,
        default="UTC",
        validators=[validate_time_zone],
        help_text="IANA name, for showing times; everything is stored in UTC.",
    )
    log_ins_from = models.DateTimeField(
        null=True,
        editable=False,
        help_text="Log-ins of before have ended, by token and by browser.",
    )
    came_by: "ApiKey | None" = None
    """The API key that a program presented in this user's name; of this object, never stored."""

    def get_absolute_url(self) -> str:
        return reverse("user_detail", args=[self.pk])

    def get_session_auth_hash(self) -> str:
        """What a browser's session carries: it ends when the password changes or log-ins end."""
        return self._until_ended(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """The same under each former SECRET_KEY."""
        for found in super().get_session_auth_fallback_hash():
            yield self._until_ended(found)

    def _until_ended(self, found: str) -> str:
        if self.log_ins_from is None:
            return found
        since = self.log_ins_from.astimezone(UTC).isoformat(timespec="microseconds")
        return salted_hmac(f"riskplatform.accounts.session.{since}", found).hexdigest()

    @property
    def name(self) -> str:
        """What to call them on a page."""
        return self.display_name or self.get_full_name() or self.username


class ApiKey(models.Model):
    """A secret for programs, acting as its user. Only the hash of the secret is kept."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys"
    )
    label = models.CharField(max_length=120)
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    secret_hash = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=list, help_text="What the key may do, a list of names.")
    rate = models.CharField(max_length=60, default=DEFAULT_RATE)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Coarse: written at most once a minute, see accounts/authentication.py.
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = "API key"
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.label} ({KEY_MARK}_{self.prefix}_…)"

    def get_absolute_url(self) -> str:
        return reverse("key_detail", args=[self.pk])

    def clean(self) -> None:
        try:
            parse_rate(self.rate)
        except ValueError as error:
            raise ValidationError({"rate": str(error)}) from error

    def is_usable(self, now: datetime) -> bool:
        """Whether the key opens anything at `now` (its user is looked at elsewhere)."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class RateStamps(models.Model):
    """When somebody used the API of late: the sliding window where there is no Redis."""

    # As accounts/rate_windows.py writes it.
    stamps = models.BinaryField(default=bytes)

    class Meta:
        abstract = True


class RateWindow(RateStamps):
    """The window of one API key."""

    api_key = models.OneToOneField(ApiKey, on_delete=models.CASCADE, primary_key=True)

    def __str__(self) -> str:
        return f"window of key {self.api_key_id}"


class UserRateWindow(RateStamps):
    """The window of one person, for all their tokens and sessions."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="+"
    )

    def __str__(self) -> str:
        return f"window of user {self.user_id}"


class FailedLogin(models.Model):
    """Consecutive failed log-ins of one user name from one address."""

    username = models.CharField(max_length=150)
    address = models.CharField(max_length=45)
    failures = models.PositiveIntegerField(default=0)
    last_failed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["username", "address"], name="one_row_per_name_address")
        ]
        indexes = (models.Index(fields=["address", "last_failed_at"], name="failed_by_address"),)

    def __str__(self) -> str:
        return f"{self.username} from {self.address}: {self.failures}"


class TokenFamily(models.Model):
    """The refresh tokens of one log-in over the API, by their ids (accounts/token_families.py)."""

    id = models.CharField(primary_key=True, max_length=32)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    current = models.CharField(max_length=32)
    # The one that `current` was given for.
    before = models.CharField(max_length=32, blank=True)
    renewed_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "token families"

    def __str__(self) -> str:
        return f"refresh tokens of user {self.user_id}, last renewed {self.renewed_at:%F %T}"


class AppendOnlyError(Exception):
    """Somebody tried to change or delete an audit entry."""


class AuditQuerySet(models.QuerySet["AuditEntry"]):
    """Reads only; the database has triggers that say the same."""

    def update(self, **kwargs: Any) -> int:
        raise AppendOnlyError("Audit entries are never changed.")

    def delete(self) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError("Audit entries are never deleted.")


class AuditEntry(models.Model):
    """One thing that somebody did. Written through `accounts.services.record_audit` alone."""

    # Contiguous from 1: a gap or a swap shows.
    number = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField()
    # Protected: who has a past here is deactivated, not deleted.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="audit_entries"
    )
    action = models.CharField(max_length=80)
    object_type = models.CharField(max_length=80, blank=True)
    object_id = models.CharField(max_length=80, blank=True)
    object_label = models.CharField(max_length=200, blank=True)
    # Text, not a JSON column: the hash covers these bytes, and jsonb would rewrite its numbers.
    detail_json = models.TextField(default="{}")
    previous_hash = models.CharField(max_length=64)
    row_hash = models.CharField(max_length=64)

    objects = AuditQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-number"]
        indexes = [
            # Each filter of the audit search, newest first; `at` finds the ends of a span.
            models.Index(fields=["object_type", "object_id", "-number"], name="audit_by_subject"),
            models.Index(
                fields=["action", "-number"],
                opclasses=["varchar_pattern_ops", "int8_ops"],
                name="audit_by_act",
            ),
            models.Index(fields=["actor", "-number"], name="audit_by_actor"),
            models.Index(fields=["at"], name="audit_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.action} {self.object_label}".rstrip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyError("Audit entries are never changed.")
        kwargs["force_insert"] = True
        super().save(*args, **kwargs)

    def get_absolute_url(self) -> str:
        return reverse("audit_entry", args=[self.number])

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        raise AppendOnlyError("Audit entries are never deleted.")

    @property
    def detail(self) -> dict[str, Any]:
        """What was written; the text that stands there now where somebody made that none of ours:
        the pages that tell of such a change must not break by it."""
        try:
            loaded = json.loads(self.detail_json)
        except (ValueError, RecursionError):
            loaded = None
        return loaded if isinstance(loaded, dict) else {"unreadable": self.detail_json}


class AuditHead(models.Model):
    """The signed end of the audit chain: one row, locked while an entry is added."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.PositiveBigIntegerField(default=0)
    row_hash = models.CharField(max_length=64)
    # Keyed by the vault: who can write to the database alone cannot sign a shorter chain.
    signature = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(id=1), name="the_only_audit_head"),
        ]

    def __str__(self) -> str:
        return f"end of the audit trail: {self.number}"
