"""Log in, log out, change one's password, set it by a link."""

import math
from typing import cast

from django.contrib import messages
from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm, SetPasswordForm
from django.http import HttpResponse
from django.urls import reverse_lazy

from accounts.forms import LoginForm
from accounts.models import User
from accounts.password_links import password_link_tokens
from accounts.services import record_audit


class LoginView(auth_views.LoginView):
    form_class = LoginForm
    redirect_authenticated_user = True

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        response = super().form_invalid(form)
        left = cast(LoginForm, form).locked_left
        if left is not None:
            response.status_code = 429
            response["Retry-After"] = str(math.ceil(left.total_seconds()))
        return response


class PasswordChangeView(auth_views.PasswordChangeView):
    def form_valid(self, form: PasswordChangeForm) -> HttpResponse:
        response = super().form_valid(form)
        user = cast(User, self.request.user)
        record_audit(actor=user, action="user.password_changed", subject=user)
        return response


class SetPasswordView(auth_views.PasswordResetConfirmView):
    """Where a link of accounts/password_links.py leads: it moves into the session, out of the
    address, and is used up by the new password."""

    template_name = "registration/set_password.html"
    token_generator = password_link_tokens
    success_url = reverse_lazy("login")

    def form_valid(self, form: SetPasswordForm) -> HttpResponse:
        response = super().form_valid(form)
        user = cast(User, form.user)
        record_audit(actor=user, action="user.password_set", subject=user)
        messages.success(self.request, "Your password is set. Sign in with it.")
        return response
