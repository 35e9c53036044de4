"""Log in, log out, change one's password."""

import math
from typing import cast

from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.http import HttpResponse

from accounts.forms import LoginForm
from accounts.models import User
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
