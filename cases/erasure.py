"""A person's data taken out of everything that is stored of them, on request (docs/adr/0022)."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts.models import User
from accounts.selectors import still_may
from accounts.services import record_audit
from cases.forgetting import forget_names
from cases.linking import hold_mark
from cases.links_models import EntityLink, KnownEntity, SharedValue
from cases.models import Alert, Case
from cases.selectors import SWEEP_REACH
from cases.summing_up import tell_words_again
from cases.workflow import LIVE_CASES, AlertStatus
from jobs.models import Job
from jobs.progress import JobProgress
from jobs.services import enqueue_job
from scoring.core.types import SelectionReason
from scoring.erasing import (
    ErasureRefused,
    Person,
    erase_some,
    forget_token,
    fresh_token,
    hold_still,
    orders_in_force,
    person_of,
    windows_beside,
)
from scoring.feature_store.base import Key
from scoring.models import Detector
from scoring.selectors import opens_alerts

ERASE = "cases.erase_person"
MAY_ERASE = "scoring.erase_pii"
ERASED = "personal_data.erased"
SHORTEST_REASON, LONGEST_REASON = 8, 300
TOKENS = ("token", "fresh")
DIGEST = 16
"""Hex digits by which the audit trail names whom an erasure was about."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How much of a person an erasure finds."""

    predictions: int
    alerts: int
    cases: int
    windows: int
    orders: int
    links: int

    @property
    def is_empty(self) -> bool:
        return not any(asdict(self).values())


def reach_of(person: Person) -> Reach:
    """What would be erased. Six queries."""
    alerts = _alerts(person)
    return Reach(
        predictions=person.predictions.count(),
        alerts=alerts.count(),
        cases=_cases(person).count(),
        windows=person.windows.count(),
        orders=person.list_entries.count() + person.snoozes.count(),
        links=EntityLink.objects.filter(detector=person.detector, entity=person.token).count(),
    )


def why_not(person: Person, now: datetime) -> str:
    """What keeps this person's data; empty where nothing does."""
    if cases := list(_cases(person).filter(status__in=LIVE_CASES).values_list("pk", flat=True)[:3]):
        return f"Case {', '.join(map(str, cases))} is not closed. Close it first."
    if _alerts(person).exclude(status=AlertStatus.CLOSED).exists():
        return "An alert about them is open. Close it first."
    flagged = person.predictions.exclude(selection_reason=SelectionReason.NONE)
    recent = flagged.filter(received_at__gte=now - SWEEP_REACH)
    if recent.filter(opens_alerts(), alert_link=None, labels=None).exists():
        return "An event of theirs waits for its alert. Close that first."
    if orders_in_force(person, now):
        return "They are on a list, or a rule is snoozed for them. Take that back first."
    return ""


@transaction.atomic
def request_erasure(
    person: Person,
    *,
    reason: str,
    actor: User | None,
    by: str = "",
    quiet_since: datetime | None = None,
) -> Job:
    """The job that erases. Raises ErasureRefused, also where one is under way.

    `by` says through what it was asked, where no user did. With `quiet_since` it refuses whoever
    has had an event since then.
    """
    reason = " ".join(reason.replace("\0", "").split())
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON:
        raise ErasureRefused(f"Say why, in {SHORTEST_REASON} to {LONGEST_REASON} characters.")
    if reach_of(person).is_empty:
        raise ErasureRefused("Nothing is stored about them.")
    _check(person, timezone.now(), quiet_since)
    about = {"who": digest_of(person.token), "reason": reason}
    unique_key = f"{ERASE}:{person.detector.slug}:{about['who']}"
    former = Job.objects.filter(unique_key=unique_key).order_by("-pk").first()
    if former is not None and former.is_live:
        raise ErasureRefused(f"It is being erased already (job {former.pk}).")
    job = enqueue_job(
        kind=ERASE,
        params={
            "detector": person.detector.slug,
            "token": person.token,
            # What an attempt that failed has put into windows stays theirs.
            "fresh": (former.params.get("fresh") if former else None) or fresh_token(),
            **about,
            **({"quiet_since": quiet_since.isoformat()} if quiet_since else {}),
        },
        unique_key=unique_key,
        requested_by=actor,
        subject=str(person.detector),
    )
    record_audit(
        actor=actor,
        action="personal_data.erasure_asked",
        subject=person.detector,
        detail=about | ({"by": by} if by else {}),
    )
    return job


def erase_at_once(
    person: Person, *, reason: str, job: Job, now: datetime, quiet_since: datetime
) -> dict[str, int]:
    """Erase in one transaction, for whom few events are stored, since scoring of their detector
    waits meanwhile; how much there was. Raises ErasureRefused."""
    _check(person, now, quiet_since)
    forget_names(person)
    beside = windows_beside(person)
    with transaction.atomic():
        counts = _let_go(person, fresh_token(), beside, now, quiet_since)
        about = {"who": digest_of(person.token), "reason": reason}
        _record(job, person.detector, {**about, **counts})
    return counts


def run_erasure(job: Job, progress: JobProgress) -> Mapping[str, Any]:
    """Erase in short transactions, then take the token away in one; may be run again.

    What a former attempt committed stays; one that took the token away has told its counts in the
    job's parameters, which name nobody any more. Raises ErasureRefused, also once whoever asked may
    not erase any more: nothing brings back what is gone.
    """
    if "token" not in job.params:
        return dict(job.params["erased"])
    _check_asker(job)
    detector = Detector.objects.get(slug=job.params["detector"])
    person, now = person_of(detector, job.params["token"]), timezone.now()
    quiet_since = parse_datetime(job.params.get("quiet_since", ""))
    _check(person, now, quiet_since)
    forget_names(person)
    total, done = max(person.predictions.filter(erased_at=None).count(), 1), 0
    while erased := erase_some(person, job.params["fresh"], now=now):
        done += erased
        progress.report(min(done / total, 1.0) * 0.9, "Erasing personal data")
        progress.check_cancelled()
        _check_asker(job)
    beside = windows_beside(person)  # Before anything is held: it reads all that is stored.
    with transaction.atomic():
        _check_asker(job)
        counts = _let_go(person, job.params["fresh"], beside, now, quiet_since)
        progress.hold()
        about = {"who": job.params["who"], "reason": job.params["reason"]}
        kept = {"detector": detector.slug, **about, "erased": counts}
        Job.objects.filter(pk=job.pk).update(params=kept)
        for former in Job.objects.filter(unique_key=job.unique_key).exclude(pk=job.pk):
            former.params = {k: v for k, v in former.params.items() if k not in TOKENS}
            former.save(update_fields=["params"])
        _record(job, detector, {**about, **counts})
    return counts


def _check_asker(job: Job) -> None:
    """Raises ErasureRefused. What beat asked for, or somebody on the server, has no asker."""
    asker = job.requested_by
    if asker is not None and not still_may(asker, MAY_ERASE):
        raise ErasureRefused(
            f"{asker.name}, who asked for it, may not erase personal data any more. Whoever may can"
            " ask again."
        )


def _record(job: Job, detector: Detector, detail: Mapping[str, Any]) -> None:
    record_audit(
        actor=job.requested_by,
        action=ERASED,
        subject=detector,
        detail={**detail, "job": job.pk},
    )


def digest_of(token: str) -> str:
    """Names a person in the trail to who knows the value and the keys, and to nobody else."""
    return hashlib.sha256(token.encode()).hexdigest()[:DIGEST]


def _check(person: Person, now: datetime, quiet_since: datetime | None) -> None:
    if quiet_since and person.predictions.filter(event_time__gte=quiet_since).exists():
        raise ErasureRefused("There was an event of theirs again.")
    if why := why_not(person, now):
        raise ErasureRefused(why)


def _let_go(
    person: Person, fresh: str, beside: Collection[Key], now: datetime, quiet_since: datetime | None
) -> dict[str, int]:
    """Take the token away everywhere; inside a transaction. Raises ErasureRefused."""
    # First: a sweep that has the mark may yet wait for the detector's row.
    hold_mark()
    hold_still(person)
    while erase_some(person, fresh, now=now):
        pass
    # Asked anew: what has just been scored may wait for its alert, and somebody may have listed it.
    _check(person, now, quiet_since)
    reach = reach_of(person)
    predictions = forget_token(person, fresh, beside)
    alerts = list(_alerts(person).select_related("detector"))
    _alerts(person).update(entity=fresh)
    for alert in alerts:
        alert.entity = fresh
        tell_words_again(alert)
    _forget_links(person, fresh)
    return asdict(reach) | {"predictions": predictions}


def _forget_links(person: Person, fresh: str) -> None:
    """Their links by personal data go; the others, and what is known of them, stay with them."""
    mine = EntityLink.objects.filter(detector=person.detector, entity=person.token)
    personal = mine.filter(field__in=person.fields)
    for field, token in list(personal.values_list("field", "token")):
        shared = SharedValue.objects.filter(detector=person.detector, field=field, token=token)
        shared.filter(entities__gt=0).update(entities=F("entities") - 1)
        shared.filter(entities=0).delete()
    personal.delete()
    mine.update(entity=fresh)
    known = KnownEntity.objects.filter(detector=person.detector, entity=person.token)
    known.update(entity=fresh, shown="erased")


def _alerts(person: Person) -> QuerySet[Alert]:
    return Alert.objects.filter(detector=person.detector, entity=person.token)


def _cases(person: Person) -> QuerySet[Case]:
    return Case.objects.filter(pk__in=_alerts(person).exclude(case=None).values("case"))
