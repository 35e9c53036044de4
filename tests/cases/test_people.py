"""What pages of people say of their queues and their work."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.facts import TEAMS, WORK, facts_of
from cases.models import Alert, Case
from cases.work_queue_models import QueueMember, WorkQueue
from tests.accounts.factories import UserFactory
from tests.cases.alerts import alert_of, case_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]


def test_open_work_is_counted_with_its_list(analyst):
    for user in ("one", "two", "later"):
        Alert.objects.filter(pk=alert_of(user).pk).update(owner=analyst)
    Alert.objects.filter(pk=alert_of("later").pk).update(
        snoozed_until=timezone.now() + timedelta(days=1)
    )
    Case.objects.filter(pk=case_of(analyst, "other").pk).update(owner=analyst)
    found = {fact.text: fact.url for fact in facts_of(WORK, [analyst.pk])[analyst.pk]}
    assert found == {
        "2 open alerts": f"/?owner={analyst.pk}",
        "1 snoozed alert": f"/?owner={analyst.pk}&view=snoozed",
        "1 case": f"/cases/?owner={analyst.pk}",
    }


def test_the_lists_behind_the_counts_hold_as_many(client, analyst, admin):
    for user in ("one", "two"):
        Alert.objects.filter(pk=alert_of(user).pk).update(owner=analyst)
    client.force_login(admin)
    page = client.get(analyst.get_absolute_url()).content.decode()
    assert "2 open alerts" in page
    queue = client.get(reverse("queue"), {"owner": analyst.pk}).content.decode()
    assert queue.count("data-row ") == 2


def test_team_queues_are_named_in_their_order(analyst):
    for name, position in (("Second", 2), ("First", 1)):
        queue = WorkQueue.objects.create(name=name, position=position)
        QueueMember.objects.create(queue=queue, user=analyst)
    told = facts_of(TEAMS, [analyst.pk, UserFactory().pk])
    assert [fact.text for fact in told[analyst.pk]] == ["First", "Second"]
    assert set(told) == {analyst.pk}


def test_what_nobody_asked_of_has_no_facts(analyst):
    assert facts_of("shoe sizes", [analyst.pk]) == {}
    assert facts_of(TEAMS, []) == {}
