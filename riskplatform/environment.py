"""Values from the environment, each checked as it is read and refused by the name of its variable.

One that is set to nothing is not set. `ImproperlyConfigured` is raised for every other that is not
what it should be. What may be a secret is not repeated in the message.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any, TypeVar

import environ
from django.core.exceptions import ImproperlyConfigured

from accounts.rates import parse_rate
from accounts.typed import parse_flag

LOCAL_HOME = "http://localhost:8000"
SQLITE = "riskplatform.fair_sqlite3"
DATABASES = ("postgres", "postgresql", "psql", "pgsql", "sqlite")
NOTICED = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
"""Seconds (the second: milliseconds) after which a server of databases that is cut off is noticed.
Linux would wait two minutes for a connection, and a quarter of an hour for an answer."""
_QUOTES = ('"', "'")
T = TypeVar("T", int, float)


class Environment:
    """Reads variables of `given`; a name in `may_be_empty` may be set to nothing."""

    def __init__(self, given: Mapping[str, str], *, may_be_empty: Collection[str] = ()) -> None:
        self._given = {
            name: value for name, value in given.items() if value.strip() or name in may_be_empty
        }

    def __call__(self, name: str, *, default: str | None = None) -> str:
        """The value as it stands; without a default it must be there."""
        value = self._given.get(name, default)
        if value is None:
            raise ImproperlyConfigured(f"{name} must be set.")
        stripped = value.strip()
        # What somebody else chose may really begin and end with one.
        if stripped[:1] in _QUOTES and stripped[-1:] == stripped[0] and not _is_password(name):
            raise ImproperlyConfigured(
                f"{name} stands in quotes, and they would belong to its value: `docker run"
                " --env-file` and others hand them on as they are. Leave them out."
            )
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false, in any of the usual words."""
        value = self(name, default=str(default))
        found = parse_flag(value)
        if found is None:
            raise ImproperlyConfigured(
                f"{name} must be true or false (or 1, 0, yes, no, on, off), not {value!r}."
            )
        return found

    def whole(self, name: str, *, default: int, least: int, most: int) -> int:
        """A whole number from `least` to `most`."""
        return _between(int, name, self(name, default=str(default)), least, most)

    def number(self, name: str, *, default: float, least: float, most: float) -> float:
        """A number from `least` to `most`."""
        return _between(float, name, self(name, default=str(default)), least, most)

    def choice(self, name: str, *, default: str, of: Sequence[str]) -> str:
        """One of these words."""
        value = self(name, default=default)
        if value not in of:
            raise ImproperlyConfigured(f"{name} must be one of {', '.join(of)}, not {value!r}.")
        return value

    def items(self, name: str, *, default: Sequence[str] | None = None) -> list[str]:
        """What stands between commas."""
        value = self(name, default=None if default is None else ",".join(default))
        found = [item.strip() for item in value.split(",") if item.strip()]
        if value.strip() and not found:
            raise ImproperlyConfigured(f"{name} has commas and nothing between them.")
        return found

    def ports(self, name: str, *, default: Sequence[str]) -> list[int]:
        """TCP ports between commas."""
        return [_between(int, name, item, 1, 65535) for item in self.items(name, default=default)]

    def networks(self, name: str) -> list[IPv4Network | IPv6Network]:
        """IP networks between commas, none by default."""
        try:
            return [ip_network(item) for item in self.items(name, default=[])]
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}: {error}.") from error

    def rate(self, name: str, *, default: str) -> str:
        """A limit on requests, as text (accounts/rates.py)."""
        value = self(name, default=default)
        try:
            parse_rate(value)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}: {error}") from error
        return value

    def database(self, name: str) -> dict[str, Any]:
        """Django's settings of the PostgreSQL or SQLite database at an address, whose own
        parameters (`?connect_timeout=3`) go before `NOTICED`."""
        value = self(name)
        try:
            if value.partition("://")[0] not in DATABASES:
                raise ValueError("another kind of database")
            found: dict[str, Any] = environ.Env.db_url_config(value)
        except (ValueError, ImproperlyConfigured) as error:
            raise ImproperlyConfigured(
                f"{name} must be like postgres://user:password@host/name or sqlite:///path."
            ) from error
        if found["ENGINE"].endswith("sqlite3"):
            found["ENGINE"] = SQLITE
        else:
            found["OPTIONS"] = NOTICED | found.get("OPTIONS", {})
        return found

    def beginning(self, prefix: str) -> dict[str, str]:
        """All variables whose name begins so: PREFIX_SOME_NAME as `some_name`."""
        names = [name for name in self._given if name.startswith(prefix)]
        return {name.removeprefix(prefix).lower(): self(name) for name in names}


def home_of(hosts: Sequence[str], origins: Sequence[str]) -> str:
    """Where links lead: the first host that is named, else the first trusted origin that is, else
    this machine, which notifications/apps.py warns of."""
    named = [f"https://{host.removeprefix('.')}" for host in hosts if host != "*"]
    return next((home for home in (*named, *origins) if "*" not in home), LOCAL_HOME)


def _is_password(name: str) -> bool:
    return name.endswith("_PASSWORD")


def _between(kind: Callable[[str], T], name: str, value: str, least: T, most: T) -> T:
    word = "a whole number" if kind is int else "a number"
    wanted = f"{name} must be {word} from {least} to {most}, not {value!r}."
    try:
        found = kind(value)
    except ValueError as error:
        raise ImproperlyConfigured(wanted) from error
    if not least <= found <= most:  # NaN lies nowhere
        raise ImproperlyConfigured(wanted)
    return found
