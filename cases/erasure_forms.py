"""The form that erases a person's data: first who, then why."""

from typing import Any

from django import forms

from cases.erasure import LONGEST_REASON, SHORTEST_REASON
from scoring.core.reader import SpecError
from scoring.models import Detector

LONGEST_VALUE = 300


class ErasureForm(forms.Form):
    """A detector, and what its events call the person. A reason counts when it is erased."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    """Who was shown: nobody else is erased."""
    detector = forms.ChoiceField(widget=forms.Select(attrs={"class": "select"}))
    value = forms.CharField(
        label="What events call them",
        max_length=LONGEST_VALUE,
        strip=False,
        widget=forms.TextInput(
            attrs={"class": "input", "autocomplete": "off", "spellcheck": "false"}
        ),
        help_text="The whole value of the field in brackets, as the events bring it.",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.detectors = {one.slug: one for one in Detector.objects.order_by("name")}
        named = ((one, _field(one)) for one in self.detectors.values())
        self.fields["detector"].choices = [  # type: ignore[attr-defined]
            (one.slug, f"{one.name} ({field})") for one, field in named if field
        ]


class ReasonForm(forms.Form):
    """Why it is erased, as the audit trail keeps it."""

    reason = forms.CharField(
        label="Why",
        min_length=SHORTEST_REASON,
        max_length=LONGEST_REASON,
        widget=forms.TextInput(attrs={"class": "input", "autocomplete": "off"}),
        help_text="Kept in the audit trail, so without their name.",
    )
    sure = forms.BooleanField(
        label="It cannot be undone; erase it",
        error_messages={"required": "Tick that it is meant: it cannot be undone."},
    )


def _field(detector: Detector) -> str:
    """By which field the detector groups its events; empty without one."""
    try:
        return str(detector.spec().entity_field)
    except SpecError:
        return ""
