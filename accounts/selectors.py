"""Reads of users, API keys and the audit trail for their pages."""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from typing import Any, Final

from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.core.exceptions import ValidationError
from django.db.models import Count, Model, Q, QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from accounts.facts import SubjectPage, page_of
from accounts.models import ApiKey, AuditEntry, FailedLogin, User
from accounts.roles import PERMISSIONS_BY_ROLE
from accounts.usernames import folded

ACTIVE, INACTIVE = "yes", "no"
LIVE, ENDED = "live", "ended"
KEY_CREATED: Final = "api_key.created"
BACKEND: Final = "django.contrib.auth.backends.ModelBackend"
CLOCKS: Final = timedelta(minutes=10)
"""How far the clocks of our processes may differ: entries are in order of number, not of time."""

# --- Users ----------------------------------------------------------------------------------------


def list_users(*, q: str = "", role: str = "", active: str = "") -> QuerySet[User]:
    """Users with their roles; by name, address or user name, role, and whether they are active."""
    rows = User.objects.order_by("username").prefetch_related("groups")
    if q:
        rows = rows.filter(
            Q(username__icontains=q)
            | Q(display_name__icontains=q)
            | Q(first_name__icontains=q)
            | Q(last_name__icontains=q)
            | Q(email__icontains=q)
        )
    if role:
        rows = rows.filter(groups__name=role)
    if active:
        rows = rows.filter(is_active=active == ACTIVE)
    return rows


def holders_of(permission: str) -> QuerySet[User]:
    """Active users who have the permission, `app.codename`, by role or by themselves."""
    return User.objects.with_perm(permission, backend=BACKEND)


def role_names(user: User) -> list[str]:
    """The roles of a user whose groups were read."""
    return sorted(group.name for group in user.groups.all())


def users_by_role() -> dict[str, int]:
    """Role -> how many active users have it."""
    active = Count("user", filter=Q(user__is_active=True))
    rows = Group.objects.filter(name__in=PERMISSIONS_BY_ROLE).annotate(n=active)
    return dict(rows.values_list("name", "n"))


class AmbiguousName(ValueError):
    """Several users have a name that differs in small and capital letters alone."""


def ids_named(name: str) -> list[int]:
    """Ids of the users whose name counts as this one (see accounts/usernames.py). One query, of
    every name there is: thousands cost milliseconds."""
    wanted = folded(name)
    names = User.objects.order_by().values_list("pk", "username")
    return [pk for pk, username in names if folded(username) == wanted]


def find_user(name: str) -> User | None:
    """The user of exactly this name, else of this name in any letters. Raises AmbiguousName."""
    found = list(User.objects.filter(pk__in=ids_named(name)).order_by("username"))
    name = User.normalize_username(name)
    for user in found:
        if user.username == name:
            return user
    if len(found) > 1:
        names = ", ".join(user.username for user in found[:5])
        raise AmbiguousName(f"Several users have this name: write it exactly ({names}).")
    return found[0] if found else None


def usernames(most: int) -> list[str]:
    """User names of active people, for suggestions."""
    rows = User.objects.filter(is_active=True).order_by("username")
    return list(rows.values_list("username", flat=True)[:most])


def failed_logins(user: User, most: int) -> tuple[list[FailedLogin], int]:
    """The failed log-ins of a user that are not forgotten, from the addresses that tried last, and
    from how many more there are."""
    rows = FailedLogin.objects.filter(username=folded(user.username))
    found = list(rows.order_by("-last_failed_at", "-pk")[:most])
    return found, rows.count() - len(found) if len(found) == most else 0


# --- Permissions in words -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PermissionLine:
    """What may be done, in words, and for each role whether it may."""

    name: str
    words: str
    held: tuple[bool, ...]

    @property
    def by_role(self) -> list[tuple[str, bool]]:
        """Each role with whether it may."""
        return list(zip(PERMISSIONS_BY_ROLE, self.held, strict=True))


_APPS: Final = {
    "cases": "Alerts and cases",
    "scoring": "Detectors, events, rules and lists",
    "models_registry": "Models",
    "jobs": "Background jobs",
    "notifications": "Notifications",
    "accounts": "People, keys and the audit trail",
    "auth": "Roles",
    "django_celery_beat": "Schedule",
}
_ACTS: Final = {"view": "See", "add": "Add", "change": "Change", "delete": "Delete"}
_WORDS: Final = (
    ("work queues", "team queues"), ("list entrys", "entries of lists"),
    ("delete failed logins", "unlock users"), ("failed logins", "failed log-ins"),
    ("see groups", "see roles"),
    ("periodic tasks", "scheduled tasks"), ("see audit entries", "search the audit trail"),
)  # fmt: skip


def permission_matrix() -> list[tuple[str, list[PermissionLine]]]:
    """By subject, each permission that a role holds; those that do not exist (yet) are skipped."""
    wanted = frozenset(chain.from_iterable(PERMISSIONS_BY_ROLE.values()))
    codenames = {name.partition(".")[2] for name in wanted}
    lines: dict[str, list[PermissionLine]] = defaultdict(list)
    rows = Permission.objects.filter(codename__in=codenames).select_related("content_type")
    for row in rows.order_by("content_type__model", "codename"):
        app = row.content_type.app_label
        name = f"{app}.{row.codename}"
        if name in wanted:
            held = tuple(name in names for names in PERMISSIONS_BY_ROLE.values())
            lines[app].append(PermissionLine(name, in_words(row), held))
    titles = _APPS | {app: app.replace("_", " ").capitalize() for app in lines if app not in _APPS}
    return [(title, lines[app]) for app, title in titles.items() if app in lines]


def in_words(permission: Permission) -> str:
    """`Can change work queue` as `Change team queues`; those with words of their own keep them."""
    text, (act, _, _) = permission.name.removeprefix("Can "), permission.codename.partition("_")
    model = permission.content_type.model_class()
    default = permission.codename == f"{act}_{permission.content_type.model}"
    if default and act in _ACTS and model is not None:
        text = f"{_ACTS[act]} {model._meta.verbose_name_plural}"
    for old, new in _WORDS:
        text = re.sub(rf"\b{old}\b", new, text, flags=re.IGNORECASE)
    return text[:1].upper() + text[1:]


# --- API keys -------------------------------------------------------------------------------------


_WHOLE_KEY: Final = re.compile(r"rp_([0-9a-f]{10})_\S")


def prefix_in(text: str) -> str:
    """The prefix of the key whose secret, or some of it, stands in a text; empty without one."""
    found = _WHOLE_KEY.search(text)
    return found[1] if found else ""


def list_keys(
    now: datetime, *, q: str = "", owner: str = "", state: str = "", scope: str = ""
) -> QuerySet[ApiKey]:
    """API keys with their owner, newest first; by label or prefix, owner, state and scope."""
    rows = ApiKey.objects.select_related("user").order_by("-created_at", "-pk")
    if q:
        # A key as it is written in a request or on a page: what stands after rp_ and its end.
        prefix = q.removeprefix("rp_").partition("_")[0]
        rows = rows.filter(Q(label__icontains=q) | Q(prefix=prefix))
    if owner:
        rows = rows.filter(user__in=ids_named(owner))
    if state:
        rows = rows.filter(_live(now)) if state == LIVE else rows.exclude(_live(now))
    if scope:
        # A list of plain words in JSON: the quotes keep one word from being part of another.
        rows = rows.filter(scopes__icontains=f'"{scope}"')
    return rows


def _live(now: datetime) -> Q:
    usable = Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now))
    return usable & Q(user__is_active=True)


def live_keys_of(user_ids: Collection[int], now: datetime) -> dict[int, int]:
    """User id -> how many keys are neither revoked nor expired. One query."""
    rows = ApiKey.objects.filter(user__in=user_ids, revoked_at=None)
    rows = rows.filter(Q(expires_at=None) | Q(expires_at__gt=now))
    return dict(rows.order_by().values_list("user").annotate(n=Count("pk")))


def still_may(actor: User, permission: str) -> bool:
    """Whether the actor may do this as they are now, also by the API key that they came by.

    For who decides as the second person: their request was let in, and may have waited its turn
    while somebody took their role or their key away.
    """
    now, key = User.objects.filter(pk=actor.pk).first(), actor.came_by
    if key is not None:
        key = ApiKey.objects.filter(pk=key.pk).first()
        if key is None or not key.is_usable(timezone.now()):
            return False
    return now is not None and now.has_perm(permission)  # Nobody who is not active has any.


def people_behind(user_id: int, prefix: str = "") -> frozenset[int]:
    """Who stands behind an act: whose name it bears and, where it came by the API key of this
    prefix, who made the key. Two queries, none without a key."""
    if not prefix:
        return frozenset({user_id})
    key = ApiKey.objects.filter(prefix=prefix.removeprefix("rp_")).only("pk").first()
    made = AuditEntry.objects.filter(
        object_type=ApiKey._meta.label_lower,
        object_id=str(key.pk) if key else "",
        action=KEY_CREATED,
    )
    makers = made.exclude(actor=None).values_list("actor", flat=True)
    return frozenset({user_id, *makers})


# --- Audit trail ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AuditAsked:
    """What is searched for; empty is everything. `since` and `until` are days in UTC, included."""

    actor: User | None = None
    action: str = ""
    object_type: str = ""
    object_id: str = ""
    since: date | None = None
    until: date | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Entries newest first; `older` and `newer` are the numbers to go on from, None at the end."""

    entries: Sequence[AuditEntry]
    older: int | None
    newer: int | None


def search_audit(asked: AuditAsked) -> QuerySet[AuditEntry]:
    """The entries that were asked for. Each filter has its index (see `AuditEntry.Meta`)."""
    rows = AuditEntry.objects.all()
    if asked.actor is not None:
        rows = rows.filter(actor=asked.actor)
    if asked.action:
        rows = rows.filter(action__startswith=asked.action)
    if asked.object_type:
        rows = rows.filter(object_type=asked.object_type)
    if asked.object_id:
        rows = rows.filter(object_id=asked.object_id)
    return rows.filter(_span(asked))


def _span(asked: AuditAsked) -> Q:
    """Days as numbers of entries: those lie in order on disk and in every index."""
    found = Q()
    times = AuditEntry.objects.values_list("number", flat=True)
    if asked.since is not None:
        start = datetime.combine(asked.since, time(), tzinfo=UTC)
        before = times.filter(at__lt=start - CLOCKS).order_by("-at").first()
        found &= Q(at__gte=start, number__gt=before or 0)
    if asked.until is not None:
        end = datetime.combine(asked.until + timedelta(days=1), time(), tzinfo=UTC)
        after = times.filter(at__gte=end + CLOCKS).order_by("at").first()
        found &= Q(at__lt=end)
        if after is not None:
            found &= Q(number__lt=after)
    return found


def audit_page(
    asked: AuditAsked, *, size: int, before: int | None = None, after: int | None = None
) -> AuditPage:
    """The newest entries, or those next `before` or `after` a number; nothing is counted."""
    rows = search_audit(asked).select_related("actor")
    if after is not None:
        found = list(rows.filter(number__gt=after).order_by("number")[: size + 1])
        more, shown = len(found) > size, found[:size][::-1]
        return AuditPage(
            shown, shown[-1].number if shown else None, _first(shown) if more else None
        )
    if before is not None:
        rows = rows.filter(number__lt=before)
    found = list(rows.order_by("-number")[: size + 1])
    shown = found[:size]
    older = shown[-1].number if len(found) > size else None
    return AuditPage(shown, older, _first(shown) if before is not None else None)


def _first(entries: Sequence[AuditEntry]) -> int | None:
    return entries[0].number if entries else None


def each_audit(asked: AuditAsked, *, most: int, part: int = 1000) -> Iterator[AuditEntry]:
    """Up to `most` entries, newest first, read in parts: none of it is held for long."""
    before, left = None, most
    while left > 0:
        page = audit_page(asked, size=min(part, left), before=before)
        yield from page.entries
        before, left = page.older, left - len(page.entries)
        if before is None:
            return


def audit_about(user: User, most: int) -> list[AuditEntry]:
    """The newest entries of what a user did and of what was done to them. Two queries."""
    kind = User._meta.label_lower
    about = AuditEntry.objects.filter(object_type=kind, object_id=str(user.pk))
    found = {
        entry.number: entry
        for rows in (about, AuditEntry.objects.filter(actor=user))
        for entry in rows.select_related("actor").order_by("-number")[:most]
    }
    return [found[number] for number in sorted(found, reverse=True)[:most]]


def subject_links(entries: Collection[AuditEntry]) -> dict[int, str]:
    """Number of an entry -> the page of what it tells of, where it has one.

    One query for each kind whose page needs more than its key, and none for the others.
    """
    keys: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if entry.object_id and page_of(entry.object_type):
            keys[entry.object_type].add(entry.object_id)
    links = {
        (kind, pk): link
        for kind, pks in keys.items()
        if (page := page_of(kind)) is not None
        for pk, link in _links(kind, page, pks).items()
    }
    return {
        entry.number: links[entry.object_type, entry.object_id]
        for entry in entries
        if (entry.object_type, entry.object_id) in links
    }


def _links(kind: str, page: SubjectPage, pks: set[str]) -> dict[str, str]:
    if page.by_key:
        rows: list[dict[str, Any]] = [{"pk": pk} for pk in sorted(pks)]
    else:
        model = apps.get_model(kind)
        fields = {field for _, field in page.fields}
        known = model._default_manager.filter(pk__in=[pk for pk in pks if _is_key(model, pk)])
        rows = list(known.order_by().values("pk", *fields))
    links = {}
    for row in rows:
        try:
            link = reverse(page.route, kwargs={name: row[field] for name, field in page.fields})
        except NoReverseMatch:  # A key of other times: nothing to lead to.
            continue
        links[str(row["pk"])] = link
    return links


def _is_key(model: type[Model], text: str) -> bool:
    try:
        model._meta.pk.to_python(text)
    except ValidationError:
        return False
    return True
