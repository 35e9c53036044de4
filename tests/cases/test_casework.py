"""Four eyes on closing above the loss limit; timelines that only grow; priority that only rises."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import DatabaseError, IntegrityError, connection, connections, transaction

from accounts.models import AppendOnlyError, AuditEntry
from accounts.roles import LEAD
from cases.case_events import words_of
from cases.case_models import CaseApproval
from cases.casework import (
    approve_closing,
    ask_to_close,
    close_case,
    move_case,
    return_case,
)
from cases.limits import stake_of
from cases.models import Alert, Case, CaseEvent
from cases.priority import raise_priority, set_priority
from cases.services import comment_on_case
from cases.work_queue_models import WorkQueue
from cases.workflow import MoveRefused
from scoring.models import Label
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of, case_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
FALSE = {"disposition": "false_positive", "reason_code": "travel"}


@pytest.fixture(autouse=True)
def small_limit(settings):
    settings.CASE_APPROVAL_LIMIT = Decimal(15_000)


@pytest.fixture
def asked(analyst):
    """A case of 20,000 that an analyst asked to close as fraud."""
    return ask_to_close(case_of(analyst, "a"), **FRAUD, actor=analyst, notes="Sure.").case


def kinds(case):
    return list(case.timeline.values_list("kind", flat=True))


def test_above_the_limit_one_person_cannot_close(analyst, lead):
    case = case_of(analyst, "a")
    for user in (analyst, lead):
        with pytest.raises(MoveRefused, match="ask for approval"):
            close_case(case, **FRAUD, actor=user)
    assert (Case.objects.get().status, Label.objects.count()) == ("open", 0)


def test_within_the_limit_one_person_closes_and_needs_not_ask(analyst, settings):
    settings.CASE_APPROVAL_LIMIT = Decimal(20_000)
    case = case_of(analyst, "a")
    with pytest.raises(MoveRefused, match="needs no approval"):
        ask_to_close(case, **FRAUD, actor=analyst)
    assert close_case(case, **FRAUD, actor=analyst).status == "closed"


def test_asking_labels_nothing_and_approving_does(asked, analyst, lead):
    assert (asked.status, asked.disposition, Label.objects.count()) == ("pending_approval", "", 0)
    assert set(Alert.objects.values_list("status", flat=True)) == {"in_case"}
    case = approve_closing(asked, actor=lead, note="I agree.")
    assert (case.status, case.disposition) == ("closed", "fraud")
    assert list(Label.objects.values_list("is_fraud", "author", "notes")) == [
        (True, analyst.pk, "Sure.")
    ]
    assert kinds(case) == ["opened", "alert_added", "asked", "closed", "comment"]
    approval = CaseApproval.objects.get()
    assert (approval.status, approval.decided_by, approval.decision_note) == (
        "approved", lead, "I agree.",
    )  # fmt: skip


@pytest.mark.parametrize("act", [approve_closing, return_case])
def test_nobody_decides_what_they_asked_for(lead, act):
    case = ask_to_close(case_of(lead, "a"), **FRAUD, actor=lead).case
    with pytest.raises(MoveRefused, match="second person"):
        act(case, actor=lead, note="Fine by me.")
    assert (Case.objects.get().status, Label.objects.count()) == ("pending_approval", 0)


@pytest.mark.parametrize("status", ["approved", "returned"])
def test_the_database_refuses_self_approval_too(asked, analyst, status):
    with pytest.raises(IntegrityError), transaction.atomic():
        CaseApproval.objects.update(status=status, decided_by=analyst)


def test_the_database_refuses_an_approval_by_nobody_and_two_that_wait(asked):
    with pytest.raises(IntegrityError), transaction.atomic():
        CaseApproval.objects.update(status="approved")
    approval = CaseApproval.objects.get()
    approval.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        approval.save()


def test_who_may_not_approve_does_not(asked, engineer, outsider):
    second = user_with_role("Analyst", username="second")
    for user in (second, engineer, outsider):
        with pytest.raises(MoveRefused, match="may not"):
            approve_closing(asked, actor=user)


def test_a_case_is_returned_with_a_note_and_asked_for_again(asked, analyst, lead):
    with pytest.raises(MoveRefused, match="what is missing"):
        return_case(asked, actor=lead, note=" ")
    case = return_case(asked, actor=lead, note="Call the customer.")
    assert (case.status, Label.objects.count()) == ("investigating", 0)
    assert case.timeline.last().text == "Call the customer."
    ask_to_close(case, **FALSE, actor=analyst)
    assert approve_closing(case, actor=lead).disposition == "false_positive"
    assert list(Label.objects.values_list("is_fraud", flat=True)) == [False]


def test_only_who_asked_takes_it_back(asked, analyst, lead):
    with pytest.raises(MoveRefused, match="Only who asked"):
        move_case(asked, move="withdraw", actor=lead)
    case = move_case(asked, move="withdraw", actor=analyst)
    assert (case.status, CaseApproval.objects.get().status) == ("investigating", "withdrawn")
    assert case.timeline.last().kind == "withdrawn"


def test_an_approver_looks_again_when_more_has_come(asked, lead):
    seen = stake_of(asked).events
    alert_of("a")
    with pytest.raises(MoveRefused, match="1 more event came"):
        approve_closing(asked, actor=lead, seen=seen)
    assert approve_closing(asked, actor=lead, seen=seen + 1).status == "closed"


def test_a_case_waiting_for_approval_is_neither_closed_nor_merged(asked, analyst):
    for name in ("close", "merge", "investigate"):
        with pytest.raises(MoveRefused):
            move_case(asked, move=name, actor=analyst)
    with pytest.raises(MoveRefused, match="pending approval"):
        close_case(asked, **FRAUD, actor=analyst)


def test_the_limit_of_the_queue_goes_before_the_installations(analyst):
    queue = WorkQueue.objects.create(name="Large", position=1, approval_limit=Decimal(100_000))
    case = case_of(analyst, "a")
    assert case.work_queue == queue
    assert close_case(case, **FRAUD, actor=analyst).status == "closed"


def test_the_closing_is_audited_with_its_two_people(asked, analyst, lead):
    approve_closing(asked, actor=lead)
    rows = AuditEntry.objects.filter(action__in=("case.ask", "case.approve")).order_by("number")
    assert list(rows.values_list("action", "actor")) == [
        ("case.ask", analyst.pk), ("case.approve", lead.pk),
    ]  # fmt: skip
    assert [row.detail["approval"] for row in rows] == [CaseApproval.objects.get().pk] * 2


@pytest.mark.django_db(transaction=True)
def test_two_who_decide_at_once_decide_once(asked, lead):
    other = user_with_role(LEAD, username="other")

    def decide(act):
        try:
            act()
        except (MoveRefused, DatabaseError):
            return 0
        finally:
            connections.close_all()
        return 1

    with ThreadPoolExecutor(2) as pool:
        done = pool.map(decide, [
            lambda: approve_closing(asked, actor=lead),
            lambda: return_case(asked, actor=other, note="No."),
        ])  # fmt: skip
    assert sum(done) == 1
    approval = CaseApproval.objects.get()
    assert (approval.status == "approved") == (Case.objects.get().status == "closed")
    assert Label.objects.count() == (approval.status == "approved")


# --- The timeline ---------------------------------------------------------------------------------


def test_the_model_adds_to_a_timeline_and_never_changes_it(analyst):
    event = case_of(analyst, "a").timeline.first()
    event.text = "never said"
    for act in (
        event.save,
        event.delete,
        CaseEvent.objects.all().delete,
        lambda: CaseEvent.objects.update(text="never said"),
    ):
        with pytest.raises(AppendOnlyError):
            act()


@pytest.mark.parametrize(
    "statement", ["UPDATE cases_caseevent SET text = 'x'", "DELETE FROM cases_caseevent"]
)
def test_the_database_refuses_to_change_a_timeline_too(analyst, statement):
    case_of(analyst, "a")
    refused = pytest.raises(DatabaseError, match="never")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert CaseEvent.objects.count() == 2


# --- Priority -------------------------------------------------------------------------------------


def test_a_case_begins_as_urgent_as_its_highest_alert(analyst):
    case = case_of(analyst, "a")
    assert case.priority == case.alerts.get().level


def test_new_evidence_raises_priority_and_never_lowers_it(analyst, lead):
    case = case_of(analyst, "a")
    level = case.priority
    set_priority(case, to=0, reason="Known customer.", actor=lead)
    alert_of("a")
    case.refresh_from_db()
    assert case.priority == level
    assert kinds(case)[-2:] == ["evidence", "priority"]
    assert not raise_priority(case, 0, why="nothing")
    case.refresh_from_db()
    assert case.priority == level


def test_an_analyst_raises_priority_and_a_lead_lowers_it_with_a_reason(analyst, lead):
    case = set_priority(case_of(analyst, "a"), to=3, reason="", actor=analyst)
    with pytest.raises(MoveRefused, match="only rises"):
        set_priority(case, to=0, reason="Not that bad.", actor=analyst)
    with pytest.raises(MoveRefused, match="why"):
        set_priority(case, to=0, reason=" ", actor=lead)
    case = set_priority(case, to=0, reason="Not that bad.", actor=lead)
    assert (case.priority, case.timeline.last().text) == (0, "Not that bad.")


@pytest.mark.parametrize("to", [-1, 4])
def test_an_unknown_priority_is_refused(analyst, to):
    with pytest.raises(MoveRefused):
        set_priority(case_of(analyst, "a"), to=to, reason="Because.", actor=analyst)


# --- Mentions -------------------------------------------------------------------------------------


def test_who_is_named_in_a_comment_and_may_read_it_is_kept(analyst, lead, outsider):
    text = "@lead look; @outsider @nobody @analyst a@lead.org, and again (@lead)."
    event = comment_on_case(case_of(analyst, "a"), text=text, actor=analyst)
    assert list(event.mentions.values_list("user__username", flat=True)) == ["lead"]


def test_the_timeline_keeps_as_what_a_case_was_closed_before_it_was_reopened(
    analyst, lead, settings
):
    settings.CASE_APPROVAL_LIMIT = None
    case = case_of(analyst, "a")
    close_case(case, **FALSE, actor=analyst)
    move_case(case, move="reopen", actor=lead)
    (closed,) = case.timeline.filter(kind="closed")
    assert words_of(closed).startswith("closed the case as false positive, travel")


def test_the_timeline_says_as_what_a_case_was_asked_to_be_closed(asked):
    (told,) = asked.timeline.filter(kind="asked")
    assert words_of(told).startswith("asked to close it as fraud, card testing: 20,000.00 EUR")


def test_an_old_entry_without_an_outcome_can_be_read(asked):
    for detail in ({}, {"disposition": "odd"}, {"disposition": "fraud", "reason_code": "gone"}):
        assert words_of(CaseEvent(kind="closed", detail=detail)).startswith("closed the case")
