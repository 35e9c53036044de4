"""The log-in forms, with the lockout in front."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError

from accounts.lockout import client_address, lock_message, locked_for
from accounts.models import ApiKey
from accounts.rates import parse_rate
from accounts.scopes import SCOPES


class LockoutMixin(AuthenticationForm):
    """Asks the lockout before the password; the right password does not help while locked."""

    locked_left: timedelta | None = None

    def clean(self) -> dict[str, Any]:
        username = self.cleaned_data.get("username")
        if username:
            self.locked_left = locked_for(username, client_address(self.request))
            if self.locked_left is not None:
                raise ValidationError(lock_message(self.locked_left), code="locked")
        return super().clean()


class LoginForm(LockoutMixin):
    """User name and password."""


class AdminLoginForm(LockoutMixin, AdminAuthenticationForm):
    """The same in front of /admin/."""


class NewApiKeyForm(forms.ModelForm):
    """What one chooses for a new API key."""

    scopes = forms.MultipleChoiceField(
        choices=[(name, f"{name}: {text}") for name, text in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = ApiKey
        fields = ["user", "label", "scopes", "rate", "expires_at"]

    def clean_rate(self) -> str:
        rate: str = self.cleaned_data["rate"]
        try:
            parse_rate(rate)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return rate
