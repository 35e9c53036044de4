"""What changes users, roles and the audit trail."""

import json
import logging
from collections.abc import Collection, Mapping
from typing import Any

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import AnonymousUser, Group, Permission
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.db.models import Model, Q, Subquery
from django.utils import timezone

from accounts.audit_chain import END_CHANGED, GENESIS_HASH, entry_hash, is_ours, sign_head
from accounts.models import KEY_MARK, AuditEntry, AuditHead, FailedLogin, User
from accounts.own_keys import OTHER_KEYS, were_found_ours
from accounts.password_links import MADE, password_link
from accounts.roles import ADMIN, PERMISSIONS_BY_ROLE
from accounts.selectors import ids_named
from accounts.usernames import folded

log = logging.getLogger(__name__)


class UserRefused(Exception):
    """What was asked of a user may not be done, in words for whoever asked."""


@transaction.atomic
def record_audit(
    *,
    actor: User | AnonymousUser | None,
    action: str,
    subject: Model | None = None,
    detail: Mapping[str, Any] | None = None,
    other_keys: bool = False,
) -> AuditEntry:
    """Append one entry to the audit trail. Call it last: the trail stays locked until the commit.

    `detail` must be JSON-able; never put secrets or unmasked personal data into it. What came by an
    API key says by which: `api_key`. The entry and what it tells of are committed together, or
    neither is.

    Where the trail does not end as it was signed to end, an entry of its own says so first, for our
    signature would hide it. But where the signature may be another key's it raises
    ImproperlyConfigured, unless this process began with the right keys: ours would shut them out.
    `other_keys` go on all the same.
    """
    told = dict(detail or {})
    if isinstance(actor, User) and actor.came_by is not None:
        told["api_key"] = f"{KEY_MARK}_{actor.came_by.prefix}"
    newest = AuditEntry.objects.order_by("-number")
    heads = AuditHead.objects.annotate(last_hash=Subquery(newest.values("row_hash")[:1]))
    head, _ = heads.select_for_update().get_or_create(
        pk=1, defaults={"row_hash": GENESIS_HASH, "signature": sign_head(0, GENESIS_HASH)}
    )
    ours, said = is_ours(head), (head.number, head.row_hash)
    last = said
    if not ours or head.row_hash != getattr(head, "last_hash", None):
        # Read again: whoever waited for the lock saw the entries of before.
        last = newest.values_list("number", "row_hash").first() or (0, GENESIS_HASH)
    if not ours or said != last:
        head.number, head.row_hash = last
        if not other_keys:
            _tell_changed_end(head, said, ours=ours)
    entry = AuditEntry(
        actor=actor if isinstance(actor, User) else None,
        action=action,
        object_type=subject._meta.label_lower if subject is not None else "",
        object_id=str(subject.pk) if subject is not None else "",
        object_label=str(subject)[:200] if subject is not None else "",
        detail_json=json.dumps(told, cls=DjangoJSONEncoder, sort_keys=True, allow_nan=False),
    )
    _append(entry, head)
    return entry


def _tell_changed_end(head: AuditHead, said: tuple[int, str], *, ours: bool) -> None:
    """An entry, behind the last one there is, of what the trail's end said to be."""
    if not (ours or were_found_ours()):
        raise ImproperlyConfigured(OTHER_KEYS)
    log.error("The end of the audit trail was changed from outside: manage.py verify_audit.")
    told = json.dumps({"said": dict(zip(("number", "row_hash"), said, strict=True))})
    _append(AuditEntry(action=END_CHANGED, detail_json=told), head)


def _append(entry: AuditEntry, head: AuditHead) -> None:
    entry.number, entry.at, entry.previous_hash = head.number + 1, timezone.now(), head.row_hash
    entry.row_hash = entry_hash(entry)
    entry.save()
    head.number, head.row_hash = entry.number, entry.row_hash
    head.signature = sign_head(head.number, head.row_hash)
    head.save(update_fields=["number", "row_hash", "signature"])


@transaction.atomic
def end_log_ins(user: User, *, actor: User | None) -> None:
    """End every log-in: tokens and browser sessions of until now open nothing any more.

    Raises `UserRefused` where `actor` may not change `user`.
    """
    _managed(user, actor)
    _end_log_ins(user, actor=actor)


@transaction.atomic
def end_own_log_ins(user: User) -> None:
    """The same, asked for by who logged in: they may log in again."""
    _end_log_ins(user, actor=user)


def _end_log_ins(user: User, *, actor: User | None) -> None:
    user.log_ins_from = timezone.now()
    user.save(update_fields=["log_ins_from"])
    record_audit(actor=actor, action="user.log_ins_ended", subject=user)


@transaction.atomic
def set_roles(user: User, *, roles: Collection[str], actor: User | None) -> None:
    """Make `roles` (names from accounts/roles.py) the roles of `user`; Admin opens /admin/ too."""
    unknown = sorted(set(roles) - PERMISSIONS_BY_ROLE.keys())
    if unknown:
        raise ValidationError(f"Unknown role: {', '.join(unknown)}.")
    before = sorted(user.groups.values_list("name", flat=True))
    after = sorted(set(roles))
    user.groups.set(Group.objects.filter(name__in=after))
    user.is_staff = ADMIN in after or user.is_superuser
    user.save(update_fields=["is_staff"])
    if before != after:
        record_audit(
            actor=actor,
            action="user.roles_changed",
            subject=user,
            detail={"before": before, "after": after},
        )


@transaction.atomic
def create_user(
    *,
    username: str,
    display_name: str = "",
    email: str = "",
    time_zone: str = "UTC",
    roles: Collection[str] = (),
    actor: User | None,
) -> User:
    """A new user without a password: `make_password_link` lets them set one.

    Raises `ValidationError` by field, for a name that is taken in other letters too (see
    accounts/usernames.py), and `UserRefused` where `actor` may make none (any more).
    """
    # In turns: two of one name, or from somebody who is losing the right, do not slip through.
    take_turn(actor, "accounts.add_user")
    # Before it is compared and checked, as the model would keep it: fullwidth letters are letters.
    username = User.normalize_username(username)
    user = User(username=username, display_name=display_name, email=email, time_zone=time_zone)
    user.set_unusable_password()
    user.full_clean()
    taken = ValidationError({"username": "Another user has this name."})
    if ids_named(username):
        raise taken
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError as error:
        raise taken from error
    record_audit(actor=actor, action="user.created", subject=user)
    set_roles(user, roles=roles, actor=actor)
    return user


@transaction.atomic
def change_person(
    user: User, *, display_name: str, email: str, time_zone: str, actor: User | None
) -> bool:
    """Change what is known of a person. False when nothing is different.

    Raises `UserRefused`, and `ValidationError` by field.
    """
    user = _managed(user, actor)
    given = {"display_name": display_name, "email": email, "time_zone": time_zone}
    changed = sorted(name for name, value in given.items() if getattr(user, name) != value)
    for name in changed:
        setattr(user, name, given[name])
    if not changed:
        return False
    # Only what is given: an old row need not keep today's rules elsewhere.
    user.clean_fields(exclude={field.name for field in user._meta.fields} - set(changed))
    user.save(update_fields=changed)
    record_audit(actor=actor, action="user.changed", subject=user, detail={"fields": changed})
    return True


@transaction.atomic
def change_roles(
    user: User, *, roles: Collection[str], actor: User | None, seen: Collection[str] | None = None
) -> User:
    """`set_roles`, unless it is oneself, a superuser, or the last active Admin: `UserRefused`.

    So it is where the user has other roles by now than the `seen` ones: a page from before would
    give back what somebody took away.
    """
    user = _managed(user, actor, own="your own roles")
    now = sorted(user.groups.values_list("name", flat=True))
    if seen is not None and sorted(seen) != now:
        said = ", ".join(now) or "none"
        raise UserRefused(f"Somebody has changed these roles meanwhile: now {said}. Look again.")
    if ADMIN not in roles:
        _keep_an_admin(user, "Give somebody else the role first.")
    set_roles(user, roles=roles, actor=actor)
    return user


@transaction.atomic
def set_active(user: User, *, active: bool, actor: User | None) -> User:
    """Let a user in again or keep them out: sessions, tokens and links end, their keys stop.

    Their rows stay. Raises `UserRefused` for oneself, a superuser, or the last active Admin.
    """
    user = _managed(user, actor, own="your own account")
    if user.is_active == active:
        return user
    if not active:
        _keep_an_admin(user, "Nobody could manage users any more.")
    user.is_active = active
    user.save(update_fields=["is_active"])
    action = "user.activated" if active else "user.deactivated"
    record_audit(actor=actor, action=action, subject=user)
    return user


@transaction.atomic
def set_superuser(user: User, *, superuser: bool, actor: User | None) -> User:
    """Make a superuser, whom no role bounds, or an ordinary user again, who keeps their roles.

    Who becomes one logs in anew: a password link or a session that an admin got hold of while they
    were an ordinary user opens nothing. Raises `UserRefused` for oneself, from who is no superuser,
    or for the last active Admin.
    """
    user = _managed(user, actor, own="your own account")
    # As it is now: two superusers may unmake each other at the same time.
    if actor is not None and not User.objects.filter(pk=actor.pk, is_superuser=True).exists():
        raise UserRefused("Only a superuser makes or unmakes a superuser.")
    if user.is_superuser == superuser:
        return user
    is_admin = user.groups.filter(name=ADMIN).exists()
    if not superuser and not is_admin:
        _keep_an_admin(user, "Nobody could manage users any more.")
    user.is_superuser, user.is_staff = superuser, superuser or is_admin
    if superuser:
        user.log_ins_from = timezone.now()
    user.save(update_fields=["is_superuser", "is_staff", "log_ins_from"])
    action = "user.superuser_made" if superuser else "user.superuser_unmade"
    record_audit(actor=actor, action=action, subject=user)
    return user


@transaction.atomic
def make_password_link(user: User, *, actor: User | None) -> str:
    """The path by which `user` sets a password, once, and while `actor` may manage users; show it,
    and keep it nowhere.

    Raises `UserRefused` for oneself, a superuser, or who is not active.
    """
    user = _managed(user, actor, own="your own password this way")
    if not user.is_active:
        raise UserRefused("Activate the user first: the link would open nothing.")
    record_audit(actor=actor, action=MADE, subject=user)
    return password_link(user)


@transaction.atomic
def change_password(user: User, *, password: str, by_link: bool = False) -> None:
    """Set the password of `user`, who has shown the old one or came by their link: tokens and other
    browser sessions end."""
    user.set_password(password)
    user.save(update_fields=["password"])
    action = "user.password_set" if by_link else "user.password_changed"
    record_audit(actor=user, action=action, subject=user)


@transaction.atomic
def unlock_user(user: User, *, actor: User | None) -> int:
    """Forget the failed log-ins of a user, from every address; returns from how many."""
    forgotten, _ = FailedLogin.objects.filter(username=folded(user.username)).delete()
    if forgotten:
        record_audit(
            actor=actor, action="user.unlocked", subject=user, detail={"addresses": forgotten}
        )
    return forgotten


def _managed(user: User, actor: User | None, *, own: str = "") -> User:
    """`user`, locked and as it is now, if `actor` may change it. Raises `UserRefused`.

    `own`: what of oneself nobody changes.
    """
    actor = take_turn(actor, "accounts.change_user")
    found = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    if own and actor is not None and actor.pk == found.pk:
        raise UserRefused(f"Nobody changes {own}. Ask another admin.")
    if actor is not None and found.is_superuser and not actor.is_superuser:
        raise UserRefused("Only a superuser changes a superuser.")
    return found


def take_turn(actor: User | None, permission: str, *, doing: str = "manage users") -> User | None:
    """`actor` as it is now, if it may still do this. Raises `UserRefused`.

    The role's row is locked first, so that two people who take the role from each other take turns,
    and the second, who has lost it, is refused.
    """
    Group.objects.select_for_update(no_key=True).filter(name=ADMIN).first()
    if actor is None:
        return None
    now = User.objects.get(pk=actor.pk)
    if not now.has_perm(permission):  # Nobody who is not active has any.
        raise UserRefused(f"You may not {doing} any more.")
    return now


def _keep_an_admin(user: User, why: str) -> None:
    """Refuse when nobody but `user` could manage users; call it with the role's row locked.

    Who has no password yet cannot log in, so does not count.
    """
    admins = User.objects.filter(Q(groups__name=ADMIN) | Q(is_superuser=True), is_active=True)
    admins = admins.exclude(Q(password="") | Q(password__startswith=UNUSABLE_PASSWORD_PREFIX))
    if admins.filter(pk=user.pk).exists() and not admins.exclude(pk=user.pk).exists():
        raise UserRefused(f"{user.name} is the last active Admin who can log in. {why}")


@transaction.atomic
def sync_roles() -> dict[str, int]:
    """Make the groups equal to the table of roles. Returns the number of permissions per role.

    Permissions that do not exist (yet) are skipped; run it again when they do.
    """
    codenames = {name.partition(".")[2] for names in PERMISSIONS_BY_ROLE.values() for name in names}
    found = {
        f"{app}.{codename}": pk
        for pk, app, codename in Permission.objects.filter(codename__in=codenames).values_list(
            "pk", "content_type__app_label", "codename"
        )
    }
    counts = {}
    for role, names in PERMISSIONS_BY_ROLE.items():
        group, _ = Group.objects.get_or_create(name=role)
        wanted = {found[name] for name in names if name in found}
        group.permissions.set(wanted)
        counts[role] = len(wanted)
    return counts
