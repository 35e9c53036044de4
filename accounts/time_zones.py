"""Names of time zones."""

from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError


def validate_time_zone(name: str) -> None:
    """Refuse what is not an IANA time zone."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValidationError(f"'{name}' is not a time zone. Example: Europe/Zurich.") from error
