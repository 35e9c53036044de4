"""What hangs on a case: its type and checklist, approvals, merges, hand-overs, files, mentions."""

from django.conf import settings
from django.db import models
from django.urls import reverse

from cases.exchange import kept_words
from scoring.models import Detector

Users = settings.AUTH_USER_MODEL


class Tag(models.Model):
    """A word that people put on cases."""

    name = models.CharField(max_length=40, unique=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class CaseType(models.Model):
    """A kind of investigation, with the checklist that its cases begin with."""

    name = models.CharField(max_length=60, unique=True)
    detectors = models.ManyToManyField(Detector, blank=True, related_name="+")
    is_active = models.BooleanField("Offered for new cases", default=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("case_type_detail", args=[self.pk])


class ChecklistItem(models.Model):
    """One line of a type's checklist. Cases copy it: an edit changes no case that is open."""

    case_type = models.ForeignKey(CaseType, models.CASCADE, related_name="items")
    text = models.CharField(max_length=200)
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("position", "id")

    def __str__(self) -> str:
        return self.text


class CaseCheck(models.Model):
    """One line of a case's checklist: done by whom, when."""

    case = models.ForeignKey("cases.Case", models.CASCADE, related_name="checks")
    text = models.CharField(max_length=200)
    position = models.PositiveSmallIntegerField(default=0)
    done_by = models.ForeignKey(Users, models.PROTECT, null=True, blank=True, related_name="+")
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("position", "id")
        constraints = (
            models.CheckConstraint(
                condition=models.Q(done_by=None, done_at=None)
                | models.Q(done_by__isnull=False, done_at__isnull=False),
                name="check_done_by_somebody",
            ),
        )

    def __str__(self) -> str:
        return self.text


class CaseApproval(models.Model):
    """Somebody asks to close a case above the loss limit; a second person decides.

    `amount` in `currency` is what was at risk when it was asked for, `limit` the limit, `evidence`
    how many predictions the case held then. Where rates are declared, both are in the common
    currency, and `totals` are the amounts behind them (exchange.Part.as_kept); without rates it is
    the largest amount of a currency.
    """

    class Status(models.TextChoices):
        PENDING = "pending", "Waits for a second person"
        APPROVED = "approved", "Approved"
        RETURNED = "returned", "Returned for rework"
        WITHDRAWN = "withdrawn", "Taken back"

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="approvals")
    status = models.CharField(max_length=9, choices=Status, default=Status.PENDING)
    disposition = models.CharField(max_length=16)
    reason_code = models.CharField(max_length=40)
    notes = models.TextField(blank=True)
    amount = models.DecimalField(max_digits=32, decimal_places=2)
    currency = models.CharField(max_length=3, blank=True)
    limit = models.DecimalField(max_digits=18, decimal_places=2)
    totals = models.JSONField(default=list)
    evidence = models.PositiveIntegerField()
    requested_by = models.ForeignKey(Users, models.PROTECT, related_name="+")
    requested_at = models.DateTimeField()
    decided_by = models.ForeignKey(Users, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    decision_note = models.TextField(blank=True)

    class Meta:
        ordering = ("-requested_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("case",),
                condition=models.Q(status="pending"),
                name="one_pending_approval_per_case",
            ),
            models.CheckConstraint(
                condition=models.Q(status="pending", decided_by=None)
                | (
                    models.Q(status__in=("approved", "returned"), decided_by__isnull=False)
                    & ~models.Q(decided_by=models.F("requested_by"))
                )
                | models.Q(status="withdrawn", decided_by=models.F("requested_by")),
                name="closing_approved_by_a_second_person",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_status_display()} of case {self.case_id}"

    @property
    def totals_words(self) -> str:
        """The amounts behind `amount` with the rates used; empty where none was."""
        return kept_words(self.totals)


class CaseMerge(models.Model):
    """One case went into another; what moved is kept, so that it can be taken out again."""

    source = models.ForeignKey("cases.Case", models.PROTECT, related_name="merges_out")
    target = models.ForeignKey("cases.Case", models.PROTECT, related_name="merges_in")
    status_before = models.CharField(max_length=16)
    alerts = models.ManyToManyField("cases.Alert", related_name="+")
    due_before = models.DateTimeField(null=True, help_text="The target's, without this merge.")
    escalate_before = models.DateTimeField(null=True)
    note = models.TextField(blank=True)
    merged_by = models.ForeignKey(Users, models.PROTECT, related_name="+")
    merged_at = models.DateTimeField()
    undone_by = models.ForeignKey(Users, models.PROTECT, null=True, related_name="+")
    undone_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-merged_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("source",), condition=models.Q(undone_at=None), name="merged_into_one_case"
            ),
            models.CheckConstraint(
                condition=~models.Q(source=models.F("target")), name="no_merge_into_itself"
            ),
        )

    def __str__(self) -> str:
        return f"case {self.source_id} in case {self.target_id}"


class CaseHandover(models.Model):
    """The owner gives a case to somebody, who has to take it: until then it stays theirs."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waits for the receiver"
        TAKEN = "taken", "Taken"
        DECLINED = "declined", "Declined"
        WITHDRAWN = "withdrawn", "Taken back"

    case = models.ForeignKey("cases.Case", models.CASCADE, related_name="handovers")
    from_user = models.ForeignKey(Users, models.PROTECT, related_name="+")
    to_user = models.ForeignKey(Users, models.PROTECT, related_name="+")
    note = models.TextField()
    at = models.DateTimeField()
    status = models.CharField(max_length=9, choices=Status, default=Status.WAITING)
    answered_at = models.DateTimeField(null=True)
    answer = models.TextField(blank=True)

    class Meta:
        ordering = ("-at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("case",),
                condition=models.Q(status="waiting"),
                name="one_waiting_handover_per_case",
            ),
            models.CheckConstraint(
                condition=~models.Q(from_user=models.F("to_user")), name="handover_to_another"
            ),
        )

    def __str__(self) -> str:
        return f"case {self.case_id} to {self.to_user_id}"


class CaseAttachment(models.Model):
    """A file of a case. Its bytes lie outside everything that is served as static files."""

    case = models.ForeignKey("cases.Case", models.PROTECT, related_name="attachments")
    event = models.OneToOneField("cases.CaseEvent", models.PROTECT, related_name="attachment")
    name = models.CharField(max_length=120)
    content_type = models.CharField(max_length=80)
    size = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64)
    added_by = models.ForeignKey(Users, models.PROTECT, related_name="+")
    added_at = models.DateTimeField()

    class Meta:
        ordering = ("added_at", "id")

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("case_attachment", args=[self.case_id, self.pk])


class CaseMention(models.Model):
    """Somebody was named in a comment; notifications are sent from these rows."""

    event = models.ForeignKey("cases.CaseEvent", models.PROTECT, related_name="mentions")
    user = models.ForeignKey(Users, models.CASCADE, related_name="case_mentions")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("event", "user"), name="mentioned_once_a_comment"),
        )

    def __str__(self) -> str:
        return f"{self.user_id} in {self.event_id}"
