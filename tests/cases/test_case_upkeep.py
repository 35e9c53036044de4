"""Merging and un-merging, hand-overs, checklists, tags: nothing is lost, everything is told."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import AuditEntry
from accounts.roles import ANALYST
from cases.case_alerts import add_to_case, take_out_of_case
from cases.case_models import CaseHandover, CaseMerge, CaseType
from cases.casework import close_case, move_case
from cases.checklists import set_case_type, tick, write_template
from cases.escalating import escalate_overdue
from cases.handovers import answer_handover, assign_case, hand_over
from cases.merging import merge_case, unmerge_case
from cases.models import Alert, Case
from cases.priority import set_priority
from cases.services import comment_on_case
from cases.tagging import set_tags, tag_names
from cases.workflow import MoveRefused
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of, case_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
FALSE = {"disposition": "false_positive", "reason_code": "travel"}


@pytest.fixture
def second(db):
    return user_with_role(ANALYST, username="second")


# --- Merging --------------------------------------------------------------------------------------


def test_a_merged_case_comes_out_as_it_went_in(analyst):
    one, two = case_of(analyst, "a", "b"), case_of(analyst, "c")
    one = move_case(one, move="investigate", actor=analyst)
    comment_on_case(one, text="first", actor=analyst)
    before, story = set(one.alerts.all()), list(one.timeline.values_list("pk", flat=True))
    merge_case(one, target=two, actor=analyst, note="Same device.")
    one.refresh_from_db()
    assert (one.status, one.merged_into, one.alerts.count()) == ("merged", two, 0)
    assert two.alerts.count() == 3
    unmerge_case(one, actor=analyst)
    one.refresh_from_db()
    assert (one.status, one.merged_into) == ("investigating", None)
    assert set(one.alerts.all()) == before
    assert two.alerts.count() == 1
    assert list(one.timeline.values_list("pk", flat=True))[: len(story)] == story
    assert CaseMerge.objects.get().undone_by == analyst


def test_a_merge_raises_the_priority_of_where_it_goes_and_takes_the_earlier_due_time(analyst):
    one, two = case_of(analyst, "a"), case_of(analyst, "b")
    set_priority(one, to=3, reason="", actor=analyst)
    merge_case(one, target=two, actor=analyst)
    two.refresh_from_db()
    assert (two.priority, two.due_at) == (3, one.due_at)


def test_cases_in_a_chain_come_out_from_its_end(analyst):
    a, b, c = (case_of(analyst, name) for name in "abc")
    merge_case(a, target=b, actor=analyst)
    merge_case(Case.objects.get(pk=b.pk), target=c, actor=analyst)
    assert c.alerts.count() == 3
    with pytest.raises(MoveRefused, match="merged"):
        unmerge_case(Case.objects.get(pk=a.pk), actor=analyst)
    unmerge_case(Case.objects.get(pk=b.pk), actor=analyst)
    unmerge_case(Case.objects.get(pk=a.pk), actor=analyst)
    assert [case.alerts.count() for case in (a, b, c)] == [1, 1, 1]


def times(case):
    case = Case.objects.get(pk=case.pk)
    return case.due_at, case.escalate_at


def test_merged_cases_are_due_and_escalated_when_the_first_was_until_they_part(analyst):
    now = timezone.now()
    cases = [case_of(analyst, name) for name in "abc"]
    for case, days in zip(cases, (9, 1, 5), strict=True):
        own = now + timedelta(days=days)
        Case.objects.filter(pk=case.pk).update(due_at=own, escalate_at=own + timedelta(hours=1))
    target, first, second = cases
    own = [times(case) for case in cases]
    merge_case(first, target=target, actor=analyst)
    assert times(target) == own[1]
    merge_case(second, target=target, actor=analyst)
    assert times(target) == own[1]
    # In whatever order they part, what is left in it counts, and then its own time.
    unmerge_case(Case.objects.get(pk=first.pk), actor=analyst)
    assert times(target) == own[2]
    unmerge_case(Case.objects.get(pk=second.pk), actor=analyst)
    assert [times(case) for case in cases] == own


def test_a_case_is_escalated_at_its_own_time_whatever_came_in_and_went_out_before(analyst):
    now = timezone.now()
    source, target = case_of(analyst, "a"), case_of(analyst, "b")
    own = now + timedelta(days=9)
    Case.objects.filter(pk=source.pk).update(escalate_at=now - timedelta(minutes=1))
    Case.objects.filter(pk=target.pk).update(escalate_at=own)
    merge_case(source, target=target, actor=analyst)
    assert escalate_overdue(now) == 1
    unmerge_case(Case.objects.get(pk=source.pk), actor=analyst)
    escalate_overdue(now)
    assert target.escalations.count() == 1
    escalate_overdue(own)
    assert target.escalations.count() == 2


def test_what_cannot_be_merged_is_refused_with_the_reason(analyst, engineer):
    one, done = case_of(analyst, "a"), case_of(analyst, "b")
    close_case(done, **FALSE, actor=analyst)
    with pytest.raises(MoveRefused, match="itself"):
        merge_case(one, target=one, actor=analyst)
    with pytest.raises(MoveRefused, match="closed"):
        merge_case(one, target=done, actor=analyst)
    with pytest.raises(MoveRefused, match="closed"):
        merge_case(done, target=one, actor=analyst)
    with pytest.raises(MoveRefused, match="may not"):
        merge_case(one, target=case_of(analyst, "c"), actor=engineer)
    with pytest.raises(MoveRefused, match="in no other"):
        unmerge_case(one, actor=analyst)
    assert not CaseMerge.objects.exists()


def test_closing_the_target_closes_what_came_in_and_then_nothing_comes_out(analyst):
    one, two = case_of(analyst, "a"), case_of(analyst, "b")
    merge_case(one, target=two, actor=analyst)
    close_case(two, **FALSE, actor=analyst)
    assert set(Alert.objects.values_list("status", flat=True)) == {"closed"}
    with pytest.raises(MoveRefused, match="closed"):
        unmerge_case(one, actor=analyst)


# --- Alerts in and out ----------------------------------------------------------------------------


def test_an_alert_goes_in_raises_priority_and_comes_out_with_a_reason(analyst, lead):
    case = set_priority(case_of(analyst, "a"), to=0, reason="Known.", actor=lead)
    alert = alert_of("b")
    add_to_case(case, [alert], actor=analyst)
    case.refresh_from_db()
    assert (case.priority, case.alerts.count()) == (alert.level, 2)
    with pytest.raises(MoveRefused, match="why"):
        take_out_of_case(case, alert, actor=analyst, reason=" ")
    out = take_out_of_case(case, alert, actor=analyst, reason="Another customer.")
    assert (out.status, out.case) == ("open", None)
    assert case.timeline.last().text == "Another customer."


def test_what_is_not_open_goes_neither_in_nor_out(analyst, engineer):
    case, other = case_of(analyst, "a"), case_of(analyst, "b")
    with pytest.raises(MoveRefused, match="Only open alerts"):
        add_to_case(case, [other.alerts.get()], actor=analyst)
    with pytest.raises(MoveRefused, match="not an open one"):
        take_out_of_case(case, other.alerts.get(), actor=analyst, reason="x")
    with pytest.raises(MoveRefused, match="may not"):
        add_to_case(case, [alert_of("c")], actor=engineer)
    close_case(case, **FALSE, actor=analyst)
    with pytest.raises(MoveRefused, match="closed"):
        add_to_case(case, [alert_of("d")], actor=analyst)


# --- Hand-over ------------------------------------------------------------------------------------


def test_a_case_changes_hands_when_it_is_taken(analyst, second):
    case = case_of(analyst, "a")
    handover = hand_over(case, to=second, note="Call back at 9.", actor=analyst)
    assert Case.objects.get().owner == analyst
    answer_handover(handover, take=True, actor=second)
    assert Case.objects.get().owner == second
    assert [event.kind for event in case.timeline.all()][-2:] == ["handed_over", "handover_ended"]


def test_a_hand_over_is_declined_with_a_reason_or_taken_back(analyst, second):
    case = case_of(analyst, "a")
    handover = hand_over(case, to=second, note="Yours.", actor=analyst)
    with pytest.raises(MoveRefused, match="why"):
        answer_handover(handover, take=False, actor=second)
    assert answer_handover(handover, take=False, actor=second, answer="Away.").status == "declined"
    again = hand_over(case, to=second, note="Yours.", actor=analyst)
    assert answer_handover(again, take=False, actor=analyst).status == "withdrawn"
    assert Case.objects.get().owner == analyst
    with pytest.raises(MoveRefused, match="answered already"):
        answer_handover(again, take=True, actor=second)


def test_who_may_hand_over_and_take(analyst, second, lead, engineer):
    case = case_of(analyst, "a")
    for to, actor, words in (
        (analyst, second, "Only its owner"),
        (analyst, analyst, "already"),
        (engineer, analyst, "does not work on cases"),
    ):
        with pytest.raises(MoveRefused, match=words):
            hand_over(case, to=to, note="x", actor=actor)
    with pytest.raises(MoveRefused, match="has to know"):
        hand_over(case, to=second, note=" ", actor=analyst)
    handover = hand_over(case, to=second, note="x", actor=analyst)
    with pytest.raises(MoveRefused, match="waits already"):
        hand_over(case, to=lead, note="x", actor=analyst)
    for actor in (lead, analyst):
        with pytest.raises(MoveRefused, match="Only who receives"):
            answer_handover(handover, take=True, actor=actor)


def test_the_database_holds_one_waiting_hand_over(analyst, second):
    handover = hand_over(case_of(analyst, "a"), to=second, note="x", actor=analyst)
    handover.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        handover.save()


def test_anybody_takes_a_case_and_a_lead_gives_it(analyst, second, lead, outsider):
    case = case_of(analyst, "a")
    hand_over(case, to=lead, note="x", actor=analyst)
    assert assign_case(case, owner=second, actor=second).owner == second
    assert CaseHandover.objects.get().status == "withdrawn"
    with pytest.raises(MoveRefused, match="Only a lead"):
        assign_case(case, owner=analyst, actor=second)
    assert assign_case(case, owner=None, actor=lead).owner is None
    with pytest.raises(MoveRefused, match="does not work"):
        assign_case(case, owner=outsider, actor=lead)
    with pytest.raises(MoveRefused, match="may not"):
        assign_case(case, owner=outsider, actor=outsider)


# --- Checklists -----------------------------------------------------------------------------------


def test_a_case_copies_its_types_checklist(analyst, lead):
    case = case_of(analyst, "a")
    general = CaseType.objects.get()
    texts = list(general.items.values_list("text", flat=True))
    assert list(case.checks.values_list("text", flat=True)) == texts
    write_template(general, items=["Only this"], detectors=[], actor=lead)
    assert case.checks.count() == len(texts)
    assert list(case_of(analyst, "b").checks.values_list("text", flat=True)) == ["Only this"]
    assert AuditEntry.objects.filter(action="case_type.saved").exists()


def test_a_type_of_the_detector_goes_before_the_general_one(analyst, lead, payments_detector):
    own = write_template(
        CaseType(name="Payments"), items=["x"], detectors=[payments_detector.pk], actor=lead
    )
    assert case_of(analyst, "a").case_type == own


def test_a_tick_says_who_and_when_and_can_be_taken_back(analyst, second):
    check = case_of(analyst, "a").checks.first()
    done = tick(check, done=True, actor=second)
    assert done.done_by == second
    assert done.done_at is not None
    tick(check, done=True, actor=analyst)  # ticked already: whoever was first stays
    check.refresh_from_db()
    assert check.done_by == second
    assert tick(check, done=False, actor=analyst).done_at is None
    kinds = list(check.case.timeline.values_list("kind", flat=True))
    assert kinds[-2:] == ["checked", "unchecked"]


def test_another_type_brings_its_items_and_keeps_what_is_ticked(analyst, lead):
    case = case_of(analyst, "a")
    first = tick(case.checks.first(), done=True, actor=analyst)
    other = write_template(CaseType(name="Other"), items=["New"], detectors=[], actor=lead)
    set_case_type(case, case_type=other, actor=analyst)
    assert list(case.checks.values_list("text", flat=True)) == [first.text, "New"]


def test_a_closed_case_keeps_its_checklist(analyst):
    case = case_of(analyst, "a")
    close_case(case, **FALSE, actor=analyst)
    with pytest.raises(MoveRefused, match="not open"):
        tick(case.checks.first(), done=True, actor=analyst)


# --- Tags -----------------------------------------------------------------------------------------


def test_tags_are_told_and_shared(analyst):
    case = set_tags(case_of(analyst, "a"), names=tag_names(" Mule, travel ,mule"), actor=analyst)
    assert list(case.tags.values_list("name", flat=True)) == ["mule", "travel"]
    assert case.timeline.last().detail == {"tags": ["mule", "travel"]}
    set_tags(case, names=["mule", "travel"], actor=analyst)  # the same again says nothing
    assert case.timeline.filter(kind="tagged").count() == 1
    assert set_tags(case, names=[], actor=analyst).tags.count() == 0


@pytest.mark.parametrize("text", ["a" * 41, "<b>", "=1+1", ",".join(map(str, range(13)))])
def test_odd_tags_are_refused(text):
    with pytest.raises(MoveRefused):
        tag_names(text)


def test_a_closed_case_is_not_handed_over_any_more(analyst, lead):
    case = case_of(analyst, "a")
    handover = hand_over(case, to=lead, note="Yours.", actor=analyst)
    close_case(case, **FALSE, actor=analyst)
    with pytest.raises(MoveRefused, match="answered already"):
        answer_handover(handover, take=True, actor=lead)
    handover.refresh_from_db()
    assert (handover.status, Case.objects.get().owner) == ("withdrawn", analyst)


def test_a_handover_left_over_in_a_closed_case_is_not_taken(analyst, lead):
    case = case_of(analyst, "a")
    handover = hand_over(case, to=lead, note="Yours.", actor=analyst)
    close_case(case, **FALSE, actor=analyst)
    case.handovers.update(status="waiting", answered_at=None)
    with pytest.raises(MoveRefused, match="not open"):
        answer_handover(handover, take=True, actor=lead)


def test_a_merge_ends_the_hand_over_of_what_goes_in(analyst, lead):
    source, target = case_of(analyst, "a"), case_of(analyst, "b")
    handover = hand_over(source, to=lead, note="Yours.", actor=analyst)
    merge_case(source, target=target, actor=analyst)
    handover.refresh_from_db()
    assert handover.status == "withdrawn"
