"""What happens in the other apps rings the bell of whom it concerns."""

import pytest
from django.utils import timezone

from accounts.roles import LEAD
from cases.case_alerts import open_case
from cases.casework import close_case, move_case
from cases.services import label_alert, open_alerts
from models_registry.drift_models import DriftCheck
from models_registry.promotion import promote, roll_back
from models_registry.telling import tell_drift
from notifications.models import Delivery, Notification, Receipt
from notifications.selectors import list_receipts
from scoring.models import Prediction
from tests.accounts.factories import user_with_role
from tests.factories import risky_payment, scored_many
from tests.models_registry.versions import VersionFactory
from tests.notifications.factories import route_for
from tests.world import _alert_of

pytestmark = pytest.mark.django_db


def told_to(user):
    return [receipt.kind for receipt in list_receipts(user)]


def test_a_critical_alert_is_told_once_and_leads_to_its_page(payments_detector, analyst):
    alert, _ = _alert_of("busy")
    assert told_to(analyst) == []  # Not critical yet.
    for place in ("Oslo", "Lima"):
        (prediction,) = scored_many("payments", [risky_payment(user_id="busy", location=place)])
        Prediction.objects.filter(pk=prediction.pk).update(risk_level="CRITICAL")
        open_alerts([prediction.pk])
        open_alerts([prediction.pk])
    critical = Notification.objects.filter(kind="alert.opened")
    assert [row.url for row in critical] == [alert.get_absolute_url()]
    assert critical[0].about == "payments"
    assert told_to(analyst) == ["alert.opened"]
    # Nothing of the person whom it is about.
    assert alert.entity not in critical[0].subject + critical[0].text


def test_cases_and_alerts_are_told_to_whom_they_belong_but_not_to_who_acted(
    payments_detector, analyst
):
    route_for(kinds=["alert.closed", "case.closed"])
    lead = user_with_role(LEAD)
    case = open_case([_alert_of("a")[0]], title="Odd", actor=analyst)
    move_case(case, move="investigate", actor=analyst)
    close_case(case, disposition="fraud", reason_code="card_testing", actor=lead)
    assert told_to(analyst)[:1] == ["case.closed"]
    assert "case.opened" in told_to(lead) and "case.opened" not in told_to(analyst)
    label_alert(_alert_of("b")[0], disposition="fraud", reason_code="card_testing", actor=lead)
    sent = Delivery.objects.values_list("notification__kind", flat=True)
    assert sorted(sent) == ["alert.closed", "alert.closed", "case.closed"]


def test_promotion_and_roll_back_are_told_to_the_owners(champion, payments_digest, owner, admin):
    first = VersionFactory(detector=champion, digest=payments_digest)
    second = VersionFactory(detector=champion, digest=payments_digest)
    promote(first, actor=None, reason="set up")
    promote(second, actor=admin, reason="better")
    roll_back(champion, actor=None, reason="Its guard broke.")
    assert told_to(owner) == ["model.rolled_back", "model.promoted", "model.promoted"]
    back = Notification.objects.get(kind="model.rolled_back")
    assert back.url == first.get_absolute_url() and back.critical
    assert "Its guard broke." in back.text


def test_a_drift_alarm_is_told_to_the_owners_once(champion, owner):
    check = DriftCheck.objects.create(
        detector=champion,
        bundle_digest="x",
        model_version="v1",
        checked_at=timezone.now(),
        rows=5000,
        status="major",
    )
    tell_drift(check)
    tell_drift(check)
    assert Receipt.objects.filter(user=owner, kind="drift.alarm").count() == 1
