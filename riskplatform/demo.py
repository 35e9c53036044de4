"""What `make demo` fills an empty installation with: people, history, champions, a case."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from uuid import UUID

from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.db import transaction

from accounts.models import User
from accounts.roles import ADMIN, ANALYST, DATA_ENGINEER, LEAD, MODEL_OWNER
from accounts.services import record_audit, set_roles
from cases.case_alerts import open_case
from cases.casework import move_case
from cases.exchange_rates import current_rates, set_rates
from cases.limits import stake_of
from cases.models import Case
from cases.selectors import alert_queue, predictions_without_alert
from cases.services import comment_on_case, label_alert, open_alerts
from cases.tallying import tally_everything
from cases.workflow import Disposition
from models_registry.datasets import DatasetError
from models_registry.fitting import QuietProgress
from models_registry.models import ModelVersion
from models_registry.promotion import promote
from models_registry.training import train_version
from riskplatform.demo_marks import mark_filled, started_at
from scoring.models import Detector, Label, Prediction
from scoring.simulating import simulate_history, truths_to_come

PEOPLE = {
    "analyst": (ANALYST, "Ana", "Lyst"),
    "lead": (LEAD, "Lea", "Dorn"),
    "engineer": (DATA_ENGINEER, "Enno", "Geer"),
    "owner": (MODEL_OWNER, "Mo", "Owner"),
    "admin": (ADMIN, "Ada", "Min"),
}
SEED, MOST_SEEDS = 7, 5
HISTORY = timedelta(days=120)
"""Long enough that champions learn from full windows too: `cards` looks back 44 days."""
SERVED = timedelta(days=8)
"""For so long the champions have served: a whole week, as drift of the calendar is told of. What
was flagged since waits for an analyst; what was flagged before has its label."""
EVENTS = {
    **{"payments": 24_000, "fraud": 15_000, "cards": 24_000, "anomaly": 15_000},
    **{"creditcard": 30_000, "credit_card_fraud": 15_000},
}
RATES = {
    "CHF": Decimal("1.04"),
    "GBP": Decimal("1.17"),
    "JPY": Decimal("0.0061"),
    "USD": Decimal("0.92"),
}
"""What one unit is worth in euros: made up, and near enough to look at."""
Say = Callable[[str], None]


def make_people(password: str) -> None:
    """One login per role, all with this password. Who is there already stays as they are."""
    there = set(User.objects.filter(username__in=PEOPLE).values_list("username", flat=True))
    for name, (role, first, last) in PEOPLE.items():
        if name in there:
            continue
        is_admin = role == ADMIN
        user = User(username=name, first_name=first, last_name=last)
        user.is_staff = user.is_superuser = is_admin
        user.set_password(password)
        with transaction.atomic():
            user.save()
            record_audit(actor=None, action="user.created", subject=user)
            if is_admin:
                record_audit(actor=None, action="user.superuser_made", subject=user)
            set_roles(user, roles=[role], actor=None)


def logins(password: str) -> list[tuple[str, str, bool]]:
    """(user name, roles, whether this password is theirs) of the demo's people who may log in."""
    found = []
    for user in User.objects.filter(username__in=PEOPLE, is_active=True).order_by("pk"):
        roles = ", ".join(user.groups.order_by("name").values_list("name", flat=True))
        found.append((user.username, roles, check_password(password, user.password)))
    return found


def fill(say: Say, *, events: Mapping[str, int] = EVENTS, served_events: int | None = None) -> None:
    """History scored by rules, champions trained on it, a week and a day scored by them, alerts.

    Of these `served_events` for each detector, by default as many a day as before: what changes
    its pace drifts. One that was interrupted goes on where it was: run it again until it comes to
    its end.
    """
    now = started_at()
    owner = User.objects.get(username="owner")
    detectors = {d.slug: d for d in Detector.objects.filter(slug__in=events)}
    led = set(
        ModelVersion.objects.filter(stage=ModelVersion.Stage.CHAMPION).values_list(
            "detector__slug", flat=True
        )
    )
    # History and champions come before all else; what has its champion has its history.
    learning = {slug: wanted for slug, wanted in events.items() if slug not in led}
    for slug, wanted in learning.items():
        _simulate_past(detectors[slug], now, wanted)
        say(f"{slug}: {wanted:,} past events scored and labelled")
    for slug in learning:
        detector = detectors[slug]
        version = _train(detector, now, events[slug], owner, say)
        promote(version, actor=None, reason="First champion of the demo, set up by the platform.")
        precision = version.metrics["average_precision"]
        champion = f"champion {version.label} ({version.learner})"
        say(f"{slug}: {champion}, average precision {precision:.2f} on unseen days")
    for detector in detectors.values():
        served = served_events or _usual_pace(detector, now)
        _simulate(detector, now - SERVED, now, served, now=now)
    _declare_rates()
    if not Case.objects.exists():
        with transaction.atomic():  # whole or not at all: it could not go on in its middle
            _triage(now, say)
    say(f"{tally_everything():,} days counted for the dashboards")
    mark_filled()


def _declare_rates() -> None:
    """Rates of the demo's currencies, where nobody has declared any."""
    if settings.COMMON_CURRENCY == "EUR" and current_rates() is None:
        set_rates(RATES, actor=User.objects.filter(username="admin").first(), source="demo")


def _usual_pace(detector: Detector, now: datetime) -> int:
    """As many events for the days served as the history had in as many."""
    past = Prediction.objects.filter(detector=detector, event_time__lt=now - SERVED).count()
    return max(round(past * (SERVED / (HISTORY - SERVED))), 1)


def _simulate_past(detector: Detector, now: datetime, events: int, seed: int = SEED) -> None:
    _simulate(detector, now - HISTORY, now - SERVED, events, now=now, seed=seed)


def _simulate(
    detector: Detector,
    start: datetime,
    end: datetime,
    events: int,
    *,
    now: datetime,
    seed: int = SEED,
) -> None:
    simulate_history(
        detector, start=start, end=end, events=events, seed=seed, settled_until=now - SERVED
    )


def _train(detector: Detector, now: datetime, events: int, owner: User, say: Say) -> ModelVersion:
    """The first version. What is simulated depends on the hour: where it brought too little fraud
    to learn from, as much history again is added. Raises DatasetError when MOST_SEEDS brought too
    little."""
    train = partial(
        train_version,
        detector,
        learner=detector.spec().training.learner,
        trained_by=owner,
        job=None,
        progress=QuietProgress(),
    )
    for seed in range(SEED + 1, SEED + MOST_SEEDS):
        try:
            return train()
        except DatasetError as problem:
            say(f"{detector.slug}: {problem} More is simulated.")
            _simulate_past(detector, now, events, seed)
    return train()


def _triage(now: datetime, say: Say) -> None:
    """Open what is due, close a few as an analyst would who finds out the truth, keep one case
    under investigation."""
    opened = open_alerts(_flagged(now))
    analyst = User.objects.get(username="analyst")
    queue = list(alert_queue())
    say(f"{opened:,} flagged predictions in {len(queue):,} alerts")
    if not queue:
        return
    paid = next((alert for alert in queue if alert.exposure), queue[0])  # not a host
    case = open_case([paid], title="Unusual payments of one customer", actor=analyst)
    queue.remove(paid)
    move_case(case, move="investigate", actor=analyst)
    comment_on_case(
        case, text="Called the customer, no answer yet. Trying again this afternoon.", actor=analyst
    )
    with truths_to_come() as to_come:
        bad = {(one.slug, one.external_id) for one in to_come.waiting if one.is_fraud}
    for alert in queue[2:60:8]:
        if stake_of(alert).above:
            continue  # It takes a case and a second person.
        top = alert.top_prediction
        told = Label.objects.filter(prediction=top, is_fraud=True).exists()
        fraud = told or (alert.detector.slug, top.external_id) in bad
        label_alert(
            alert,
            disposition=Disposition.FRAUD if fraud else Disposition.FALSE_POSITIVE,
            reason_code="stolen_credentials" if fraud else "known_pattern",
            actor=analyst,
        )


def _flagged(now: datetime) -> list[UUID]:
    """Flagged predictions of the last days that nobody has labelled."""
    recent = Prediction.objects.filter(event_time__gte=now - SERVED, labels__isnull=True)
    return list(recent.exclude(decision="APPROVE").values_list("pk", flat=True)) or list(
        predictions_without_alert(now)
    )
