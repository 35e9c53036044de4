"""The scoring app."""

from django.apps import AppConfig


class ScoringConfig(AppConfig):
    """Events in, predictions out."""

    name = "scoring"
