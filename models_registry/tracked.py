"""Which versions are to be at the MLflow tracking server; `tracking` brings them there."""

from django.conf import settings

from models_registry.models import ModelVersion
from models_registry.registry_models import TrackedRun


def is_tracking() -> bool:
    """Whether a tracking server is set."""
    return bool(settings.MLFLOW_TRACKING_URI)


def note_tracking(version: ModelVersion) -> None:
    """Note that a version is to be tracked, if there is a tracking server; beat sees to it."""
    if is_tracking():
        TrackedRun.objects.get_or_create(version=version)


def note_promotion(version: ModelVersion) -> None:
    """Note that a version serves now, which its entry at the tracking server is to say; a try that
    is under way does not know of it."""
    if is_tracking():
        TrackedRun.objects.update_or_create(
            version=version,
            defaults={"status": TrackedRun.Status.WAITING, "attempts": 0, "error": ""},
        )
