"""Links by which somebody sets their password: for a day, once, only while they are active, and
only while whoever made the link may manage users."""

from datetime import timedelta

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.urls import reverse
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import base36_to_int, urlsafe_base64_encode

from accounts.models import AuditEntry, User

MADE = "user.password_link_made"
MAY_MAKE = "accounts.change_user"
ROUNDING = timedelta(seconds=2)
"""A token knows the second that it was made in, just after the audit entry of it."""


class PasswordLinkTokens(PasswordResetTokenGenerator):
    """Django's tokens, which a password or a log-in ends; ours end with the user's log-ins and with
    the right of whoever made them too: they know the link."""

    key_salt = "riskplatform.accounts.password_links"

    def check_token(self, user: User | None, token: str | None) -> bool:
        """Whether the token opens the password of `user` now. A few queries more where it does."""
        if user is None or token is None or not super().check_token(user, token):
            return False
        seconds = self._num_seconds(self._now()) - base36_to_int(token.partition("-")[0])
        made = AuditEntry.objects.filter(
            object_type=User._meta.label_lower,
            object_id=str(user.pk),
            action=MADE,
            at__lt=timezone.now() - timedelta(seconds=seconds) + ROUNDING,
        )
        entry = made.select_related("actor").order_by("-number").first()
        maker = None if entry is None else entry.actor
        return maker is None or maker.has_perm(MAY_MAKE)  # Nobody who is not active has any.

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
