"""Make window state anew from stored predictions, after a detector's windows have changed."""

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice

from django.db import connection, transaction

from accounts import vault
from scoring import deployment
from scoring.core.bundle import Bundle
from scoring.core.features import build_many
from scoring.core.types import Event
from scoring.feature_store.database import DatabaseFeatureStore
from scoring.models import Detector, EntityState, Prediction

CHUNK = 2000
store = DatabaseFeatureStore()


def rebuild_if_changed(detector: Detector, before: Bundle) -> None:
    """Learn the windows anew if what serves now tracks others than the bundle `before` it did."""
    after = deployment.serving_of(detector).bundle
    if not _tracked(after) <= _tracked(before):
        rebuild_windows(detector)


def _tracked(bundle: Bundle) -> set[tuple[str, int]]:
    return {(entity.key, entity.signature) for entity in bundle.plan.entities}


@transaction.atomic
def rebuild_windows(detector: Detector) -> int:
    """Forget the detector's window state and learn it again; returns how many events were read.

    Scoring waits meanwhile, so that no event is missed.
    """
    lock_windows()
    bundle = deployment.serving_of(detector).bundle
    EntityState.objects.filter(detector=detector).delete()
    events, read = _events(detector, bundle), 0
    while chunk := list(islice(events, CHUNK)):
        keys = [key for event in chunk for key in bundle.plan.keys(event)]
        windows = store.load(detector.pk, bundle.plan, keys, lock=True)
        build_many(bundle.plan, chunk, windows)
        store.save(detector.pk, bundle.plan, windows)
        read += len(chunk)
    return read


def lock_windows() -> None:
    """Let everybody's scoring finish and then wait, until the caller's transaction ends.

    The whole table: rows alone would let a writer that waits for a row find it deleted, and take
    its entity for a new one. To be taken before a lock on the detector, which writers refer to.
    On SQLite the transaction itself keeps the others waiting.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {EntityState._meta.db_table} IN EXCLUSIVE MODE")


def _events(detector: Detector, bundle: Bundle) -> Iterator[Event]:
    """What the windows can still hold, oldest first; entity keys are tokens, as when scored."""
    rows = Prediction.objects.filter(detector=detector).order_by("event_time", "id")
    newest = rows.last()
    if newest is None or not bundle.plan.entities:
        return
    reach = timedelta(seconds=max(entity.horizon for entity in bundle.plan.entities))
    recent = rows.filter(event_time__gte=newest.event_time - reach).only("event", "event_time")
    for row in recent.iterator(chunk_size=CHUNK):
        fields = {name: _clear(value) for name, value in row.event.items()}
        keys = {
            field: vault.token(field, str(fields[field]))
            for field in bundle.spec.entity_fields
            if field in fields
        }
        yield Event(
            external_id="",
            time=row.event_time.timestamp(),
            received=0.0,
            utc_offset=0.0,
            amount=None,
            currency="",
            fields=fields,
            keys=keys,
        )


def _clear(value: object) -> object:
    if not isinstance(value, str) or not vault.is_encrypted(value):
        return value
    try:
        return vault.decrypt(value)
    except vault.VaultError:
        # A client's own text that only looks like ours; one whose key is lost counts as it stands.
        return value
