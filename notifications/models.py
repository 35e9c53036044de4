"""What happened (`Notification`), who saw it (`Receipt`), what is sent (`Delivery`), and where to
for teams (`Route`)."""

import uuid
from datetime import datetime

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils import timezone

from notifications.kinds import CHANNEL_NAMES, KINDS, SHARED, Channel, kind_label, topic_of

MOST_ATTEMPTS = 8
KIND_CHOICES = [(kind.name, kind.label) for kind in KINDS.values()]
ROUTE_KIND_CHOICES = [(kind.name, kind.label) for kind in KINDS.values() if not kind.asked_for]
CHANNEL_CHOICES = [(channel.value, name) for channel, name in CHANNEL_NAMES.items()]


class Notification(models.Model):
    """One thing that happened. `key` names it, so that telling it twice tells it once."""

    key = models.CharField(max_length=200, unique=True)
    # Not `choices`: a migration for each new kind would say nothing.
    kind = models.CharField(max_length=40)
    subject = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    url = models.CharField(max_length=300, blank=True, help_text="A path of this platform.")
    about = models.CharField(max_length=100, blank=True, help_text="The detector's short name.")
    group = models.CharField(
        max_length=100, blank=True, default="", help_text="Counted together, where too many come."
    )
    data = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    critical = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            models.Index(fields=["kind", "about", "-created_at"], name="notification_by_kind"),
            models.Index(fields=["created_at"], name="notification_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}"

    @property
    def label(self) -> str:
        return kind_label(self.kind)

    @property
    def topic(self) -> str:
        """What part of the platform it is news of."""
        return topic_of(self.kind)


class Letter(models.Model):
    """What an e-mail says in place of the notification's few words. `files` are small texts that
    are attached: [{"name", "type", "text"}]. Kept, so that every attempt sends the same."""

    notification = models.OneToOneField(Notification, models.CASCADE, primary_key=True)
    text = models.TextField()
    html = models.TextField()
    files = models.JSONField(default=list)

    def __str__(self) -> str:
        return f"letter of notification {self.pk}"


class Receipt(models.Model):
    """A notification in one person's bell. Kind and time stand here too, for its list."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="notification_receipts"
    )
    notification = models.ForeignKey(Notification, models.CASCADE, related_name="receipts")
    kind = models.CharField(max_length=40)
    created_at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["notification", "user"], name="one_receipt_per_notification"
            )
        ]
        indexes = [
            models.Index(fields=["user", "-created_at", "-id"], name="receipt_newest_first"),
            models.Index(fields=["user"], condition=Q(read_at=None), name="receipt_unread"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} for user {self.user_id}"


class Preference(models.Model):
    """What one person chose; where they chose nothing, the kind's own channels count."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="notification_preference",
    )
    chosen = models.JSONField(default=dict, help_text="By kind, the channels that are on.")
    quiet_from = models.TimeField(null=True, blank=True)
    quiet_until = models.TimeField(null=True, blank=True)
    critical_passes = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(quiet_from=None, quiet_until=None)
                | Q(quiet_from__isnull=False, quiet_until__isnull=False),
                name="quiet_hours_begin_and_end",
            )
        ]

    def __str__(self) -> str:
        return f"preferences of user {self.user_id}"

    def wants(self, kind: str, channel: Channel) -> bool:
        """Whether the person is to be told of `kind` by `channel`."""
        channels = self.chosen.get(kind)
        return channel in (KINDS[kind].channels if channels is None else channels)


class Route(models.Model):
    """Where news of some kinds goes for a team. Its address and secrets are kept encrypted."""

    name = models.CharField(max_length=100)
    channel = models.CharField(
        max_length=10, choices=[(one.value, CHANNEL_NAMES[one]) for one in SHARED]
    )
    kinds = models.JSONField(default=list)
    about = models.CharField(max_length=100, blank=True)
    enabled = models.BooleanField(default=True)
    sealed_address = models.TextField(blank=True)
    shown_address = models.CharField(max_length=200, blank=True)
    sealed_secret = models.TextField(blank=True)
    sealed_former_secret = models.TextField(blank=True)
    former_secret_until = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=Q(removed_at=None), name="one_route_of_a_name"
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def kind_labels(self) -> list[str]:
        return [kind_label(name) for name in self.kinds]

    def overlaps(self, now: datetime) -> bool:
        """Whether the former secret still signs beside the present one."""
        return self.former_secret_until is not None and now < self.former_secret_until


class Delivery(models.Model):
    """One notification on its way over one channel, to a person or a route. The row is the queue:
    it is claimed by an update (docs/adr/0003-the-row-is-the-queue.md)."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        SENDING = "sending", "Sending"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    notification = models.ForeignKey(Notification, models.CASCADE, related_name="deliveries")
    channel = models.CharField(max_length=10, choices=CHANNEL_CHOICES)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    route = models.ForeignKey(Route, models.PROTECT, null=True, related_name="deliveries")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.WAITING)
    attempt = models.PositiveSmallIntegerField(default=0)
    max_attempts = models.PositiveSmallIntegerField(default=MOST_ATTEMPTS)
    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    claimed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)
    log = models.JSONField(default=list, encoder=DjangoJSONEncoder)

    class Meta:
        verbose_name_plural = "deliveries"
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["notification", "user", "channel"],
                condition=Q(route=None),
                name="one_delivery_per_person",
            ),
            models.UniqueConstraint(
                fields=["notification", "route"],
                condition=Q(user=None),
                name="one_delivery_per_route",
            ),
            models.CheckConstraint(
                condition=Q(user=None, route__isnull=False) | Q(user__isnull=False, route=None),
                name="delivery_to_a_person_or_a_route",
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(status="waiting"), name="delivery_waiting"),
            models.Index(
                fields=["claimed_at"], condition=Q(status="sending"), name="delivery_sending"
            ),
            models.Index(fields=["-created_at", "-id"], name="delivery_newest_first"),
            models.Index(fields=["status", "-created_at"], name="delivery_by_status"),
            models.Index(fields=["route", "-created_at"], name="delivery_by_route"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.id}"

    @property
    def is_live(self) -> bool:
        return self.status in (self.Status.WAITING, self.Status.SENDING)

    @property
    def is_held(self) -> bool:
        """Waiting for a later time: quiet hours, or the pause before the next attempt."""
        return self.status == self.Status.WAITING and self.due_at > timezone.now()
