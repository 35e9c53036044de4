"""Who is named in a comment and may read it, and that they are told."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import User
from cases.case_models import CaseMention
from cases.mentions import mentioned_names
from cases.models import CaseEvent
from cases.queue_models import AlertComment
from cases.telling import tell_mentioned, tell_mentioned_on_alerts
from cases.workflow import SaidAlready

MOST_OFFERED = 8
AT_ONCE = timedelta(minutes=1)
"""Who says the same again within this time meant to say it once: a second click, a page sent
again."""


def check_said_once(said: "QuerySet[Any]", *, text: str) -> None:
    """Raises SaidAlready where `said`, what one person wrote at one place, has the same text from a
    moment ago. Inside a transaction that has the place locked."""
    if said.filter(text=text, at__gte=timezone.now() - AT_ONCE).exists():
        raise SaidAlready("You said the same a moment ago: the comment stands once.")


def _readers(permission: str) -> QuerySet[User]:
    """Active users who may read what needs `permission` of this app."""
    groups = User.groups.through.objects.filter(
        user=OuterRef("pk"),
        group__permissions__codename=permission,
        group__permissions__content_type__app_label="cases",
    )
    return User.objects.filter(Exists(groups) | Q(is_superuser=True), is_active=True)


def mentioned_users(text: str, permission: str = "view_case") -> list[User]:
    """Active users named in `text` who may read what they are named in, by user name."""
    names = mentioned_names(text)
    return (
        list(_readers(permission).filter(username__in=names).order_by("username")) if names else []
    )


def people_to_mention(text: str, *, permission: str, asker: User) -> list[User]:
    """At most `MOST_OFFERED` others whom a comment can name: a name, or the second word of one,
    begins with `text`. One query, over the people alone."""
    rows = _readers(permission).exclude(pk=asker.pk)
    if text:
        rows = rows.filter(
            Q(username__istartswith=text)
            | Q(first_name__istartswith=text)
            | Q(last_name__istartswith=text)
            | Q(display_name__istartswith=text)
            | Q(display_name__icontains=f" {text}")
        )
    shown = rows.only("username", "first_name", "last_name", "display_name")
    return list(shown.order_by("username")[:MOST_OFFERED])


def note_mentions(event: CaseEvent) -> list[User]:
    """Keep who is named in a comment, but not its author. Inside a transaction."""
    users = [user for user in mentioned_users(event.text) if user.pk != event.actor_id]
    CaseMention.objects.bulk_create([CaseMention(event=event, user=user) for user in users])
    tell_mentioned(event, users)
    return users


def tell_named(comments: Sequence[AlertComment]) -> None:
    """Tell who is named in one comment, or in the same one on many alerts; not its author."""
    if comments:
        users = mentioned_users(comments[0].text, "view_alert")
        tell_mentioned_on_alerts(comments, users)
