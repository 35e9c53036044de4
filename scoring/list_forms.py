"""The forms of standing orders: values for the allow and deny lists, a snooze of a rule."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.models import User
from scoring.models import Detector
from scoring.ordering import (
    ADDED,
    MOST_VALUES,
    REPEATED,
    STANDING,
    Outcome,
    add_list_entries,
    add_list_entry,
)
from scoring.policies import PolicyRefused
from scoring.policy_models import ListEntry
from scoring.rule_forms import AREA, add_problems

SPANS = [
    ("1", "1 day"),
    ("7", "7 days"),
    ("30", "30 days"),
    ("90", "90 days"),
    ("365", "1 year"),
]
MOST_TOLD = 10
"""Lines that a form or a message names."""


class LinesField(forms.CharField):
    """One value a line; gives (number of the line, value) of those that are not empty."""

    def to_python(self, value: Any) -> Any:
        # Only what an Enter writes ends a line: `splitlines` would cut a value at what nobody sees.
        lines = (value or "").replace("\r\n", "\n").replace("\r", "\n").split("\n")
        stripped = enumerate((line.strip() for line in lines), start=1)
        return [(number, line) for number, line in stripped if line]

    def validate(self, value: Any) -> None:
        """Refuses none at all, and more than are taken at once."""
        super().validate(value)
        if len(value) > MOST_VALUES:
            raise ValidationError(f"At most {MOST_VALUES} values at a time, not {len(value)}.")

    def run_validators(self, value: Any) -> None:
        """None: those of a text; `ordering` judges each value."""


class ListEntryForm(forms.Form):
    """Values for the allow or the deny list."""

    kind = forms.ChoiceField(
        label="List",
        choices=[(ListEntry.Kind.DENY.value, "Deny"), (ListEntry.Kind.ALLOW.value, "Allow")],
        widget=forms.Select(attrs={"class": "select"}),
    )
    field = forms.ChoiceField(label="Field", widget=forms.Select(attrs={"class": "select"}))
    values = LinesField(
        label="Values",
        help_text=f"One a line, at most {MOST_VALUES}, exactly as events carry them. A value with "
        "other letters, also with some that nobody sees, is another value. One wrong value, and "
        "none is put on the list.",
        widget=forms.Textarea(attrs={**AREA, "rows": 4}),
    )
    reason = forms.CharField(
        label="Reason", max_length=300, widget=forms.TextInput(attrs={"class": "input"})
    )
    days = forms.ChoiceField(
        label="Expires after",
        required=False,
        choices=[*SPANS, ("", "Never")],
        initial="90",
        widget=forms.Select(attrs={"class": "select"}),
    )

    def __init__(self, *args: Any, fields: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["field"].choices = [(name, name) for name in fields]  # type: ignore[attr-defined]

    def expires_at(self) -> Any:
        """When the entry ends; None for never."""
        return ends_at(self.cleaned_data["days"])


class EventValueForm(ListEntryForm):
    """One of the values that an event carries; the page never asks for it in clear."""

    def __init__(self, *args: Any, values: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, fields=[], **kwargs)
        del self.fields["values"]
        self.fields["field"].label = "Value"
        self.fields["field"].choices = values  # type: ignore[attr-defined]


class SnoozeForm(forms.Form):
    """Why a rule should not count for an entity, and for how long."""

    reason = forms.CharField(
        label="Reason", max_length=300, widget=forms.TextInput(attrs={"class": "input"})
    )
    days = forms.ChoiceField(
        label="For", choices=SPANS, initial="7", widget=forms.Select(attrs={"class": "select"})
    )


def put_on_list(detector: Detector, form: EventValueForm, value: str, *, author: User) -> bool:
    """Put `value` on the list that a valid form names; where it is refused the form says why."""
    try:
        add_list_entry(detector, value=value, author=author, **_order_of(form))
    except PolicyRefused as refusal:
        add_problems(form, refusal)
        return False
    return True


def put_all_on_list(detector: Detector, form: ListEntryForm, *, author: User) -> str:
    """Put the values of a valid form on the list that it names, and say what became of them; where
    one is refused none is, the form says why, and the answer is empty."""
    numbers, values = zip(*form.cleaned_data["values"], strict=True)
    kind = form.cleaned_data["kind"]
    try:
        done = add_list_entries(detector, values=values, author=author, **_order_of(form))
    except PolicyRefused as refusal:
        add_problems(form, PolicyRefused(*_by_line(refusal, numbers)))
        return ""
    said = _said_of(kind, done, numbers)
    if all(one.state != ADDED for one in done):
        form.add_error("values", said)
        return ""
    return said


def ends_at(days: str) -> Any:
    """The moment so many days from now; None for an empty text."""
    return timezone.now() + timedelta(days=int(days)) if days else None


def _order_of(form: ListEntryForm) -> dict[str, Any]:
    names = ("kind", "field", "reason")
    return {name: form.cleaned_data[name] for name in names} | {"expires_at": form.expires_at()}


def _by_line(refusal: PolicyRefused, numbers: Sequence[int]) -> Iterator[tuple[str, str]]:
    """A refusal's problems as the form tells them: by line, the first ones of many."""
    told = [(name.partition("."), message) for name, message in refusal.problems]
    for (name, _, place), message in told[:MOST_TOLD]:
        yield name, f"Line {numbers[int(place)]}: {message}" if place else message
    if len(told) > MOST_TOLD:
        yield "values", f"{len(told) - MOST_TOLD} more lines are wrong."


def _said_of(kind: str, done: Sequence[Outcome], numbers: Sequence[int]) -> str:
    """What became of the values, in sentences."""
    lines: dict[str, list[int]] = {}
    for one, number in zip(done, numbers, strict=True):
        lines.setdefault(one.state, []).append(number)
    if len(done) == 1:
        when = "now" if done[0].state == ADDED else "already"
        return f"It stands on the {kind} list {when}."
    count = len(lines.get(ADDED, ()))
    said = [f"{count} value{'s'[: count != 1]} put on the {kind} list."]
    if already := lines.get(STANDING):
        said.append(f"{_lines(already)}: on the {kind} list already.")
    if repeated := lines.get(REPEATED):
        said.append(f"{_lines(repeated)}: the same as an earlier line.")
    return " ".join(said)


def _lines(numbers: Sequence[int]) -> str:
    """`Line 3`, `Lines 3, 5`, `Lines 3, 5 and 12 more`."""
    shown = ", ".join(str(number) for number in numbers[:MOST_TOLD])
    more = f" and {len(numbers) - MOST_TOLD} more" if len(numbers) > MOST_TOLD else ""
    return f"Line{'s'[: len(numbers) != 1]} {shown}{more}"
