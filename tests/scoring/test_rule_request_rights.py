"""Who approves a change of rules is asked for their right when it is their turn."""

import pytest

from accounts.models import User
from accounts.roles import LEAD
from scoring import rule_approvals
from scoring.models import Detector
from scoring.rule_approvals import SelfApproval, approve_request, request_settings
from tests.accounts.factories import user_with_role

pytestmark = pytest.mark.django_db


def test_who_loses_the_role_while_waiting_for_their_turn_approves_nothing(
    payments_detector, lead, monkeypatch
):
    second = user_with_role(LEAD, username="second_lead")
    assert second.has_perm("scoring.change_rule")
    asked = request_settings(payments_detector, audit_rate=0.5, actor=lead)
    lock = rule_approvals.lock

    def late(detector_id):
        User.objects.get(pk=second.pk).groups.clear()
        return lock(detector_id)

    monkeypatch.setattr(rule_approvals, "lock", late)
    with pytest.raises(SelfApproval, match="do not allow"):
        approve_request(asked, actor=second)
    assert Detector.objects.get(slug="payments").policy_settings == {}
