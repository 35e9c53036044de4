"""Flush cached predictions: every process sees the raised epoch with its next event."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import F

from accounts.models import User
from accounts.services import record_audit
from scoring.models import Detector


@transaction.atomic
def flush_cached_predictions(slugs: Sequence[str], *, actor: User | None) -> list[str]:
    """Forget what models said, for the detectors named (for all when none is). Audited.

    Returns the slugs that were flushed. Raises Detector.DoesNotExist for a slug that nobody has.
    """
    rows = Detector.objects.order_by("slug")
    if slugs:
        rows = rows.filter(slug__in=slugs)
    found = list(rows)
    missing = set(slugs) - {row.slug for row in found}
    if missing:
        raise Detector.DoesNotExist(", ".join(sorted(missing)))
    Detector.objects.filter(pk__in=[row.pk for row in found]).update(
        cache_epoch=F("cache_epoch") + 1
    )
    flushed = [row.slug for row in found]
    record_audit(actor=actor, action="cache.flushed", detail={"detectors": flushed})
    return flushed
