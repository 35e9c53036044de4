"""The forms of a case page. The services decide what is allowed; these read and keep the input."""

from collections.abc import Iterable
from typing import Any

from django import forms

from accounts.models import User

LONGEST = 4000


def _note(label: str, *, required: bool = False) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=required,
        max_length=LONGEST,
        widget=forms.Textarea(attrs={"class": "area", "rows": 2}),
    )


class NoteForm(forms.Form):
    """A note; whether it may be empty is for the service to say."""

    note = _note("Note")


class ReturnForm(NoteForm):
    """The second person's note, and which request they read."""

    request = forms.IntegerField(
        min_value=1,
        max_value=2**63 - 1,
        widget=forms.HiddenInput,
        error_messages={"required": "Open the page of the case: it says what is asked for."},
    )


class ApproveForm(ReturnForm):
    """The second person's note, which request they read and how many events they saw."""

    seen = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


class PriorityForm(forms.Form):
    """A priority and why."""

    priority = forms.IntegerField(min_value=0, max_value=3)
    reason = _note("Reason")


class TagsForm(forms.Form):
    """Tags, divided by commas."""

    tags = forms.CharField(max_length=600, required=False)


class PersonForm(forms.Form):
    """Somebody who may work on cases: `me`, nobody (empty), or an id; and a note."""

    person = forms.CharField(max_length=20, required=False)
    note = _note("Note")

    def __init__(self, *args: Any, people: Iterable[User], me: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.people: dict[str, User | None] = {str(user.pk): user for user in people}
        self.people |= {"me": me, "": None}

    def clean_person(self) -> User | None:
        chosen = str(self.cleaned_data["person"])
        if chosen not in self.people:
            raise forms.ValidationError("Choose somebody who works on cases.")
        return self.people[chosen]


class AnswerForm(forms.Form):
    """Take a hand-over or not, and why not."""

    handover = forms.IntegerField(min_value=1)
    take = forms.BooleanField(required=False)
    answer = _note("Why not")


class MergeForm(forms.Form):
    """The number of the case to go into, and a note."""

    target = forms.IntegerField(
        min_value=1,
        max_value=2**63 - 1,
        error_messages={"required": "Give the number of the case to merge into."},
    )
    note = _note("Note")


class AlertForm(forms.Form):
    """An alert by its number, and why it goes out (where it does)."""

    alert = forms.IntegerField(
        min_value=1,
        max_value=2**63 - 1,
        error_messages={"required": "Give the number of the alert."},
    )
    reason = _note("Reason")


class TypeForm(forms.Form):
    """The type that a case becomes."""

    case_type = forms.IntegerField(min_value=1, max_value=2**63 - 1)


class FileForm(forms.Form):
    """A file and what it shows."""

    file = forms.FileField(
        max_length=400, allow_empty_file=True, error_messages={"required": "Choose a file first."}
    )
    text = forms.CharField(max_length=1000, required=False)


class RevealForm(forms.Form):
    """Why masked personal data has to be read."""

    reason = forms.CharField(
        min_length=5,
        max_length=400,
        error_messages={
            "required": "Say why you need to read personal data: it is kept in the audit trail.",
            "min_length": "Say why in a few words: it is kept in the audit trail.",
        },
    )


def first_error(form: forms.Form) -> str:
    """What is wrong with a form, in one sentence."""
    for errors in form.errors.values():
        for error in errors:
            return str(error)
    return ""
