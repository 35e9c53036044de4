"""Send what waits: claim a delivery by an update, try once, write down how it went.

At least once: a worker that dies between sending and writing it down leaves a delivery that is sent
again. Receivers know it by its id, which stays the same.
"""

import logging
import random
import smtplib
import time
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, Q
from django.utils import timezone

from accounts import vault
from notifications.kinds import TEST, Channel
from notifications.limits import configured_limits
from notifications.messages import email_message, slack_body, teams_body, webhook_body
from notifications.models import Delivery, Letter, Preference, Route
from notifications.outgoing import Fault, post
from notifications.routing import signing_keys
from notifications.selectors import due_deliveries, heard_by, known_details, mail_is_set_up
from notifications.services import held_until
from notifications.signing import HEADER, signature

logger = logging.getLogger(__name__)
FIRST_PAUSE = 30.0
LONGEST_PAUSE = 3600.0
LOST_AFTER = timedelta(minutes=5)
"""Longer than the longest attempt: mail server and receiver have deadlines."""
LOG_LINES_KEPT = 40
LONGEST_SWEEP_SECONDS = 60.0
_SHORTEST_SHARE = 0.5
Status = Delivery.Status
_jitter = random.Random()


def pause_after(attempt: int, *, share: float, asked: float = 0.0) -> timedelta:
    """How long to wait after `attempt` (from 1) failed: 30 s, 1 min, 2 min, ... at most an hour.

    `share` from 0 to 1 spreads it over the upper half of that, so that what failed together does
    not come back together; no shorter than the receiver `asked` for (seconds), within the hour.
    """
    whole = min(FIRST_PAUSE * 2.0 ** (attempt - 1), LONGEST_PAUSE)
    spread = whole * (_SHORTEST_SHARE + (1.0 - _SHORTEST_SHARE) * share)
    return timedelta(seconds=min(max(spread, asked), LONGEST_PAUSE))


def send_notification(notification_id: int) -> int:
    """Try what of a notification is due; how many were sent."""
    due = due_deliveries(timezone.now()).filter(notification=notification_id)
    return sum(deliver(pk) for pk in due.values_list("pk", flat=True))


def send_due(*, most: int) -> int:
    """Try up to `most` deliveries that are due, and take up what a dead worker left."""
    now = timezone.now()
    Delivery.objects.filter(status=Status.SENDING, claimed_at__lt=now - LOST_AFTER).update(
        status=Status.WAITING, due_at=now
    )
    stop_at = time.monotonic() + LONGEST_SWEEP_SECONDS
    sent = 0
    for pk in list(due_deliveries(now).values_list("pk", flat=True)[:most]):
        sent += deliver(pk)
        if time.monotonic() > stop_at:
            break  # The next sweep goes on; meanwhile the worker is free for others.
    return sent


def deliver(delivery_id: UUID) -> bool:
    """One attempt at a delivery, if it is to be had; whether it was sent."""
    now = timezone.now()
    claimed = Delivery.objects.filter(
        pk=delivery_id, status=Status.WAITING, due_at__lte=now
    ).update(status=Status.SENDING, attempt=F("attempt") + 1, claimed_at=now)
    if not claimed:
        return False
    delivery = known_details().get(pk=delivery_id)
    later = _held(delivery, now=now)
    if later is not None:
        _write(delivery, status=Status.WAITING, due_at=later, attempt=delivery.attempt - 1)
        return False
    began = time.monotonic()
    try:
        said = _send(delivery)
    except Fault as fault:
        _note_fault(delivery, fault, seconds=time.monotonic() - began)
        return False
    except Exception:
        # Our own fault (a template, a setting): known to the log, and no reason to lose the rest.
        logger.exception("Delivery %s could not be sent.", delivery.pk)
        ours = Fault("Something went wrong on our side; the worker's log says what.", shared=False)
        _note_fault(delivery, ours, seconds=time.monotonic() - began)
        return False
    log = _logged(delivery, said, seconds=time.monotonic() - began)
    _write(delivery, status=Status.SENT, sent_at=timezone.now(), error="", log=log)
    return True


def _held(delivery: Delivery, *, now: datetime) -> datetime | None:
    """Until when a person's quiet hours, as they stand now, hold it back; None: not at all."""
    if delivery.user is None:
        return None
    preference = Preference.objects.filter(user=delivery.user).first()
    if preference is None:
        return None
    until = held_until(delivery.user, preference, delivery.notification, now=now)
    return until if until > now else None


def _send(delivery: Delivery) -> str:
    """Send it; what to say of it in the log. Raises Fault."""
    if delivery.route is not None and not delivery.route.enabled:
        removed = delivery.route.removed_at is not None
        raise Fault(f"The route was {'removed' if removed else 'switched off'}.", lasting=True)
    if delivery.channel == Channel.EMAIL:
        return _send_email(delivery)
    if delivery.route is None:
        raise Fault("Only routes send by this channel.", lasting=True)
    return _send_post(delivery, delivery.route)


def _send_post(delivery: Delivery, route: Route) -> str:
    news = delivery.notification
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "riskplatform"}
    if delivery.channel == Channel.WEBHOOK:
        body = webhook_body(news, delivery.pk)
        headers["X-Risk-Event"] = news.kind
        headers["X-Risk-Delivery"] = str(delivery.pk)
        headers[HEADER] = signature(body, at=int(time.time()), keys=signing_keys(route))
    else:
        body = slack_body(news) if delivery.channel == Channel.SLACK else teams_body(news)
    status = post(vault.decrypt(route.sealed_address), body, headers, configured_limits())
    return f"The receiver answered {status}."


def _send_email(delivery: Delivery) -> str:
    if not mail_is_set_up():
        raise Fault("No mail server is set up: EMAIL_HOST is empty.", lasting=True)
    to = ""
    if delivery.route is not None:
        to = vault.decrypt(delivery.route.sealed_address)
    elif delivery.user is not None and delivery.notification.kind in heard_by(delivery.user):
        to = delivery.user.email  # `has_perm` is False for whoever is no longer active.
    if not to:
        raise Fault(
            "The person has no e-mail address, is no longer active, or may no longer see this.",
            lasting=True,
        )
    message = email_message(
        delivery.notification,
        to=to,
        delivery_id=delivery.pk,
        personal=delivery.user is not None,
        letter=Letter.objects.filter(pk=delivery.notification_id).first(),
    )
    try:
        message.send()
    except (OSError, smtplib.SMTPException) as error:
        raise _mail_fault(error) from None
    return "The mail server took it."


def _mail_fault(error: Exception) -> Fault:
    """In our own words: those of a mail server may repeat addresses and credentials."""
    codes: list[int] = []
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
    elif isinstance(error, smtplib.SMTPResponseException):
        codes = [error.smtp_code]
    if codes:
        # A wrong password is mended by an admin, and then the mail still counts.
        wrong_login = isinstance(error, smtplib.SMTPAuthenticationError)
        lasting = all(500 <= code < 600 for code in codes) and not wrong_login
        what = "refused our log-in" if wrong_login else "answered"
        return Fault(f"The mail server {what}: {codes[0]}.", lasting=lasting, shared=wrong_login)
    if isinstance(error, TimeoutError):
        return Fault("The mail server did not answer in time.")
    if isinstance(error, ConnectionRefusedError):
        return Fault("The mail server refused the connection.")
    return Fault("The connection to the mail server broke off.")


def _note_fault(delivery: Delivery, fault: Fault, *, seconds: float) -> None:
    text = str(fault)
    log = _logged(delivery, text, seconds=seconds)
    if fault.lasting or delivery.attempt >= delivery.max_attempts:
        _write(delivery, status=Status.FAILED, error=text, log=log)
        logger.warning("Delivery %s failed for good: %s", delivery.pk, text)
        return
    pause = pause_after(delivery.attempt, share=_jitter.random(), asked=fault.retry_after)
    due_at = timezone.now() + pause
    _write(delivery, status=Status.WAITING, due_at=due_at, error=text, log=log)
    if fault.shared:
        _hold_back_others(delivery, due_at)


def _hold_back_others(delivery: Delivery, due_at: datetime) -> None:
    """A receiver that is down gets one attempt per pause, not one per delivery, and keeps no
    worker from the others. No attempt is counted for what is held back so."""
    # All e-mails go through one server.
    mail = delivery.channel == Channel.EMAIL
    same = Q(channel=Channel.EMAIL) if mail else Q(route=delivery.route)
    others = Delivery.objects.filter(same, status=Status.WAITING, due_at__lt=due_at)
    others.exclude(notification__kind=TEST).update(due_at=due_at)


def _logged(delivery: Delivery, text: str, *, seconds: float) -> list[dict[str, object]]:
    line = {
        "at": timezone.now().isoformat(timespec="seconds"),
        "attempt": delivery.attempt,
        "text": text,
        "ms": round(seconds * 1000.0),
    }
    return [*delivery.log, line][-LOG_LINES_KEPT:]


def _write(delivery: Delivery, **columns: object) -> None:
    """Move the row if this attempt still holds it."""
    held = Delivery.objects.filter(
        pk=delivery.pk,
        status=Status.SENDING,
        attempt=delivery.attempt,
        claimed_at=delivery.claimed_at,
    )
    if not held.update(**columns):
        logger.warning("Delivery %s had been given to another worker.", delivery.pk)
