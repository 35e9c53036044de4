"""The `Job` row: the truth about work in the background, whatever the broker remembers."""

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Q
from django.utils import timezone

from jobs.remaining import Remaining, foretell, silent_for, spelled, told_since
from jobs.words import changed_nothing, params_in_words
from jobs.workflow import LIVE, JobStatus

BY = "by"
"""The param that says who asked where it was nobody with an account: `the command line`."""
LIVE_VALUES = [status.value for status in LIVE]


class JobQuerySet(models.QuerySet["Job"]):
    def live(self) -> "JobQuerySet":
        """Queued or running."""
        return self.filter(status__in=LIVE_VALUES)


class Job(models.Model):
    """One piece of background work. `kind` is the name of the Celery task that does it."""

    kind = models.CharField(max_length=100)
    params = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    subject = models.CharField(max_length=200, blank=True, help_text="What it is about, to show.")
    # Two live jobs never share a key; empty means: as many as you like.
    unique_key = models.CharField(max_length=200, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="jobs",
    )

    status = models.CharField(
        max_length=10,
        choices=[(status.value, status.value.capitalize()) for status in JobStatus],
        default=JobStatus.QUEUED.value,
    )
    attempt = models.PositiveSmallIntegerField(default=0, help_text="How often it was started.")
    max_attempts = models.PositiveSmallIntegerField(default=3)
    queued_at = models.DateTimeField(default=timezone.now)
    announced_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    progress = models.FloatField(default=0.0, help_text="0 to 1.")
    stage = models.CharField(max_length=200, blank=True)
    # Lines of `at`, `text`, and where it tells one a number of jobs.remaining.TOLD.
    log = models.JSONField(default=list, encoder=DjangoJSONEncoder)
    result = models.JSONField(null=True, blank=True, encoder=DjangoJSONEncoder)
    error = models.TextField(blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-queued_at", "-id"]
        permissions = [("cancel_job", "Can cancel a job")]
        indexes = [
            models.Index(fields=["status", "queued_at"], name="job_by_status"),
            models.Index(fields=["-queued_at", "-id"], name="job_newest_first"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["unique_key"],
                condition=Q(status__in=LIVE_VALUES) & ~Q(unique_key=""),
                name="never_two_live_jobs_of_one_key",
            ),
            models.CheckConstraint(
                condition=Q(progress__gte=0) & Q(progress__lte=1), name="job_progress_from_0_to_1"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}".rstrip()

    @property
    def is_live(self) -> bool:
        return self.status in LIVE_VALUES

    @property
    def changed_nothing(self) -> bool:
        """Whether a job that failed or was cancelled has left all as it was."""
        return not self.attempt or changed_nothing(self.kind, self.params, self.error)

    @property
    def asker(self) -> str:
        """Who asked for it, in words."""
        if self.requested_by is not None:
            return self.requested_by.name or self.requested_by.username
        return str(self.params.get(BY) or "the schedule")

    @property
    def asked(self) -> str:
        """What it was asked to do, beside its kind and subject: `Algorithm: LightGBM; ...`."""
        return "; ".join(f"{name}: {value}" for name, value in params_in_words(self.params))

    @property
    def doing(self) -> str:
        """Its stage: what it is doing, or did when it ended early; nothing once it succeeded."""
        return "" if self.status == JobStatus.SUCCEEDED else self.stage

    @property
    def percent(self) -> int:
        return round(self.progress * 100)

    @property
    def took(self) -> str:
        """How long its last attempt ran: `0.4 s`, `3 min`; empty while it runs."""
        if self.started_at is None or self.finished_at is None:
            return ""
        return spelled((self.finished_at - self.started_at).total_seconds())

    @property
    def remaining(self) -> Remaining | None:
        """About how long it will still run; None while nobody knows, when nothing is heard of its
        worker, and when it does not run."""
        if self.status != JobStatus.RUNNING or self.started_at is None or self.silent_for:
            return None
        spent = (timezone.now() - self.started_at).total_seconds()
        tune_for = self.params.get("tune_for", 0.0)
        told = told_since(self.log, self.started_at) if tune_for else {}
        return foretell(self.progress, spent, tune_for=tune_for, **told)

    @property
    def silent_for(self) -> float:
        """Seconds for which nothing was heard of its worker; 0 while that is not long."""
        running = self.status == JobStatus.RUNNING
        return silent_for(self.heartbeat_at, timezone.now()) if running else 0.0

    @property
    def remaining_text(self) -> str:
        """`about 3 min left`, or that its worker may be dead; empty while nobody knows."""
        if silent := self.silent_for:
            return f"nothing heard of its worker for {silent:.0f} s"
        left = self.remaining
        return left.text if left else ""
