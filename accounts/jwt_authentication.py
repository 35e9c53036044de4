"""`Authorization: Bearer <jwt>`: a person who logged in over the API, with their permissions."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import KEY_MARK, User
from accounts.tokens import ACCESS, TokenRefused, user_of

SCHEME = "bearer"


class JwtAuthentication(BaseAuthentication):
    """Sets `request.user`; `request.auth` is the token's text. Two dots tell a JWT from a key."""

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
        token = token.strip()
        if scheme.lower() != SCHEME or token.startswith(f"{KEY_MARK}_"):
            return None
        try:
            return user_of(token, kind=ACCESS), token
        except TokenRefused as error:
            raise AuthenticationFailed(str(error)) from error

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
