"""Make window state anew from stored predictions, after a detector's windows have changed."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

from django.db import transaction

from accounts import vault
from scoring import deployment
from scoring.core.bundle import Bundle
from scoring.core.features import FeaturePlan
from scoring.core.schema import key_text
from scoring.core.types import Event
from scoring.core.vectors import build_many
from scoring.core.windows import WindowStateError
from scoring.feature_store.base import Learnt
from scoring.feature_store.choosing import feature_store
from scoring.feature_store.database import lock_windows
from scoring.feature_store.history import known_frauds, said_of, stored_event
from scoring.models import Detector, EntityState, Prediction
from scoring.tallies import totals_by_detector

CHUNK = 2000


def serving_before(detector: Detector) -> Bundle | None:
    """What serves, for `rebuild_if_changed`; None where nothing can."""
    try:
        return deployment.serving_of(detector).bundle
    except deployment.NothingServes:
        return None


def rebuild_if_changed(detector: Detector, before: Bundle | None) -> None:
    """Learn the windows anew if what serves now tracks others than the bundle `before` it did, or
    nothing could be read then."""
    if before is None or keys_to_learn(before.plan, deployment.serving_of(detector).bundle.plan):
        rebuild_windows(detector)


def keys_to_learn(before: FeaturePlan, after: FeaturePlan) -> list[str]:
    """By which fields the windows are keyed that `after` tracks and `before` did not, sorted."""
    return sorted({key for key, _ in _tracked(after) - _tracked(before)})


def scored_so_far(detector: Detector) -> int:
    """How many events were ever scored: about what windows are learnt from, told before."""
    found = totals_by_detector([detector.slug]).get(detector.slug)
    return found.count if found else 0


def rebuild_if_outdated(detector: Detector) -> bool:
    """Learn the windows anew if they were kept by a release that kept other numbers in them, or in
    another store; whether it did. Looks at the window of each key that was written longest ago.

    A detector whose bundle cannot be read is left alone: what stands in may track other windows.
    """
    serving = deployment.serving_of(detector)
    kept = EntityState.objects.filter(detector=detector).exclude(state=b"").order_by("updated_at")
    oldest = [
        (entity.key, kept.filter(key_field=entity.key).values_list("token", flat=True).first())
        for entity in serving.bundle.plan.entities
    ]
    keys = [(field, token) for field, token in oldest if token is not None]
    if serving.fault or not keys:
        return False
    try:
        feature_store().load(detector.pk, serving.bundle.plan, keys, lock=False)
    except WindowStateError:
        rebuild_windows(detector)
        return True
    return False


def _tracked(plan: FeaturePlan) -> set[tuple[str, int]]:
    return {(entity.key, entity.signature) for entity in plan.entities}


@transaction.atomic
def rebuild_windows(
    detector: Detector, *, on_progress: Callable[[int], None] = lambda read: None
) -> int:
    """Forget the detector's window state and learn it again; returns how many events were read,
    and tells `on_progress` how many it were so far.

    The detector's scoring waits meanwhile, so that no event is missed; that of others goes on.
    """
    lock_windows(detector.pk)
    bundle = deployment.serving_of(detector).bundle
    store = feature_store()
    store.forget(detector.pk)
    events, read = _events(detector, bundle), 0
    while chunk := list(islice(events, CHUNK)):
        learnt = [
            Learnt(key, datetime.fromtimestamp(event.time, UTC), pk)
            for pk, event in chunk
            for key in bundle.plan.keys(event)
        ]
        keys = [learned.key for learned in learnt]
        windows = store.load(detector.pk, bundle.plan, keys, lock=True)
        build_many(bundle.plan, [event for _, event in chunk], windows)
        store.save(detector.pk, bundle.plan, windows, learnt)
        read += len(chunk)
        on_progress(read)
    return read


def _events(detector: Detector, bundle: Bundle) -> Iterator[tuple[UUID, Event]]:
    """What the windows can still hold, oldest first; entity keys are tokens, as when scored."""
    rows = Prediction.objects.filter(detector=detector).order_by("event_time", "id")
    newest = rows.last()
    if newest is None or not bundle.plan.entities:
        return
    reach = timedelta(seconds=max(entity.horizon for entity in bundle.plan.entities))
    recent = rows.filter(event_time__gte=newest.event_time - reach)
    found = recent.only("event", "event_time", "external_id", "entity").iterator(chunk_size=CHUNK)
    while chunk := list(islice(found, CHUNK)):
        known = known_frauds([row.pk for row in chunk]) if bundle.plan.learns_labels else {}
        for row in chunk:
            yield row.pk, _event(row, bundle, known.get(row.pk))


def _event(row: Prediction, bundle: Bundle, known_fraud: tuple[float, float] | None) -> Event:
    said = said_of(bundle.spec, row.event, row.entity)
    event = stored_event(
        bundle.spec,
        said,
        row.event_time,
        said,
        external_id=row.external_id,
        known_fraud=known_fraud,
    )
    keys = {
        field: vault.token(field, key_text(event.fields[field]))
        for field in bundle.spec.entity_fields
        # Who was erased has no windows any more.
        if field in event.fields and row.event[field] is not None
    }
    return event._replace(keys=keys)
