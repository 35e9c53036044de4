"""E-mails that somebody asked for and that hold more than the words of a notification."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from notifications.kinds import KINDS
from notifications.models import Letter, Notification
from notifications.selectors import allowed_users
from notifications.services import one_line, write_down


@dataclass(frozen=True, slots=True)
class File:
    """A small text that is attached; `type` as in `text/csv`."""

    name: str
    type: str
    text: str


@dataclass(frozen=True, slots=True)
class Written:
    """What an e-mail says: in plain text, in HTML that loads nothing, and what is attached.

    `summary` and `url`, a path of this platform, are for the bell.
    """

    subject: str
    summary: str
    url: str
    text: str
    html: str
    files: Sequence[File] = ()


@transaction.atomic
def send_letter(
    kind: str, written: Written, *, key: str, users: Iterable[User]
) -> Notification | None:
    """Send it after the commit to those of `users` who are active, may see what it is about, and
    did not switch its kind off. No route takes it.

    The same `key` again does nothing and gives None, as does a letter to nobody. No secret and no
    unmasked personal data in it.
    """
    people = allowed_users(KINDS[kind], users=users, roles=())
    news = Notification(
        key=key[:200],
        kind=kind,
        subject=one_line(written.subject)[:200],
        text=written.summary,
        url=written.url,
        critical=False,
        created_at=timezone.now(),
    )
    stored = write_down(news, people=people)
    if stored is not None:
        files = [{"name": one.name, "type": one.type, "text": one.text} for one in written.files]
        Letter.objects.create(
            notification=stored, text=written.text, html=written.html, files=files
        )
    return stored
