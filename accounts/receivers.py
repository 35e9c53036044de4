"""Log-ins and failed log-ins, by whichever door: counted for the lockout and audited."""

from collections.abc import Collection
from typing import Any

from django.apps import AppConfig
from django.contrib.auth.management import create_permissions
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models.signals import post_migrate, post_save
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from accounts.audit_guard import install_guard
from accounts.lockout import clear_failed_logins, client_address, note_failed_login
from accounts.models import User
from accounts.roles import APPS_WITH_PERMISSIONS
from accounts.services import record_audit, sync_roles


@receiver(user_logged_in, dispatch_uid="accounts.logged_in")
def audit_login(request: HttpRequest | None, user: User, **kwargs: Any) -> None:
    address = client_address(request)
    clear_failed_logins(user.username, address)
    record_audit(actor=user, action="user.logged_in", subject=user, detail={"address": address})


@receiver(user_login_failed, dispatch_uid="accounts.login_failed")
def audit_failed_login(
    credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
) -> None:
    username = str(credentials.get("username", ""))
    address = client_address(request)
    failures = note_failed_login(username, address)
    # Only a name that exists is kept: people type passwords into the wrong field.
    user = User.objects.filter(username=username).first()
    record_audit(
        actor=None,
        action="user.login_failed",
        subject=user,
        detail={"address": address, "failures": failures},
    )


@receiver(post_save, sender=User, dispatch_uid="accounts.deactivated")
def end_log_ins_of_inactive(
    instance: User, update_fields: Collection[str] | None, **kwargs: Any
) -> None:
    """Who was deactivated by whichever door has to log in again after being activated."""
    if not instance.is_active and (update_fields is None or "is_active" in update_fields):
        instance.log_ins_from = timezone.now()
        User.objects.filter(pk=instance.pk).update(log_ins_from=instance.log_ins_from)


@receiver(post_migrate, dispatch_uid="accounts.after_migrate")
def prepare_after_migrate(sender: AppConfig, using: str, **kwargs: Any) -> None:
    """Roles follow the table, and the audit trail keeps its guard."""
    if using != DEFAULT_DB_ALIAS or sender.label not in APPS_WITH_PERMISSIONS:
        return
    if sender.label == "accounts":
        install_guard(connections[using])
    # Django's own receiver may run after this one.
    create_permissions(sender, verbosity=0, using=using)
    sync_roles()
