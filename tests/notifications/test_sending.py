"""Deliveries to real receivers: what arrives, what is tried again, what is given up."""

import json
import logging
from datetime import time, timedelta

import pytest
from django.utils import timezone

from accounts import vault
from notifications import routing, sending
from notifications.models import MOST_ATTEMPTS, Delivery, Preference
from notifications.routing import remove_route, resend, rotate_secret, send_test, signing_keys
from notifications.sending import LOST_AFTER, deliver, send_due, send_notification
from notifications.services import notify
from notifications.signing import is_signed
from tests.notifications.factories import route_for, told

pytestmark = pytest.mark.django_db
Status = Delivery.Status


def news(route, **given):
    """Something that `route` is told of, and its delivery."""
    given = {"key": "k", "subject": "Critical alert 7", "text": "4 events.", **given}
    notify("alert.opened", url="/alerts/7/", about="cards", data={"alert": 7}, **given)
    return Delivery.objects.get(route=route)


def again(delivery):
    """Make the next attempt due now."""
    Delivery.objects.filter(pk=delivery.pk).update(due_at=timezone.now())
    done = deliver(delivery.pk)
    delivery.refresh_from_db()
    return done


def test_a_signed_webhook_arrives_and_its_signature_fits(receiver):
    route = route_for("webhook", address=receiver.url())
    delivery = news(route)
    assert send_notification(delivery.notification_id) == 1
    (request,) = receiver.requests
    (key,) = signing_keys(route)
    header = request.headers["X-Risk-Signature"]
    assert is_signed(request.body, header, key=key, now=int(timezone.now().timestamp()))
    assert request.headers["X-Risk-Event"] == "alert.opened"
    assert request.headers["X-Risk-Delivery"] == str(delivery.pk)
    body = json.loads(request.body)
    assert (body["id"], body["type"], body["detector"]) == (
        str(delivery.pk),
        "alert.opened",
        "cards",
    )
    assert body["data"] == {"alert": 7} and body["url"].endswith("/alerts/7/")


def test_while_a_secret_is_replaced_both_sign_and_then_only_the_new_one(receiver):
    route = route_for("webhook", address=receiver.url())
    (former,) = signing_keys(route)
    new = rotate_secret(route, actor=None)
    route.refresh_from_db()
    assert signing_keys(route) == [new, former]
    delivery = news(route)
    deliver(delivery.pk)
    request, now = receiver.requests[0], int(timezone.now().timestamp())
    for key in (new, former):
        assert is_signed(request.body, request.headers["X-Risk-Signature"], key=key, now=now)
    route.former_secret_until = timezone.now() - timedelta(seconds=1)
    assert signing_keys(route) == [new]


def test_slack_gets_blocks_and_no_text_of_ours_becomes_markup(receiver):
    route = route_for("slack", address=receiver.url())
    deliver(news(route, subject="<!channel> & co", text="a > b").pk)
    body = json.loads(receiver.requests[0].body)
    words = body["blocks"][0]["text"]
    assert (words["type"], words["verbatim"]) == ("mrkdwn", True)
    assert words["text"].startswith("*&lt;!channel&gt; &amp; co*\na &gt; b\n<http")
    assert body["text"] == "&lt;!channel&gt; &amp; co"


def test_a_long_text_for_slack_still_leads_to_the_page(receiver):
    route = route_for("slack", address=receiver.url())
    deliver(news(route, text="x" * 5000).pk)
    words = json.loads(receiver.requests[0].body)["blocks"][0]["text"]["text"]
    assert len(words) <= 3000
    assert words.endswith("/alerts/7/|Open>")


def test_teams_gets_an_adaptive_card_that_leads_to_the_page(receiver):
    route = route_for("teams", address=receiver.url())
    deliver(news(route, subject="[x](http://evil)").pk)
    body = json.loads(receiver.requests[0].body)
    card = body["attachments"][0]["content"]
    assert (body["type"], card["type"], card["version"]) == ("message", "AdaptiveCard", "1.4")
    assert card["body"][0]["text"] == "\\[x\\]\\(http://evil\\)"
    assert card["actions"][0]["url"].endswith("/alerts/7/")


def test_mail_arrives_as_text_and_html_without_anything_to_load(mail, lead):
    lead.email = "lea@bank.example"
    lead.save()
    told(lead, "sla.due", subject="Case 3 is late <b>", text="Two hours.", url="/cases/3/")
    assert send_due(most=10) == 1
    (message,) = mail.mails
    assert mail.recipients == ["lea@bank.example"]
    assert message["Subject"] == "[Risk platform] Case 3 is late <b>"
    text = message.get_body(("plain",)).get_content()
    html = message.get_body(("html",)).get_content()
    assert "https://risk.bank.example/cases/3/" in text and "Case 3 is late <b>" in text
    assert "Case 3 is late &lt;b&gt;" in html
    assert not any(part in html for part in ("<img", "<link", "<script", "src=", "@import"))


def test_who_may_no_longer_see_it_when_its_turn_comes_gets_no_mail(mail, lead):
    lead.email = "lea@bank.example"
    lead.save()
    told(lead, "sla.due")
    lead.groups.clear()
    assert send_due(most=10) == 0
    delivery = Delivery.objects.get()
    assert (delivery.status, mail.mails) == (Status.FAILED, [])
    assert "may no longer see this" in delivery.error


def test_a_route_sends_mail_to_a_list(mail):
    route = route_for("email", address="fraud-ops@bank.example")
    deliver(news(route).pk)
    assert mail.recipients == ["fraud-ops@bank.example"]


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ("550 no such user", Status.FAILED, "The mail server answered: 550."),
        ("451 come back later", Status.WAITING, "The mail server answered: 451."),
    ],
)
def test_a_mail_server_that_refuses_is_asked_again_only_if_it_says_so(mail, answer, status, said):
    mail.refuses = answer
    delivery = news(route_for("email", address="fraud-ops@bank.example"))
    assert not again(delivery)
    assert (delivery.status, delivery.error) == (status, said)


def test_a_mail_server_that_is_gone_is_tried_again(mail, settings):
    settings.EMAIL_PORT = 1
    delivery = news(route_for("email", address="fraud-ops@bank.example"))
    assert not again(delivery)
    assert delivery.status == Status.WAITING
    assert delivery.error == "The mail server refused the connection."
    settings.EMAIL_PORT = mail.port
    assert again(delivery)


def test_what_failed_is_tried_again_later_and_then_arrives(receiver):
    receiver.answers = [{"status": 500}, {"status": 503}, {"status": 204}]
    delivery = news(route_for("webhook", address=receiver.url()))
    assert not again(delivery)
    assert delivery.due_at > timezone.now() + timedelta(seconds=10)
    assert not deliver(delivery.pk)  # Not before its time.
    assert not again(delivery)
    assert again(delivery)
    assert (delivery.status, delivery.attempt, delivery.error) == (Status.SENT, 3, "")
    assert [line["text"] for line in delivery.log] == [
        "The receiver answered 500.",
        "The receiver answered 503.",
        "The receiver answered 204.",
    ]
    # The same id each time, so that the receiver may know a second copy.
    assert len({request.headers["X-Risk-Delivery"] for request in receiver.requests}) == 1


def test_a_receiver_that_hangs_is_left_and_tried_again(receiver, settings):
    settings.NOTIFY_SECONDS = 0.3
    receiver.answers = [{"status": 200, "hangs": 2}, {"status": 200}]
    delivery = news(route_for("webhook", address=receiver.url()))
    assert not again(delivery)
    assert delivery.error == "The receiver did not answer in time."
    settings.NOTIFY_SECONDS = 10.0
    receiver.answers = [{"status": 200}]
    assert again(delivery)


def test_after_the_last_attempt_it_has_failed_and_may_be_sent_again_by_hand(receiver, admin):
    receiver.answers = [{"status": 500}]
    delivery = news(route_for("webhook", address=receiver.url()))
    for _ in range(MOST_ATTEMPTS):
        again(delivery)
    assert (delivery.status, delivery.attempt) == (Status.FAILED, MOST_ATTEMPTS)
    assert not again(delivery)
    receiver.answers = [{"status": 200}]
    assert resend(delivery, actor=admin)
    assert not resend(delivery, actor=admin)  # It waits already.
    assert again(delivery)
    assert len(delivery.log) == MOST_ATTEMPTS + 1


@pytest.mark.parametrize("status", [300, 302, 404, 410])
def test_an_answer_that_will_not_change_ends_it_at_once(receiver, status):
    receiver.answers = [{"status": status, "headers": {"Location": "http://127.0.0.1/"}}]
    delivery = news(route_for("webhook", address=receiver.url()))
    again(delivery)
    assert (delivery.status, len(receiver.requests)) == (Status.FAILED, 1)


def test_an_inner_address_is_refused_when_sending_whatever_was_allowed_before(receiver, settings):
    delivery = news(route_for("webhook", address=receiver.url()))
    settings.NOTIFY_NETWORKS = []
    again(delivery)
    assert delivery.status == Status.FAILED
    assert receiver.requests == []


def test_a_receiver_that_is_down_gets_one_attempt_and_does_not_keep_the_others(receiver):
    receiver.answers = [{"status": 500}]
    down = route_for("webhook", address=receiver.url())
    for number in range(5):
        notify("alert.opened", key=f"k{number}", subject="s")
    assert send_due(most=10) == 0
    assert len(receiver.requests) == 1
    waiting = Delivery.objects.filter(route=down, status=Status.WAITING)
    assert sorted(waiting.values_list("attempt", flat=True)) == [0, 0, 0, 0, 1]


def test_two_workers_send_it_once(receiver):
    delivery = news(route_for("webhook", address=receiver.url()))
    assert deliver(delivery.pk)
    assert not deliver(delivery.pk)
    assert send_due(most=10) == 0
    assert len(receiver.requests) == 1


def test_what_a_dead_worker_left_is_taken_up(receiver):
    delivery = news(route_for("webhook", address=receiver.url()))
    died = timezone.now() - LOST_AFTER - timedelta(seconds=1)
    Delivery.objects.filter(pk=delivery.pk).update(status=Status.SENDING, claimed_at=died)
    assert send_due(most=10) == 1


def test_what_another_worker_sends_at_this_moment_is_left_to_it(receiver):
    delivery = news(route_for("webhook", address=receiver.url()))
    began = timezone.now() - LOST_AFTER + timedelta(minutes=1)
    Delivery.objects.filter(pk=delivery.pk).update(status=Status.SENDING, claimed_at=began)
    assert send_due(most=10) == 0
    assert receiver.requests == []


def test_quiet_hours_that_were_set_meanwhile_hold_it_back_without_an_attempt(mail, lead):
    lead.email = "lea@bank.example"
    lead.save()
    told(lead, "drift.alarm")
    now = timezone.now()
    Preference.objects.create(
        user=lead,
        quiet_from=time((now - timedelta(hours=2)).hour),
        quiet_until=time((now + timedelta(hours=3)).hour),
    )
    assert send_due(most=10) == 0
    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.attempt) == (Status.WAITING, 0)
    assert delivery.due_at > now
    assert mail.mails == []


def test_a_test_is_tried_once(receiver, admin):
    receiver.answers = [{"status": 500}]
    delivery = send_test(route_for("webhook", address=receiver.url()), actor=admin)
    again(delivery)
    assert delivery.status == Status.FAILED


def test_a_route_that_was_removed_sends_nothing_and_keeps_nothing_secret(receiver, admin):
    route = route_for("webhook", address=receiver.url())
    delivery = news(route)
    assert remove_route(route, actor=admin)
    assert not remove_route(route, actor=admin)
    again(delivery)
    assert delivery.error == "The route was removed."
    route.refresh_from_db()
    assert (route.sealed_address, route.sealed_secret) == ("", "")
    assert receiver.requests == []


def test_a_fault_of_our_own_costs_one_delivery_not_the_rest(receiver, monkeypatch):
    bad = route_for("slack", address=receiver.url())
    good = route_for("webhook", address=receiver.url())
    notify("alert.opened", key="k", subject="s")
    monkeypatch.setattr(sending, "slack_body", lambda news: 1 / 0)
    assert send_due(most=10) == 1
    assert Delivery.objects.get(route=good).status == Status.SENT
    assert "our side" in Delivery.objects.get(route=bad).error


def test_a_fault_of_our_own_does_not_hold_back_what_goes_the_same_way(receiver, monkeypatch):
    route = route_for("slack", address=receiver.url())
    for number in range(3):
        notify("alert.opened", key=f"k{number}", subject="s")
    monkeypatch.setattr(sending, "slack_body", lambda news: 1 / 0)
    send_due(most=10)
    tried = Delivery.objects.filter(route=route).values_list("attempt", flat=True)
    assert list(tried) == [1, 1, 1]
    assert not Delivery.objects.filter(due_at__lte=timezone.now()).exists()


def test_no_secret_is_in_logs_rows_or_the_audit_trail(receiver, admin, caplog):
    caplog.set_level(logging.DEBUG)
    receiver.answers = [{"status": 500}, {"status": 404}]
    route, secret = routing.create_route(
        name="r",
        channel="webhook",
        address=receiver.url(),
        kinds=["alert.opened"],
        actor=admin,
    )
    delivery = news(route)
    again(delivery), again(delivery)
    told_text = caplog.text + str(delivery.log) + delivery.error
    told_text += str([entry.detail_json for entry in admin.audit_entries.all()])
    told_text += str(vars(route))
    for hidden in ("verysecretpart", secret):
        assert hidden not in told_text
    assert vault.decrypt(route.sealed_address) == receiver.url()
