"""Which store keeps the windows of this installation."""

from django.conf import settings

from scoring.feature_store.base import FeatureStore
from scoring.feature_store.database import DatabaseFeatureStore

_database = DatabaseFeatureStore()


def feature_store() -> FeatureStore:
    """The store that RISK_FEATURE_STORE names."""
    if settings.FEATURE_STORE != "redis":
        return _database
    from scoring.feature_store.redis import redis_store  # the library takes 20 MB

    return redis_store(settings.REDIS_URL)
