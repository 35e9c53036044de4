"""Who is given a second look: nobody who knows what the first analyst found."""

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.roles import ANALYST
from cases.casework import approve_closing, ask_to_close, close_case
from cases.handovers import assign_case
from cases.merging import merge_case
from cases.resting import comment_on_alert
from cases.second_looks import held_by, take_second_look, waiting_for
from cases.services import assign_alert, comment_on_case, label_alert
from cases.work_queue_models import WorkQueue
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of, case_of

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("payments_detector", "draw_everything"),
]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}


def test_the_owner_of_an_alert_gets_no_second_look_at_it(analyst, second, lead):
    alert = alert_of("a")
    assign_alert(alert, owner=second, actor=lead)
    label_alert(alert, actor=lead, **FRAUD)
    assert take_second_look(second) is None
    assert take_second_look(analyst).alert_id == alert.pk


def test_who_opened_or_worked_on_a_case_gets_no_second_look_at_it(analyst, second, lead):
    talked, owner = (user_with_role(ANALYST, username=name) for name in ("talked", "owner"))
    case = case_of(second, "a")
    comment_on_case(case, text="Odd.", actor=talked)
    assign_case(case, owner=owner, actor=lead)
    close_case(case, actor=analyst, **FRAUD)
    for user in (second, talked, owner, lead, analyst):
        assert take_second_look(user) is None, user
    other = user_with_role(ANALYST, username="other")
    assert take_second_look(other) is not None


def test_who_approved_a_closing_gets_no_second_look_at_it(analyst, second, lead):
    WorkQueue.objects.all().delete()
    WorkQueue.objects.create(name="All", approval_limit=1)
    case = case_of(analyst, "a")
    ask_to_close(case, actor=analyst, **FRAUD)
    approve_closing(case, actor=lead)
    assert take_second_look(lead) is None
    assert take_second_look(analyst) is None
    assert take_second_look(second) is not None


def case_that_took_in(other, *, closed_by):
    """A closed case that another one went into before."""
    case = case_of(closed_by, "b")
    merge_case(other, target=case, actor=closed_by)
    case.refresh_from_db()
    close_case(case, actor=closed_by, **FRAUD)
    return case


def takes(user, alert):
    """Whether the user may take the second look at an alert."""
    return waiting_for(user, timezone.now()).filter(alert=alert).exists()


def test_who_worked_on_a_case_that_went_into_another_gets_no_second_look(analyst, second):
    talked, other = (user_with_role(ANALYST, username=name) for name in ("talked", "other"))
    case = case_of(second, "a")
    alert = case.alerts.get()
    comment_on_case(case, text="The customer says so.", actor=talked)
    case_that_took_in(case, closed_by=analyst)
    assert not takes(second, alert)
    assert not takes(talked, alert)
    assert takes(other, alert)


def test_a_case_stays_known_however_often_it_goes_into_another(analyst, second, settings):
    settings.CASE_APPROVAL_LIMIT = None
    case, middle = case_of(analyst, "a"), case_of(analyst, "c")
    alert = case.alerts.get()
    comment_on_case(case, text="The customer says so.", actor=second)
    merge_case(case, target=middle, actor=analyst)
    middle.refresh_from_db()
    last = case_that_took_in(middle, closed_by=analyst)
    assert set(last.alerts.values_list("pk", flat=True)) > {alert.pk}
    assert not takes(second, alert)
    assert takes(second, last.alerts.exclude(pk=alert.pk).first())


def test_who_commented_on_an_alert_gets_no_second_look_at_it(analyst, second):
    alert, other = alert_of("a"), alert_of("b")
    comment_on_alert(alert, text="I called: it is fraud.", actor=second)
    for one in (alert, other):
        label_alert(one, actor=analyst, **FRAUD)
    assert not takes(second, alert)
    assert takes(second, other)


@pytest.mark.parametrize("page", ["alert_detail", "case_detail"])
def test_who_read_how_the_alert_ended_gets_no_second_look_at_it(analyst, second, client, page):
    case = case_of(analyst, "a")
    alert = case.alerts.get()
    client.force_login(second)
    close_case(case, actor=analyst, **FRAUD)
    number = alert.pk if page == "alert_detail" else case.pk
    assert client.get(reverse(page, args=[number])).status_code == 200
    assert take_second_look(second) is None


def test_who_gives_a_look_back_to_read_the_outcome_does_not_get_it_again(analyst, second, client):
    alert = label_alert(alert_of("a"), actor=analyst, **FRAUD)
    client.force_login(second)
    client.post(reverse("second_look_take"), follow=True)
    assert held_by(second).alert_id == alert.pk
    assert waiting_for(second, timezone.now()).count() == 1
    client.post(reverse("second_look_take"), {"back": "1"})
    assert client.get(reverse("alert_detail", args=[alert.pk])).status_code == 200
    assert take_second_look(second) is None


def test_who_read_the_alert_before_it_was_closed_may_take_a_second_look(analyst, second, client):
    alert, other = alert_of("a"), alert_of("b")
    client.force_login(second)
    for one in (alert, other):
        client.get(reverse("alert_detail", args=[one.pk]))
    label_alert(alert, actor=analyst, **FRAUD)
    assert take_second_look(second).alert_id == alert.pk
