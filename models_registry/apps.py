"""The models registry app."""

from django.apps import AppConfig


class ModelsRegistryConfig(AppConfig):
    """Datasets, training, versions, promotion."""

    name = "models_registry"
