"""A platform with some of everything, and more of it each time: for tests over all pages."""

from dataclasses import dataclass
from decimal import Decimal
from itertools import count, product
from string import ascii_uppercase
from typing import Any

from django.utils import timezone

from accounts.models import AuditEntry, User
from accounts.roles import ANALYST, LEAD
from benchmarks.addresses import Shown
from cases.case_alerts import add_to_case, open_case
from cases.case_models import CaseType, ChecklistItem
from cases.exchange_rates import set_rates
from cases.merging import merge_case
from cases.models import Alert, Case
from cases.report_models import ReportSubscription
from cases.report_subscribing import save_subscription
from cases.scheduled_reports import make_report_now
from cases.second_look_models import SecondLook
from cases.services import comment_on_case, label_alert, open_alerts
from cases.tagging import set_tags
from cases.tallying import tally_changed
from cases.work_queue_models import QueueMember, WorkQueue
from jobs.services import run_job
from models_registry.backtest_models import Backtest
from models_registry.backtesting import request_threshold_backtest, run_backtest
from models_registry.models import ModelVersion
from models_registry.promotion import promote
from notifications.routing import send_test
from scoring.labelling import record_label
from scoring.models import Detector, Label, Prediction
from scoring.ordering import add_list_entries
from scoring.policy_models import ListEntry
from scoring.source_declaration import read_mapping
from scoring.source_models import Source
from scoring.sources import save_source
from tests.accounts.factories import key_for, user_with_role
from tests.factories import START, risky_payment, scored_many, spec_of
from tests.jobs.factories import JobFactory
from tests.models_registry.versions import VersionFactory
from tests.notifications.factories import route_for, told

_users = count(1)
_codes = map("".join, product("XYZ", ascii_uppercase, ascii_uppercase))
RULE = "VELOCITY_MULTI_CITY"


@dataclass
class World:
    """What the addresses point at: the busiest row of each kind, which gets more each time."""

    detector: Detector
    version: ModelVersion
    alert: Alert
    case: Case
    prediction: Prediction
    actor: User
    backtest: Backtest


def begin_world(detector: Detector, digest: str, actor: User) -> World:
    """One of each, with a champion of this bundle."""
    version = VersionFactory(detector=detector, digest=digest)
    promote(version, actor=None, reason="for the tests")
    alert, prediction = _alert_of("busy")
    case = open_case([_alert_of("odd")[0]], title="Odd", actor=actor)
    return World(detector, version, alert, case, prediction, actor, _backtest(version, actor))


def grow_world(world: World, rows: int) -> None:
    """`rows` more of everything, and more of it around the rows that the addresses point at."""
    for _ in range(rows):
        user = f"user-{next(_users)}"
        _alert_of("busy", location=f"City {user}")
        closed, _ = _alert_of(f"closed-{user}")
        label_alert(closed, disposition="fraud", reason_code="card_testing", actor=world.actor)
        _alert_of(f"open-{user}")
        open_case([_alert_of(f"case-{user}")[0]], title=f"About {user}", actor=world.actor)
        _grow_case(world, user)
        _tell(world.prediction, world.actor)
        _look_twice(closed)
        JobFactory(requested_by=world.actor)
        VersionFactory(detector=world.detector, trained_by=world.actor)
        key_for(world.actor)
        send_test(route_for("webhook", kinds=["case.moved"]), actor=world.actor)
        told(world.actor)
        _subscribe(world.actor, user)
        _declare_rate(world.actor)
        _list_values(world.detector, world.actor, user)
        _declare_source(world.actor, user)
        _backtest(world.version, world.actor)


def _subscribe(actor: User, user: str) -> ReportSubscription:
    """A report of `actor`'s own that others get too, and one that somebody sends to them."""
    other = user_with_role(LEAD, username=f"lead-{user}")
    own = ReportSubscription(owner=actor)
    for report, to in ((own, other), (ReportSubscription(owner=other), actor)):
        save_subscription(report, recipients=[to], actor=report.owner)
        make_report_now(report, actor=report.owner, now=timezone.now())
    return own


def _list_values(detector: Detector, actor: User, user: str) -> None:
    """Two more values on each list, which no event carries."""
    for kind in ListEntry.Kind.values:
        add_list_entries(
            detector, kind=kind, field="location", values=[f"{kind} {user}", f"{user} {kind}"],
            reason="For the tests", expires_at=None, author=actor,
        )  # fmt: skip


def _declare_source(actor: User, user: str) -> Source:
    """One more source, of the detector of all that comes here."""
    properties = {name: {"type": "string"} for name in spec_of("payments").schema["required"]}
    declared = {
        "name": f"Source of {user}", "source_type": "webhook", "detector": "payments",
        "schema": {"type": "object", "properties": properties},
    }  # fmt: skip
    return save_source(read_mapping(declared), actor=actor)[0]


def _declare_rate(actor: User) -> None:
    """A rate of one more currency."""
    set_rates({next(_codes): Decimal("0.5")}, actor=actor, source="tests")


def _backtest(version: ModelVersion, actor: User) -> Backtest:
    test = request_threshold_backtest(
        version,
        review=0.2,
        block=0.9,
        today={"review": 0.3, "block": 0.8},
        first_day=START.date(),
        last_day=START.date(),
        most=1000,
        requested_by=actor,
    )
    run_job(test.job_id, run_backtest)
    return test


def _grow_case(world: World, user: str) -> None:
    """More in the case and its queue, and more queues and types."""
    case, actor = world.case, world.actor
    comment_on_case(case, text=f"Seen {user}, @{actor.username}.", actor=actor)
    add_to_case(case, [_alert_of(f"more-{user}")[0]], actor=actor)
    other = open_case([_alert_of(f"same-{user}")[0]], title="The same", actor=actor)
    merge_case(other, target=case, actor=actor)
    set_tags(case, names=[user], actor=actor)
    member = user_with_role(ANALYST, username=user)
    QueueMember.objects.create(queue=WorkQueue.objects.order_by("pk")[0], user=member)
    WorkQueue.objects.create(name=f"Queue of {user}")
    kind = CaseType.objects.create(name=f"Type of {user}", is_active=False)
    for text in ("Call them", "Write it down"):
        ChecklistItem.objects.create(
            case_type=CaseType.objects.order_by("pk")[0], text=f"{text}, {user}"
        )
        ChecklistItem.objects.create(case_type=kind, text=text)


def _alert_of(user: str, **changed: Any) -> tuple[Alert, Prediction]:
    (prediction,) = scored_many("payments", [risky_payment(user_id=user, **changed)])
    open_alerts([prediction.pk])
    return Alert.objects.get(links__prediction=prediction), prediction


def _tell(prediction: Prediction, author: User) -> None:
    record_label(
        prediction,
        is_fraud=True,
        source=Label.Source.ANALYST,
        label_time=prediction.received_at,
        author=author,
        reason_code="card_testing",
        notes="",
    )


def _look_twice(alert: Alert) -> None:
    """A second look at an alert that was closed, in dispute."""
    alert.refresh_from_db()
    first = {
        "alert": alert, "propensity": 0.5, "drawn_at": alert.closed_at, "first_at": alert.closed_at,
        "first_by": alert.closed_by, "first_disposition": "fraud", "first_reason": "card_testing",
    }  # fmt: skip
    SecondLook.objects.create(**first)
    SecondLook.objects.update(
        status="disputed", second_at=alert.closed_at, second_disposition="false_positive",
        second_reason="travel",
    )  # fmt: skip
    tally_changed()


def shown_of(world: World) -> Shown:
    """What the addresses of all pages point at."""
    return Shown(
        slug=world.detector.slug,
        token=world.alert.entity,
        rule=RULE,
        alert=world.alert.pk,
        case=world.case.pk,
        prediction=world.prediction.pk,
        event=world.prediction.external_id,
        version=world.version.pk,
        dataset=world.version.dataset_id,
        job=JobFactory(requested_by=world.actor).pk,
        receipt=told(world.actor).receipts.get().pk,
        route=(route := route_for("webhook", kinds=["case.moved"])).pk,
        delivery=send_test(route, actor=world.actor).pk,
        backtest=world.backtest.pk,
        work_queue=WorkQueue.objects.order_by("pk")[0].pk,
        case_type=CaseType.objects.order_by("pk")[0].pk,
        look=SecondLook.objects.values_list("pk", flat=True).first() or 0,
        user=world.actor.pk,
        key=key_for(world.actor)[0].pk,
        entry=AuditEntry.objects.latest("number").number,
        report=_subscribe(world.actor, f"user-{next(_users)}").pk,
        source=_declare_source(world.actor, f"user-{next(_users)}").slug,
    )
