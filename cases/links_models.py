"""What entities share (devices, merchants, ...), by keyed tokens.

The tables are an index beside the predictions: kept up behind scoring (cases.linking), never on its
path, and made anew at any time (`manage.py index_links --rebuild`).
"""

from django.db import models

from scoring.models import Detector


class EntityLink(models.Model):
    """That an entity's events named a value. `token` stands for the value, as in EntityState."""

    detector = models.ForeignKey(Detector, models.CASCADE, db_index=False, related_name="+")
    field = models.CharField(max_length=64)
    token = models.CharField(max_length=32)
    entity = models.CharField(max_length=32)
    events = models.PositiveIntegerField()
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()

    class Meta:
        constraints = (
            # The token first: it alone tells nearly all rows apart.
            models.UniqueConstraint(
                fields=("token", "entity", "field", "detector"), name="one_link_per_value"
            ),
        )
        indexes = (
            models.Index(fields=("entity", "-last_seen"), name="links_of_entity"),
            models.Index(fields=("token", "-last_seen"), name="links_of_value"),
        )

    def __str__(self) -> str:
        return f"{self.entity} {self.field} {self.token}"


class SharedValue(models.Model):
    """A value that events named. `shown` is what a page may show of it, `entities` how many."""

    detector = models.ForeignKey(Detector, models.CASCADE, db_index=False, related_name="+")
    field = models.CharField(max_length=64)
    token = models.CharField(max_length=32)
    shown = models.CharField(max_length=64)
    entities = models.PositiveIntegerField()
    last_seen = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("token", "field", "detector"), name="one_row_per_shared_value"
            ),
        )

    def __str__(self) -> str:
        return f"{self.field} {self.shown}"


class KnownEntity(models.Model):
    """An entity that could be linked. `shown` is its masked name; `frauds` and `legitimate` count
    its events by their newest labels."""

    detector = models.ForeignKey(Detector, models.CASCADE, db_index=False, related_name="+")
    entity = models.CharField(max_length=32)
    shown = models.CharField(max_length=100)
    events = models.PositiveIntegerField()
    frauds = models.PositiveIntegerField(default=0)
    legitimate = models.PositiveIntegerField(default=0)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()

    class Meta:
        verbose_name_plural = "known entities"
        constraints = (
            models.UniqueConstraint(fields=("entity", "detector"), name="one_row_per_entity"),
        )

    def __str__(self) -> str:
        return self.shown


class LinkProgress(models.Model):
    """How far the index of links has come: the last prediction and the last label taken in, and
    until when labels were taken out again that people had taken back."""

    prediction = models.UUIDField()
    label = models.PositiveBigIntegerField(default=0)
    retracted_until = models.DateTimeField(null=True)
    caught_up_at = models.DateTimeField(null=True, help_text="All that is older is in the index.")

    class Meta:
        verbose_name_plural = "link progress"

    def __str__(self) -> str:
        return f"links up to {self.prediction}"
