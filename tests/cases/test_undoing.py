"""A closing that is undone is undone everywhere: links, counts, second looks, what others heard."""

from datetime import UTC, timedelta

import pytest
from django.db import IntegrityError
from django.utils import timezone

from accounts.roles import ANALYST, LEAD
from cases import linking
from cases.bulk import label_many, undo_batch
from cases.case_alerts import open_case, take_out_of_case
from cases.closing import undo_closing
from cases.dashboard_models import DailyTally
from cases.linking import index_links
from cases.links_models import KnownEntity
from cases.models import Alert
from cases.queue_models import Closing
from cases.second_look_models import SecondLook
from cases.second_look_selectors import agreement, disputes, look_counts
from cases.second_looks import answer_second_look, settle_second_look, take_second_look
from cases.services import label_alert, open_alerts
from cases.signature_models import AlertSignature
from cases.signing import sign_closed_alerts
from cases.tallying import tally_changed
from cases.workflow import MoveRefused
from notifications.models import Delivery, Notification
from scoring.labelling import record_label
from scoring.models import Detector, Label, Prediction
from scoring.rule_tally_models import RuleTally
from scoring.rule_tallying import tally_rules
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of, flagged
from tests.notifications.factories import route_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
FALSE = {"disposition": "false_positive", "reason_code": "travel"}


@pytest.fixture
def draw_everything(settings):
    settings.SECOND_LOOK_SHARE = 1.0


@pytest.fixture
def second(db):
    return user_with_role(ANALYST, username="second-analyst")


@pytest.fixture
def judge(db):
    return user_with_role(LEAD, username="judge")


def everywhere():
    return list(Detector.objects.values_list("pk", flat=True))


def undo(alert, actor):
    return undo_closing(Closing.objects.get(alert=alert, undone_at=None), actor=actor)


# --- Links ---------------------------------------------------------------------------------------


@pytest.fixture
def no_grace(monkeypatch):
    monkeypatch.setattr(linking, "GRACE", timedelta(0))


def known(alert):
    row = KnownEntity.objects.get(entity=alert.entity)
    return row.frauds, row.legitimate


def test_links_forget_what_was_taken_back(no_grace, analyst):
    alert = label_alert(alert_of("a"), actor=analyst, **FRAUD)
    index_links()
    assert known(alert) == (1, 0)
    undo(alert, analyst)
    index_links()
    assert known(alert) == (0, 0)
    index_links()
    assert known(alert) == (0, 0)


def test_links_count_an_event_once_that_was_judged_anew_after_an_undo(no_grace, analyst):
    alert = label_alert(alert_of("a"), actor=analyst, **FRAUD)
    index_links()
    undo(alert, analyst)
    label_alert(alert, actor=analyst, **FALSE)
    index_links()
    assert known(alert) == (0, 1)


def test_links_never_took_in_what_was_taken_back_before_they_looked(no_grace, analyst):
    alert = label_alert(alert_of("a"), actor=analyst, **FRAUD)
    other = label_alert(alert_of("b"), actor=analyst, **FRAUD)
    undo(alert, analyst)
    index_links()
    assert (known(alert), known(other)) == ((0, 0), (1, 0))
    index_links()
    assert (known(alert), known(other)) == ((0, 0), (1, 0))


def test_links_go_back_to_what_was_said_before(no_grace, analyst):
    alert = alert_of("a")
    record_label(alert.top_prediction, is_fraud=False, source=Label.Source.IMPORT)
    label_alert(alert, actor=analyst, **FRAUD)
    index_links()
    assert known(alert) == (1, 0)
    undo(alert, analyst)
    index_links()
    assert known(alert) == (0, 1)


def test_links_take_out_as_much_in_small_chunks(no_grace, analyst, monkeypatch):
    alerts = [label_alert(alert_of(user), actor=analyst, **FRAUD) for user in "abc"]
    index_links()
    for alert in alerts[:2]:
        undo(alert, analyst)
    monkeypatch.setattr(linking, "CHUNK", 1)
    index_links()
    assert [known(alert) for alert in alerts] == [(0, 0), (0, 0), (1, 0)]


# --- Counts --------------------------------------------------------------------------------------


def test_rules_lose_what_was_taken_back(analyst):
    alert = label_alert(alert_of("a"), actor=analyst, **FRAUD)
    now = timezone.now()
    # Long enough ago that the next look has no other reason to count the day again.
    Prediction.objects.update(received_at=now - timedelta(hours=1))
    Label.objects.update(recorded_at=now - timedelta(hours=1))
    tally_rules(now, seconds=5)
    assert RuleTally.objects.get().content["flagged"][""]["fraud"] == 1
    undo(alert, analyst)
    tally_rules(now + timedelta(minutes=5), seconds=5)
    assert RuleTally.objects.get().content["flagged"][""]["fraud"] == 0


@pytest.fixture
def old():
    """An alert of a month ago, counted."""
    alert, then = alert_of("a"), timezone.now() - timedelta(days=30)
    Prediction.objects.update(received_at=then)
    Alert.objects.filter(pk=alert.pk).update(opened_at=then, last_event_at=then)
    tally_changed()
    return Alert.objects.get(pk=alert.pk)


def opened():
    return list(DailyTally.objects.filter(kind="opened").values_list("outcome", "count"))


def events():
    return list(DailyTally.objects.filter(kind="event").values_list("outcome", "count"))


def test_dashboards_follow_an_undo(old, analyst):
    label_alert(old, actor=analyst, **FRAUD)
    tally_changed()
    assert (opened(), events()) == ([("fraud", 1)], [("fraud", 1)])
    undo(old, analyst)
    tally_changed()
    assert (opened(), events()) == ([("open", 1)], [("", 1)])


def test_dashboards_count_the_days_since_an_undone_closing_again(old, analyst, settings):
    settings.ALERT_UNDO_MINUTES = 6 * 24 * 60
    label_alert(old, actor=analyst, **FRAUD)
    then = timezone.now() - timedelta(days=3)
    Closing.objects.update(at=then)
    Alert.objects.update(closed_at=then)
    tally_changed(timezone.now() - timedelta(hours=1))
    days = [(then + timedelta(days=n)).astimezone(UTC).date() for n in range(4)]
    kept = DailyTally.objects.filter(day__in=days)
    kept.delete()
    undo(old, analyst)
    tally_changed()
    waiting = kept.filter(kind="backlog").order_by("day").values_list("day", "count")
    assert list(waiting) == [(day, 1) for day in days]


def test_dashboards_follow_an_old_alert_into_a_case_and_out(old, analyst):
    case = open_case([old], title="Odd", actor=analyst)
    tally_changed()
    assert opened() == [("in_case", 1)]
    take_out_of_case(case, old, actor=analyst, reason="Does not belong here.")
    tally_changed()
    assert opened() == [("open", 1)]


@pytest.mark.usefixtures("draw_everything")
def test_dashboards_follow_a_settlement(old, analyst, second, judge):
    label_alert(old, actor=analyst, **FRAUD)
    look = take_second_look(second)
    answer_second_look(look, actor=second, notes="", **FALSE)
    tally_changed()
    # The closing is older than what the next run looks back at.
    Alert.objects.update(closed_at=timezone.now() - timedelta(hours=2))
    SecondLook.objects.update(first_at=Alert.objects.get().closed_at)
    settle_second_look(look, actor=judge, notes="", **FALSE)
    tally_changed()
    assert opened() == [("false_positive", 1)]


# --- Second looks --------------------------------------------------------------------------------


@pytest.mark.usefixtures("draw_everything")
@pytest.mark.parametrize("found", [FRAUD, FALSE])
def test_what_a_colleague_has_looked_at_is_not_undone(analyst, second, judge, found):
    alert = label_alert(alert_of("a"), actor=analyst, **FRAUD)
    look = take_second_look(second)
    answer_second_look(look, actor=second, notes="", **found)
    with pytest.raises(MoveRefused, match="second look"):
        undo(alert, analyst)
    if found == FALSE:
        settle_second_look(look, actor=judge, notes="", **FALSE)
        with pytest.raises(MoveRefused, match="second look"):
            undo(alert, analyst)
    assert Label.history.filter(retracted_at__isnull=False).count() == 0
    alert.refresh_from_db()
    assert alert.status == "closed"


@pytest.mark.usefixtures("draw_everything")
def test_a_look_that_waits_is_void_after_an_undo(analyst, second):
    alert = label_alert(alert_of("a"), actor=analyst, **FRAUD)
    look = take_second_look(second)
    undo(alert, analyst)
    assert look_counts(everywhere()).get("waiting", 0) == 0
    with pytest.raises(MoveRefused, match="decided anew"):
        answer_second_look(look, actor=second, notes="", **FRAUD)


@pytest.mark.usefixtures("draw_everything")
def test_void_looks_are_in_no_figure_and_no_dispute(analyst, second):
    alert = label_alert(alert_of("a"), actor=analyst, **FRAUD)
    answer_second_look(take_second_look(second), actor=second, notes="", **FALSE)
    now = timezone.now()
    span = (now - timedelta(days=1), now + timedelta(days=1), [alert.detector_id])
    assert (agreement(*span).kappa.pairs, disputes(everywhere()).count()) == (1, 1)
    assert look_counts(everywhere()) == {"disputed": 1}
    Alert.objects.update(closed_at=now)  # It was decided anew.
    assert (agreement(*span).kappa.pairs, disputes(everywhere()).count()) == (0, 0)
    assert look_counts(everywhere()) == {}


# --- The alert itself ----------------------------------------------------------------------------


def test_an_alert_that_is_closed_anew_is_signed_anew(analyst):
    alert = label_alert(alert_of("a"), actor=analyst, **FRAUD)
    sign_closed_alerts()
    undo(alert, analyst)
    assert not AlertSignature.objects.exists()
    other = flagged("a", amount=900.0, location="Tokyo")[0]
    Prediction.objects.filter(pk=other.pk).update(
        rule_hits=[{"code": "OTHER"}], risk_level="CRITICAL", score=1.0
    )
    open_alerts([other.pk])
    label_alert(alert, actor=analyst, **FRAUD)
    sign_closed_alerts()
    assert AlertSignature.objects.get(alert=alert).rules == ["OTHER"]


def test_an_undo_that_races_with_a_new_alert_is_refused_and_the_others_go_on(analyst, monkeypatch):
    alerts = [alert_of("a"), alert_of("b")]
    batch = label_many(alerts, **FRAUD, actor=analyst, note="").batch
    save = Alert.save

    def overtaken(self, *args, **kwargs):
        if self.pk == alerts[0].pk:
            raise IntegrityError("one_live_alert_per_entity")
        save(self, *args, **kwargs)

    monkeypatch.setattr(Alert, "save", overtaken)
    outcome = undo_batch(batch, actor=analyst)
    assert outcome.done == [alerts[1].pk]
    assert outcome.refused == [
        (alerts[0].pk, "a newer alert of this entity is open: decide that one")
    ]
    # Nothing of the refused one was taken back.
    assert Label.objects.filter(prediction__alert_link__alert=alerts[0]).count() == 1
    assert Closing.objects.get(alert=alerts[0]).undone_at is None


def test_who_heard_of_a_closing_hears_that_it_was_undone(analyst):
    route_for("webhook", kinds=["alert.closed", "alert.reopened"])
    alert = label_alert(alert_of("a"), actor=analyst, **FRAUD)
    undo(alert, analyst)
    label_alert(alert, actor=analyst, **FALSE)
    undo(alert, analyst)
    told = Delivery.objects.values_list("notification__kind", flat=True)
    assert sorted(told) == ["alert.closed"] * 2 + ["alert.reopened"] * 2
    news = Notification.objects.filter(kind="alert.reopened").first()
    [link] = alert.links.select_related("prediction")
    events = [
        {"prediction_id": str(link.prediction_id), "external_id": link.prediction.external_id}
    ]
    assert news.url == alert.get_absolute_url()
    assert news.data == {"alert": alert.pk, "events": events, "events_in_all": 1}
    assert alert.entity not in news.subject + news.text
