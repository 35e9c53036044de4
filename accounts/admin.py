"""Users, API keys and the audit trail in Django's admin."""

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from accounts.forms import AdminLoginForm, NewApiKeyForm
from accounts.models import ApiKey, AuditEntry, FailedLogin, User
from accounts.services import create_api_key, end_log_ins, record_roles_changed, revoke_api_key

admin.site.login_form = AdminLoginForm
# The table in accounts/roles.py is the truth; an edited group would not survive a migration.
admin.site.unregister(Group)


GUARDED = ("is_superuser", "groups", "is_active")


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    list_display = ("username", "name", "email", "roles", "is_active", "last_login")
    list_filter = ("groups", "is_active", "is_staff")
    actions = ("end_log_ins",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("display_name", "email", "time_zone")}),
        ("Roles", {"fields": ("groups", "is_active", "is_staff", "is_superuser")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )

    @admin.display(description="Roles")
    def roles(self, user: User) -> str:
        return ", ".join(sorted(group.name for group in user.groups.all())) or "none"

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        always = ("last_login", "date_joined")
        if cast(User, request.user).is_superuser:
            return always
        # Only a superuser makes another one. Roles and who is let in are changed on the user's own
        # page, which keeps the last Admin.
        return (*always, "is_superuser") if obj is None else (*always, *GUARDED)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # A superuser's password in another's hands would make another superuser.
        if isinstance(obj, User) and obj.is_superuser and not cast(User, request.user).is_superuser:
            return False
        return bool(super().has_change_permission(request, obj))

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        user: User = form.instance
        before = sorted(user.groups.values_list("name", flat=True))
        super().save_related(request, form, formsets, change)
        after = sorted(user.groups.values_list("name", flat=True))
        if before != after:
            record_roles_changed(user, before=before, after=after, actor=cast(User, request.user))

    @admin.action(description="End the API log-ins of the selected users", permissions=["change"])
    def end_log_ins(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            if self.has_change_permission(request, user):
                end_log_ins(user, actor=cast(User, request.user))
        messages.success(request, "Their tokens open nothing any more.")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # Deactivated, not deleted: the audit trail names them.
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
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

    def get_form(
        self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any
    ) -> type[ModelForm]:
        if obj is None:
            kwargs["form"] = NewApiKeyForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        chosen = ("user", "label", "scopes", "rate", "expires_at")
        if obj is None:
            return chosen
        return (*chosen, "prefix", "created_at", "last_used_at", "revoked_at")

    def get_readonly_fields(
        self, request: HttpRequest, obj: ApiKey | None = None
    ) -> tuple[str, ...]:
        if obj is None:
            return ()
        return tuple(name for name in self.get_fields(request, obj) if name != "label")

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm, change: bool) -> None:
        if change:
            obj.save(update_fields=["label"])
            return
        key, plain = create_api_key(
            user=obj.user,
            label=obj.label,
            scopes=obj.scopes,
            rate=obj.rate,
            expires_at=obj.expires_at,
            actor=cast(User, request.user),
        )
        obj.pk = key.pk
        messages.warning(request, f"Copy the key now, it is not shown again: {plain}")

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = sum(revoke_api_key(key, actor=cast(User, request.user)) for key in queryset)
        messages.success(request, f"{revoked} revoked.")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(AuditEntry)
class AuditEntryAdmin(admin.ModelAdmin):
    list_display = ("number", "at", "actor", "action", "object_type", "object_label")
    list_select_related = ("actor",)
    list_filter = ("action",)
    search_fields = ("object_label", "object_id", "actor__username")
    date_hierarchy = "at"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(FailedLogin)
class FailedLoginAdmin(admin.ModelAdmin):
    """Deleting a row lets its user try again at once."""

    list_display = ("username", "address", "failures", "last_failed_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
