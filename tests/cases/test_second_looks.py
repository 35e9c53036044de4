"""Second looks: drawn by chance, blind, fair to two at once, settled by leads, felt in labels."""

import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from accounts.roles import LEAD
from cases.casework import approve_closing, ask_to_close, close_case
from cases.models import Alert
from cases.second_look_models import SecondLook, SecondLookShare
from cases.second_look_selectors import agreement, blind_history
from cases.second_looks import answer_second_look, set_share, settle_second_look, take_second_look
from cases.services import label_alert
from cases.workflow import MoveRefused
from scoring.labelling import record_label
from scoring.models import Detector, Label
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of, case_of

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("payments_detector", "draw_everything"),
]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
FALSE = {"disposition": "false_positive", "reason_code": "travel"}
UNSURE = {"disposition": "inconclusive", "reason_code": "no_contact"}


@pytest.fixture
def judge(db):
    return user_with_role(LEAD, username="judge")


def labelled(user, actor, found=FRAUD):
    """An alert that `actor` has labelled, and its look."""
    alert = label_alert(alert_of(user), actor=actor, **found)
    return SecondLook.objects.filter(alert=alert).first()


def answer(look, actor, found, notes=""):
    taken = take_second_look(actor)
    assert taken == look
    return answer_second_look(look, actor=actor, notes=notes, **found)


def newest(look):
    return Label.objects.filter(prediction__alert_link__alert=look.alert).latest("pk")


# --- Drawing -------------------------------------------------------------------------------------


def test_a_labelled_alert_is_drawn_and_its_chance_is_kept(analyst):
    SecondLookShare.objects.create(detector=Detector.objects.get(slug="payments"), share=0.999999)
    look = labelled("a", analyst)
    assert (look.propensity, look.first_by, look.first_reason) == (
        0.999999,
        analyst,
        "card_testing",
    )
    assert look.first_at == look.alert.closed_at


@pytest.mark.parametrize("share", [0.0, None])
def test_a_detector_may_be_left_out_whatever_the_platform_draws(analyst, lead, share):
    set_share(Detector.objects.get(slug="payments"), share, actor=lead)
    assert (labelled("a", analyst) is None) == (share == 0.0)


def test_what_gave_no_label_is_not_drawn(analyst):
    assert labelled("a", analyst, UNSURE) is None


def test_about_the_share_is_drawn(analyst, settings):
    settings.SECOND_LOOK_SHARE = 0.5
    drawn = sum(labelled(f"user-{i}", analyst) is not None for i in range(40))
    assert 6 <= drawn <= 34  # One in a million runs lies outside.


def test_alerts_of_a_closed_case_are_drawn_too(analyst):
    case = case_of(analyst, "a", "b")
    close_case(case, actor=analyst, **FRAUD)
    assert SecondLook.objects.count() == 2


# --- Taking --------------------------------------------------------------------------------------


def test_nobody_takes_their_own_and_two_take_different_ones(analyst, second, lead):
    first, other = labelled("a", analyst), labelled("b", analyst)
    assert take_second_look(analyst) is None
    assert take_second_look(second) == first
    assert take_second_look(lead) == other
    assert take_second_look(second) == first


def test_a_look_that_nobody_answers_is_free_again_after_a_while(analyst, second, lead):
    look = labelled("a", analyst)
    take_second_look(second)
    assert take_second_look(lead) is None
    SecondLook.objects.update(taken_at=timezone.now() - timedelta(hours=1))
    assert take_second_look(lead) == look
    with pytest.raises(MoveRefused, match="Somebody else"):
        answer_second_look(look, actor=second, notes="", **FRAUD)


def test_an_alert_that_was_decided_anew_needs_no_second_look(analyst, second):
    look = labelled("a", analyst)
    Alert.objects.update(closed_at=timezone.now())
    assert take_second_look(second) is None
    with pytest.raises(MoveRefused, match="decided anew"):
        answer_second_look(look, actor=second, notes="", **FRAUD)


# --- Answers and labels --------------------------------------------------------------------------


def test_two_who_agree_make_the_label_sure(analyst, second):
    look = answer(labelled("a", analyst), second, FRAUD)
    label = newest(look)
    assert (look.status, label.is_fraud, label.confidence, label.author) == (
        "agreed",
        True,
        1.0,
        second,
    )


def test_a_dispute_halves_the_first_label_until_a_lead_sides_with_one(analyst, second, judge):
    look = answer(labelled("a", analyst), second, FALSE)
    label = newest(look)
    assert (look.status, label.is_fraud, label.confidence) == ("disputed", True, 0.5)
    look = settle_second_look(look, actor=judge, notes="Seen it", **FALSE)
    label = newest(look)
    assert (look.status, label.is_fraud, label.author) == ("settled", False, judge)
    assert label.confidence == pytest.approx(2 / 3)
    alert = Alert.objects.get(pk=look.alert_id)
    assert (alert.disposition, alert.reason_code, alert.status) == (*FALSE.values(), "closed")


def test_an_inconclusive_end_leaves_the_first_label_with_little_confidence(analyst, second, judge):
    look = answer(labelled("a", analyst), second, FALSE)
    settle_second_look(look, actor=judge, notes="", **UNSURE)
    label = newest(look)
    assert (label.is_fraud, label.confidence) == (True, pytest.approx(1 / 3))
    assert Alert.objects.get().disposition == "inconclusive"


def test_a_label_from_elsewhere_is_not_overruled(analyst, second):
    look = labelled("a", analyst)
    prediction = look.alert.top_prediction
    record_label(prediction, is_fraud=False, source=Label.Source.FEEDBACK)
    answer(look, second, FRAUD)
    assert newest(look).source == Label.Source.FEEDBACK


def test_only_a_third_person_settles_and_only_once(analyst, judge):
    first = user_with_role(LEAD)
    look = answer(labelled("a", first), judge, FALSE)
    for one in (first, judge):
        with pytest.raises(MoveRefused, match="another lead"):
            settle_second_look(look, actor=one, notes="", **FRAUD)
    third = user_with_role(LEAD)
    settle_second_look(look, actor=third, notes="", **FRAUD)
    with pytest.raises(MoveRefused, match="not in dispute"):
        settle_second_look(look, actor=third, notes="", **FRAUD)


def test_what_was_done_is_in_the_audit_trail(analyst, second, judge):
    look = answer(labelled("a", analyst), second, FALSE)
    settle_second_look(look, actor=judge, notes="", **FRAUD)
    set_share(Detector.objects.get(slug="payments"), 0.1, actor=judge)
    actions = AuditEntry.objects.values_list("action", flat=True)
    assert {"second_look.answered", "second_look.settled", "second_look.share_changed"} <= set(
        actions
    )


def test_agreement_counts_outcomes_and_reasons_by_hand(analyst, second):
    day = timezone.now()
    for i in range(3):
        answer(labelled(f"agreed-{i}", analyst), second, FRAUD)
    other = FRAUD | {"reason_code": "other_fraud"}
    answer(labelled("other-reason", analyst), second, other, notes="Neither")
    answer(labelled("disputed", analyst), second, FALSE)
    answer(labelled("legitimate", analyst, FALSE), second, FALSE)
    pk = Detector.objects.get(slug="payments").pk
    found = agreement(day - timedelta(hours=1), day + timedelta(hours=1), [pk])
    assert (found.kappa.pairs, found.kappa.observed) == (6, pytest.approx(5 / 6))
    # p_e = 5/6 * 4/6 + 1/6 * 2/6 = 22/36
    assert found.kappa.value == pytest.approx((5 / 6 - 22 / 36) / (1 - 22 / 36))
    lines = {(line.disposition, line.reason): line for line in found.lines}
    testing = lines["fraud", "card_testing"]
    assert (testing.outcome.hits, testing.outcome.total, testing.same_reason.hits) == (4, 5, 3)
    assert testing.instead[2] == 1
    assert lines["false_positive", "travel"].instead is None


# --- Pages ---------------------------------------------------------------------------------------


@pytest.fixture
def reader(client, second):
    client.force_login(second)
    return client


def test_less_agreement_than_chance_has_a_minus_and_an_interval(client, judge, analyst, second):
    client.force_login(judge)
    answer(labelled("one", analyst), second, FALSE)
    answer(labelled("other", analyst, FALSE), second, FRAUD)
    page = " ".join(client.get(reverse("second_look_agreement")).content.decode().split())
    assert "kappa −1.00, 95 % interval −1.00 to 0.3" in page  # noqa: RUF001


def test_kappa_is_not_told_of_who_always_says_the_same(client, judge, analyst, second):
    client.force_login(judge)
    for name, found in (("one", FALSE), ("other", FRAUD)):
        answer(labelled(name, analyst), second, found)
    page = " ".join(client.get(reverse("second_look_agreement")).content.decode().split())
    assert "2 second looks, and both found the same in 50" in page
    assert "Kappa cannot be told: all first or all second judgements are the same." in page


def take(client):
    return client.post(reverse("second_look_take"), follow=True)


def test_the_page_shows_the_evidence_and_nothing_of_the_first_outcome(reader, analyst):
    analyst.first_name = "Zebulon"
    analyst.save()
    look = labelled("a", analyst, FRAUD | {"notes": "Surely stolen, said Quux"})
    assert "1 alert waits" in reader.get(reverse("second_looks")).content.decode()
    page = take(reader)
    text = page.content.decode()
    assert page.context["look"] == look
    assert look.alert.top_prediction.external_id in text
    for secret in ("Quux", "Zebulon", "is closed", "Closed alert"):
        assert secret not in text
    rows = re.findall(r'<tr class="is-here">.*?</tr>', text, re.DOTALL)
    assert rows and not any("Fraud" in row for row in rows)


def test_labels_are_shown_as_they_were_known_when_the_alert_opened(analyst):
    look = labelled("a", analyst)
    before = blind_history(look.alert)
    assert [list(row.labels.all()) for row in before] == [[]]
    record_label(
        look.alert.top_prediction,
        is_fraud=True,
        source=Label.Source.IMPORT,
        label_time=look.alert.opened_at - timedelta(hours=1),
    )
    assert len(blind_history(look.alert)[0].labels.all()) == 1


def test_whoever_holds_a_look_is_led_from_the_alert_to_it(reader, analyst, second, judge):
    look = labelled("a", analyst)
    reader.force_login(judge)
    assert reader.get(look.alert.get_absolute_url()).status_code == 200
    reader.force_login(second)
    take(reader)
    assert reader.get(look.alert.get_absolute_url()).url == reverse("second_looks")


def test_an_answer_leads_to_the_next_one(reader, analyst, second):
    first, other = labelled("a", analyst), labelled("b", analyst)
    take(reader)
    page = reader.post(
        reverse("second_look_answer"),
        {"look": first.pk, "judgement": "fraud:card_testing", "notes": "same"},
        follow=True,
    )
    first.refresh_from_db()
    assert (first.status, first.second_notes) == ("agreed", "same")
    assert page.context["look"] == other


def test_a_second_look_is_answered_by_the_keys_of_an_alert(reader, analyst):
    labelled("a", analyst)
    reader.post(reverse("second_look_take"))
    page = " ".join(reader.get(reverse("second_looks")).content.decode().split())
    assert 'value="fraud:card_testing" data-key="1 3"' in page
    assert 'data-key="2 1" data-key-label="False positive: Customer confirmed it"' in page
    assert 'data-key="4 1"' in page and 'data-key="c"' in page


@pytest.mark.parametrize("judgement", ["", "fraud:travel", "guilty:card_testing"])
def test_a_bad_answer_is_refused_and_the_note_kept(reader, analyst, judgement):
    look = labelled("a", analyst)
    take(reader)
    page = reader.post(
        reverse("second_look_answer"), {"look": look.pk, "judgement": judgement, "notes": "Hm."}
    )
    assert page.status_code == 422
    assert "Hm." in page.content.decode()
    look.refresh_from_db()
    assert look.status == "waiting"


@pytest.mark.parametrize("look", ["0", "99999", "x", ""])
def test_an_answer_to_nothing_is_not_found(reader, look):
    answer = {"look": look, "judgement": "fraud:card_testing"}
    assert reader.post(reverse("second_look_answer"), answer).status_code == 404


def test_a_look_can_be_given_back(reader, analyst, lead):
    look = labelled("a", analyst)
    take(reader)
    reader.post(reverse("second_look_take"), {"back": "1"})
    assert take_second_look(lead) == look


def test_with_nothing_to_take_the_page_says_so(reader):
    assert "Nothing waits for you" in reader.get(reverse("second_looks")).content.decode()
    assert "No second look to take" in take(reader).content.decode()


def test_a_lead_settles_on_the_page(client, analyst, second, judge):
    look = answer(labelled("a", analyst), second, FALSE, notes="Customer was abroad")
    client.force_login(judge)
    listed = client.get(reverse("second_look_agreement")).content.decode()
    address = reverse("second_look_dispute", args=[look.pk])
    assert address in listed
    assert "Customer was abroad" in client.get(address).content.decode()
    refused = client.post(address, {"judgement": "fraud:travel"})
    assert refused.status_code == 422
    settled = {"judgement": "false_positive:travel", "notes": ""}
    told = client.post(f"{address}?detector=payments", settled)
    assert told.url == reverse("second_look_agreement") + "?detector=payments"
    look.refresh_from_db()
    assert (look.status, look.settled_by) == ("settled", judge)
    assert address not in client.get(reverse("second_look_agreement")).content.decode()


def test_disputes_are_those_of_the_chosen_detector_and_none_is_left_untold(
    client, analyst, second, judge, cards_detector, monkeypatch
):
    monkeypatch.setattr("cases.second_look_views.MOST_DISPUTES", 1)
    looks = [answer(labelled(user, analyst), second, FALSE) for user in ("a", "b")]
    client.force_login(judge)
    first, last = (reverse("second_look_dispute", args=[look.pk]) for look in looks)
    page = " ".join(client.get(reverse("second_look_agreement")).content.decode().split())
    assert first in page and last not in page and "the 1 oldest of 2;" in page
    page = client.get(reverse("second_look_agreement"), {"detector": "cards"})
    assert "Nothing is in dispute" in page.content.decode()


def test_a_look_that_waits_has_no_page_that_shows_the_first_outcome(client, analyst, judge):
    look = labelled("a", analyst)
    client.force_login(judge)
    assert client.get(reverse("second_look_dispute", args=[look.pk])).status_code == 404


@pytest.mark.parametrize(
    ("typed", "share", "status"),
    [("2.5", 0.025, 302), ("", None, 302), ("101", None, 422), ("many", None, 422),
     ("nan", None, 422)],
)  # fmt: skip
def test_leads_set_the_share_of_a_detector(client, judge, typed, share, status):
    client.force_login(judge)
    form = {"detector": "payments", "share": typed}
    page = client.post(reverse("second_look_share"), form)
    assert page.status_code == status
    assert SecondLookShare.objects.values_list("share", flat=True).first() == share
    if status == 422:
        assert f'value="{typed}"' in page.content.decode()


def test_who_may(client, analyst, judge, outsider, second):
    look = answer(labelled("a", analyst), second, FALSE)
    leads_only = [
        reverse("second_look_agreement"),
        reverse("second_look_dispute", args=[look.pk]),
    ]
    for user, own, leads in ((outsider, 403, 403), (analyst, 200, 403), (judge, 200, 200)):
        client.force_login(user)
        assert client.get(reverse("second_looks")).status_code == own
        assert [client.get(address).status_code for address in leads_only] == [leads, leads]
    client.force_login(analyst)
    form = {"judgement": "fraud:card_testing"}
    assert client.post(leads_only[1], form).status_code == 403
    assert client.post(reverse("second_look_share"), {"detector": "payments"}).status_code == 403
    client.logout()
    assert client.post(reverse("second_look_take")).status_code == 302
    assert SecondLook.objects.get().status == "disputed"


def test_who_asked_and_who_approved_take_no_second_look(analyst, lead, second, settings):
    settings.CASE_APPROVAL_LIMIT = 15_000
    case = case_of(analyst, "a", "b")
    ask_to_close(case, **FALSE, actor=analyst)
    approve_closing(case, actor=lead)
    assert [take_second_look(user) for user in (analyst, lead)] == [None, None]
    assert take_second_look(second) is not None
