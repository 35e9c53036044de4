"""One act on many alerts: whole or not at all for each, with every refusal told; and undo."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from cases.bulk import (
    assign_many,
    chosen,
    comment_on_many,
    label_many,
    merge_many,
    snooze_many,
    undo_batch,
)
from cases.case_alerts import open_case
from cases.closing import undo_closing
from cases.locking import take_lock
from cases.models import Alert
from cases.queue_models import AlertComment, Closing
from cases.resting import snooze_alert, wake_alert
from cases.services import label_alert, open_alerts
from cases.workflow import MoveRefused
from scoring.models import Label
from tests.cases.alerts import alert_of, flagged, lea_dorn

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}


@pytest.fixture
def colleague(db):
    return lea_dorn()


@pytest.fixture
def three():
    return [alert_of(user) for user in ("a", "b", "c")]


def fresh():
    return list(Alert.objects.order_by("pk"))


def soon():
    return timezone.now() + timedelta(hours=4)


def test_many_are_closed_labelled_and_the_others_say_why(three, analyst, colleague):
    take_lock(three[1], colleague)
    open_case([three[2]], title="Odd", actor=analyst)
    outcome = label_many(fresh(), **FRAUD, actor=analyst, note="Same device.")
    assert outcome.sentence("closed") == (
        "1 closed, 2 refused: locked by Lea Dorn (1), belongs to a case: close the case (1)."
    )
    assert [label.notes for label in Label.objects.all()] == ["Same device."]
    assert [alert.status for alert in fresh()] == ["closed", "open", "in_case"]


def test_what_one_act_closed_is_undone_together_and_the_labels_stay_on_record(three, analyst):
    outcome = label_many(three, **FRAUD, actor=analyst, note="")
    assert undo_batch(outcome.batch, actor=analyst).sentence("open again") == "3 open again."
    assert [alert.status for alert in fresh()] == ["open"] * 3
    assert (Label.objects.count(), Label.history.count()) == (0, 3)
    assert fresh()[0].closed_at is None
    assert AuditEntry.objects.filter(action="alert.closing_undone").count() == 3
    with pytest.raises(MoveRefused, match="nothing left"):
        undo_batch(outcome.batch, actor=analyst)


def test_an_undone_alert_is_decided_anew(three, analyst):
    label_alert(three[0], **FRAUD, actor=analyst)
    undo_closing(Closing.objects.get(), actor=analyst)
    label_alert(three[0], disposition="false_positive", reason_code="travel", actor=analyst)
    assert [label.is_fraud for label in Label.objects.all()] == [False]


def test_undo_is_for_whoever_closed_it_and_for_some_minutes(three, analyst, colleague, settings):
    label_alert(three[0], **FRAUD, actor=analyst)
    closing = Closing.objects.get()
    with pytest.raises(MoveRefused, match="Only whoever"):
        undo_closing(closing, actor=colleague)
    settings.ALERT_UNDO_MINUTES = 1e-9
    with pytest.raises(MoveRefused, match="too late"):
        undo_closing(closing, actor=analyst)
    assert Label.objects.count() == 1


def test_undo_makes_no_second_live_alert_of_an_entity(analyst):
    label_alert(alert_of("a"), **FRAUD, actor=analyst)
    alert_of("a")
    with pytest.raises(MoveRefused, match="newer alert"):
        undo_closing(Closing.objects.get(), actor=analyst)
    assert Label.objects.count() == 1


def test_an_act_that_fails_in_the_middle_leaves_that_alert_as_it_was(three, analyst, monkeypatch):
    def fail(alert, **rest):
        Alert.objects.filter(pk=alert.pk).update(status="closed")
        if alert.pk == three[1].pk:
            raise MoveRefused("This alert is odd.")

    monkeypatch.setattr("cases.bulk.label_alert", fail)
    outcome = label_many(three, **FRAUD, actor=analyst, note="")
    assert outcome.sentence("closed") == "2 closed, 1 refused: odd (1)."
    assert [alert.status for alert in fresh()] == ["closed", "open", "closed"]


def test_merging_opens_one_case_over_different_entities(three, analyst, colleague):
    take_lock(three[0], colleague)
    outcome = merge_many(three, title="Ring", actor=analyst, note="Shared device.")
    assert outcome.sentence("merged") == "2 merged, 1 refused: locked by Lea Dorn (1)."
    assert set(outcome.case.alerts.values_list("entity", flat=True)) == {
        alert.entity for alert in three[1:]
    }
    assert outcome.case.timeline.filter(kind="comment").get().text == "Shared device."


def test_merging_nothing_that_is_free_opens_no_case(three, analyst, colleague):
    take_lock(three[0], colleague)
    assert merge_many(three[:1], title="Ring", actor=analyst, note="").case is None


def test_assigning_keeps_the_note_on_each(three, analyst):
    assign_many(three, owner=analyst, actor=analyst, note="Mine today.")
    assert {alert.owner for alert in fresh()} == {analyst}
    assert AlertComment.objects.count() == 3


def test_comments_need_words(three, analyst):
    with pytest.raises(MoveRefused):
        comment_on_many(three, actor=analyst, note="  ")
    assert comment_on_many(three, actor=analyst, note="Seen.").done == [a.pk for a in three]


def test_no_more_than_two_hundred_are_taken_at_once(three):
    assert len(chosen([three[0].pk] * 500 + [three[1].pk])) == 1


def test_a_snoozed_alert_comes_back_on_new_evidence(three, analyst):
    assert snooze_many(three[:1], until=soon(), actor=analyst, note="Waiting.").done
    assert fresh()[0].snoozed_by == analyst
    open_alerts([row.pk for row in flagged("a")])
    assert fresh()[0].snoozed_until is None


def test_a_snooze_has_an_end_and_can_be_ended(three, analyst):
    for until in (timezone.now(), timezone.now() + timedelta(days=40)):
        with pytest.raises(MoveRefused, match="within the next 30 days"):
            snooze_alert(three[0], until=until, actor=analyst)
    snooze_alert(three[0], until=soon(), actor=analyst)
    assert wake_alert(three[0], actor=analyst).snoozed_until is None
    with pytest.raises(MoveRefused, match="not snoozed"):
        wake_alert(three[0], actor=analyst)


def test_what_is_decided_or_in_other_hands_cannot_be_snoozed(three, analyst, colleague):
    label_alert(three[0], **FRAUD, actor=analyst)
    take_lock(three[1], colleague)
    open_case([three[2]], title="Odd", actor=analyst)
    outcome = snooze_many(three, until=soon(), actor=analyst, note="")
    assert sorted(why for _, why in outcome.refused) == [
        "belongs to a case", "closed already", "locked by Lea Dorn",
    ]  # fmt: skip
