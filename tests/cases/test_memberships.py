"""Who works on which team queue, as a table."""

from datetime import UTC, datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.roles import ANALYST, DATA_ENGINEER
from accounts.services import set_roles
from cases.work_queue_models import QueueMember, WorkQueue
from tests.accounts.factories import user_with_role

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(db):
    return user_with_role(ANALYST, username="ann")


def text(response):
    return response.content.decode()


def test_memberships_show_room_skills_and_absence(client, ann):
    queue = WorkQueue.objects.create(name="Night watch")
    QueueMember.objects.create(
        queue=queue, user=ann, capacity=7, skills=["wire"], away_until=timezone.now().date()
    )
    other = user_with_role(ANALYST, username="bob")
    client.force_login(other)
    page = client.get(reverse("membership_list"))
    assert all(word in text(page) for word in ("Night watch", "room 7", "wire", "away until"))
    in_it = client.get(reverse("membership_list"), {"queue": queue.pk}).context["rows"]
    assert [row["user"] for row in in_it] == [ann]
    away = client.get(reverse("membership_list"), {"state": "away", "queue": "none"})
    assert not away.context["rows"]


@pytest.mark.parametrize(
    ("zone", "away"), [("Pacific/Kiritimati", False), ("UTC", True), ("Pacific/Pago_Pago", True)]
)
def test_who_is_away_is_asked_by_the_day_of_where_their_queue_works(
    client, ann, monkeypatch, zone, away
):
    late = datetime(2026, 3, 4, 23, 30, tzinfo=UTC)
    monkeypatch.setattr("cases.membership_views.timezone.now", lambda: late)
    queue = WorkQueue.objects.create(name="Islands", time_zone=zone)
    QueueMember.objects.create(queue=queue, user=ann, away_until=late.date())
    client.force_login(ann)
    page = client.get(reverse("membership_list"), {"state": "away"})
    assert [row["user"] for row in page.context["rows"]] == [ann] * away
    assert ("away until" in text(page)) is away


def test_memberships_are_for_those_who_see_cases(client, outsider):
    client.force_login(outsider)
    assert client.get(reverse("membership_list")).status_code == 403


def test_who_lost_their_role_is_shown_as_one_who_gets_no_work(client, ann, lead):
    queue = WorkQueue.objects.create(name="Night watch")
    QueueMember.objects.create(queue=queue, user=ann)
    client.force_login(lead)
    pages = (reverse("membership_list"), queue.get_absolute_url())
    assert not any("may not work" in text(client.get(page)) for page in pages)
    set_roles(ann, roles=[DATA_ENGINEER], actor=lead)
    for page in pages:
        assert "may not work on alerts or cases" in text(client.get(page))
