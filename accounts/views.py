"""Log in, log out, change one's password, set it by a link."""

import math
from datetime import timedelta
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.http import HttpResponse
from django.urls import reverse_lazy

from accounts.forms import LinkPasswordForm, LoginForm, OwnPasswordForm
from accounts.lockout import clear_failed_logins, client_address
from accounts.password_links import password_link_tokens


class LoginView(auth_views.LoginView):
    form_class = LoginForm
    redirect_authenticated_user = True

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        return _refused(super().form_invalid(form), cast(LoginForm, form).locked_left)


class PasswordChangeView(auth_views.PasswordChangeView):
    """The one page where somebody changes their own password: Django's admin leads here too."""

    form_class = OwnPasswordForm

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"address": client_address(self.request)}

    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        clear_failed_logins(form.user.username, client_address(self.request))
        return super().form_valid(form)

    def form_invalid(self, form: PasswordChangeForm) -> HttpResponse:
        return _refused(super().form_invalid(form), cast(OwnPasswordForm, form).locked_left)


def _refused(response: HttpResponse, left: timedelta | None) -> HttpResponse:
    """The answer to a form that was refused; 429 while its user is locked out."""
    if left is not None:
        response.status_code = 429
        response["Retry-After"] = str(math.ceil(left.total_seconds()))
    return response


class SetPasswordView(auth_views.PasswordResetConfirmView):
    """Where a link of accounts/password_links.py leads: it moves into the session, out of the
    address, and is used up by the new password."""

    form_class = LinkPasswordForm
    template_name = "registration/set_password.html"
    token_generator = password_link_tokens
    success_url = reverse_lazy("login")

    def form_valid(self, form: SetPasswordForm) -> HttpResponse:
        response = super().form_valid(form)
        messages.success(self.request, "Your password is set. Sign in with it.")
        return response
