"""When a detector learns again: by hand, by the clock, or when a trigger of its policy is met.

Imports no learner, so that pages may ask for a training without loading one. Every training that
nobody asked for carries its reason in words: on the job, and from there on the version.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core import signing
from django.db import transaction
from django.db.models import Count, Q, QuerySet

from accounts.changes import in_short
from accounts.models import User
from accounts.services import record_audit
from jobs.models import BY, Job
from jobs.services import enqueue_job
from jobs.workflow import JobStatus
from models_registry.core.drift import RANKS, UNKNOWN
from models_registry.core.search_spaces import SPACES
from models_registry.drift_selectors import newest_check
from models_registry.models import ModelVersion
from models_registry.rare_class import WITHOUT_LABELS, why_not
from models_registry.retraining_models import HOUR, RetrainingPolicy
from models_registry.selectors import (
    latest_trainings,
    learnt_until,
    trained_here,
    training_key,
)
from models_registry.timetable import Timetable, set_timetable, timetable_of
from scoring.models import Deployment, Detector, Label, Prediction
from scoring.policies import PolicyRefused, set_policy

TRAIN = "models_registry.train"
CHOICES = ("learner", "imbalance", "tune_for")
"""What whoever asks for a training may choose: params of its job."""
LABELS, DRIFT, AGE = "labels", "drift", "age"
POLICY_CHANGED = "retraining.policy_changed"
SAME_TICK = timedelta(minutes=10)
"""The clock's message may come twice; one that comes this soon after a training that the clock
asked for is the same one, and one this soon after a trigger's training finds nothing more to learn.
Shorter than the hour between the closest ticks that people ask for."""


class ImbalanceRefused(ValueError):
    """The learner can do nothing about a rare class; the message says why."""


class TrainingUnderWay(RuntimeError):
    """Another training of the detector waits or runs; the message says which, and what it does."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """One line of what would happen now. `reason` is set when it is met; `text` says how far."""

    name: str
    on: bool
    text: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the policy would do now. `reason`: why it trains, empty when it does not; `held_back`:
    why not although a trigger is met or whether one is."""

    triggers: tuple[Trigger, ...]
    held_back: str
    reason: str

    @property
    def sentence(self) -> str:
        """The answer in words."""
        if self.reason:
            return f"A training would start now, because {self.reason}."
        met = ", and ".join(trigger.reason for trigger in self.triggers if trigger.reason)
        if self.held_back and met:
            return f"Nothing would start now, although {met}: {self.held_back}"
        return f"Nothing would start now. {self.held_back}".strip()


def request_training(
    detector: Detector,
    *,
    requested_by: User | None,
    learner: str = "",
    imbalance: str = "",
    reason: str = "",
    tune_for: float | None = None,
    by: str = "",
    max_attempts: int = 3,
) -> Job:
    """Queue a training; the one that is under way already, if it was asked to do the same.

    What is not given is as declared; see `params_of`. The audit trail says who asked; `by`: that in
    words, where it is nobody with an account. Raises ImbalanceRefused, TrainingUnderWay.
    """
    told = {name: text for name, text in (("reason", reason), (BY, by)) if text}
    params = params_of(detector, learner=learner, imbalance=imbalance, tune_for=tune_for)
    with transaction.atomic():
        job = enqueue_job(
            kind=TRAIN,
            params=params | told,
            unique_key=training_key(detector),
            requested_by=requested_by,
            subject=detector.name,
            max_attempts=max_attempts,
        )
        # A job from before methods could be chosen does what is declared.
        doing = params_of(detector, learner=job.params["learner"], tune_for=0.0) | job.params
        if any(params.get(name) != doing.get(name) for name in CHOICES):
            raise TrainingUnderWay(under_way(detector, job))
        if requested_by is not None:
            detail = {name: params[name] for name in ("detector", "learner", "imbalance")}
            record_audit(actor=requested_by, action="model.train", subject=job, detail=detail)
    return job


def params_of(
    detector: Detector, *, learner: str = "", imbalance: str = "", tune_for: float | None = None
) -> dict[str, Any]:
    """What a job is told to do. `learner`, `imbalance` (a method for a rare class) and `tune_for`
    (seconds for which parameters are searched) are as declared unless given.

    A learner that needs no labels does nothing about a rare class, whatever is declared; raises
    ImbalanceRefused where it is asked to. One without parameters to search searches none.
    """
    declared = detector.spec().training
    learner = learner or declared.learner
    if refused := why_not(learner, imbalance):
        raise ImbalanceRefused(refused)
    method = imbalance or ("none" if learner in WITHOUT_LABELS else declared.imbalance.method)
    found: dict[str, Any] = {"detector": detector.slug, "learner": learner, "imbalance": method}
    seconds = declared.tune_for if tune_for is None else tune_for
    seconds = seconds if learner in SPACES else 0.0
    return found | ({"tune_for": seconds} if seconds else {})


def check_idle(detector: Detector) -> None:
    """Raises TrainingUnderWay where a training of the detector waits or runs, whatever it does."""
    job = latest_trainings([detector]).get(detector.slug)
    if job is not None and job.is_live:
        raise TrainingUnderWay(under_way(detector, job))


def under_way(detector: Detector, job: Job) -> str:
    """Which job trains the detector, and what it was asked to do, in words."""
    return (
        f"Job {job.pk} is training {detector.name} already ({job.asked}). Wait until it is over, "
        "or cancel it."
    )


def policy_of(detector: Detector) -> RetrainingPolicy:
    """The policy as it was saved, else as declared. Raises SpecError."""
    found = RetrainingPolicy.objects.filter(detector=detector).first()
    return found or RetrainingPolicy.declared(detector)


def is_due(detector: Detector, *, now: datetime) -> str:
    """Why it is to learn again now, in words; empty when it is not. Raises SpecError."""
    return outlook(detector, policy_of(detector), now=now, whole=False).reason


def outlook(
    detector: Detector, policy: RetrainingPolicy, *, now: datetime, whole: bool = True
) -> Outlook:
    """What the policy would do now; not `whole`: without counting for triggers that are off.

    Raises SpecError.
    """
    newest = newest_trained(detector)
    held = quiet_until(detector, policy, newest, now=now)
    if held and not whole:
        return Outlook((), held, "")
    if newest is None:
        triggers: tuple[Trigger, ...] = (_first(detector, policy),)
    else:
        looks: list[tuple[str, bool, Callable[..., tuple[bool, str]]]] = [
            (LABELS, policy.on_labels, _labels),
            (DRIFT, policy.on_drift, _drift),
            (AGE, policy.on_age, _age),
        ]
        found = []
        for name, on, look in looks:
            if not (on or whole):
                continue
            met, text = look(detector, policy, newest, now)
            found.append(Trigger(name, on, text, text if met and on else ""))
        triggers = tuple(found)
    # One training answers all that are met, and says so.
    reason = ", and ".join(trigger.reason for trigger in triggers if trigger.reason)
    return Outlook(triggers, held, "" if held else reason)


def newest_trained(detector: Detector) -> ModelVersion | None:
    """The version that was trained here last, with its dataset."""
    rows = trained_here().filter(detector=detector).select_related("dataset")
    return rows.order_by("-trained_at", "-number").first()


def _barred(detector: Detector, job: Job | None) -> str:
    """Why not even the clock may start a training; `job`: the detector's newest one."""
    if not detector.enabled:
        return "The detector is off."
    if job is not None and job.is_live:
        return f"Job {job.pk} is training it."
    return ""


def quiet_until(
    detector: Detector, policy: RetrainingPolicy, newest: ModelVersion | None, *, now: datetime
) -> str:
    """Why no trigger starts a training, whatever it says; empty when one may.

    `newest`: the version that was trained here last.
    """
    job = latest_trainings([detector]).get(detector.slug)
    barred = _barred(detector, job)
    if barred:
        return barred
    last = [job.queued_at] if job else []
    last += [newest.trained_at] if newest else []
    ends = max(last) + policy.quiet if last else None
    if ends is None or ends <= now:
        return ""
    return f"The quiet time after the last training ends on {ends:%Y-%m-%d at %H:%M} UTC."


def _first(detector: Detector, policy: RetrainingPolicy) -> Trigger:
    labelled = Label.objects.filter(detector=detector).exists()
    on = policy.on_age or policy.on_labels
    text = f"no version was trained here yet and {'labels' if labelled else 'no label'} came"
    return Trigger(AGE, on, text, text if labelled and on else "")


def _labels(
    detector: Detector, policy: RetrainingPolicy, newest: ModelVersion, now: datetime
) -> tuple[bool, str]:
    """Events labelled since that version read its data whose labels count by now: told since, or
    grown old enough since. Counted up to what the policy asks for."""
    delay, read_at = timedelta(seconds=detector.spec().training.label_delay), learnt_until(newest)
    matured_at = read_at - delay
    fresh = Q(recorded_at__gt=read_at) | Q(event_time__gt=matured_at)
    # A label is told after its event, so none of either kind is older: read by the index.
    rows = Label.objects.filter(
        fresh, detector=detector, recorded_at__gt=matured_at, event_time__lte=now - delay
    )
    count = _events_labelled(rows, most=policy.labels)
    met = count >= policy.labels
    counted = _counted(count, "label")
    return met, f"{'at least ' * met}{counted} matured since {newest.label}"


def _events_labelled(rows: QuerySet[Label], *, most: int) -> int:
    """How many events these labels are about, counted up to `most`.

    Read in the order of the index, so that it can stop: told apart by event in the database, all
    labels would be sorted first. Most events have one label; if not, more are read.
    """
    read = most
    while True:
        some = rows.order_by("recorded_at").values("id", "prediction")[:read]
        found = some.aggregate(labels=Count("id"), events=Count("prediction", distinct=True))
        if found["events"] >= most or found["labels"] < read:
            return min(int(found["events"]), most)
        read *= 2


def _drift(
    detector: Detector, policy: RetrainingPolicy, newest: ModelVersion, now: datetime
) -> tuple[bool, str]:
    """An alarm that began after the newest version read its data: one training answers one
    alarm."""
    check = newest_check(detector)
    champion = Deployment.objects.filter(detector=detector, slot=Deployment.Slot.CHAMPION).first()
    if check is None or champion is None or check.bundle_digest != champion.digest:
        return False, "no drift check of the champion was made yet"
    if check.alarm_since is None or check.status == UNKNOWN:
        return False, f"drift of {check.model_version} is {check.status}"
    text = (
        f"drift of {check.model_version} is {check.status} since"
        f" {check.alarm_since:%Y-%m-%d %H:%M} UTC"
    )
    if check.alarm_since <= learnt_until(newest):
        return False, f"{text}, which {newest.label} was trained after"
    return RANKS[check.status] >= RANKS[policy.drift_level], text


def _age(
    detector: Detector, policy: RetrainingPolicy, newest: ModelVersion, now: datetime
) -> tuple[bool, str]:
    """Old, and there is more to learn from: from the same labels the same model would come, or
    from the same events, where the declared algorithm needs no labels."""
    age, since = now - newest.trained_at, learnt_until(newest)
    came, what = Label.objects.filter(detector=detector, recorded_at__gt=since).exists(), "label"
    if not came and detector.spec().training.learner in WITHOUT_LABELS:
        rows = Prediction.objects.filter(detector=detector, received_at__gt=since)
        came, what = rows.exists(), "event"
    more = f"{what}s came since" if came else f"no {what} came since"
    return came and age >= policy.age, f"{newest.label} is {duration(age)} old and {more}"


def scheduled(detector: Detector, *, now: datetime) -> str:
    """Why the clock trains it now, in words; empty while it trains, when the same message of the
    clock came before, or when a trigger has just had it trained as declared: one version answers
    both. The quiet time does not hold the clock back: it is for the triggers."""
    job = latest_trainings([detector]).get(detector.slug)
    if _barred(detector, job):
        return ""
    reason = f"its timetable says {timetable_of(detector).words}"
    if job is None or not (given := job.params.get("reason", "")):
        return reason
    is_same, is_answered = given == reason, job.status == JobStatus.SUCCEEDED
    since = job.queued_at if is_same else job.finished_at or job.queued_at
    return "" if (is_same or is_answered) and now < since + SAME_TICK else reason


@transaction.atomic
def save_policy(
    policy: RetrainingPolicy,
    *,
    timetable: Timetable,
    review_after: float,
    actor: User,
    base: str = "",
) -> RetrainingPolicy:
    """Put a policy, its timetable and the champion's term into force together, and audit it.

    `review_after` in seconds, 0: no end. `base`: what the author looked at (`seen_policy`); empty
    where nothing was looked at. Raises PolicyRefused, and changes nothing then: also where
    somebody changed what stands since.
    """
    detector = Detector.objects.select_for_update().get(pk=policy.detector_id)
    saved = RetrainingPolicy.objects.filter(detector=detector).first()
    before = _said(saved or policy_of(detector), timetable_of(detector), detector.review_after())
    if base and (since := _changes(_read_seen(base), before)):
        said = f"Somebody changed it meanwhile ({in_short(POLICY_CHANGED, since)})."
        raise PolicyRefused(("", f"{said} Yours would undo that: look, then save again."))
    policy.pk = saved.pk if saved else None
    policy.save(force_insert=saved is None, force_update=saved is not None)
    now = set_timetable(detector, on=timetable.on, day=timetable.day, hour=timetable.hour)
    if review_after != detector.review_after():
        set_policy(detector, review_after=review_after, author=actor)
    detail = _changes(before, _said(policy, now, review_after))
    record_audit(actor=actor, action=POLICY_CHANGED, subject=detector, detail=detail)
    return policy


def seen_policy(policy: RetrainingPolicy, timetable: Timetable, review_after: float) -> str:
    """What a page shows, signed: the `base` of a change that is made there."""
    return signing.dumps(_said(policy, timetable, review_after), salt=POLICY_CHANGED)


def _said(policy: RetrainingPolicy, timetable: Timetable, review_after: float) -> dict[str, object]:
    names = ("on_labels", "labels", "on_drift", "drift_level", "on_age", "age_hours", "quiet_hours")
    return {
        **{name: getattr(policy, name) for name in names},
        "on_time": timetable.on,
        "timetable": timetable.words,
        "review_after": review_after,
    }


def _read_seen(base: str) -> dict[str, object]:
    try:
        found: dict[str, object] = signing.loads(base, salt=POLICY_CHANGED)
    except signing.BadSignature as error:
        said = "It cannot be told what you looked at. Look at the policy, then save again."
        raise PolicyRefused(("", said)) from error
    return found


def _changes(
    before: Mapping[str, object], after: Mapping[str, object]
) -> dict[str, dict[str, object]]:
    return {
        name: {"before": before[name], "after": after[name]}
        for name in after
        if before[name] != after[name]
    }


def duration(span: timedelta) -> str:
    """`8 days`, `5 hours`: whole units, rounded down."""
    if span >= timedelta(days=2):
        return _counted(span.days, "day")
    return _counted(int(span.total_seconds() // HOUR), "hour")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
