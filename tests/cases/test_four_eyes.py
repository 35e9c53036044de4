"""No way around the second person: taking apart, merging, raising limits, mixing currencies."""

from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from cases.bulk import label_many
from cases.case_alerts import add_to_case, open_case, take_out_of_case
from cases.casework import close_case
from cases.limits import limit_of, stake_of
from cases.merging import merge_case, unmerge_case
from cases.models import Alert
from cases.services import label_alert, open_alerts
from cases.team_queues import place_unplaced, save_queue
from cases.work_queue_models import WorkQueue
from cases.workflow import MoveRefused
from scoring.models import Label
from tests.cases.alerts import alert_of, case_of, flagged

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
FALSE = {"disposition": "false_positive", "reason_code": "travel"}


@pytest.fixture(autouse=True)
def limit(settings):
    """Each payment here puts 20,000 at risk: two are above, one is not."""
    settings.CASE_APPROVAL_LIMIT = Decimal(30_000)


def test_an_alert_above_the_limit_takes_a_case(client, analyst, lead, settings):
    alert = alert_of("a")
    settings.CASE_APPROVAL_LIMIT = Decimal(15_000)
    for user in (analyst, lead):
        with pytest.raises(MoveRefused, match="Open a case"):
            label_alert(alert, **FALSE, actor=user)
    client.force_login(analyst)
    page = client.post(reverse("alert_label", args=[alert.pk]), FALSE)
    assert (page.status_code, "more is at risk" in page.content.decode()) == (422, True)
    bulk = label_many([alert], **FALSE, actor=analyst, note="")
    assert (bulk.done, len(bulk.refused)) == ([], 1)
    assert (Alert.objects.get().status, Label.objects.count()) == ("open", 0)


def test_the_limit_of_an_alert_is_its_queues(analyst):
    WorkQueue.objects.create(name="Small", position=1, approval_limit=Decimal(10))
    with pytest.raises(MoveRefused, match="Open a case"):
        label_alert(alert_of("a"), **FALSE, actor=analyst)


def test_a_case_above_its_limit_is_not_taken_apart(analyst):
    case = case_of(analyst, "a", "b")
    with pytest.raises(MoveRefused, match="ask a lead"):
        take_out_of_case(case, case.alerts.first(), actor=analyst, reason="Another customer.")
    assert case.alerts.count() == 2


def test_within_its_limit_an_alert_is_taken_out_and_closed(analyst):
    case = case_of(analyst, "a")
    alert = take_out_of_case(case, case.alerts.get(), actor=analyst, reason="Another customer.")
    assert label_alert(alert, **FALSE, actor=analyst).status == "closed"


def test_who_takes_an_alert_out_above_the_limit_does_not_close_it(analyst, lead):
    case = case_of(analyst, "a", "b")
    alert = take_out_of_case(case, case.alerts.first(), actor=lead, reason="Another customer.")
    with pytest.raises(MoveRefused, match="somebody else closes it"):
        label_alert(alert, **FALSE, actor=lead)
    alone = open_case([alert], title="Alone", actor=lead)
    with pytest.raises(MoveRefused, match="somebody else closes it"):
        close_case(alone, **FALSE, actor=lead)
    assert close_case(alone, **FALSE, actor=analyst).status == "closed"


def test_a_merge_lifts_no_case_over_its_limit(analyst):
    source = case_of(analyst, "a", "b")
    WorkQueue.objects.create(name="Large", position=1, approval_limit=Decimal(1_000_000))
    target = case_of(analyst, "c")
    assert limit_of(target) == 1_000_000
    merge_case(source, target=target, actor=analyst)
    target.refresh_from_db()
    with pytest.raises(MoveRefused, match="ask for approval"):
        close_case(target, **FALSE, actor=analyst)
    source = unmerge_case(source, actor=analyst)
    assert limit_of(source) == 30_000


@pytest.mark.parametrize("added", [False, True])
def test_an_alert_brings_the_limit_of_its_queue_into_a_case(analyst, added):
    alerts = [alert_of("a"), alert_of("b")]
    WorkQueue.objects.create(name="Large", position=1, approval_limit=Decimal(1_000_000))
    if added:
        case = add_to_case(case_of(analyst, "c"), alerts, actor=analyst)
    else:
        case = open_case(alerts, title="Both", actor=analyst)
    assert (case.work_queue.name, limit_of(case)) == ("Large", 30_000)
    with pytest.raises(MoveRefused, match="ask for approval"):
        close_case(case, **FALSE, actor=analyst)


def test_a_lead_who_raises_the_limit_still_does_not_close_alone(lead):
    queue = WorkQueue.objects.create(name="Small", position=1, approval_limit=Decimal(10))
    case = case_of(lead, "a")
    queue.approval_limit = Decimal(10**8)
    save_queue(queue, detectors=[], actor=lead)
    with pytest.raises(MoveRefused, match="ask for approval"):
        close_case(case, **FALSE, actor=lead)


@pytest.mark.parametrize("first", [Decimal(10), None])
def test_a_lead_who_raises_the_limit_closes_no_open_alert_alone(lead, settings, first):
    settings.CASE_APPROVAL_LIMIT = Decimal(15_000)
    queue = WorkQueue.objects.create(name="Small", position=1, approval_limit=first)
    alert = alert_of("a")
    queue.approval_limit = Decimal(10**8)
    save_queue(queue, detectors=[], actor=lead)
    with pytest.raises(MoveRefused, match="Open a case"):
        label_alert(alert, **FALSE, actor=lead)
    with pytest.raises(MoveRefused, match="ask for approval"):
        close_case(open_case([alert], title="Odd", actor=lead), **FALSE, actor=lead)
    assert label_alert(alert_of("b"), **FALSE, actor=lead).status == "closed"


def test_an_alert_that_waited_for_a_queue_keeps_the_installations_limit(lead, settings):
    settings.CASE_APPROVAL_LIMIT = Decimal(15_000)
    WorkQueue.objects.all().delete()
    alert = alert_of("a")
    WorkQueue.objects.create(name="Large", approval_limit=Decimal(10**8))
    assert place_unplaced(timezone.now()) == 1
    with pytest.raises(MoveRefused, match="Open a case"):
        label_alert(alert, **FALSE, actor=lead)


def test_an_alert_that_moves_to_another_queue_keeps_the_lower_limit():
    small = WorkQueue.objects.create(name="Small", position=1, approval_limit=Decimal(10))
    alert = alert_of("a")
    small.delete()
    WorkQueue.objects.create(name="Large", position=2, approval_limit=Decimal(10**8))
    assert place_unplaced(timezone.now()) == 1
    alert.refresh_from_db()
    assert (alert.work_queue.name, limit_of(alert)) == ("Large", 10)


def test_a_limit_that_is_lowered_counts_at_once(analyst):
    queue = WorkQueue.objects.create(name="Team", position=1, approval_limit=Decimal(10**8))
    case = case_of(analyst, "a")
    queue.approval_limit = Decimal(10)
    queue.save()
    with pytest.raises(MoveRefused, match="ask for approval"):
        close_case(case, **FALSE, actor=analyst)


def raised(queue, limit, lead):
    queue.approval_limit = Decimal(limit)
    return save_queue(queue, detectors=[], actor=lead)


def test_a_case_that_waited_for_a_queue_keeps_its_limit(analyst, lead, settings):
    settings.CASE_APPROVAL_LIMIT = Decimal(50_000)
    WorkQueue.objects.all().delete()
    case = case_of(analyst, "a")
    queue = WorkQueue.objects.create(name="Small", approval_limit=Decimal(1_000))
    assert place_unplaced(timezone.now()) == 1
    raised(queue, 40_000, lead)
    case.refresh_from_db()
    assert limit_of(case) == 1_000
    with pytest.raises(MoveRefused, match="ask for approval"):
        close_case(case, **FALSE, actor=analyst)


def test_what_is_open_keeps_a_limit_that_was_lowered_for_a_while(analyst, lead, settings):
    settings.CASE_APPROVAL_LIMIT = Decimal(50_000)
    queue = WorkQueue.objects.get()
    case, alert, done = case_of(analyst, "a"), alert_of("b"), case_of(analyst, "c")
    close_case(done, **FALSE, actor=analyst)
    raised(queue, 1_000, lead)
    raised(queue, 40_000, lead)
    case.refresh_from_db()
    alert.refresh_from_db()
    done.refresh_from_db()
    assert (limit_of(case), limit_of(alert), limit_of(done)) == (1_000, 1_000, 40_000)
    assert case.alerts.get().approval_limit == 1_000
    with pytest.raises(MoveRefused, match="ask for approval"):
        close_case(case, **FALSE, actor=analyst)
    with pytest.raises(MoveRefused, match="Open a case"):
        label_alert(alert, **FALSE, actor=lead)


def test_a_limit_that_is_taken_from_a_queue_leaves_the_installations(analyst, lead, settings):
    queue = raised(WorkQueue.objects.get(), 90_000, lead)
    case = case_of(analyst, "a")
    queue.approval_limit = None
    save_queue(queue, detectors=[], actor=lead)
    settings.CASE_APPROVAL_LIMIT = None
    save_queue(queue, detectors=[], actor=lead)
    case.refresh_from_db()
    assert limit_of(case) == 30_000


def test_amounts_of_different_currencies_are_never_added(analyst):
    for currency in ("EUR", "USD", "USD"):
        (prediction,) = flagged("a")
        prediction.currency = currency
        prediction.save(update_fields=["currency"])
        open_alerts([prediction.pk])
    alert = Alert.objects.get()
    assert (alert.currency, alert.exposure) == ("EUR", 20_000)
    assert alert.expected_loss <= 20_000
    assert stake_of(alert).totals == {"EUR": 20_000, "USD": 40_000}
    with pytest.raises(MoveRefused, match="Open a case"):
        label_alert(alert, **FALSE, actor=analyst)
    stake = stake_of(open_case([alert], title="Mixed", actor=analyst))
    assert (stake.totals, stake.events) == ({"EUR": 20_000, "USD": 40_000}, 3)
    assert stake.above
