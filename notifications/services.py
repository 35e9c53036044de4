"""Write down what happened and who is to be told. What the apps above call is `notify`."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.shortcuts import resolve_url
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.models import User
from accounts.typed import storable
from notifications.dispatch import announce
from notifications.kinds import KINDS, Channel, Kind
from notifications.models import Delivery, Letter, Notification, Preference, Receipt, Route
from notifications.quiet_hours import quiet_until
from notifications.selectors import (
    allowed_users,
    channels_of,
    mail_is_set_up,
    preferences_of,
    routes_for,
    told_of_late,
)

_MOST_ROWS = 500
_TOLD = ("kind", "subject", "text", "url", "about", "group", "data", "critical", "created_at")


def notify(
    kind: str,
    *,
    key: str,
    subject: str,
    text: str = "",
    url: str = "",
    users: Iterable[User | None] | None = None,
    roles: Collection[str] | None = None,
    about: str | Sequence[str] = "",
    group: str = "",
    actor: User | None = None,
    critical: bool | None = None,
    data: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
) -> Notification | None:
    """Tell people and routes that something happened; sent after the commit.

    Told are `users`, or who has one of `roles`, or else the roles of the kind: those of them who
    are active and may see what it is about, without `actor`, who knows. And every route that takes
    the kind, of a detector in `about` (slugs; the first is kept) where it names one. `url` is a
    path of this platform. Never put secrets or unmasked personal data into any of it. A `data` that
    has to be looked up is a function: it is called only where somebody is told.

    What is of one `group` (of a detector) is counted together, where a kind has a limit an hour.

    `key` names the event: the same key again does nothing and gives None, as does an event that
    nobody wants to hear of. Raises KeyError for an unknown kind, ValueError for a foreign `url`.
    """
    known, now = KINDS[kind], timezone.now()
    _check_url(url)
    slugs = [about] if isinstance(about, str) else about
    people = _people(known, users=users, roles=roles, actor=actor)
    people, routes = _within_the_hours_limit(known, people, slugs, group, now=now)
    if not routes and not people:
        return None
    news = Notification(
        key=key[:200],
        kind=kind,
        subject=one_line(subject)[:200],
        text=storable(text),
        url=url,
        about=slugs[0] if slugs else "",
        group=group[:100],
        data=dict((data() if callable(data) else data) or {}),
        critical=known.critical if critical is None else critical,
        created_at=now,
    )
    return write_down(news, people=people, routes=routes)


@transaction.atomic
def write_down(
    news: Notification,
    *,
    people: Collection[User] = (),
    routes: Collection[Route] = (),
    max_attempts: int | None = None,
) -> Notification | None:
    """Store `news` and whom it goes to, all or nothing; None when its key is there already."""
    preferences = preferences_of(people)
    wanted = {user: channels_of(preferences[user.pk], news.kind) for user in people}
    if not routes and not any(wanted.values()):
        return None
    stored, made = Notification.objects.get_or_create(
        key=news.key, defaults={name: getattr(news, name) for name in _TOLD}
    )
    if not made:
        return None
    Receipt.objects.bulk_create(
        [
            Receipt(user=user, notification=stored, kind=news.kind, created_at=news.created_at)
            for user, channels in wanted.items()
            if Channel.BELL in channels
        ],
        batch_size=_MOST_ROWS,
    )
    by_mail = [user for user, channels in wanted.items() if Channel.EMAIL in channels]
    deliveries = _mails(stored, by_mail, preferences)
    deliveries += [
        Delivery(notification=stored, channel=route.channel, route=route, due_at=news.created_at)
        for route in routes
    ]
    if max_attempts is not None:
        for delivery in deliveries:
            delivery.max_attempts = max_attempts
    if deliveries:
        Delivery.objects.bulk_create(deliveries, batch_size=_MOST_ROWS)
        announce(stored.pk)
    return stored


def _mails(
    news: Notification, users: Collection[User], preferences: Mapping[int, Preference]
) -> list[Delivery]:
    """To each of them who has an address, due when their quiet hours are over."""
    return [
        Delivery(
            notification=news,
            channel=Channel.EMAIL,
            user=user,
            created_at=news.created_at,
            due_at=held_until(user, preferences[user.pk], news, now=news.created_at),
        )
        for user in users
        if user.email and mail_is_set_up()
    ]


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


def held_until(
    user: User, preference: Preference, news: Notification, *, now: datetime
) -> datetime:
    """When something may be sent to a person: now, or when their quiet hours end."""
    if news.critical and preference.critical_passes:
        return now
    ends = quiet_until(
        now, zone=user.time_zone, start=preference.quiet_from, end=preference.quiet_until
    )
    return ends or now


def mark_read(user: User, *, receipt_ids: Collection[int] | None = None) -> int:
    """Mark somebody's unread notifications as read, all or those given; how many there were."""
    unread = Receipt.objects.filter(user=user, read_at=None)
    if receipt_ids is not None:
        unread = unread.filter(pk__in=receipt_ids)
    return unread.update(read_at=timezone.now())


def mark_unread(user: User, *, receipt_id: int) -> int:
    """Undo of `mark_read` for one."""
    return Receipt.objects.filter(user=user, pk=receipt_id).update(read_at=None)


@transaction.atomic
def save_preference(preference: Preference, *, time_zone: str) -> None:
    """Store what a person chose. E-mails that are held back are judged again when they are due."""
    user = preference.user
    preference.save()
    if user.time_zone != time_zone:
        user.time_zone = time_zone
        user.save(update_fields=["time_zone"])


@transaction.atomic
def change_subjects(url: str, changed: Callable[[str], str]) -> None:
    """Say it otherwise in all that was told of this page: in bells, and in what is yet to be sent.
    What was sent is out of reach."""
    for news in Notification.objects.filter(url=url):
        news.subject = one_line(changed(news.subject))[:200]
        news.save(update_fields=["subject"])


def forget_old(until: datetime) -> int:
    """Delete notifications of before `until` with their receipts and deliveries; how many."""
    old = Notification.objects.filter(created_at__lt=until)
    count = old.count()
    old.delete()
    return count


def one_line(text: str) -> str:
    """`text` without line breaks: it becomes a header of an e-mail."""
    return " ".join(storable(text).split())


def _check_url(url: str) -> None:
    if url and not (url.startswith("/") and url_has_allowed_host_and_scheme(url, None)):
        raise ValueError(f"A notification leads to a path of this platform, not to {url!r}.")


def _people(
    kind: Kind,
    *,
    users: Iterable[User | None] | None,
    roles: Collection[str] | None,
    actor: User | None,
) -> list[User]:
    named = None if users is None else [user for user in users if user is not None]
    if named is not None and not named:
        return []
    if named is None and roles is None:
        roles = kind.roles
    found = allowed_users(kind, users=named, roles=roles or ())
    return [user for user in found if actor is None or user.pk != actor.pk]


def _within_the_hours_limit(
    kind: Kind, people: list[User], slugs: Sequence[str], group: str, *, now: datetime
) -> tuple[list[User], list[Route]]:
    """Which of these people, and which routes of these detectors, are told one by one; where it
    became too much within the hour people get one line in its place."""
    about, routes = slugs[0] if slugs else "", routes_for(kind.name, slugs)
    if not people or not _is_too_much(kind, about, group, now=now):
        return people, routes
    _sum_up(kind, people, about, group, now=now)
    # Machines count every event; a person who got thirty knows.
    return [], [route for route in routes if route.channel == Channel.WEBHOOK]


def _is_too_much(kind: Kind, about: str, group: str, *, now: datetime) -> bool:
    most = kind.most_an_hour
    return bool(most) and told_of_late(kind.name, about, group, now=now)[:most].count() >= most


def _sum_up(kind: Kind, people: Collection[User], about: str, group: str, *, now: datetime) -> None:
    """One line in place of many, once an hour."""
    where = f" of {about}" if about else ""
    news = Notification(
        key=f"many:{kind.name}:{about}:{now:%Y-%m-%dT%H}:{group}",
        kind=kind.name,
        subject=f"More than {kind.most_an_hour} within an hour{where}: {kind.label.lower()}",
        text="Further ones of this hour are not told one by one. Look at the list.",
        url=resolve_url(settings.LOGIN_REDIRECT_URL),
        about=about,
        group=group[:100],
        critical=kind.critical,
        created_at=now,
    )
    write_down(news, people=people)
