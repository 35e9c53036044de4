"""Links by which somebody sets their password: for a day, once, and only while they are active."""

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from accounts.models import User


class PasswordLinkTokens(PasswordResetTokenGenerator):
    """Django's tokens, which a password or a log-in ends; ours end with the user's log-ins too."""

    key_salt = "riskplatform.accounts.password_links"

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        value = super()._make_hash_value(user, timestamp)
        ended = user.log_ins_from
        return f"{value}{user.is_active}{ended.timestamp() if ended else ''}"


password_link_tokens = PasswordLinkTokens()


def password_link(user: User) -> str:
    """The path of a link that sets the password of `user`. Never log or store it."""
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    token = password_link_tokens.make_token(user)
    return reverse("password_reset_confirm", kwargs={"uidb64": uid, "token": token})
