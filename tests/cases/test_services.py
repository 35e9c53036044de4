"""Alerts group what belongs together; triage and cases leave labels and a trail."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import DatabaseError, IntegrityError, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEntry
from cases import services
from cases.case_alerts import open_case
from cases.casework import close_case, move_case
from cases.models import Alert, AlertPrediction
from cases.selectors import linked
from cases.services import assign_alert, comment_on_case, label_alert, open_alerts
from cases.workflow import AlertStatus, MoveRefused
from scoring.models import Label
from tests.cases.alerts import alert_of, case_of, flagged
from tests.factories import payment, risky_payment, scored, scored_many

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
FALSE = {"disposition": "false_positive", "reason_code": "travel"}
UNCLEAR = {"disposition": "inconclusive", "reason_code": "no_contact"}


def actions():
    return list(AuditEntry.objects.order_by("number").values_list("action", flat=True))


def test_predictions_of_one_entity_share_an_alert_and_others_do_not():
    rows = flagged("a", "a", "b")
    assert open_alerts([row.pk for row in rows]) == 3
    assert sorted(Alert.objects.values_list("predictions_count", flat=True)) == [1, 2]


def test_what_alerts_of_one_run_have_in_common_is_looked_up_once():
    """In a wave of fraud each further alert must cost its own rows alone."""
    few, many = flagged("a", "b"), flagged(*(f"user-{i}" for i in range(12)))
    open_alerts([row.pk for row in flagged("first")])

    def queries(rows):
        with CaptureQueriesContext(connection) as captured:
            assert open_alerts([row.pk for row in rows]) == len(rows)
        return len(captured)

    assert queries(many) - queries(few) <= 10 * 11  # Two of the eleven are the savepoint's.


def test_an_alert_whose_facet_was_rolled_back_gets_one_all_the_same(monkeypatch):
    """The next alert must not refer to a row that never came to be."""
    first, second = flagged("a", "b")
    summed, failed = services.sum_up, []

    def failing(*args, **options):
        summed(*args, **options)
        if not failed:
            failed.append(True)
            raise DatabaseError("broken off")

    monkeypatch.setattr(services, "sum_up", failing)
    assert open_alerts([first.pk, second.pk]) == 1
    assert open_alerts([first.pk, second.pk]) == 1
    assert len(set(Alert.objects.values_list("facet", flat=True)) - {None}) == 1


def test_an_alert_sums_up_its_predictions():
    rows = scored_many("payments", [
        risky_payment(amount=11_000, timestamp="2020-06-01T12:10:00Z"),
        risky_payment(amount=12_000.5, timestamp="2020-06-01T12:00:00Z"),
    ])  # fmt: skip
    open_alerts([row.pk for row in rows])
    alert = Alert.objects.get()
    assert (alert.exposure, alert.currency) == (Decimal("23000.50"), "EUR")
    assert (alert.first_event_at.minute, alert.last_event_at.minute) == (0, 10)
    assert (alert.level_name, alert.risk) == ("HIGH", None)
    assert alert.expected_loss == pytest.approx(11_500.25)


def test_the_riskiest_prediction_leads_its_alert(champion):
    small, large, middle = scored_many(
        "payments", [risky_payment(amount=a) for a in (10_001, 900_000, 10_002)]
    )
    open_alerts([small.pk, large.pk, middle.pk])
    alert = Alert.objects.get()
    assert alert.risk == max(row.risk for row in (small, large, middle))
    assert alert.top_prediction.risk == alert.risk


def test_of_equal_predictions_the_one_that_happened_first_leads_its_alert():
    times = [f"2020-06-01T12:{minutes}:00Z" for minutes in (30, 10, 20)]
    rows = scored_many("payments", [risky_payment(timestamp=time) for time in times])
    open_alerts([row.pk for row in rows])
    assert Alert.objects.get().top_prediction.pk == rows[1].pk


def test_opening_alerts_twice_changes_nothing():
    ids = [row.pk for row in flagged("a", "a")]
    assert (open_alerts(ids), open_alerts(ids)) == (2, 0)
    assert Alert.objects.get().predictions_count == 2


def test_a_closed_alert_takes_no_more_and_a_new_one_opens(analyst):
    first = alert_of("a")
    label_alert(first, **FRAUD, actor=analyst)
    second = alert_of("a")
    assert second.pk != first.pk
    assert second.status == AlertStatus.OPEN


def test_a_prediction_that_was_handled_opens_no_empty_alert(analyst, monkeypatch):
    (row,) = flagged("a")
    open_alerts([row.pk])
    label_alert(Alert.objects.get(), **FRAUD, actor=analyst)
    answers = iter([set()])  # The first look was before the other worker's commit.
    monkeypatch.setattr("cases.services.linked", lambda ids: next(answers, linked(ids)))
    assert open_alerts([row.pk]) == 0
    assert Alert.objects.count() == 1


def test_an_alert_in_a_case_goes_on_collecting(analyst):
    case_of(analyst, "a")
    assert alert_of("a").status == AlertStatus.IN_CASE


def test_the_database_holds_one_live_alert_an_entity():
    alert = alert_of("a")
    alert.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        alert.save()


@pytest.mark.django_db(transaction=True)
def test_many_workers_open_one_alert_for_one_entity():
    ids = [row.pk for row in flagged(*["a"] * 24)]

    def work(part):
        try:
            return open_alerts(part)
        finally:
            connections.close_all()

    # Every prediction comes to two workers.
    with ThreadPoolExecutor(8) as pool:
        added = sum(pool.map(work, [ids[i : i + 6] for i in range(0, 24, 3)]))
    assert added == 24
    assert Alert.objects.get().predictions_count == 24
    assert AlertPrediction.objects.count() == 24


def test_closing_an_alert_labels_its_predictions(analyst):
    rows = flagged("a", "a")
    open_alerts([row.pk for row in rows])
    alert = label_alert(Alert.objects.get(), **FRAUD, actor=analyst, notes="sure")
    assert (alert.status, alert.disposition) == ("closed", "fraud")
    assert alert.closed_at is not None
    labels = Label.objects.values_list("is_fraud", "source", "author", "reason_code", "notes")
    assert list(labels) == [(True, "analyst", analyst.pk, "card_testing", "sure")] * 2
    assert actions()[-1] == "alert.closed"


def test_a_false_positive_is_a_label_too_and_inconclusive_is_none(analyst):
    label_alert(alert_of("a"), **FALSE, actor=analyst)
    label_alert(alert_of("b"), **UNCLEAR, actor=analyst)
    assert list(Label.objects.values_list("is_fraud", flat=True)) == [False]


@pytest.mark.parametrize("found", [FRAUD, FALSE, UNCLEAR])
def test_what_was_noted_at_the_end_stands_on_the_alert(analyst, found):
    alert = label_alert(alert_of(), **found, actor=analyst, notes=" The shop is shut. ")
    assert [(c.author, c.text) for c in alert.comments.all()] == [(analyst, "The shop is shut.")]
    assert not label_alert(alert_of("b"), **found, actor=analyst, notes=" ").comments.exists()


def test_an_alert_is_closed_once(analyst):
    alert = alert_of()
    label_alert(alert, **FRAUD, actor=analyst)
    with pytest.raises(MoveRefused, match="closed already"):
        label_alert(alert, **FALSE, actor=analyst)
    assert Label.objects.count() == 1


def test_a_reason_of_another_outcome_changes_nothing(analyst):
    alert = alert_of()
    with pytest.raises(MoveRefused):
        label_alert(alert, disposition="fraud", reason_code="travel", actor=analyst)
    alert.refresh_from_db()
    assert (alert.status, Label.objects.count()) == ("open", 0)


def test_an_alert_is_given_to_somebody(lead, analyst):
    alert = assign_alert(alert_of(), owner=analyst, actor=lead)
    assert Alert.objects.get(pk=alert.pk).owner == analyst
    assert actions()[-1] == "alert.assigned"


def test_a_case_takes_alerts_and_closes_them_with_labels(analyst):
    case = case_of(analyst, "a", "b")
    assert set(Alert.objects.values_list("status", "owner")) == {("in_case", analyst.pk)}
    move_case(case, move="investigate", actor=analyst)
    comment_on_case(case, text=" called them ", actor=analyst)
    closed = close_case(case, **FRAUD, actor=analyst, notes="done")
    assert (closed.status, closed.disposition, closed.reason_code) == (
        "closed", "fraud", "card_testing",
    )  # fmt: skip
    assert set(Alert.objects.values_list("status", "disposition")) == {("closed", "fraud")}
    assert list(Label.objects.values_list("is_fraud", flat=True)) == [True, True]


def test_a_case_tells_its_story_and_the_audit_trail_too(analyst):
    case = case_of(analyst, "a")
    move_case(case, move="investigate", actor=analyst)
    comment_on_case(case, text="called them", actor=analyst)
    close_case(case, **FALSE, actor=analyst)
    kinds = list(case.timeline.values_list("kind", flat=True))
    assert kinds == ["opened", "alert_added", "moved", "comment", "closed"]
    assert actions()[-3:] == ["case.opened", "case.investigate", "case.close"]


def test_an_inconclusive_case_labels_nothing(analyst):
    close_case(case_of(analyst, "a"), **UNCLEAR, actor=analyst)
    assert not Label.objects.exists()


def test_an_alert_of_a_case_is_closed_by_the_case_alone(analyst):
    case = case_of(analyst, "a")
    with pytest.raises(MoveRefused, match="close the case"):
        label_alert(case.alerts.get(), **FRAUD, actor=analyst)


def test_only_open_alerts_go_into_a_new_case(analyst):
    case = case_of(analyst, "a")
    with pytest.raises(MoveRefused):
        open_case([case.alerts.get(), alert_of("b")], title="again", actor=analyst)
    with pytest.raises(MoveRefused):
        open_case([], title="empty", actor=analyst)
    assert Alert.objects.filter(status="open").count() == 1


def test_a_case_is_closed_once_and_with_a_reason(analyst):
    case = case_of(analyst, "a")
    with pytest.raises(MoveRefused, match="outcome"):
        move_case(case, move="close", actor=analyst)
    close_case(case, **FRAUD, actor=analyst)
    with pytest.raises(MoveRefused, match="closed"):
        close_case(case, **FALSE, actor=analyst)


def test_a_lead_may_reopen_and_an_analyst_may_not(analyst, lead):
    case = close_case(case_of(analyst, "a"), **FRAUD, actor=analyst)
    with pytest.raises(MoveRefused, match="may not"):
        move_case(case, move="reopen", actor=analyst)
    case = move_case(case, move="reopen", actor=lead)
    assert (case.status, case.disposition, case.closed_at) == ("reopened", "", None)


def test_a_reopened_case_that_ends_otherwise_corrects_its_labels(analyst, lead):
    case = close_case(case_of(analyst, "a"), **FRAUD, actor=analyst)
    case = move_case(case, move="reopen", actor=lead)
    close_case(case, **FALSE, actor=lead)
    assert Alert.objects.get().disposition == "false_positive"
    assert list(Label.objects.values_list("is_fraud", flat=True)) == [False, True]


def test_a_reopened_case_that_ends_the_same_adds_no_label(analyst, lead):
    case = close_case(case_of(analyst, "a"), **FRAUD, actor=analyst)
    close_case(move_case(case, move="reopen", actor=lead), **FRAUD, actor=lead)
    assert Label.objects.count() == 1


def test_an_outsider_moves_nothing(analyst, outsider):
    case = case_of(analyst, "a")
    with pytest.raises(MoveRefused, match="may not"):
        move_case(case, move="investigate", actor=outsider)
    with pytest.raises(MoveRefused, match="may not"):
        close_case(case, **FRAUD, actor=outsider)
    assert not Label.objects.exists()


def test_an_empty_comment_is_refused(analyst):
    with pytest.raises(MoveRefused):
        comment_on_case(case_of(analyst, "a"), text="  ", actor=analyst)


def test_what_is_approved_reaches_no_alert(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        scored("payments", payment())
    assert not Alert.objects.exists()


def test_a_closed_alert_cannot_be_assigned(analyst):
    alert = label_alert(alert_of(), **FALSE, actor=analyst)
    with pytest.raises(MoveRefused, match="closed already"):
        assign_alert(alert, owner=analyst, actor=analyst)
