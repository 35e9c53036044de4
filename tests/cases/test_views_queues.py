"""Pages of team queues and case types: everybody reads, leads change, everything is audited."""

import re
from datetime import UTC, datetime

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from cases.case_models import CaseType
from cases.work_queue_models import QueueMember, WorkQueue
from tests.cases.alerts import alert_of, case_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
GIVEN = {
    "name": "Payments",
    "position": "1",
    "is_active": "on",
    "least_level": "1",
    "time_zone": "Europe/Zurich",
    "assignment": "skill",
    "due_hours": "1.5",
    "escalate_hours": "3",
    "approval_limit": "1000",
    "escalation_notifies": "on",
    "day_0": "9:00-12:00, 13:00-17:00",
    "day_6": "0:00-24:00",
    "holidays_text": "2026-12-25 Christmas\n2026-01-01",
}


@pytest.fixture
def leader(client, lead):
    client.force_login(lead)
    return client


def text(response):
    return response.content.decode()


def detail(queue):
    return reverse("work_queue_detail", args=[queue.pk])


def test_a_lead_makes_a_queue_that_then_takes_alerts(leader, payments_detector):
    answer = leader.post(reverse("work_queue_new"), GIVEN | {"detectors": [payments_detector.pk]})
    queue = WorkQueue.objects.get(name="Payments")
    assert answer.url == queue.get_absolute_url()
    assert (queue.due_after, queue.escalate_after, queue.escalation_raises) == (90, 180, False)
    assert queue.week[0] == [[540, 720], [780, 1020]]
    assert queue.week[1] == []
    assert queue.holidays == [["2026-01-01", ""], ["2026-12-25", "Christmas"]]
    assert alert_of("a").work_queue == queue
    assert AuditEntry.objects.filter(action="work_queue.created").exists()
    shown = text(leader.get(detail(queue)))
    assert "9:00-12:00, 13:00-17:00" in shown
    assert "2026-12-25 Christmas" in shown


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"name": ""}, "required"),
        ({"name": "General"}, "already exists"),
        ({"time_zone": "Mars"}, "not a time zone"),
        ({"day_0": "nine"}, "write 9:00-17:00"),
        ({"day_0": "17:00-9:00"}, "starts before it ends"),
        ({"day_0": "9:00-12:00, 11:00-13:00"}, "do not overlap"),
        ({"day_0": "", "day_6": ""}, "work on some day"),
        ({"holidays_text": "Christmas"}, "Line 1"),
        ({"due_hours": "0"}, "greater than or equal"),
        ({"approval_limit": "-1"}, "0 or more"),
        ({"assignment": "magic"}, "valid choice"),
    ],
)
def test_a_wrong_queue_is_refused_with_the_reason_and_keeps_what_was_typed(leader, wrong, words):
    answer = leader.post(reverse("work_queue_new"), GIVEN | {"time_zone": "Asia/Tokyo"} | wrong)
    assert answer.status_code == 422
    assert words in text(answer)
    assert "time_zone" in wrong or "Asia/Tokyo" in text(answer)
    assert WorkQueue.objects.count() == 1


def test_members_are_added_changed_and_taken_out(leader, analyst):
    queue = WorkQueue.objects.get()
    where = reverse("work_queue_member", args=[queue.pk])
    given = {
        "user": analyst.pk,
        "capacity": 7,
        "skills_text": "Payments, HIGH",
        "is_available": "on",
    }
    leader.post(where, given)
    member = QueueMember.objects.get()
    assert (member.user, member.capacity, member.skills) == (analyst, 7, ["payments", "high"])
    leader.post(where, given | {"capacity": 3, "away_until": "2027-01-01"})
    member.refresh_from_db()
    assert (member.capacity, member.away_until.year) == (3, 2027)
    assert "0 of 3 open" in text(leader.get(detail(queue)))
    leader.post(where, {"user": analyst.pk, "remove": "1"})
    assert not QueueMember.objects.exists()
    assert AuditEntry.objects.filter(action="work_queue.member_removed").exists()


@pytest.mark.parametrize(
    "wrong", [{"user": "999"}, {"user": ""}, {"capacity": "-1"}, {"capacity": "9999"}]
)
def test_a_wrong_member_is_refused(leader, analyst, wrong):
    queue = WorkQueue.objects.get()
    where = reverse("work_queue_member", args=[queue.pk])
    answer = leader.post(where, {"user": analyst.pk, "capacity": 5} | wrong)
    assert answer.status_code == 422
    assert not QueueMember.objects.exists()


def test_a_member_says_themselves_whether_they_take_work(client, analyst, lead):
    member = QueueMember.objects.create(queue=WorkQueue.objects.get(), user=analyst)
    where = reverse("work_queue_availability", args=[member.pk])
    client.force_login(lead)
    assert client.post(where, {"available": "0"}).status_code == 404
    client.force_login(analyst)
    assert "Taking work" in text(client.get(reverse("work_queue_list")))
    client.post(where, {"available": "0"})
    member.refresh_from_db()
    assert not member.is_available


def test_pages_say_of_an_absence_what_giving_out_work_goes_by(client, place):
    """Away until a day that is over: back. Until one to come: away, and one click ends it."""
    client.force_login(place.user)
    listed = reverse("work_queue_list")
    for until, is_away in (("2020-01-01", False), ("2099-01-01", True)):
        QueueMember.objects.update(away_until=until)
        assert ("away until" in text(client.get(detail(place.queue)))) == is_away
        assert ("Taking work" in text(client.get(listed))) != is_away
    said = re.search(r'name="available"\s+value="(\d)"', text(client.get(listed)))[1]
    client.post(reverse("work_queue_availability", args=[place.pk]), {"available": said})
    place.refresh_from_db()
    assert (place.is_available, place.away_until) == (True, None)


def test_the_day_of_an_absence_is_that_of_the_queue():
    queue = WorkQueue(time_zone="Pacific/Auckland")
    assert str(queue.day_at(datetime(2026, 6, 1, 20, tzinfo=UTC))) == "2026-06-02"


def test_a_type_is_written_with_its_checklist(leader, payments_detector, lead):
    given = {
        "name": "Takeover",
        "is_active": "on",
        "detectors": [payments_detector.pk],
        "items": "Call  them\n\nCall them\nBlock the card",
    }
    assert leader.post(reverse("case_type_new"), given).status_code == 302
    found = CaseType.objects.get(name="Takeover")
    assert list(found.items.values_list("text", flat=True)) == ["Call them", "Block the card"]
    case = case_of(lead, "a")
    assert list(case.checks.values_list("text", flat=True)) == ["Call them", "Block the card"]
    shown = text(leader.get(reverse("case_type_detail", args=[found.pk])))
    assert "Block the card" in shown


@pytest.mark.parametrize("wrong", [{"name": ""}, {"items": "x\n" + "\n".join(map(str, range(31)))}])
def test_a_wrong_type_is_refused(leader, wrong):
    given = {"name": "Takeover", "items": "One"} | wrong
    assert leader.post(reverse("case_type_new"), given).status_code == 422
    assert CaseType.objects.count() == 1


def read_of(page):
    return re.search(r'name="read" value="(\w*)"', text(page))[1]


def test_a_form_that_lay_open_does_not_undo_what_a_colleague_saved_meanwhile(leader):
    queue = WorkQueue.objects.get()
    opened = read_of(leader.get(detail(queue)))
    assert leader.post(detail(queue), GIVEN | {"read": opened}).status_code == 302
    lines = {"holidays_text": "2026-01-01\r\n2026-12-25 Christmas"}  # As browsers send it.
    stale = GIVEN | lines | {"read": opened, "due_hours": "7"}
    answer = leader.post(detail(queue), stale)
    assert answer.status_code == 422
    assert "Somebody changed this since you opened the page" in text(answer)
    assert "It differs from what is saved in: Due after, working hours." in text(answer)
    queue.refresh_from_db()
    assert queue.due_after == 90
    # Whoever read that may put theirs in place, and no later change with it.
    assert leader.post(detail(queue), stale | {"read": read_of(answer)}).status_code == 302
    queue.refresh_from_db()
    assert queue.due_after == 420


def test_a_wrong_form_does_not_count_as_read_anew(leader):
    queue = WorkQueue.objects.get()
    opened = read_of(leader.get(detail(queue)))
    leader.post(detail(queue), GIVEN | {"read": opened})
    wrong = leader.post(detail(queue), GIVEN | {"read": opened, "day_0": "nine"})
    assert (wrong.status_code, read_of(wrong)) == (422, opened)


def place_of(page):
    """The mark that the form of the first member was opened with."""
    return re.search(
        r'name="user" value="\d+">\s*<input type="hidden" name="read" value="(\w*)"', page
    )[1]


@pytest.fixture
def place(analyst):
    return QueueMember.objects.create(queue=WorkQueue.objects.get(), user=analyst, capacity=20)


@pytest.fixture
def places(place):
    return reverse("work_queue_member", args=[place.queue_id])


def test_the_form_of_a_place_does_not_undo_what_a_colleague_saved_meanwhile(leader, place, places):
    given = {"user": place.user_id, "capacity": 20, "is_available": "on"}
    given["read"] = place_of(text(leader.get(detail(place.queue))))
    place.last_assigned_at = timezone.now()  # Work that comes to them is no change of the place.
    place.save()
    assert leader.post(places, given | {"away_until": "2027-01-01"}).status_code == 302
    stale = given | {"capacity": 5}
    answer = leader.post(places, stale)
    assert answer.status_code == 422
    assert "It differs from what is saved in: Open at a time; Away until." in text(answer)
    assert 'value="5"' in text(answer)
    place.refresh_from_db()
    assert (place.capacity, str(place.away_until)) == (20, "2027-01-01")
    assert leader.post(places, stale | {"read": place_of(text(answer))}).status_code == 302
    place.refresh_from_db()
    assert (place.capacity, place.away_until) == (5, None)


def test_whoever_was_added_or_taken_out_meanwhile_stays_so(leader, place, places):
    adding = {"user": place.user_id, "capacity": 3, "read": "", "is_available": "on"}
    answer = leader.post(places, adding)
    assert (answer.status_code, "saved in: Open at a time" in text(answer)) == (422, True)
    changing = adding | {"read": place_of(text(leader.get(detail(place.queue))))}
    leader.post(places, {"user": place.user_id, "remove": "1"})
    answer = leader.post(places, changing)
    assert (answer.status_code, "was taken out" in text(answer)) == (422, True)
    assert 'value="3"' in text(answer)
    assert leader.post(places, {"user": place.user_id, "remove": "1"}).status_code == 302
    assert not QueueMember.objects.exists()


def test_a_wrong_place_keeps_what_was_typed_and_what_was_read(leader, place, places):
    wrong = {"user": place.user_id, "capacity": 9999, "skills_text": "vip", "read": "0ld"}
    answer = leader.post(places, wrong)
    assert (answer.status_code, place_of(text(answer))) == (422, "0ld")
    assert 'value="9999"' in text(answer)
    assert 'value="vip"' in text(answer)


def test_beside_a_refused_place_the_form_of_the_queue_leads_where_it_is_saved(
    leader, place, places
):
    answer = text(leader.post(places, {"user": place.user_id, "capacity": 9999}))
    assert f'action="{detail(place.queue)}"' in answer
    assert answer.count(f'action="{places}"') == 2  # The place's own form, and that which adds.


def test_a_case_type_keeps_what_a_colleague_wrote_meanwhile(leader):
    kind = CaseType.objects.get()
    address = reverse("case_type_detail", args=[kind.pk])
    given = {"name": kind.name, "is_active": "on", "read": read_of(leader.get(address))}
    assert leader.post(address, given | {"items": "Call them"}).status_code == 302
    answer = leader.post(address, given | {"items": "Block the card"})
    assert (answer.status_code, "saved in: Checklist" in text(answer)) == (422, True)
    assert list(kind.items.values_list("text", flat=True)) == ["Call them"]


def test_who_may_read_and_who_may_change(client, analyst, engineer, outsider, lead):
    queue, kind = WorkQueue.objects.get(), CaseType.objects.get()
    reads = [
        reverse("work_queue_list"),
        detail(queue),
        reverse("case_type_list"),
        reverse("case_type_detail", args=[kind.pk]),
    ]
    changes = [
        reverse("work_queue_new"),
        detail(queue),
        reverse("work_queue_member", args=[queue.pk]),
        reverse("case_type_new"),
        reverse("case_type_detail", args=[kind.pk]),
    ]
    for page in [*reads, *changes]:
        assert client.get(page).status_code == 302
    for user in (analyst, engineer):
        client.force_login(user)
        for page in reads:
            shown = client.get(page)
            assert shown.status_code == 200
            assert "Save" not in text(shown)
        for page in changes:
            assert client.post(page, GIVEN).status_code == 403
    client.force_login(outsider)
    for page in [*reads, *changes]:
        assert client.post(page).status_code in (403, 405)
        assert client.get(page).status_code in (403, 405)


def test_pages_cost_the_same_queries_for_any_number_of_queues_and_people(
    leader, analyst, django_assert_max_num_queries
):
    for n in range(12):
        queue = WorkQueue.objects.create(name=f"Queue {n}")
        QueueMember.objects.create(queue=queue, user=analyst)
        CaseType.objects.create(name=f"Type {n}")
    leader.get(reverse("work_queue_list"))
    # The frame's five; alerts, cases, queues, detectors, members.
    with django_assert_max_num_queries(10):
        leader.get(reverse("work_queue_list"))
    # Queue, people (who may lead, who may join), leads, detectors (all, chosen), members, loads.
    with django_assert_max_num_queries(15):
        leader.get(detail(queue))
    with django_assert_max_num_queries(9):
        leader.get(reverse("case_type_list"))
