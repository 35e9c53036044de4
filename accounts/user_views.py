"""Pages of users: who is here, what they may do, and how they get in."""

import smtplib
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.mail import send_mail
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.api_keys import MAY_MAKE, keys_known_to
from accounts.facts import TEAMS, WORK, facts_of
from accounts.lockout import closed_addresses, locked_names
from accounts.models import ApiKey, FailedLogin, User
from accounts.pages import (
    PAGE_SIZE,
    asked_choice,
    asked_text,
    for_who_may,
    signed_in,
    template,
)
from accounts.roles import PERMISSIONS_BY_ROLE
from accounts.selectors import (
    ACTIVE,
    INACTIVE,
    audit_about,
    failed_logins,
    list_users,
    live_keys_of,
    permission_matrix,
    role_names,
    subject_links,
    users_by_role,
)
from accounts.services import (
    UserRefused,
    change_person,
    change_roles,
    create_user,
    end_log_ins,
    make_password_link,
    set_active,
    unlock_user,
)
from accounts.user_forms import NewUserForm, PersonForm, RolesForm
from accounts.usernames import folded

VIEW, ADD, CHANGE = "accounts.view_user", "accounts.add_user", "accounts.change_user"
UNLOCK = "accounts.delete_failedlogin"
LATEST = 12
MOST_KEYS = 20
MOST_FAILURES = 50
ACTIVES = {ACTIVE: "Active", INACTIVE: "Not active"}
LINK_HOURS = settings.PASSWORD_RESET_TIMEOUT // 3600
_PERSON = ("display_name", "email", "time_zone")


@for_who_may(VIEW)
@require_GET
def user_list(request: HttpRequest) -> HttpResponse:
    """Context: page_obj, rows [{user, roles, teams, keys, locked}], filters, q, may_add."""
    q = asked_text(request, "q")
    role = asked_choice(request, "role", PERMISSIONS_BY_ROLE)
    active = asked_choice(request, "active", ACTIVES)
    page = Paginator(list_users(q=q, role=role, active=active), PAGE_SIZE).get_page(
        request.GET.get("page")
    )
    users = list(page.object_list)
    ids = [user.pk for user in users]
    teams, keys = facts_of(TEAMS, ids), live_keys_of(ids, timezone.now())
    locked = locked_names([user.username for user in users])
    context = {
        "title": "Users",
        "page_obj": page,
        "rows": [
            {
                "user": user,
                "roles": role_names(user),
                "teams": teams.get(user.pk, []),
                "keys": keys.get(user.pk, 0),
                "locked": folded(user.username) in locked,
            }
            for user in users
        ],
        "filters": _filters(role, active),
        "q": q,
        "narrowed": bool(q or role or active),
        "may_add": signed_in(request).has_perm(ADD),
    }
    return render(request, template(request, "accounts/user_list.html", "list"), context)


def _filters(role: str, active: str) -> list[dict[str, Any]]:
    """The selects above the list, with what is chosen."""
    roles = [(name, name) for name in PERMISSIONS_BY_ROLE]
    return [
        {"name": "role", "label": "Role", "value": role, "options": roles},
        {"name": "active", "label": "State", "value": active, "options": list(ACTIVES.items())},
    ]


@for_who_may(VIEW, ADD)
@require_http_methods(["GET", "POST"])
def user_new(request: HttpRequest) -> HttpResponse:
    """A new user, then the link by which they set their password, once."""
    form = NewUserForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        actor = signed_in(request)
        try:
            user = create_user(**form.cleaned_data, actor=actor)
            path = make_password_link(user, actor=actor)
        except (UserRefused, ValidationError) as problem:
            told = problem if isinstance(problem, ValidationError) else str(problem)
            form.add_error(None, told)
        else:
            return _show_link(request, user, path, made=True)
    context = {"title": "New user", "crumbs": _crumbs(), "form": form}
    status = 422 if request.method == "POST" else 200
    return render(request, "accounts/user_new.html", context, status=status)


@for_who_may(VIEW)
@require_http_methods(["GET", "POST"])
def user_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One user; by POST their name, address and time zone."""
    user = _user_or_404(pk)
    if request.method == "GET":
        return _page(request, user)
    form = PersonForm(request.POST)
    if not signed_in(request).has_perm(CHANGE):
        form.add_error(None, "You may not change users.")
        return _page(request, user, person=form, status=403)
    if not form.is_valid():
        return _page(request, user, person=form, status=422)
    try:
        changed = change_person(user, **form.cleaned_data, actor=signed_in(request))
    except (UserRefused, ValidationError) as problem:
        told = problem if isinstance(problem, ValidationError) else str(problem)
        form.add_error(None, told)
        return _page(request, user, person=form, status=422)
    messages.success(request, "Saved." if changed else "Nothing was different.")
    return redirect(user)


@for_who_may(VIEW, CHANGE)
@require_POST
def user_roles(request: HttpRequest, pk: int) -> HttpResponse:
    """Make what is ticked the user's roles."""
    user, form = _user_or_404(pk), RolesForm(request.POST)
    if not form.is_valid():
        return _page(request, user, roles=form, status=422)
    try:
        user = change_roles(
            user,
            roles=form.cleaned_data["roles"],
            actor=signed_in(request),
            seen=_seen(request),
        )
    except UserRefused as refusal:
        form.add_error(None, str(refusal))
        return _page(request, user, roles=form, status=422)
    messages.success(request, f"{user.name} may at once do what these roles may.")
    return redirect(user)


def _seen(request: HttpRequest) -> list[str] | None:
    """The roles that the page showed; None where it does not say."""
    said = request.POST.get("seen")
    return None if said is None else [name for name in said.split(",") if name]


@for_who_may(VIEW, CHANGE)
@require_POST
def user_active(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a user in again, or keep them out."""
    user, active = _user_or_404(pk), request.POST.get("active", "")
    if active not in ("0", "1"):
        return _page(request, user, problem="active: say 0 or 1.", status=422)
    try:
        user = set_active(user, active=active == "1", actor=signed_in(request))
    except UserRefused as refusal:
        return _page(request, user, problem=str(refusal), status=422)
    said = "can sign in again" if user.is_active else "is out: sessions, tokens and keys are shut"
    messages.success(request, f"{user.name} {said}.")
    return redirect(user)


@for_who_may(VIEW, CHANGE)
@require_POST
def user_end_log_ins(request: HttpRequest, pk: int) -> HttpResponse:
    """End every session and token of a user; they may log in again."""
    user = _user_or_404(pk)
    try:
        end_log_ins(user, actor=signed_in(request))
    except UserRefused as refusal:
        return _page(request, user, problem=str(refusal), status=422)
    messages.success(request, f"{user.name} has to sign in again everywhere.")
    return redirect(user)


@for_who_may(VIEW, UNLOCK)
@require_POST
def user_unlock(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a user try again who failed too often."""
    user = _user_or_404(pk)
    if unlock_user(user, actor=signed_in(request)):
        messages.success(request, f"{user.name} may try again.")
    else:
        messages.success(request, "There was nothing to unlock: no log-in of theirs failed lately.")
    return redirect(user)


@for_who_may(VIEW, CHANGE)
@require_POST
def user_link(request: HttpRequest, pk: int) -> HttpResponse:
    """A link by which the user sets a new password, shown once."""
    user = _user_or_404(pk)
    try:
        path = make_password_link(user, actor=signed_in(request))
    except UserRefused as refusal:
        return _page(request, user, problem=str(refusal), status=422)
    return _show_link(request, user, path, made=False)


def _page(
    request: HttpRequest,
    user: User,
    *,
    person: PersonForm | None = None,
    roles: RolesForm | None = None,
    problem: str = "",
    status: int = 200,
) -> HttpResponse:
    me = signed_in(request)
    form = person or PersonForm(initial={name: getattr(user, name) for name in _PERSON})
    form.fields["display_name"].widget.attrs["placeholder"] = user.name
    context: dict[str, Any] = {
        "title": user.name,
        "subtitle": user.username if user.name != user.username else "",
        "crumbs": _crumbs(),
        "person": user,
        "form": form,
        "roles_form": roles or RolesForm(initial={"roles": role_names(user)}),
        "roles": role_names(user),
        "problem": problem,
        "is_me": user == me,
        "may_change": me.has_perm(CHANGE) and (me.is_superuser or not user.is_superuser),
        "teams": facts_of(TEAMS, [user.pk]).get(user.pk, []),
        "work": facts_of(WORK, [user.pk]).get(user.pk, []),
        "link_hours": LINK_HOURS,
        **_failures(user, me),
        **_keys(user, me),
        **_trail(user, me),
    }
    return render(request, "accounts/user_detail.html", context, status=status)


def _failures(user: User, me: User) -> dict[str, Any]:
    """Their failed log-ins, and what they are locked out of, as far as `me` may know."""
    failures: list[FailedLogin] = []
    more = 0
    if me.has_perm("accounts.view_failedlogin"):
        failures, more = failed_logins(user, MOST_FAILURES)
    may_unlock = me.has_perm(UNLOCK)
    return {
        "failures": failures,
        "more_failures": more,
        "may_unlock": may_unlock,
        "closed": closed_addresses() if may_unlock else [],
        "is_locked": bool(locked_names([user.username])),
    }


def _keys(user: User, me: User) -> dict[str, Any]:
    """Their API keys, newest first where `me` may see them, and how many are in use; of who makes
    none any more also those of others that they made."""
    now = timezone.now()
    keys: list[ApiKey] = []
    known: list[ApiKey] = []
    if me.has_perm("accounts.view_apikey"):
        keys = list(user.api_keys.order_by("-created_at")[:MOST_KEYS])
        known = [] if _makes_keys(user) else list(keys_known_to(user, now)[:MOST_KEYS])
    live = live_keys_of([user.pk], now).get(user.pk, 0)
    return {"keys": keys, "live_keys": live, "known": known, "now": now}


def _makes_keys(user: User) -> bool:
    """Whether they may make keys; of a user whose roles were read with them it asks nothing."""
    roles = [PERMISSIONS_BY_ROLE.get(name, frozenset()) for name in role_names(user)]
    return user.is_active and (user.is_superuser or any(MAY_MAKE in role for role in roles))


def _trail(user: User, me: User) -> dict[str, Any]:
    """The newest of the audit trail about them, with what each entry leads to."""
    entries = audit_about(user, LATEST) if me.has_perm("accounts.view_auditentry") else []
    links = subject_links(entries)
    return {"lines": [{"entry": entry, "link": links.get(entry.number)} for entry in entries]}


def _show_link(request: HttpRequest, user: User, path: str, *, made: bool) -> HttpResponse:
    """The one page that shows the link; no cache keeps it, and no address leads back to it."""
    context = {
        "title": "Their link",
        "crumbs": [*_crumbs(), (user.name, user.get_absolute_url())],
        "person": user,
        "secret": request.build_absolute_uri(path),
        "made": made,
        "hours": LINK_HOURS,
        "mailed": _mail(user, settings.SITE_URL.rstrip("/") + path),
    }
    response = render(request, "accounts/user_link.html", context)
    response["Cache-Control"] = "no-store"
    return response


def _mail(user: User, link: str) -> str:
    """Send the link to its user where a mail server is set up; what to say of it."""
    if not settings.EMAIL_HOST:
        return "No mail server is set up: hand it over yourself."
    if not user.email:
        return "They have no e-mail address: hand it over yourself."
    text = (
        f"Somebody who manages users made this link for you. Set your password with it within"
        f" {LINK_HOURS} hours:\n\n{link}\n\nYour user name is {user.username}."
    )
    try:
        send_mail("Set your password", text, settings.DEFAULT_FROM_EMAIL, [user.email])
    except (OSError, smtplib.SMTPException):
        return "The mail server did not take it: hand it over yourself."
    return "It was mailed to them too."


def _user_or_404(pk: int) -> User:
    return get_object_or_404(User.objects.prefetch_related("groups"), pk=pk)


def _crumbs() -> list[tuple[str, str]]:
    return [("Users", reverse("user_list"))]


@for_who_may("auth.view_group")
@require_GET
def role_list(request: HttpRequest) -> HttpResponse:
    """Context: roles [{name, users}], matrix [(title, lines)]."""
    counts = users_by_role()
    context = {
        "title": "Roles",
        "crumbs": _crumbs() if signed_in(request).has_perm(VIEW) else [],
        "roles": [{"name": name, "users": counts.get(name, 0)} for name in PERMISSIONS_BY_ROLE],
        "matrix": permission_matrix(),
    }
    return render(request, "accounts/role_list.html", context)
