"""The verdict on a challenger from live traffic, and the job that catches up and judges."""

from collections.abc import Iterable, Mapping
from dataclasses import astuple
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone

from accounts.models import User
from jobs.models import Job
from jobs.progress import JobProgress
from jobs.services import enqueue_job
from models_registry.core.live import BETTER, DAY, WORSE, compare_live
from models_registry.core.metrics import cards_a_day
from models_registry.core.sequential import DayTotals
from models_registry.models import ModelVersion
from models_registry.selectors import champion_of
from models_registry.shadow_models import Shadow
from models_registry.shadow_reading import day_of, read_live
from models_registry.shadow_scoring import Turn, shadow_some
from models_registry.shadow_time import label_delay
from models_registry.shadowing import ShadowRefused
from models_registry.telling import tell_live_verdict

SHADOW = "models_registry.shadow"
JUDGE_EVERY = timedelta(hours=6)
JUDGE_DISPLACED_EVERY = timedelta(days=1)
AT_ONCE = 5000


def shadow_key(version: ModelVersion) -> str:
    """The unique key of a version's shadow jobs: one at a time."""
    return f"shadow:{version.pk}"


def versions_with_jobs(versions: Iterable[ModelVersion]) -> set[int]:
    """The ids of those whose shadow job waits or runs."""
    keys = {shadow_key(version): version.pk for version in versions}
    live = Job.objects.live().filter(unique_key__in=keys)
    return {keys[key] for key in live.values_list("unique_key", flat=True)}


def request_judgement(version: ModelVersion, *, requested_by: User | None) -> Job:
    """Queue a job that catches up with traffic and compares; the live one, if there is one."""
    if requested_by is not None:
        # The live one may have been queued to catch up only.
        Shadow.objects.filter(version=version).update(asked_at=timezone.now())
    return enqueue_job(
        kind=SHADOW,
        params={"version": version.pk},
        unique_key=shadow_key(version),
        requested_by=requested_by,
        subject=str(version),
    )


def judge_now(version: ModelVersion, *, actor: User) -> Job:
    """Queue a comparison that a person asks for. Raises ShadowRefused for what is no challenger, or
    was never in shadow."""
    if not hasattr(version, "shadow"):
        raise ShadowRefused(f"{version.label} was never in shadow.")
    if version.stage != ModelVersion.Stage.CHALLENGER:
        raise ShadowRefused(
            f"{version.label} is no challenger: what it scored is not compared any more."
        )
    return request_judgement(version, requested_by=actor)


def is_due(shadow: Shadow, *, now: datetime) -> bool:
    """There is more to see than when it was last judged, and that was a while ago.

    More: it scored something, or, where it was displaced, labels of what it scored matured. A
    judgement that failed is held back as long: what broke it takes as much every time.
    """
    tried, judged = shadow.attempted_at, shadow.compared_at
    if shadow.scored_at is None:
        return False
    news, every = shadow.scored_at, JUDGE_EVERY
    if shadow.state == Shadow.State.DISPLACED and shadow.stopped_at is not None:
        news, every = shadow.stopped_at + label_delay(shadow.detector), JUDGE_DISPLACED_EVERY
    if any(last is not None and now - last < every for last in (tried, judged)):
        return False
    return judged is None or news > judged


def _is_asked(shadow: Shadow) -> bool:
    """A person asked since it was last tried."""
    asked, tried = shadow.asked_at, shadow.attempted_at
    return asked is not None and (tried is None or asked > tried)


def run_shadow_job(job: Job, progress: JobProgress) -> dict[str, Any]:
    """The work of a shadow job: catch up, then compare if it is time to or a person asked."""
    shadow = Shadow.objects.select_related("version", "detector").get(version=job.params["version"])
    progress.report(0.05, "Scoring what came since")
    _catch_up(shadow, progress)
    shadow.refresh_from_db(fields=["asked_at"])
    if not (_is_asked(shadow) or is_due(shadow, now=timezone.now())):
        return {"verdict": "", "reason": "It was compared a short while ago."}
    progress.check_cancelled()
    progress.report(0.6, "Comparing with the champion")
    found = judge_shadow(shadow, now=timezone.now())
    return {"verdict": found.get("verdict", ""), "reason": found.get("reason", "")}


def _catch_up(shadow: Shadow, progress: JobProgress) -> None:
    """Score what waits, until nothing does or nothing moves any more."""
    while shadow.state == Shadow.State.RUNNING:
        before = shadow.batches
        turn = shadow_some(shadow, now=timezone.now(), most=AT_ONCE)
        if turn is Turn.DONE or shadow.batches == before:
            return
        progress.check_cancelled()
        progress.report(0.5, f"Scoring what came since: {shadow.rows:,} events so far")


def judge_shadow(shadow: Shadow, *, now: datetime) -> dict[str, Any]:
    """Compare with the champion on matured labels, and keep what came of it; empty without one.

    Events that another champion scored are left out, and so are degraded ones.
    """
    Shadow.objects.filter(pk=shadow.pk).update(attempted_at=now)
    shadow.attempted_at = now
    champion = champion_of(shadow.detector)
    if champion is None or champion.pk == shadow.version_id:
        return {}
    spec = shadow.detector.spec()
    matured = now - label_delay(shadow.detector)
    rows, coverage, since = read_live(
        shadow, champion, matured_before=matured, known_at=now, since=_whole_from(shadow)
    )
    earlier = _told_before(shadow, champion, since) if since else {}
    days = max(1, int(np.unique(rows.event_time // DAY).size))
    compared = compare_live(
        rows,
        costs=spec.costs,
        least_positives=spec.training.minimum_positives,
        coverage=coverage,
        earlier=earlier,
        k=cards_a_day(spec.costs.capacity, coverage.events, days),
    )
    found = {
        **_finite(compared.to_dict()),
        "champion_digest": champion.digest,
        "champion": champion.label,
        "known_at": now.isoformat(),
        "label_delay": spec.training.label_delay,
    }
    kept: dict[str, Any] = {"comparison": found, "compared_at": now}
    if compared.told:
        kept["sequence"] = _sequence(champion, {**earlier, **compared.told})
    with transaction.atomic():
        Shadow.objects.filter(pk=shadow.pk).update(**kept)
        if compared.verdict in (BETTER, WORSE):
            tell_live_verdict(shadow.version, found)
    for name, value in kept.items():
        setattr(shadow, name, value)
    return found


def _whole_from(shadow: Shadow) -> datetime | None:
    """The midnight from which on no score has been forgotten; None when none ever was."""
    last = shadow.forgotten_to
    return None if last is None else day_of(last) + timedelta(days=1)


def _told_before(shadow: Shadow, champion: ModelVersion, moment: datetime) -> dict[int, DayTotals]:
    """What days before `moment` told beside this champion, when their scores were there.

    The sequence needs them: were its first day to slide, each look would be a test of its own.
    """
    if shadow.sequence.get("champion_digest") != champion.digest:
        return {}
    days = {int(day): DayTotals(*told) for day, told in shadow.sequence["days"].items()}
    first = moment.timestamp() // DAY
    return {day: told for day, told in days.items() if day < first}


def _sequence(champion: ModelVersion, days: Mapping[int, DayTotals]) -> dict[str, Any]:
    told = {str(day): astuple(totals) for day, totals in sorted(days.items())}
    return {"champion_digest": champion.digest, "days": told}


def _finite(value: Any) -> Any:
    """JSON knows no NaN: what could not be told becomes null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
