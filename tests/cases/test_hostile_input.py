"""What nobody types by accident gets an answer that says no, never a 500."""

import pytest
from django.urls import reverse

from cases.work_queue_models import WorkQueue
from tests.cases.alerts import alert_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
LONG = "9" * 5000
WIDE = "9" * 30


@pytest.fixture
def boss(client, admin):
    client.force_login(admin)
    client.raise_request_exception = False
    return client


@pytest.mark.parametrize("until", ["2026-13-45T00:00:00Z", "0001-01-01T00:00:00+23:00", LONG])
def test_a_lock_that_ended_never(boss, until):
    address = reverse("alert_release", args=[alert_of().pk])
    assert boss.post(address, {"until": until}).status_code == 204


def test_versions_of_a_rule_that_no_row_can_have(boss):
    for name, field in (("rule_move", "version"), ("rule_tune", "base")):
        address = reverse(name, args=["payments", "VELOCITY_MULTI_CITY"])
        answer = boss.post(address, {field: LONG, "to": "live", "reason": "As tested."})
        assert answer.status_code in (302, 404, 422), name


@pytest.mark.parametrize("key", [LONG, WIDE])
def test_members_and_detectors_that_no_row_can_be(boss, key):
    queue = WorkQueue.objects.order_by("pk")[0]
    member = boss.post(reverse("work_queue_member", args=[queue.pk]), {"user": key})
    assert member.status_code in (302, 422)
    for name in ("work_queue_new", "case_type_new"):
        answer = boss.post(reverse(name), {"name": "Far", "detectors": [key]})
        assert answer.status_code in (200, 422), name


def test_days_before_any_calendar(boss):
    rules = reverse("rule_list", args=["payments"])
    assert boss.get(f"{rules}?from=0001-01-01&to=0001-01-01").status_code == 200
    tried = boss.post(reverse("backtest_rule", args=["payments"]), {"backtest_to": "0001-01-01"})
    assert tried.status_code in (200, 422)


def test_texts_with_nul(boss):
    alert = alert_of()
    bulk = {"alert": [alert.pk], "act": "case:new", "title": "A\0B", "note": ""}
    assert boss.post(reverse("alerts_bulk"), bulk).status_code in (200, 302, 422)
    assert boss.post(reverse("view_save"), {"name": "A\0B", "query": ""}).status_code in (302, 422)
    share = boss.post(reverse("second_look_share"), {"detector": "a\0", "share": "5"})
    assert share.status_code == 404
