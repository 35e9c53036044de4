"""The forms of logging in and of one's own password, with the lockout in front."""

from datetime import timedelta
from typing import Any

from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.core.exceptions import ValidationError

from accounts.lockout import (
    client_address,
    lock_message,
    locked_for,
    name_locked_for,
    note_failed_login,
)
from accounts.models import User
from accounts.services import change_password, record_audit


class LockoutMixin(AuthenticationForm):
    """Asks the lockout before the password; the right password does not help while locked, nor one
    of many that were sent at once, once enough of them failed: it is refused as a wrong one is."""

    locked_left: timedelta | None = None

    def clean(self) -> dict[str, Any]:
        username = self.cleaned_data.get("username")
        if username:
            self.locked_left = locked_for(username, client_address(self.request))
            if self.locked_left is not None:
                raise ValidationError(lock_message(self.locked_left), code="locked")
        cleaned = super().clean()
        if username and locked_for(username, client_address(self.request)) is not None:
            raise self.get_invalid_login_error()
        return cleaned


class LoginForm(LockoutMixin):
    """User name and password."""


class AdminLoginForm(LockoutMixin, AdminAuthenticationForm):
    """The same in front of /admin/."""


class LinkPasswordForm(SetPasswordForm):
    """The password of who came by their link."""

    def save(self, commit: bool = True) -> User:
        change_password(self.user, password=self.cleaned_data["new_password1"], by_link=True)
        return self.user


class OwnPasswordForm(PasswordChangeForm):
    """Another password of one's own: a wrong old one counts as a failed log-in does."""

    locked_left: timedelta | None = None

    def __init__(self, *args: Any, address: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.address = address

    def clean_old_password(self) -> str:
        self.locked_left = name_locked_for(self.user.username, self.address)
        if self.locked_left is not None:
            raise ValidationError(lock_message(self.locked_left), code="locked")
        try:
            given = super().clean_old_password()
        except ValidationError:
            self._note_failure()
            raise
        if name_locked_for(self.user.username, self.address) is not None:
            code = "password_incorrect"  # As of a wrong one: see LockoutMixin.
            raise ValidationError(self.error_messages[code], code=code)
        return given

    def _note_failure(self) -> None:
        failures = note_failed_login(self.user.username, self.address)
        detail = {"address": self.address, "failures": failures}
        record_audit(
            actor=self.user, action="user.password_refused", subject=self.user, detail=detail
        )

    def save(self, commit: bool = True) -> User:
        change_password(self.user, password=self.cleaned_data["new_password1"])
        return self.user
