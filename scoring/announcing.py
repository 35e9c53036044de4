"""Tell who listens, after the commit, which predictions need a human.

A group's announcements wait until its members are awake: a broker is slower than they like. With
the broker gone the stored answer still goes out and a sweep opens the alerts; the broker is then
left alone for a while, as it may be one that is waited for.
"""

import logging
from collections import deque

from django.db import connection, transaction
from kombu.exceptions import OperationalError as BrokerGone

from accounts.seldom import Seldom
from scoring import breakers
from scoring.measuring import note_announced
from scoring.models import Prediction
from scoring.signals import predictions_recorded

logger = logging.getLogger(__name__)
_told = Seldom(logger)
_announcements: deque[list[Prediction]] = deque()


def announce(flagged: list[Prediction]) -> None:
    """Remember, once this transaction is committed, to tell of these."""
    nested = bool(connection.savepoint_ids)

    def send() -> None:
        _announcements.append(flagged)
        if nested:  # In somebody's transaction: our caller is gone when it commits.
            send_announcements()

    transaction.on_commit(send)


def announcements_wait() -> bool:
    """Whether there is something to announce."""
    return bool(_announcements)


def send_announcements() -> None:
    """Tell of all that waits, in one message. It never raises."""
    flagged: list[Prediction] = []
    while _announcements:
        try:
            flagged += _announcements.popleft()
        except IndexError:
            break  # Another thread was faster.
    if flagged:
        note_announced(len(flagged), told=_send(flagged))


def _send(flagged: list[Prediction]) -> bool:
    """Whether everybody who listens was told."""
    circuit = breakers.breaker("broker")
    if not circuit.allows():
        return False
    try:
        predictions_recorded.send(sender=Prediction, predictions=flagged)
    except Exception as error:
        if isinstance(error, BrokerGone | OSError):
            circuit.failed()
        _told.warning(
            "Alerts wait for the sweep: their predictions could not be announced (%r).",
            error,
            exc_info=not isinstance(error, BrokerGone),  # That it is away is no fault of ours.
        )
        return False
    circuit.succeeded()
    return True
