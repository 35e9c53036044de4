"""The models registry app."""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register


class ModelsRegistryConfig(AppConfig):
    """Datasets, training, versions, promotion."""

    name = "models_registry"

    def ready(self) -> None:
        register(check_four_eyes, Tags.security)


def check_four_eyes(**given: Any) -> list[CheckMessage]:
    """Whoever runs the platform is told when one person may promote, or change rules, alone."""
    if settings.FOUR_EYES:
        return []
    return [
        Warning(
            "RISK_FOUR_EYES is off: whoever asks for a change of models or rules decides alone.",
            hint="Leave it out wherever more than one person may promote models or change rules.",
            id="models_registry.W001",
        )
    ]
