"""A comment that is sent twice, by a second click or by a page sent again, stands once."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.roles import ANALYST
from cases.bulk import assign_many, comment_on_many
from cases.queue_models import AlertComment
from cases.resting import comment_on_alert
from cases.services import comment_on_case
from tests.accounts.factories import user_with_role
from tests.cases.alerts import case_of, waiting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
SAID = "You said the same a moment ago: the comment stands once."


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


def test_of_two_clicks_on_the_page_of_an_alert_the_second_is_told(reader):
    (alert,) = waiting(1)
    where = reverse("alert_comment", args=[alert.pk])
    for text in ("Called them.", "Called them. "):
        answer = reader.post(where, {"text": text}, follow=True)
    assert SAID in answer.content.decode()
    assert alert.comments.count() == 1
    reader.post(where, {"text": "They called back."})
    assert alert.comments.count() == 2


def test_of_two_clicks_on_the_page_of_a_case_the_second_is_told(reader, analyst):
    case = case_of(analyst, "a")
    where = reverse("case_comment", args=[case.pk])
    answers = [reader.post(where, {"text": "Called @lead"}, follow=True) for _ in range(2)]
    assert "Comment added." in answers[0].content.decode()
    assert SAID in answers[1].content.decode()
    assert case.timeline.filter(kind="comment").count() == 1


def test_somebody_else_and_a_later_minute_may_say_the_same(analyst):
    (alert,) = waiting(1)
    case = case_of(analyst, "a")
    other = user_with_role(ANALYST, username="other")
    comment_on_alert(alert, text="Seen.", actor=analyst)
    comment_on_alert(alert, text="Seen.", actor=other)
    comment_on_case(case, text="Seen.", actor=analyst)
    comment_on_case(case, text="Seen.", actor=other)
    AlertComment.objects.update(at=timezone.now() - timedelta(minutes=2))
    comment_on_alert(alert, text="Seen.", actor=analyst)
    assert alert.comments.count() == 3


def test_the_same_on_many_is_noted_where_it_does_not_stand_yet(analyst):
    one, two = waiting(2)
    comment_on_many([one], actor=analyst, note="Ring.")
    again = comment_on_many([one, two], actor=analyst, note="Ring.")
    assert again.sentence("commented on") == "1 commented on, 1 refused: said a moment ago (1)."
    assert AlertComment.objects.count() == 2


def test_a_note_said_twice_hinders_no_act(analyst, lead):
    (alert,) = waiting(1)
    assign_many([alert], owner=analyst, actor=lead, note="Today, please.")
    assert assign_many([alert], owner=lead, actor=lead, note="Today, please.").done == [alert.pk]
    alert.refresh_from_db()
    assert (alert.owner, alert.comments.count()) == (lead, 1)
