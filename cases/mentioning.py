"""Who is named in a comment and may read it, and that they are told."""

from django.db.models import Q

from accounts.models import User
from cases.case_models import CaseMention
from cases.mentions import mentioned_names
from cases.models import CaseEvent
from cases.telling import tell_mentioned


def mentioned_users(text: str, permission: str = "view_case") -> list[User]:
    """Active users named in `text` who may read what they are named in, by user name."""
    names = mentioned_names(text)
    if not names:
        return []
    may = Q(groups__permissions__codename=permission) | Q(is_superuser=True)
    rows = User.objects.filter(may, username__in=names, is_active=True)
    return list(rows.distinct().order_by("username"))


def note_mentions(event: CaseEvent) -> list[User]:
    """Keep who is named in a comment, but not its author. Inside a transaction."""
    users = [user for user in mentioned_users(event.text) if user.pk != event.actor_id]
    CaseMention.objects.bulk_create([CaseMention(event=event, user=user) for user in users])
    tell_mentioned(event, users)
    return users
