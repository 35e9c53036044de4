"""Users, API keys and the audit trail in Django's admin."""

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.api_keys import revoke_api_key
from accounts.forms import AdminLoginForm
from accounts.models import ApiKey, AuditEntry, FailedLogin, User
from accounts.read_only import ReadOnlyAdmin
from accounts.services import (
    UserRefused,
    change_person,
    change_roles,
    end_log_ins,
    record_audit,
    set_active,
    set_superuser,
)

admin.site.login_form = AdminLoginForm
# The table in accounts/roles.py is the truth; an edited group would not survive a migration.
admin.site.unregister(Group)


GUARDED = ("is_superuser", "groups", "is_active")
_PERSON = ("display_name", "email", "time_zone")


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    """Changes users by the services of the pages: what those refuse is refused here, and what they
    audit is audited. New users and passwords have no other door than those pages."""

    list_display = ("username", "name", "email", "roles", "is_active", "last_login")
    list_filter = ("groups", "is_active", "is_staff")
    actions = ("end_log_ins",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": _PERSON}),
        ("Roles", {"fields": ("groups", "is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )

    @admin.display(description="Roles")
    def roles(self, user: User) -> str:
        return ", ".join(sorted(group.name for group in user.groups.all())) or "none"

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        # A user name stays, and who may open these pages follows from the role and the superuser.
        always = ("username", "is_staff", "last_login", "date_joined")
        return always if cast(User, request.user).is_superuser else (*always, *GUARDED)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # A superuser's password in another's hands would make another superuser.
        if isinstance(obj, User) and obj.is_superuser and not cast(User, request.user).is_superuser:
            return False
        return bool(super().has_change_permission(request, obj))

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Leads to the page that makes users: they set their first password themselves."""
        return redirect("user_new")

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        """Nobody sets the password of another; leads to the page that makes an audited link."""
        user = self.get_object(request, unquote(id))
        if user is None:
            raise Http404
        if not self.has_change_permission(request, user):
            raise PermissionDenied
        if user == request.user:
            return redirect("password_change")
        messages.warning(request, f"{user.name} sets their password: make them a link here.")
        return redirect(user)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except (UserRefused, ValidationError) as problem:
            # Nothing was saved: the view is one transaction.
            told = problem.messages if isinstance(problem, ValidationError) else [str(problem)]
            messages.error(request, " ".join(told))
            return redirect(request.get_full_path())

    def save_model(self, request: HttpRequest, obj: User, form: ModelForm, change: bool) -> None:
        """By services alone, which look at the row as it is now, under their lock."""
        actor, given = cast(User, request.user), form.cleaned_data
        changed = set(form.changed_data)
        if changed & set(_PERSON):
            change_person(obj, **{name: given[name] for name in _PERSON}, actor=actor)
        if "is_superuser" in changed:
            set_superuser(obj, superuser=given["is_superuser"], actor=actor)
        if "groups" in changed:
            change_roles(obj, roles=[group.name for group in given["groups"]], actor=actor)
        if "is_active" in changed:
            set_active(obj, active=given["is_active"], actor=actor)

    @admin.action(description="End the log-ins of the selected users", permissions=["change"])
    def end_log_ins(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        try:
            for user in queryset:
                if self.has_change_permission(request, user):
                    end_log_ins(user, actor=cast(User, request.user))
        except UserRefused as refusal:
            messages.error(request, str(refusal))
            return
        messages.success(request, "Their tokens open nothing any more.")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # Deactivated, not deleted: the audit trail names them.
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    """To look at, name anew and revoke; new keys have no other door than their page."""

    list_display = (
        "label",
        "prefix",
        "user",
        "scopes",
        "rate",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    list_select_related = ("user",)
    list_filter = ("revoked_at",)
    search_fields = ("label", "prefix", "user__username")
    actions = ("revoke",)

    fields = (
        "user", "label", "scopes", "rate", "expires_at",
        "prefix", "created_at", "last_used_at", "revoked_at",
    )  # fmt: skip
    readonly_fields = tuple(name for name in fields if name != "label")

    def add_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Leads to the page that makes keys and shows their secret once."""
        return redirect("key_new")

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm, change: bool) -> None:
        if form.changed_data:
            obj.save(update_fields=["label"])
            detail = {"fields": form.changed_data}
            record_audit(actor=request.user, action="api_key.changed", subject=obj, detail=detail)

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = sum(revoke_api_key(key, actor=cast(User, request.user)) for key in queryset)
        messages.success(request, f"{revoked} revoked.")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("number", "at", "actor", "action", "object_type", "object_label")
    list_select_related = ("actor",)
    list_filter = ("action",)
    search_fields = ("object_label", "object_id", "actor__username")
    date_hierarchy = "at"


@admin.register(FailedLogin)
class FailedLoginAdmin(ReadOnlyAdmin):
    """To look at: a user's own page unlocks them, and the audit trail tells of it."""

    list_display = ("username", "address", "failures", "last_failed_at")
