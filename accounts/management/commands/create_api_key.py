"""`manage.py create_api_key --user NAME --name LABEL`: the key stands alone on the last line."""

from argparse import ArgumentParser
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.api_keys import create_api_key
from accounts.models import User
from accounts.own_keys import refuse_other_keys
from accounts.rates import DEFAULT_RATE
from accounts.scopes import SCOPES

DEFAULT_SCOPES = "score,predictions:read,feedback:write,models:read"
OPTIONS = {"label": "name", "expires_at": "days"}
"""Field of a key -> the option that gives it."""


class Command(BaseCommand):
    help = (
        "Make an API key. It is printed once, alone on the last line. docs/api.md tells the scopes."
        " Example: manage.py create_api_key --user engineer --name shop --scopes score --days 90"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True, help="whom the key acts for")
        parser.add_argument("--name", required=True, help="what it is for, to tell keys apart")
        parser.add_argument(
            "--scopes",
            default=DEFAULT_SCOPES,
            help=f"comma-separated, of {', '.join(SCOPES)} (default: {DEFAULT_SCOPES})",
        )
        parser.add_argument("--rate", default=DEFAULT_RATE, help="for example 100/min,1000/h; none")
        parser.add_argument("--days", type=int, help="expires after so many days (default: never)")

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_other_keys()
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user '{options['user']}'.")
        try:
            key, plain = create_api_key(
                user=user,
                label=options["name"],
                scopes=[name.strip() for name in options["scopes"].split(",") if name.strip()],
                rate=options["rate"],
                expires_at=_after(options["days"]),
                actor=None,
            )
        except ValidationError as error:
            told = {OPTIONS.get(name, name): found for name, found in error.message_dict.items()}
            raise CommandError(
                " ".join(f"--{name}: {' '.join(found)}" for name, found in told.items())
            ) from error
        self.stdout.write(f"{key.label}: {', '.join(key.scopes)}; {key.rate}")
        self.stdout.write(plain)


def _after(days: int | None) -> datetime | None:
    if days is None:
        return None
    try:
        return timezone.now() + timedelta(days=days)
    except OverflowError as error:
        raise CommandError("--days: This time is too far away.") from error
