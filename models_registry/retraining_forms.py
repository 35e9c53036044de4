"""The form of a retraining policy."""

from datetime import timedelta
from typing import Any, cast

from django import forms
from django.http import QueryDict

from models_registry.retraining import seen_policy
from models_registry.retraining_models import RetrainingPolicy
from models_registry.timetable import DAYS, OTHER, Timetable, words_of
from scoring.models import Detector

MOST_HOURS = 10 * 365 * 24
MOST_DAYS = MOST_HOURS / 24
MOST_LABELS = 100_000_000
DAY_SECONDS = 86400.0
_SELECT = {"class": "select"}


def _number(step: str) -> forms.NumberInput:
    return forms.NumberInput(attrs={"class": "input", "step": step})


class RetrainingForm(forms.Form):
    """Triggers with their terms; each is switched on by itself."""

    on_time = forms.BooleanField(label="By the clock", required=False)
    day = forms.ChoiceField(label="Day", widget=forms.Select(attrs=_SELECT))
    hour = forms.IntegerField(label="Hour (UTC)", min_value=0, max_value=23, widget=_number("1"))
    on_labels = forms.BooleanField(label="After new matured labels", required=False)
    labels = forms.IntegerField(
        label="Labels", min_value=1, max_value=MOST_LABELS, widget=_number("1")
    )
    on_drift = forms.BooleanField(label="On drift", required=False)
    drift_level = forms.ChoiceField(
        label="Drift that is",
        choices=RetrainingPolicy.Level.choices,
        widget=forms.Select(attrs=_SELECT),
    )
    on_age = forms.BooleanField(label="At an age, once labels came", required=False)
    age_days = forms.FloatField(
        label="Days", min_value=1 / 24, max_value=MOST_DAYS, widget=_number("any")
    )
    quiet_hours = forms.IntegerField(
        label="Quiet time, hours",
        min_value=1,
        max_value=MOST_HOURS,
        help_text="After a training, however it ended, labels, drift and age start none for so "
        "long. The clock keeps its times.",
        widget=_number("1"),
    )
    on_review = forms.BooleanField(label="A model has a review date", required=False)
    review_days = forms.FloatField(
        label="Days in service",
        required=False,
        min_value=1 / 24,
        max_value=MOST_DAYS,
        help_text="Past that, its score is not used: rules decide alone.",
        widget=_number("any"),
    )

    base = forms.CharField(required=False, max_length=2000, widget=forms.HiddenInput)

    def __init__(self, *args: Any, timetable: Timetable, **options: Any) -> None:
        super().__init__(*args, **options)
        self._stands = timetable
        choices = list(DAYS.items())
        if timetable.day == OTHER:
            choices.insert(0, (OTHER, timetable.words))
        self.fields["day"].choices = choices  # type: ignore[attr-defined]

    @classmethod
    def of(
        cls, policy: RetrainingPolicy, timetable: Timetable, review_after: float
    ) -> "RetrainingForm":
        """The unbound form that shows what is in force."""
        initial = {
            "base": seen_policy(policy, timetable, review_after),
            "on_time": timetable.on,
            "day": timetable.day,
            "hour": timetable.hour,
            "age_days": round(policy.age_hours / 24.0, 4),
            "on_review": bool(review_after),
            "review_days": round(review_after / DAY_SECONDS, 4) if review_after else 180,
        }
        names = ("on_labels", "labels", "on_drift", "drift_level", "on_age", "quiet_hours")
        return cls(
            initial=initial | {name: getattr(policy, name) for name in names},
            timetable=timetable,
        )

    def rebase(self, policy: RetrainingPolicy, timetable: Timetable, review_after: float) -> None:
        """What stands now was looked at: the form as typed, to be saved over it."""
        given = cast(QueryDict, self.data).copy()
        given["base"] = seen_policy(policy, timetable, review_after)
        self.data = given

    def clean(self) -> dict[str, Any]:
        """A review date needs its days."""
        found = super().clean() or {}
        given = found.get("review_days") or "review_days" in self.errors
        if found.get("on_review") and not given:
            self.add_error("review_days", "Say after how many days, or switch it off.")
        return found

    def policy(self, detector: Detector) -> RetrainingPolicy:
        """The policy as given, not saved."""
        found = self.cleaned_data
        return RetrainingPolicy(
            detector=detector,
            on_labels=found["on_labels"],
            labels=found["labels"],
            on_drift=found["on_drift"],
            drift_level=found["drift_level"],
            on_age=found["on_age"],
            age_hours=max(round(found["age_days"] * 24.0), 1),
            quiet_hours=found["quiet_hours"],
        )

    def timetable(self) -> Timetable:
        """The timetable as given."""
        on, day, hour = (self.cleaned_data[name] for name in ("on_time", "day", "hour"))
        words = self._stands.words if day == OTHER else words_of(day, hour)
        return Timetable(on=on, day=day, hour=hour, words=words)

    def review_after(self) -> float:
        """Seconds for which a model may serve; 0.0: no end."""
        found = self.cleaned_data
        if not found["on_review"]:
            return 0.0
        return timedelta(days=found["review_days"]).total_seconds()
