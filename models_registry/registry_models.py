"""What the registry keeps beside a version: lineage, artefacts, its run at MLflow."""

from django.db import models


class Lineage(models.Model):
    """Where a version came from, written once when it is registered.

    `code`: the platform's version, a digest of the code that trains and scores, versions of the
    libraries. `subgroups`: how it judged each level of a categorical feature (core.subgroups).
    `origin_detail`: for an imported version what its file says of itself. `explanation_fault`: why
    there is no global explanation; empty where there is one, or none was tried.
    """

    class Origin(models.TextChoices):
        TRAINED = "trained", "Trained here"
        IMPORTED = "imported", "Imported"

    version = models.OneToOneField(
        "models_registry.ModelVersion", models.CASCADE, related_name="lineage"
    )
    origin = models.CharField(max_length=8, choices=Origin, default=Origin.TRAINED)
    parent = models.ForeignKey(
        "models_registry.ModelVersion",
        models.SET_NULL,
        null=True,
        related_name="children",
        help_text="The champion when it was registered.",
    )
    code = models.JSONField(default=dict)
    subgroups = models.JSONField(default=list)
    origin_detail = models.JSONField(default=dict)
    explanation_fault = models.TextField(blank=True)

    class Meta:
        permissions = (("exchange_bundle", "Can export and import bundles"),)

    def __str__(self) -> str:
        return f"{self.version}: {self.get_origin_display().lower()}"


class Artefact(models.Model):
    """A file that belongs to a version but is not served; named by its SHA-256."""

    class Kind(models.TextChoices):
        EXPLANATION = "explanation", "Global explanation"

    version = models.ForeignKey(
        "models_registry.ModelVersion", models.CASCADE, related_name="artefacts"
    )
    kind = models.CharField(max_length=20, choices=Kind)
    digest = models.CharField(max_length=64)
    size = models.PositiveIntegerField(help_text="Bytes.")
    detail = models.JSONField(default=dict)
    made_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("version", "kind"), name="one_artefact_per_kind"),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.version}"


class TrackedRun(models.Model):
    """A version at the MLflow tracking server, or why it is not there yet."""

    class Status(models.TextChoices):
        WAITING = "waiting", "Waiting"
        LOGGED = "logged", "Logged"
        FAILED = "failed", "Failed"

    version = models.OneToOneField(
        "models_registry.ModelVersion", models.CASCADE, related_name="tracked_run"
    )
    status = models.CharField(max_length=7, choices=Status, default=Status.WAITING)
    run_id = models.CharField(max_length=64, blank=True)
    registered_as = models.CharField(max_length=120, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = (models.Index(fields=("status", "changed_at"), name="tracked_by_status"),)

    def __str__(self) -> str:
        return f"{self.version}: {self.get_status_display().lower()}"
