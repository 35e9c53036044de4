"""A page decides on the request that it showed, not on another that was made since."""

from decimal import Decimal

import pytest
from django.urls import reverse

from accounts.models import User
from cases.casework import approve_closing, ask_to_close, move_case
from cases.models import Case
from cases.workflow import MoveRefused
from scoring.models import Label
from tests.cases.alerts import case_of
from tests.page_forms import forms_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
FALSE = {"disposition": "false_positive", "reason_code": "travel"}


@pytest.fixture(autouse=True)
def small_limit(settings):
    settings.CASE_APPROVAL_LIMIT = Decimal(15_000)


def sent(answer, action, **typed):
    """What a browser sends from the page's form for `action`, with what somebody typed."""
    for one in forms_of("/", answer.content.decode()):
        if one.path == action:
            return {name: values[0] for name, values in one.fields.items() if values} | typed
    raise AssertionError(f"The page has no form for {action}.")


def refused(answer, why):
    return answer.status_code == 422 and why in answer.content.decode()


def test_what_was_asked_anew_is_not_decided_from_the_page_of_what_was_asked_before(
    client, analyst, lead
):
    case = ask_to_close(case_of(analyst, "a"), **FRAUD, actor=analyst).case
    approve, give_back = (
        reverse("case_approve", args=[case.pk]),
        reverse("case_return", args=[case.pk]),
    )
    client.force_login(lead)
    read = client.get(case.get_absolute_url())
    move_case(case, move="withdraw", actor=analyst)
    ask_to_close(case, **FALSE, actor=analyst)
    assert refused(client.post(approve, sent(read, approve)), "has asked anew")
    assert refused(client.post(give_back, sent(read, give_back, note="Why?")), "has asked anew")
    assert (Case.objects.get().status, Label.objects.count()) == ("pending_approval", 0)
    anew = client.get(case.get_absolute_url())
    assert client.post(approve, sent(anew, approve)).status_code == 302
    assert Case.objects.get().disposition == "false_positive"


def test_who_approves_by_hand_says_what(client, analyst, lead):
    case = ask_to_close(case_of(analyst, "a"), **FRAUD, actor=analyst).case
    client.force_login(lead)
    answer = client.post(reverse("case_approve", args=[case.pk]), {"seen": 1})
    assert refused(answer, "it says what is asked for")


def test_who_lost_the_role_meanwhile_approves_nothing(analyst, lead):
    asked = ask_to_close(case_of(analyst, "a"), **FRAUD, actor=analyst)
    assert lead.has_perm("cases.approve_case")
    User.objects.get(pk=lead.pk).groups.clear()
    with pytest.raises(MoveRefused, match="You may not"):
        approve_closing(asked.case, actor=lead)


def test_no_request_is_approved_that_was_taken_back(analyst, lead):
    asked = ask_to_close(case_of(analyst, "a"), **FRAUD, actor=analyst)
    move_case(asked.case, move="withdraw", actor=analyst)
    with pytest.raises(MoveRefused):
        approve_closing(asked.case, actor=lead, request=asked.pk)
