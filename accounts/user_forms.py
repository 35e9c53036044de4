"""The forms of the admin pages: people, their roles, API keys, the audit search."""

from datetime import datetime
from typing import Any

from django import forms
from django.apps import apps
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.facts import known_subjects
from accounts.models import User
from accounts.rates import DEFAULT_RATE, parse_rate
from accounts.roles import ABOUT_ROLE
from accounts.scopes import SCOPES
from accounts.selectors import AmbiguousName, AuditAsked, find_user, ids_named
from accounts.time_zones import validate_time_zone
from accounts.typed import is_plausible

_INPUT = {"class": "input"}
_OFF = {**_INPUT, "autocomplete": "off", "spellcheck": "false"}
_DAY = {**_INPUT, "type": "date"}
ROLE_CHOICES = [(name, text) for name, text in ABOUT_ROLE.items()]


class PersonForm(forms.Form):
    """Name, address and time zone of somebody."""

    display_name = forms.CharField(
        label="Name",
        max_length=120,
        required=False,
        widget=forms.TextInput(attrs=_OFF),
        help_text="As pages show it.",
    )
    email = forms.EmailField(
        label="E-mail", max_length=254, required=False, widget=forms.EmailInput(attrs=_OFF)
    )
    time_zone = forms.CharField(
        label="Time zone",
        max_length=64,
        initial="UTC",
        validators=[validate_time_zone],
        widget=forms.TextInput(attrs=_OFF),
        help_text="IANA name, like Europe/Zurich.",
    )


class RolesForm(forms.Form):
    """The roles of somebody."""

    roles = forms.MultipleChoiceField(
        label="Roles",
        choices=ROLE_CHOICES,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )


class NewUserForm(RolesForm, PersonForm):
    """A new user; they choose their password themselves."""

    username = forms.CharField(
        label="User name",
        max_length=150,
        validators=[User.username_validator],
        widget=forms.TextInput(attrs=_OFF | {"autocapitalize": "none"}),
        help_text="Letters, digits and @ . + - _, for signing in. It stays.",
    )
    field_order = ("username", "display_name", "email", "time_zone", "roles")

    def clean_username(self) -> str:
        name: str = User.normalize_username(self.cleaned_data["username"])
        if ids_named(name):
            raise ValidationError("Another user has this name.")
        return name


class KeyForm(forms.Form):
    """A new API key."""

    owner = forms.CharField(
        label="Acts for",
        max_length=150,
        widget=forms.TextInput(attrs=_OFF | {"list": "usernames"}),
        help_text="A user name. What the key does is done in this name; deactivating the user"
        " stops it.",
    )
    label = forms.CharField(
        label="What it is for",
        max_length=120,
        widget=forms.TextInput(attrs=_OFF),
        help_text="To tell keys apart, for example the system that uses it.",
    )
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=list(SCOPES.items()),
        widget=forms.CheckboxSelectMultiple,
    )
    rate = forms.CharField(
        label="Rate",
        max_length=60,
        initial=DEFAULT_RATE,
        widget=forms.TextInput(attrs=_OFF),
        help_text="For example 100/min,1000/h (s, min, h, d), or none.",
    )
    expires_on = forms.DateField(
        label="Last day",
        required=False,
        widget=forms.DateInput(attrs=_DAY, format="%Y-%m-%d"),
        help_text="It ends with this day, UTC. Empty: it never expires.",
    )

    def clean_owner(self) -> User:
        name: str = self.cleaned_data["owner"]
        return _user_named(name)

    def clean_rate(self) -> str:
        rate: str = self.cleaned_data["rate"]
        try:
            parse_rate(rate)
        except ValueError as error:
            raise ValidationError(str(error)) from error
        return rate

    def clean_expires_on(self) -> Any:
        day = self.cleaned_data["expires_on"]
        if day is not None and (not is_plausible(day) or day < timezone.now().date()):
            raise ValidationError("This day has passed, or is too far away.")
        return day


class AuditForm(forms.Form):
    """The audit search."""

    actor = forms.CharField(
        label="Who", max_length=150, required=False, widget=forms.TextInput(attrs=_OFF)
    )
    action = forms.CharField(
        label="Action begins with",
        max_length=80,
        required=False,
        widget=forms.TextInput(attrs=_OFF | {"placeholder": "user. or case.opened"}),
    )
    kind = forms.ChoiceField(
        label="About", required=False, widget=forms.Select(attrs={"class": "select"})
    )
    key = forms.CharField(
        label="Its number", max_length=80, required=False, widget=forms.TextInput(attrs=_OFF)
    )
    since = forms.DateField(label="From", required=False, widget=forms.DateInput(attrs=_DAY))
    until = forms.DateField(label="To", required=False, widget=forms.DateInput(attrs=_DAY))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given = str(self.data.get("kind", ""))
        kinds = sorted({*known_subjects(), *([given] if subject_name(given) else [])})
        self.fields["kind"].choices = [  # type: ignore[attr-defined]
            ("", "Anything"),
            *sorted(((kind, subject_name(kind)) for kind in kinds), key=lambda pair: pair[1]),
        ]

    def clean_actor(self) -> User | None:
        name: str = self.cleaned_data["actor"]
        if not name:
            return None
        return _user_named(name)

    def clean_since(self) -> Any:
        return _plausible(self.cleaned_data["since"])

    def clean_until(self) -> Any:
        return _plausible(self.cleaned_data["until"])

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        since, until = found.get("since"), found.get("until")
        if since and until and until < since:
            self.add_error("until", "It ends before it begins.")
        if found.get("key") and not found.get("kind") and "kind" not in self.errors:
            self.add_error("kind", "Choose what it is the number of.")
        return found

    def asked(self) -> AuditAsked:
        """What is searched for; the form must be valid."""
        found = self.cleaned_data
        return AuditAsked(
            actor=found["actor"],
            action=found["action"],
            object_type=found["kind"],
            object_id=found["key"],
            since=found["since"],
            until=found["until"],
        )


def _user_named(name: str) -> User:
    try:
        user = find_user(name)
    except AmbiguousName as error:
        raise ValidationError(str(error)) from error
    if user is None:
        raise ValidationError("There is no user of this name.")
    return user


def _plausible(day: Any) -> Any:
    if day is not None and not is_plausible(day):
        raise ValidationError("Nothing is as old, or as new, as that.")
    return day


def subject_name(kind: str) -> str:
    """What a kind of row is called, `app.model`; empty when there is none."""
    try:
        words = str(apps.get_model(kind)._meta.verbose_name)
    except (LookupError, ValueError):
        return ""
    return words[:1].upper() + words[1:]


def end_of_day(day: Any) -> datetime | None:
    """The last moment of a day in UTC, as `expires_at` keeps it."""
    if day is None:
        return None
    return datetime.combine(day, datetime.max.time(), tzinfo=timezone.get_default_timezone())
