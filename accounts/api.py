"""Log in and out over the API: a user name and a password for a pair of tokens."""

import math
from datetime import timedelta
from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.lockout import client_address, lock_message, locked_for
from accounts.models import User
from accounts.services import end_own_log_ins
from accounts.tokens import (
    REFRESH,
    TokenPair,
    TokenRefused,
    issue_tokens,
    renew_tokens,
    user_of,
)

WRONG = "The user name or the password is not right."


class LoginIn(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150)
    password = serializers.CharField(max_length=1000, trim_whitespace=False)


class RefreshIn(serializers.Serializer[Any]):
    refresh = serializers.CharField(max_length=2000)


class TokenBody(serializers.Serializer[Any]):
    """Send `access` as `Authorization: Bearer <access>`; `refresh` gets the next pair."""

    access_token = serializers.CharField()
    refresh_token = serializers.CharField()
    access = serializers.CharField(help_text="The same as access_token.")
    refresh = serializers.CharField(help_text="The same as refresh_token.")
    token_type = serializers.CharField(help_text="bearer")
    expires_in = serializers.IntegerField(help_text="Seconds.")


class AuthProblem(serializers.Serializer[Any]):
    """What was wrong."""

    detail = serializers.CharField()
    errors = serializers.ListField(child=serializers.DictField(), required=False)  # type: ignore[assignment]


ERRORS = dict.fromkeys((400, 401, 413, 415, 422, 429, 503), AuthProblem)


class OpenView(APIView):
    """Whoever has a password may try it; what else the request presents is not looked at."""

    authentication_classes = ()
    permission_classes = (AllowAny,)

    def get_authenticate_header(self, request: Request) -> str:
        """Makes a refusal a 401, as there is no authenticator to say so."""
        return "Bearer"


class LockedOut(Throttled):
    """429 whose text has the wait once: the class itself would say it again, in seconds."""

    def __init__(self, left: timedelta) -> None:
        super().__init__(detail=lock_message(left))
        self.wait: int = math.ceil(left.total_seconds())


class LoginView(OpenView):
    """User name and password for an access token and a refresh token."""

    @extend_schema(
        operation_id="auth_login", auth=[], request=LoginIn, responses={200: TokenBody, **ERRORS}
    )
    def post(self, request: Request) -> Response:
        given = _valid(LoginIn, request)
        username, address = given["username"], client_address(request._request)
        left = locked_for(username, address)
        if left is not None:
            raise LockedOut(left)
        user = authenticate(request._request, username=username, password=given["password"])
        # Of many that were sent at once the right one is told from a wrong one as little.
        if user is None or locked_for(username, address) is not None:
            raise AuthenticationFailed(WRONG)
        user_logged_in.send(sender=User, request=request._request, user=user)
        return Response(_body(issue_tokens(user)))


class RefreshView(OpenView):
    """The next pair for a refresh token, as long as the log-in lasts (JWT_SESSION_SECONDS).

    A refresh token works once; asked again within 30 seconds, as by a client that lost the answer,
    it gets the same next one. Used later, or after its next one was, it ends its log-in.
    """

    @extend_schema(
        operation_id="auth_refresh",
        auth=[],
        request=RefreshIn,
        responses={200: TokenBody, **ERRORS},
    )
    def post(self, request: Request) -> Response:
        try:
            pair = renew_tokens(
                _valid(RefreshIn, request)["refresh"], address=client_address(request._request)
            )
        except TokenRefused as error:
            raise AuthenticationFailed(str(error)) from error
        return Response(_body(pair))


class LogoutView(OpenView):
    """End every log-in of whose refresh token this is: tokens and browsers, wherever they are.

    The way out for who has lost a device, or sees what they did not do. They may log in again.
    """

    @extend_schema(
        operation_id="auth_logout", auth=[], request=RefreshIn, responses={204: None, **ERRORS}
    )
    def post(self, request: Request) -> Response:
        try:
            user = user_of(_valid(RefreshIn, request)["refresh"], kind=REFRESH)
        except TokenRefused as error:
            raise AuthenticationFailed(str(error)) from error
        end_own_log_ins(user)
        return Response(status=204)


def _body(pair: TokenPair) -> dict[str, Any]:
    return {
        "access_token": pair.access,
        "refresh_token": pair.refresh,
        "access": pair.access,
        "refresh": pair.refresh,
        "token_type": "bearer",
        "expires_in": pair.expires_in,
    }


def _valid(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    form = kind(data=request.data)
    form.is_valid(raise_exception=True)
    return dict(form.validated_data)
