"""What a person chooses to be told, and where a team is told it."""

from typing import Any, cast
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError

from accounts.models import User
from accounts.time_zones import validate_time_zone
from notifications.abouts import names
from notifications.kinds import CHANNEL_NAMES, KINDS, PERSONAL, SHARED, Channel, Kind
from notifications.models import ROUTE_KIND_CHOICES, Preference, Route
from notifications.routing import check_address

_INPUT = {"class": "input"}
_SELECT = {"class": "select"}
_TIME = {"class": "input", "type": "time"}


class PreferenceForm(forms.Form):
    """A tick for each kind and channel, quiet hours, the time zone that they are in."""

    time_zone = forms.ChoiceField(
        label="Your time zone",
        choices=[(name, name) for name in sorted(available_timezones())],
        widget=forms.Select(attrs=_SELECT),
    )
    quiet_from = forms.TimeField(
        label="Quiet from", required=False, widget=forms.TimeInput(attrs=_TIME, format="%H:%M")
    )
    quiet_until = forms.TimeField(
        label="until", required=False, widget=forms.TimeInput(attrs=_TIME, format="%H:%M")
    )
    critical_passes = forms.BooleanField(label="What is critical comes at once", required=False)

    def __init__(self, *args: Any, user: User, preference: Preference, **options: Any) -> None:
        self.user, self.preference = user, preference
        may = user.get_all_permissions()
        self.kinds = [kind for kind in KINDS.values() if kind.permission in may]
        options.setdefault("initial", self._initial())
        super().__init__(*args, **options)
        for kind in self.kinds:
            for channel in PERSONAL:
                self.fields[_tick(kind, channel)] = forms.BooleanField(
                    label=f"{kind.label}: {CHANNEL_NAMES[channel]}", required=False
                )

    def rows(self) -> list[tuple[Kind, list[forms.BoundField]]]:
        """Each kind with its ticks, in the order of the channels."""
        return [(kind, [self[_tick(kind, channel)] for channel in PERSONAL]) for kind in self.kinds]

    def clean(self) -> dict[str, Any]:
        """Quiet hours begin and end."""
        found = super().clean() or {}
        if "quiet_from" in self.errors or "quiet_until" in self.errors:
            return found
        start, end = found.get("quiet_from"), found.get("quiet_until")
        if (start is None) != (end is None):
            self.add_error(
                "quiet_until" if end is None else "quiet_from", "Give both times, or neither."
            )
        elif start is not None and start == end:
            self.add_error("quiet_until", "They end when they begin: choose another time.")
        return found

    def clean_time_zone(self) -> str:
        zone: str = self.cleaned_data["time_zone"]
        validate_time_zone(zone)
        return zone

    def chosen(self) -> Preference:
        """The preference as given, not saved. Kinds that the person may not see keep theirs."""
        found = self.cleaned_data
        self.preference.chosen = self.preference.chosen | {
            kind.name: [channel.value for channel in PERSONAL if found[_tick(kind, channel)]]
            for kind in self.kinds
        }
        for name in ("quiet_from", "quiet_until", "critical_passes"):
            setattr(self.preference, name, found[name])
        return self.preference

    def _initial(self) -> dict[str, Any]:
        preference = self.preference
        ticks = {
            _tick(kind, channel): preference.wants(kind.name, channel)
            for kind in self.kinds
            for channel in PERSONAL
        }
        return ticks | {
            "time_zone": self.user.time_zone,
            "quiet_from": preference.quiet_from,
            "quiet_until": preference.quiet_until,
            "critical_passes": preference.critical_passes,
        }


class RouteForm(forms.Form):
    """A route. Its address is never shown again: empty leaves it as it is."""

    name = forms.CharField(
        label="Name", max_length=100, widget=forms.TextInput(attrs=_INPUT | {"autocomplete": "off"})
    )
    channel = forms.ChoiceField(
        label="By",
        choices=[(channel.value, CHANNEL_NAMES[channel]) for channel in SHARED],
        widget=forms.Select(attrs=_SELECT),
    )
    address = forms.CharField(
        label="Address",
        max_length=2000,
        help_text="The address of the incoming webhook, or an e-mail address. Kept encrypted.",
        widget=forms.TextInput(
            attrs=_INPUT | {"autocomplete": "off", "spellcheck": "false", "inputmode": "url"}
        ),
    )
    about = forms.ChoiceField(
        label="Only of the detector", required=False, widget=forms.Select(attrs=_SELECT)
    )
    kinds = forms.MultipleChoiceField(
        label="What goes there", choices=ROUTE_KIND_CHOICES, widget=forms.CheckboxSelectMultiple
    )
    enabled = forms.BooleanField(label="Switched on", required=False)

    def __init__(self, *args: Any, route: Route | None = None, **options: Any) -> None:
        self.route = route
        options.setdefault("initial", _initial(route))
        super().__init__(*args, **options)
        about = cast(forms.ChoiceField, self.fields["about"])
        about.choices = [("", "All of them"), *_abouts(route.about if route else "")]
        if route is None:
            del self.fields["enabled"]
            return
        # What a route is stays: its secret and its log belong to it.
        del self.fields["channel"]
        self.fields["address"].required = False
        self.fields["address"].help_text = f"Now {route.shown_address}. Empty leaves it."

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        others = Route.objects.filter(name=name, removed_at=None)
        if self.route is not None:
            others = others.exclude(pk=self.route.pk)
        if others.exists():
            raise ValidationError("Another route has this name.")
        return name

    def clean(self) -> dict[str, Any]:
        """The address has to fit the channel, and what goes there the detector."""
        found = super().clean() or {}
        for name in found.get("kinds", ()) if found.get("about") else ():
            if not KINDS[name].of_detector:
                words = f"“{KINDS[name].label}” is of no detector: untick it, or name no detector."
                self.add_error("kinds", words)
        channel = self.route.channel if self.route else found.get("channel")
        if found.get("address") and channel:
            try:
                check_address(channel, found["address"])
            except ValidationError as error:
                self.add_error("address", error)
        return found


def _abouts(now: str) -> list[tuple[str, str]]:
    """What a route can be about, and what it is about `now`, where that is gone."""
    known = names()
    gone = [] if not now or now in known else [(now, f"{now} (there is none)")]
    return [*known.items(), *gone]


def _initial(route: Route | None) -> dict[str, Any]:
    if route is None:
        return {"channel": Channel.SLACK}
    names = ("name", "about", "kinds", "enabled")
    return {name: getattr(route, name) for name in names}


def _tick(kind: Kind, channel: Channel) -> str:
    return f"{kind.name}:{channel.value}"
