"""Which challengers are in shadow, who starts and stops them, when their scores are forgotten."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Max, Q
from django.utils import timezone

from accounts.models import User
from accounts.services import record_audit
from models_registry.models import ModelVersion
from models_registry.shadow_models import Shadow, ShadowScore
from models_registry.shadow_time import label_delay, verdict_takes
from scoring.core.reader import SpecError
from scoring.models import Deployment, Detector

logger = logging.getLogger(__name__)
MOST_BACKLOG = timedelta(days=7)
FORGET_AT_ONCE = 5000
State = Shadow.State


class ShadowRefused(ValueError):
    """The version cannot be put in shadow; the message says why."""


def running_shadows() -> list[Shadow]:
    """Every challenger in shadow, with its version and detector."""
    rows = Shadow.objects.filter(state=State.RUNNING)
    return list(rows.select_related("version__detector", "detector"))


def displaced_shadows(detector: Detector, *, now: datetime) -> list[Shadow]:
    """Challengers that made room for newer ones, while more labels of what they scored beside
    today's champion mature than were there when they were last judged. Raises SpecError."""
    delay = label_delay(detector)
    champions = ModelVersion.objects.filter(detector=detector, stage=ModelVersion.Stage.CHAMPION)
    rows = Shadow.objects.filter(
        detector=detector,
        state=State.DISPLACED,
        version__stage=ModelVersion.Stage.CHALLENGER,
        champion_digest__in=champions.values("digest"),
        scored_at__isnull=False,
        stopped_at__gt=now - delay - timedelta(days=settings.SHADOW_KEEP_DAYS),
    ).filter(Q(compared_at=None) | Q(compared_at__lt=F("stopped_at") + delay))
    return list(rows.select_related("version__detector", "detector"))


def choose_shadows(detector: Detector, *, now: datetime) -> None:
    """Put the newest challengers in shadow, the platform's most; older ones make room.

    What people stopped stays stopped, and what they started keeps its place until a verdict on it
    is possible. Nothing is in shadow while rules alone serve.
    """
    with transaction.atomic():
        _lock(detector)
        serves = ModelVersion.objects.filter(
            detector=detector, stage=ModelVersion.Stage.CHAMPION
        ).first()
        running = Shadow.objects.filter(detector=detector, state=State.RUNNING)
        running.exclude(version__stage=ModelVersion.Stage.CHALLENGER).update(
            state=State.ENDED, stopped_at=now
        )
        if serves is None:
            return
        held = _held(detector, now=now)
        room = max(settings.SHADOW_MOST - len(held), 0)
        newest = (
            ModelVersion.objects.filter(
                detector=detector,
                stage=ModelVersion.Stage.CHALLENGER,
                number__gt=serves.number,
            )
            .filter(Q(shadow=None) | Q(shadow__state__in=(State.RUNNING, State.BLOCKED)))
            .exclude(shadow__in=held)
            .select_related("shadow__started_by")
            .defer("curves", "metrics")
            .order_by("-number")[:room]
        )
        for version in newest:
            shadow = getattr(version, "shadow", None)
            # What was blocked beside one champion may be able to run beside the next.
            if shadow is None or (
                shadow.state == State.BLOCKED and shadow.champion_digest != serves.digest
            ):
                _begin(version, actor=shadow.started_by if shadow else None, now=now)
        _make_room(detector, held, now=now)


def start_shadow(version: ModelVersion, *, actor: User) -> Shadow:
    """Put a challenger in shadow by hand. Raises ShadowRefused."""
    now = timezone.now()
    with transaction.atomic():
        _lock(version.detector)
        version.refresh_from_db(fields=["stage"])
        if version.stage != ModelVersion.Stage.CHALLENGER:
            raise ShadowRefused("Only a challenger can be put in shadow.")
        champions = ModelVersion.objects.filter(
            detector=version.detector_id, stage=ModelVersion.Stage.CHAMPION
        )
        if not champions.exists():
            raise ShadowRefused("Rules alone serve: there is no champion to run beside.")
        others = Shadow.objects.filter(detector=version.detector_id, state=State.RUNNING)
        if others.filter(version=version).exists():
            raise ShadowRefused(f"{version.label} is in shadow already.")
        if others.count() >= settings.SHADOW_MOST:
            raise ShadowRefused(
                f"{settings.SHADOW_MOST} challengers are in shadow, the most that this "
                "installation allows: stop one first."
            )
        shadow = _begin(version, actor=actor, now=now)
        record_audit(actor=actor, action="model.shadow_started", subject=version)
    return shadow


def stop_shadow(version: ModelVersion, *, actor: User) -> Shadow:
    """Take a challenger out of shadow; its scores stay. Raises ShadowRefused."""
    with transaction.atomic():
        _lock(version.detector)
        stopped = Shadow.objects.filter(
            version=version, state__in=(State.RUNNING, State.BLOCKED)
        ).update(state=State.STOPPED, stopped_at=timezone.now(), stopped_by=actor)
        if not stopped:
            raise ShadowRefused(f"{version.label} is not in shadow.")
        record_audit(actor=actor, action="model.shadow_stopped", subject=version)
    return Shadow.objects.get(version=version)


def _lock(detector: Detector) -> None:
    Detector.objects.select_for_update(no_key=True).get(pk=detector.pk)


def _begin(version: ModelVersion, *, actor: User | None, now: datetime) -> Shadow:
    """In shadow from now on; a first time also what came since it was trained."""
    shadow, is_new = Shadow.objects.get_or_create(
        version=version,
        defaults={
            "detector_id": version.detector_id,
            "watermark": min(max(version.trained_at, now - MOST_BACKLOG), now),
            "started_at": now,
            "started_by": actor,
        },
    )
    if not is_new:
        shadow.state, shadow.fault = State.RUNNING, ""
        shadow.started_at, shadow.started_by = now, actor
        shadow.stopped_at = shadow.stopped_by = None
        # What came while it was stopped is scored too, so that no day is chosen by hand.
        oldest = now - MOST_BACKLOG
        if shadow.watermark < oldest:
            shadow.watermark, shadow.cursor_id = oldest, None
        shadow.save(
            update_fields=[
                *("state", "fault", "started_at", "started_by"),
                *("stopped_at", "stopped_by", "watermark", "cursor_id"),
            ]
        )
    return shadow


def _held(detector: Detector, *, now: datetime) -> list[int]:
    """Running shadows that people started and that nothing could be told of yet beside the version
    that serves: newer ones come by themselves, and would otherwise take the place of each before
    its verdict. Where nobody can say how long that takes, all of them."""
    young = Shadow.objects.filter(detector=detector, state=State.RUNNING, started_by__isnull=False)
    try:
        since = now - verdict_takes(detector)
    except SpecError:
        logger.warning("The declaration of %s cannot be read.", detector.slug)
    else:
        serves = Deployment.objects.filter(
            detector=detector, slot=Deployment.Slot.CHAMPION, installed_at__gt=since
        )
        if not serves.exists():
            young = young.filter(started_at__gt=since)
    newest = young.order_by("-version__number").values_list("pk", flat=True)
    return list(newest[: settings.SHADOW_MOST])


def _make_room(detector: Detector, held: list[int], *, now: datetime) -> None:
    rows = Shadow.objects.filter(detector=detector, state=State.RUNNING).exclude(pk__in=held)
    kept = list(rows.order_by("-version__number").values_list("pk", flat=True))
    room = max(settings.SHADOW_MOST - len(held), 0)
    Shadow.objects.filter(pk__in=kept[room:]).update(state=State.DISPLACED, stopped_at=now)


def forget_scores(*, now: datetime) -> int:
    """Delete shadow scores of events older than the platform keeps them; how many there were.

    Never before their labels have matured. A version that is deleted takes its scores along.
    """
    deleted = 0
    for shadow in Shadow.objects.select_related("version__detector", "detector"):
        try:
            deleted += _forget(shadow, now)
        except Exception:
            # A broken declaration must not keep the scores of the others.
            logger.exception("The scores of the %s could not be forgotten.", shadow)
    return deleted


def _forget(shadow: Shadow, now: datetime) -> int:
    before = now - timedelta(days=settings.SHADOW_KEEP_DAYS) - label_delay(shadow.detector)
    rows = ShadowScore.objects.filter(version=shadow.version_id, event_time__lt=before)
    newest = rows.aggregate(newest=Max("event_time"))["newest"]
    if newest is None:
        return 0
    # Said before it is done: a day that is forgotten in part counts as forgotten.
    Shadow.objects.filter(pk=shadow.pk).update(
        forgotten_to=max(newest, shadow.forgotten_to or newest)
    )
    deleted = 0
    # A slice at a time: nobody waits for a long transaction.
    while keys := list(rows.values_list("pk", flat=True)[:FORGET_AT_ONCE]):
        ShadowScore.objects.filter(pk__in=keys).delete()
        deleted += len(keys)
    return deleted
