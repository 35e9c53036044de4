"""Where events come from, as declared; and other names of detectors."""

from collections.abc import Collection, Mapping

from django.db import models
from django.urls import reverse

SOURCE_TYPES = ("csv", "parquet", "kafka", "mqtt", "webhook", "rest")
PUSHED = ("webhook", "rest")
FILES = ("csv", "parquet")
STREAMS = ("kafka", "mqtt")


def fields_read(mapping: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Field of the detector: which of `names`, the fields of an event, it is read from.

    A mapped field is read from its own source or not at all, and a field that is mapped away is
    not read under its own name too; all others keep their names.
    """
    taken = {*mapping, *mapping.values()}
    mapped = {own: theirs for own, theirs in mapping.items() if theirs in names}
    return mapped | {name: name for name in names if name not in taken}


class Source(models.Model):
    """A declared source of events (docs/api.md).

    `schema` is a JSON Schema of one event; `mapping` says which field of the detector is read from
    which field of the event, where their names differ (fields_read). `pii_fields` are fields of
    the event, by the names that it gives them.
    """

    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=100)
    source_type = models.CharField(max_length=8, choices=[(v, v) for v in SOURCE_TYPES])
    config = models.JSONField(default=dict, blank=True)
    schema = models.JSONField()
    pii_fields = models.JSONField(default=list, blank=True)
    detector = models.ForeignKey(
        "scoring.Detector", models.PROTECT, null=True, blank=True, related_name="sources"
    )
    mapping = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("source_detail", args=[self.slug])


class SourceText(models.Model):
    """A source as its author wrote it: with comments, in an order of its own.

    It is for whoever reads or edits it; the columns of `Source` are what counts. `digest` is that
    of the declaration that the text says, so that one that something else changed since is told
    apart. Apart from the source, which is read with every event.
    """

    source = models.OneToOneField(
        Source, models.CASCADE, primary_key=True, related_name="declared_text"
    )
    text = models.TextField()
    digest = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.source_id} {self.digest[:12]}"


class DetectorAlias(models.Model):
    """Another name under which clients ask for a detector (`model_name`)."""

    alias = models.CharField(max_length=100, unique=True)
    detector = models.ForeignKey("scoring.Detector", models.CASCADE, related_name="aliases")

    class Meta:
        ordering = ("alias",)
        verbose_name_plural = "detector aliases"

    def __str__(self) -> str:
        return self.alias
