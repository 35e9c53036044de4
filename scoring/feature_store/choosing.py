"""Which store keeps the windows of this installation."""

from django.conf import settings

from scoring.feature_store.base import FeatureStore
from scoring.feature_store.database import DatabaseFeatureStore
from scoring.feature_store.redis import redis_store

_database = DatabaseFeatureStore()


def feature_store() -> FeatureStore:
    """The store that RISK_FEATURE_STORE names."""
    return redis_store(settings.REDIS_URL) if settings.FEATURE_STORE == "redis" else _database
