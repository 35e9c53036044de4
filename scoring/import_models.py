"""Imports of history whose flagged events open no alert."""

from django.db import models


class QuietImport(models.Model):
    """Events of a detector that came within a time and happened before `events_before`: they are
    history that nobody has to look at. `ends_at` runs ahead while the import does."""

    detector = models.ForeignKey("scoring.Detector", models.CASCADE, related_name="+")
    began_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    events_before = models.DateTimeField()

    class Meta:
        ordering = ("-began_at",)

    def __str__(self) -> str:
        return f"{self.detector_id} {self.began_at:%Y-%m-%d %H:%M}"
