"""What a search for parameters has tried: kept, so that a search goes on where it was stopped."""

from django.db import models

from scoring.models import Detector


class TuningTrial(models.Model):
    """One set of parameters, judged on folds of the training history. Written once.

    `study` is the SHA-256 of everything that makes trials comparable: detector, learner, the data
    and how it is cut into folds. `value` is empty for a trial that was given up, and for one that
    failed, whose `error` says why.
    """

    detector = models.ForeignKey(Detector, models.CASCADE, related_name="tuning_trials")
    study = models.CharField(max_length=64)
    number = models.PositiveIntegerField()
    learner = models.CharField(max_length=40)
    parameters = models.JSONField()
    folds = models.JSONField(default=list, help_text="Average precision of each fold.")
    value = models.FloatField(null=True)
    seconds = models.FloatField()
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("study", "number")
        constraints = (
            models.UniqueConstraint(fields=("study", "number"), name="one_trial_per_number"),
        )

    def __str__(self) -> str:
        return f"trial {self.number}: {self.value}"
