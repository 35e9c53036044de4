"""The form of a report by e-mail."""

import re
from typing import Any

from django import forms
from django.urls import reverse_lazy

from cases.report_models import ReportSubscription
from cases.report_subscribing import MOST_RECIPIENTS, people_named
from scoring.models import Detector

_SELECT = {"class": "select"}


class ReportForm(forms.ModelForm):
    """What to send, when, and (for those who may) to whom else; `recipients` are users by name."""

    detector = forms.ChoiceField(label="About", required=False, widget=forms.Select(attrs=_SELECT))
    hour = forms.TypedChoiceField(
        label="At",
        coerce=int,
        choices=[(hour, f"{hour:02d}:00") for hour in range(24)],
        widget=forms.Select(attrs=_SELECT),
    )
    recipients = forms.CharField(
        label="Also to, optional",
        required=False,
        max_length=4000,
        widget=forms.Textarea(
            attrs={
                "class": "area",
                "rows": 2,
                "placeholder": "@name",
                "spellcheck": "false",
                "aria-autocomplete": "list",
                "data-mentions": reverse_lazy("mention_names"),
            }
        ),
        help_text="User names, with blanks between. Only people who may see dashboards.",
    )

    class Meta:
        model = ReportSubscription
        fields = ("days", "often", "weekday", "currency")
        labels = {"days": "Days", "often": "How often", "weekday": "On"}
        widgets = {
            "days": forms.Select(attrs=_SELECT),
            "often": forms.Select(attrs=_SELECT),
            "weekday": forms.Select(attrs=_SELECT),
            "currency": forms.HiddenInput,
        }
        help_texts = {"weekday": "If it comes every week."}

    def __init__(self, *args: Any, may_share: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        self.may_share = may_share
        self.detectors = {one.slug: one for one in Detector.objects.order_by("name")}
        every = [(slug, one.name) for slug, one in self.detectors.items()]
        self.fields["detector"].choices = [("", "All detectors"), *every]  # type: ignore[attr-defined]
        self.fields["hour"].help_text = f"By your clock, {self.instance.owner.time_zone}."
        self.fields["weekday"].required = False
        if self.instance.pk is not None:
            self.initial.setdefault(
                "detector", self.instance.detector.slug if self.instance.detector else ""
            )
            self.initial.setdefault("hour", self.instance.hour)
            names = self.instance.recipients.order_by("username").values_list("username", flat=True)
            self.initial["recipients"] = " ".join(f"@{name}" for name in names)
        else:
            self.initial.setdefault("hour", self.instance.hour)
        if not may_share:
            del self.fields["recipients"]

    def clean_weekday(self) -> int:
        """As it was where a report does not go by weeks."""
        given = self.cleaned_data.get("weekday")
        return self.instance.weekday if given in (None, "") else int(given)

    def clean_currency(self) -> str:
        """What is no currency is none."""
        given = str(self.cleaned_data.get("currency") or "").upper()
        return given if re.fullmatch(r"[A-Z]{3}", given) else ""

    def clean_recipients(self) -> list[Any]:
        """Users; a name that fits nobody who may see dashboards is refused."""
        typed = re.split(r"[\s,;]+", self.cleaned_data["recipients"])
        names = list(dict.fromkeys(name.removeprefix("@") for name in typed if name.strip("@")))
        if len(names) > MOST_RECIPIENTS:
            raise forms.ValidationError(f"At most {MOST_RECIPIENTS} people.")
        people, unknown = people_named(names)
        if unknown:
            who = ", ".join(name[:40] for name in unknown[:3])
            raise forms.ValidationError(
                f"Nobody who may see dashboards has the user name {who}. "
                "Reports go to users of this platform alone."
            )
        return people

    def chosen(self) -> ReportSubscription:
        """The subscription as it was filled in, not stored yet. Of a valid form."""
        found: ReportSubscription = self.instance
        found.detector = self.detectors.get(self.cleaned_data["detector"])
        found.hour = self.cleaned_data["hour"]
        return found
