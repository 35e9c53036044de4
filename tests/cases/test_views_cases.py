"""Case and entity pages."""

import pytest
from django.urls import reverse

from cases.casework import close_case, move_case
from cases.models import Case, Touch
from cases.workflow import CaseStatus
from tests.accounts.factories import UserFactory
from tests.cases.alerts import alert_of, case_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
FALSE = {"disposition": "false_positive", "reason_code": "travel"}


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


def url(name, case):
    return reverse(name, args=[case.pk])


def test_the_list_shows_live_cases_with_their_total_and_closed_ones_when_asked(reader, analyst):
    live, done = case_of(analyst, "a", "b"), case_of(analyst, "c")
    close_case(done, **FALSE, actor=analyst)
    page = reader.get(reverse("case_list"))
    assert list(page.context["page_obj"]) == [live]
    assert "€\xa040,000" in page.content.decode().replace("&nbsp;", "\xa0")
    closed = reader.get(reverse("case_list"), {"status": "closed"})
    assert list(closed.context["page_obj"]) == [done]


def test_cases_are_found_by_title_number_and_owner(reader, analyst):
    case = case_of(analyst, "a")
    for query in ({"q": "odd"}, {"q": str(case.pk)}, {"owner": "me"}):
        assert list(reader.get(reverse("case_list"), query).context["page_obj"]) == [case]
    assert not list(reader.get(reverse("case_list"), {"q": "nothing"}).context["page_obj"])


def test_the_list_costs_the_same_queries_for_any_number_of_cases(
    reader, analyst, django_assert_max_num_queries
):
    for cases in (1, 20):
        for i in range(cases):
            case_of(analyst, f"user-{cases}-{i}")
        # Session, user, permissions (user's and groups'), banner; counts by status,
        # overdue ones, by the rest with names of people and queues, by tag; total, page, tags, sums
        # of alerts, hand-overs.
        with django_assert_max_num_queries(17):
            reader.get(reverse("case_list"))


def test_a_case_costs_the_same_queries_for_any_number_of_alerts(
    reader, analyst, django_assert_max_num_queries
):
    for case in (case_of(analyst, "a"), case_of(analyst, *[f"user-{i}" for i in range(20)])):
        reader.get(case.get_absolute_url())
        # The frame's five; case, touch, stake, approvals, alerts, merged cases, tags, hand-over,
        # checklist, timeline and its mentions; for who may work on it people, types, like cases.
        with django_assert_max_num_queries(20):
            reader.get(case.get_absolute_url())


def test_a_comment_lands_in_the_timeline(reader, analyst):
    case = case_of(analyst, "a")
    reader.post(url("case_comment", case), {"text": "Called <the> bank"})
    assert "Called &lt;the&gt; bank" in reader.get(case.get_absolute_url()).content.decode()


def test_an_empty_comment_is_refused_with_the_reason(reader, analyst):
    answer = reader.post(url("case_comment", case_of(analyst, "a")), {"text": "  "})
    assert answer.status_code == 422
    assert "Write something first." in answer.content.decode()


def test_the_moves_of_the_table_are_the_buttons(reader, analyst):
    case = case_of(analyst, "a")
    names = [move.name for move in reader.get(case.get_absolute_url()).context["moves"]]
    assert names == ["investigate", "close"]
    reader.post(url("case_move", case), {"move": "investigate"})
    case.refresh_from_db()
    assert case.status == CaseStatus.INVESTIGATING


def test_an_impossible_move_is_refused_with_the_reason(reader, analyst):
    answer = reader.post(url("case_move", case_of(analyst, "a")), {"move": "reopen"})
    assert answer.status_code == 422
    assert "cannot reopen" in answer.content.decode()


def test_only_a_lead_is_offered_to_reopen(client, reader, analyst, lead):
    case = close_case(case_of(analyst, "a"), **FALSE, actor=analyst)
    assert reader.get(case.get_absolute_url()).context["moves"] == []
    assert reader.post(url("case_move", case), {"move": "reopen"}).status_code == 422
    client.force_login(lead)
    assert client.post(url("case_move", case), {"move": "reopen"}).status_code == 302


def test_closing_a_case_closes_its_alerts(reader, analyst):
    case = case_of(analyst, "a", "b")
    reader.post(url("case_close", case), FALSE | {"notes": "On holiday."})
    case.refresh_from_db()
    assert case.status == CaseStatus.CLOSED
    assert {alert.status for alert in case.alerts.all()} == {"closed"}
    assert "On holiday." in reader.get(case.get_absolute_url()).content.decode()


@pytest.mark.parametrize("wrong", [{"reason_code": "card_testing"}, {"disposition": ""}])
def test_a_refused_closing_keeps_what_was_typed(reader, analyst, wrong):
    case = case_of(analyst, "a")
    answer = reader.post(url("case_close", case), FALSE | {"notes": "Long note"} | wrong)
    assert answer.status_code == 422
    assert "Long note" in answer.content.decode()
    assert Case.objects.get().status == CaseStatus.OPEN


def test_looking_at_a_case_is_a_touch_that_an_act_ends(reader, analyst):
    case = case_of(analyst, "a")
    reader.get(case.get_absolute_url())
    assert Touch.objects.get(case=case).closed_at is None
    reader.post(url("case_comment", case), {"text": "Done"})
    assert Touch.objects.get(case=case).closed_at is not None


@pytest.mark.parametrize("name", ["case_comment", "case_move", "case_close"])
def test_who_only_reads_cannot_work_a_case(client, analyst, engineer, outsider, name):
    case = case_of(analyst, "a")
    assert client.post(url(name, case)).status_code == 302
    for user in (engineer, outsider):
        client.force_login(user)
        assert client.post(url(name, case)).status_code == 403
    client.force_login(engineer)
    assert url(name, case) not in client.get(case.get_absolute_url()).content.decode()


def test_a_stranger_signs_in_first_and_an_outsider_is_refused(client, analyst):
    pages = [reverse("case_list"), case_of(analyst, "a").get_absolute_url()]
    for page in pages:
        assert client.get(page).status_code == 302
    client.force_login(UserFactory())
    for page in pages:
        assert client.get(page).status_code == 403


def entity_page(alert):
    return reverse("entity_detail", args=["payments", alert.entity])


def test_an_entity_has_its_events_alerts_and_cases_on_one_page(reader, analyst):
    case = case_of(analyst, "a")
    text = reader.get(entity_page(case.alerts.get())).content.decode()
    assert case.get_absolute_url() in text
    assert case.alerts.get().get_absolute_url() in text
    assert case.alerts.get().top_prediction.get_absolute_url() in text


def test_an_entity_costs_the_same_queries_for_any_number_of_events(
    reader, analyst, django_assert_max_num_queries
):
    for events in (1, 30):
        for _ in range(events):
            alert = alert_of("a")
        # The frame's five; detector, events, labels, alerts.
        with django_assert_max_num_queries(10):
            reader.get(entity_page(alert))


def test_an_unknown_entity_or_case_is_404(reader):
    assert reader.get(reverse("entity_detail", args=["payments", "0" * 32])).status_code == 404
    assert reader.get(reverse("entity_detail", args=["nothing", "0" * 32])).status_code == 404
    assert reader.get(reverse("case_detail", args=[99])).status_code == 404


def test_an_outsider_sees_no_entity(client, outsider):
    alert = alert_of("a")
    assert client.get(entity_page(alert)).status_code == 302
    client.force_login(outsider)
    assert client.get(entity_page(alert)).status_code == 403


def test_a_case_is_closed_by_its_moves_alone(reader, analyst):
    case = move_case(case_of(analyst, "a"), move="investigate", actor=analyst)
    assert reader.post(url("case_move", case), {"move": "close"}).status_code == 422
