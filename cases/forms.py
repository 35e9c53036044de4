"""The forms of triage. The services decide what is allowed; these read and keep the input."""

from collections.abc import Iterable
from typing import Any

from django import forms

from accounts.models import User
from accounts.typed import is_whole
from cases.workflow import REASON_CODES, Disposition
from scoring.core.spec import TruthWords


def found_words(truth: TruthWords) -> dict[Disposition, str]:
    """The outcomes as buttons name them."""
    return {
        Disposition.FRAUD: f"Confirm {truth.fraud}",
        Disposition.FALSE_POSITIVE: "False positive",
        Disposition.INCONCLUSIVE: "Inconclusive",
    }


class LabelForm(forms.Form):
    """What was found, why, and a note."""

    disposition = forms.CharField(max_length=16)
    reason_code = forms.CharField(max_length=40, required=False)
    notes = forms.CharField(max_length=4000, required=False)


class CloseCaseForm(forms.Form):
    """Outcome and reason of a case; the reason must belong to the outcome."""

    disposition = forms.ChoiceField(
        label="Outcome",
        widget=forms.Select(attrs={"class": "select"}),
    )
    reason_code = forms.ChoiceField(
        label="Reason",
        widget=forms.Select(attrs={"class": "select"}),
    )
    notes = forms.CharField(
        label="Note",
        required=False,
        max_length=4000,
        widget=forms.Textarea(attrs={"class": "area", "rows": 2}),
    )

    def __init__(self, *args: Any, truth: TruthWords, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        words = found_words(truth)
        first = ("", "Choose…")
        groups = [(words[found], list(codes)) for found, codes in REASON_CODES.items()]
        outcomes = [(found.value, words[found]) for found in Disposition]
        self.fields["disposition"].choices = [first, *outcomes]  # type: ignore[attr-defined]
        self.fields["reason_code"].choices = [first, *groups]  # type: ignore[attr-defined]


class AssignForm(forms.Form):
    """`me`, nobody, or the id of a user who may triage."""

    owner = forms.CharField(max_length=20, required=False)

    def __init__(self, *args: Any, people: Iterable[User], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.people = {str(user.pk): user for user in people}

    def clean_owner(self) -> str:
        owner = str(self.cleaned_data["owner"])
        if owner not in ("", "me") and owner not in self.people:
            raise forms.ValidationError("Choose somebody who works on alerts.")
        return owner


class OpenCaseForm(forms.Form):
    """The title of a new case."""

    title = forms.CharField(
        max_length=200,
        widget=forms.TextInput(attrs={"class": "input", "autofocus": True}),
    )


class BudgetForm(forms.Form):
    """How a queue is split, in whole per cent; the rest goes by expected loss."""

    uncertain = forms.IntegerField(min_value=0, max_value=100)
    audit = forms.IntegerField(min_value=0, max_value=100)

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        if sum(found.get(name) or 0 for name in self.fields) > 100:
            raise forms.ValidationError("The shares are more than 100 % together. Lower one.")
        return found

    def problems(self) -> list[str]:
        """What is wrong, in words that name the field."""
        return [
            str(text) if name == "__all__" else f"{name.capitalize()}: {text}"
            for name, texts in self.errors.items()
            for text in texts
        ]

    def whole(self, name: str) -> int:
        """What was typed, as far as it is a share."""
        text = str(self.data.get(name, ""))
        return min(100, int(text)) if is_whole(text, 5) else 0


class BulkForm(forms.Form):
    """The one note of an act on many alerts."""

    note = forms.CharField(max_length=4000, required=False)

    def problem(self) -> str:
        """Why the note cannot be kept."""
        if not self.errors:
            return ""
        return "The note is too long, or holds a character that cannot be kept."


class CommentForm(forms.Form):
    """A comment on a case."""

    text = forms.CharField(
        label="Comment",
        max_length=8000,
        required=False,
        widget=forms.Textarea(
            attrs={"class": "area", "rows": 3, "placeholder": "What did you find?"}
        ),
    )
