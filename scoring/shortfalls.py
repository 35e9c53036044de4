"""What is in force and does not do what it says: rules, sanctions lists, bundles; told to people.

Each goes on in a safe way (docs/rules.md), but nobody would know without being told.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from scoring import deployment
from scoring.core.bundle import Bundle
from scoring.core.reader import SpecError
from scoring.core.reasons import duration
from scoring.core.types import Stage
from scoring.models import Deployment, Detector
from scoring.policy_models import RuleVersion
from scoring.policy_store import RuleFault, compile_rules, rule_body
from scoring.selectors import detector_list, versions_in_force
from scoring.watchlist_files import TITLES
from scoring.watchlist_store import synchronised_at


@dataclass(frozen=True, slots=True)
class Shortfall:
    """`kind` is `rule`, `list`, `bundle`, `declaration` or `review`, `subject` names it; `text`
    says what is wrong, what happens instead and what to do, commands in backticks. `degrades`:
    what worked before does not."""

    detector: str
    kind: str
    subject: str
    text: str
    degrades: bool = True


def all_shortfalls() -> list[Shortfall]:
    """Those of every enabled detector, by its name; four queries whatever there is."""
    readings = synchronised_at()
    detectors = detector_list().filter(enabled=True)
    versions: dict[int, list[RuleVersion]] = defaultdict(list)
    for version in versions_in_force():
        versions[version.rule.detector_id].append(version)
    return [
        found
        for detector in detectors
        for found in _shortfalls(detector, versions[detector.pk], readings)
    ]


def shortfalls_of(detector: Detector, versions: Iterable[RuleVersion]) -> list[Shortfall]:
    """Those of a detector from `selectors.detector_list`, and of its versions in force."""
    return _shortfalls(detector, versions, synchronised_at())


def _shortfalls(
    detector: Detector, versions: Iterable[RuleVersion], readings: Mapping[str, datetime]
) -> list[Shortfall]:
    champions: list[Deployment] = detector.champions  # type: ignore[attr-defined]
    try:
        bundle, problem = deployment.bundle_of(detector, next(iter(champions), None))
    except deployment.NothingServes as error:
        said = f"{error} Until then no event is decided on: whoever sends one is answered 503."
        return [Shortfall(detector.slug, "bundle", "champion", said)]
    return [
        *([_of_bundle(detector, problem)] if problem else []),
        *_of_declaration(detector),
        *(_of_review(detector, champion) for champion in champions[:1] if _is_overdue(champion)),
        *(_of_rule(detector, fault) for fault in rule_faults(versions, bundle)),
        *_of_lists(detector, readings),
    ]


def rule_shortfalls(detector: Detector, versions: Iterable[RuleVersion]) -> list[str]:
    """What is wrong with these versions in force, in sentences."""
    rows = Deployment.objects.filter(detector=detector, slot=Deployment.Slot.CHAMPION)
    try:
        bundle, _ = deployment.bundle_of(detector, rows.first())
    except deployment.NothingServes as error:
        return [str(error)]
    return [rule_sentence(fault) for fault in rule_faults(versions, bundle)]


def rule_faults(versions: Iterable[RuleVersion], bundle: Bundle) -> Sequence[RuleFault]:
    """Which of these versions the bundle cannot evaluate, or should not have taken in, and why."""
    return compile_rules([rule_body(version, bundle.spec) for version in versions], bundle)[1]


def rule_sentence(fault: RuleFault) -> str:
    """What is wrong with a rule, what happens instead, and what to do."""
    if fault.absent:
        return (
            f"Version {fault.version} of {fault.code} reads {', '.join(fault.absent)}: missing in"
            " every event, for the model that serves was trained without. Train and promote a"
            " version, or edit the rule."
        )
    if fault.evaluated:
        return (
            f"Version {fault.version} of {fault.code} looks for what it cannot find:"
            f" {fault.problem}. Until it is edited or retired, it decides as if that were meant."
        )
    if fault.stage is Stage.LIVE:
        instead = "Until it is edited or retired, every event that would be approved is reviewed."
    else:
        instead = "It is in shadow, and records nothing."
    return (
        f"Version {fault.version} of {fault.code} cannot be evaluated by what serves:"
        f" {fault.problem}. {instead}"
    )


def screened_lists(detector: Detector) -> Sequence[str]:
    """Lists that the detector declares to screen names by."""
    try:
        screening = detector.spec().screening
    except SpecError:
        return ()
    return screening.lists if screening is not None and screening.name_field else ()


def is_stale(synced_at: datetime, now: datetime) -> bool:
    """Whether a reading is so old that names that were listed since are missed."""
    days: int = settings.WATCHLIST_STALE_DAYS
    return days > 0 and synced_at <= now - timedelta(days=days)


def list_sentence(name: str, synced_at: datetime | None) -> str:
    """That nothing is screened by a list, or by a stale reading of it, and what to run."""
    if name not in TITLES:
        known = ", ".join(sorted(TITLES))
        return f"Names are not screened against '{name}': there is no such list, only {known}."
    run = f"Run `python manage.py sync_watchlist FILE_OR_ADDRESS --list {name}`."
    if synced_at is None:
        return f"Names are not screened against {TITLES[name]}: it was never synchronised. {run}"
    age = duration(settings.WATCHLIST_STALE_DAYS * 86400.0)
    return (
        f"Names are screened against {TITLES[name]} by a reading of {synced_at:%Y-%m-%d}, at least"
        f" {age} old: names that were listed since are not found. {run}"
    )


def _of_bundle(detector: Detector, problem: str) -> Shortfall:
    text = f"{problem} The one before it serves where this process knows it, else the rules alone."
    return Shortfall(detector.slug, "bundle", "champion", text)


def _of_declaration(detector: Detector) -> list[Shortfall]:
    """That it cannot be read although a bundle serves, which has its own."""
    said = detector.unreadable()
    if not said:
        return []
    text = f"{said} Its champion serves; until then nothing is trained, promoted or edited."
    return [Shortfall(detector.slug, "declaration", "declaration", text, degrades=False)]


def review_due(champion: Deployment) -> datetime | None:
    """When the model that serves is to be reviewed; None for never. Raises SpecError."""
    after = champion.detector.review_after()
    if not after or champion.version == deployment.RULES_ONLY:
        return None
    return champion.term_from + timedelta(seconds=after)


def _is_overdue(champion: Deployment) -> bool:
    try:
        due = review_due(champion)
    except SpecError:
        return False
    return due is not None and due <= timezone.now()


def _of_review(detector: Detector, champion: Deployment) -> Shortfall:
    return Shortfall(detector.slug, "review", champion.version, review_sentence(champion.version))


def review_sentence(version: str) -> str:
    """That what serves is past its review date, what happens instead, and what to do."""
    return (
        f"{version} is past its review date: rules decide alone, and predictions say degraded."
        " Promote a version that was reviewed, or extend its term."
    )


def fault_of(serving: deployment.Serving) -> str:
    """Why not the model that was installed decides; empty where it does, or none was."""
    if serving.fault or not serving.bundle.overdue:
        return serving.fault
    return review_sentence(serving.version)


def _of_rule(detector: Detector, fault: RuleFault) -> Shortfall:
    live = fault.stage is Stage.LIVE
    return Shortfall(detector.slug, "rule", fault.code, rule_sentence(fault), degrades=live)


def _of_lists(detector: Detector, readings: Mapping[str, datetime]) -> list[Shortfall]:
    """The detector's lists that nobody took in, or not for long."""
    found, now = [], timezone.now()
    for name in screened_lists(detector):
        synced_at = readings.get(name)
        if synced_at is None or is_stale(synced_at, now):
            text = list_sentence(name, synced_at)
            # A platform that is being set up is not broken: it has not screened by the list yet.
            degrades = synced_at is not None
            found.append(Shortfall(detector.slug, "list", name, text, degrades))
    return found
