"""People named in a text with @: who they are, and the rows that notifications are sent from."""

import re

from django.db.models import Q

from accounts.models import User
from cases.case_models import CaseMention
from cases.models import CaseEvent

_NAME = re.compile(r"(?<![\w@.+-])@([\w.+-]{1,150})")
MOST = 20
"""Names in one text beyond these are words."""


def names_in(text: str) -> list[str]:
    """What stands behind an @ in `text`, each once, in order; an address is no mention.

    A full stop or dash at the end belongs to the sentence.
    """
    found = (name.rstrip(".+-") for name in _NAME.findall(text))
    return list(dict.fromkeys(filter(None, found)))[:MOST]


def mentioned_users(text: str, permission: str = "view_case") -> list[User]:
    """Active users named in `text` who may read what they are named in, by user name."""
    names = names_in(text)
    if not names:
        return []
    may = Q(groups__permissions__codename=permission) | Q(is_superuser=True)
    rows = User.objects.filter(may, username__in=names, is_active=True)
    return list(rows.distinct().order_by("username"))


def note_mentions(event: CaseEvent) -> list[User]:
    """Keep who is named in a comment, but not its author. Inside a transaction."""
    users = [user for user in mentioned_users(event.text) if user.pk != event.actor_id]
    CaseMention.objects.bulk_create([CaseMention(event=event, user=user) for user in users])
    return users
