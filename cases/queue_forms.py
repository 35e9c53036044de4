"""The forms of team queues and case types, as leads write them."""

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from accounts.models import User
from accounts.typed import is_whole
from cases.case_models import CaseType
from cases.checklists import MOST_ITEMS
from cases.work_queue_models import QueueMember, WorkQueue
from cases.working_hours import HoursError, hours_of
from scoring.models import Detector

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LONGEST_HOURS = 24 * 60
MOST_HOLIDAYS = 200
_SPAN = re.compile(r"\s*(\d{1,2}):(\d{2})\s*[-–]\s*(\d{1,2}):(\d{2})\s*")  # noqa: RUF001
INPUT, SELECT = {"class": "input"}, {"class": "select"}


def read_spans(text: str) -> list[list[int]]:
    """`9:00-12:00, 13:00-17:00` as minutes; nothing for a day off. Raises ValidationError."""
    spans = []
    for part in filter(str.strip, text.split(",")):
        found = _SPAN.fullmatch(part)
        if found is None:
            raise ValidationError(
                f"“{part.strip()[:20]}”: write 9:00-17:00, or nothing for a day off."
            )
        hour, minute, to_hour, to_minute = map(int, found.groups())
        if minute > 59 or to_minute > 59:
            raise ValidationError("An hour has 60 minutes.")
        spans.append([hour * 60 + minute, to_hour * 60 + to_minute])
    return spans


def write_spans(spans: Iterable[Iterable[int]]) -> str:
    """The reverse of `read_spans`."""
    return ", ".join(f"{a // 60}:{a % 60:02}-{b // 60}:{b % 60:02}" for a, b in spans)


def read_holidays(text: str) -> list[list[str]]:
    """One `2026-12-25 Christmas Day` a line. Raises ValidationError."""
    rows: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        day, _, name = line.strip().partition(" ")
        if not day:
            continue
        try:
            rows[date.fromisoformat(day).isoformat()] = name.strip()[:60]
        except ValueError as error:
            raise ValidationError(
                f"Line {number}: begin with the day as 2026-12-25, then its name."
            ) from error
    if len(rows) > MOST_HOLIDAYS:
        raise ValidationError(f"At most {MOST_HOLIDAYS} holidays.")
    return [[day, rows[day]] for day in sorted(rows)]


class RowsField(forms.ModelMultipleChoiceField):
    """Rows by their ids; a number that no id can be is refused before a database sees it."""

    def clean(self, value: Any) -> Any:
        for key in value or ():
            if not is_whole(str(key)):
                raise forms.ValidationError(f"Choose among the rows: {str(key)[:20]} is none.")
        return super().clean(value)


class QueueForm(forms.ModelForm):
    """A team queue; its times in hours, its days as text."""

    due_hours = forms.DecimalField(
        label="Due after, working hours",
        min_value=Decimal("0.25"),
        max_value=LONGEST_HOURS,
        decimal_places=2,
        widget=forms.NumberInput(attrs={**INPUT, "step": "0.25"}),
    )
    escalate_hours = forms.DecimalField(
        label="Escalated after, working hours",
        min_value=Decimal("0.25"),
        max_value=LONGEST_HOURS,
        decimal_places=2,
        widget=forms.NumberInput(attrs={**INPUT, "step": "0.25"}),
    )
    detectors = RowsField(
        Detector.objects.order_by("name"),
        label="Detectors",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: alerts of every detector.",
    )
    holidays_text = forms.CharField(
        label="Holidays",
        required=False,
        max_length=20_000,
        widget=forms.Textarea(
            attrs={"class": "area", "rows": 3, "placeholder": "2026-12-25 Christmas Day"}
        ),
        help_text="One a line: the day, then its name.",
    )

    class Meta:
        model = WorkQueue
        fields = (
            "name",
            "position",
            "is_active",
            "least_level",
            "time_zone",
            "assignment",
            "approval_limit",
            "lead",
            "escalation_raises",
            "escalation_reassigns",
            "escalation_notifies",
        )
        labels = {
            "position": "Order",
            "least_level": "From level",
            "time_zone": "Time zone",
            "assignment": "Who gets new work",
            "approval_limit": "Loss limit for closing alone",
            "escalation_raises": "Raise the priority of the case",
            "escalation_reassigns": "Give it to the lead",
            "escalation_notifies": "Tell the lead",
        }
        help_texts = {
            "approval_limit": f"In {settings.COMMON_CURRENCY}. Above it a second person approves."
            " Empty: the installation's limit.",
            "time_zone": "IANA name, like Europe/Zurich.",
        }
        widgets = {
            "name": forms.TextInput(attrs=INPUT),
            "position": forms.NumberInput(attrs={**INPUT, "min": 0, "max": 30_000}),
            "least_level": forms.Select(attrs=SELECT),
            "time_zone": forms.TextInput(attrs=INPUT),
            "assignment": forms.Select(attrs=SELECT),
            "approval_limit": forms.NumberInput(attrs={**INPUT, "min": 0, "step": "any"}),
            "lead": forms.Select(attrs=SELECT),
        }

    def __init__(self, *args: Any, leads: Iterable[User], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        queue = self.instance
        people = list(leads)
        self.fields["lead"].queryset = User.objects.filter(  # type: ignore[attr-defined]
            pk__in=[user.pk for user in people]
        ).order_by("username")
        self.fields["lead"].empty_label = "Nobody"  # type: ignore[attr-defined]
        self.fields["due_hours"].initial = Decimal(queue.due_after) / 60
        self.fields["escalate_hours"].initial = Decimal(queue.escalate_after) / 60
        if queue.pk is not None:
            self.fields["detectors"].initial = [row.pk for row in queue.detectors.all()]
        self.fields["holidays_text"].initial = "\n".join(
            f"{day} {name}".strip() for day, name in queue.holidays
        )
        for day, (name, spans) in enumerate(zip(DAYS, queue.week, strict=True)):
            self.fields[f"day_{day}"] = forms.CharField(
                label=name,
                required=False,
                max_length=100,
                initial=write_spans(spans),
                widget=forms.TextInput(attrs={**INPUT, "placeholder": "off"}),
            )

    @property
    def days(self) -> list[Any]:
        """The seven fields of the week."""
        return [self[f"day_{day}"] for day in range(7)]

    def clean_approval_limit(self) -> Decimal | None:
        limit: Decimal | None = self.cleaned_data["approval_limit"]
        if limit is not None and limit < 0:
            raise ValidationError("A limit is 0 or more.")
        return limit

    def clean_holidays_text(self) -> list[list[str]]:
        return read_holidays(self.cleaned_data["holidays_text"])

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        week = []
        for day in range(7):
            try:
                week.append(read_spans(str(found.get(f"day_{day}", ""))))
            except ValidationError as error:
                self.add_error(f"day_{day}", error)
        if len(week) == 7 and "time_zone" in found:
            try:
                hours_of(week, zone=found["time_zone"], holidays=[])
            except HoursError as error:
                self.add_error(None, str(error))
        queue = self.instance
        queue.week, queue.holidays = week, found.get("holidays_text", [])
        for name, minutes in (("due_hours", "due_after"), ("escalate_hours", "escalate_after")):
            if name in found:
                setattr(queue, minutes, max(1, int(found[name] * 60)))
        return found


class MemberForm(forms.ModelForm):
    """Somebody's place in a queue."""

    skills_text = forms.CharField(
        label="Skills", max_length=400, required=False, widget=forms.TextInput(attrs=INPUT)
    )

    class Meta:
        model = QueueMember
        fields = ("capacity", "is_available", "away_until")
        labels = {"capacity": "Open at a time", "is_available": "Takes new work"}
        widgets = {
            "capacity": forms.NumberInput(attrs={**INPUT, "min": 0, "max": 500}),
            "away_until": forms.DateInput(attrs={**INPUT, "type": "date"}, format="%Y-%m-%d"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["skills_text"].initial = ", ".join(map(str, self.instance.skills))

    def clean_skills_text(self) -> list[str]:
        words = [part.strip().lower() for part in self.cleaned_data["skills_text"].split(",")]
        skills = list(dict.fromkeys(filter(None, words)))
        if len(skills) > 20 or any(len(skill) > 60 for skill in skills):
            raise ValidationError("At most 20 skills of 60 letters.")
        return skills

    def clean_capacity(self) -> int:
        capacity = int(self.cleaned_data["capacity"])
        if capacity > 500:
            raise ValidationError("Nobody has more than 500 open at a time.")
        return capacity

    def clean(self) -> dict[str, Any]:
        found = super().clean() or self.cleaned_data
        self.instance.skills = found.get("skills_text", [])
        return found


class CaseTypeForm(forms.ModelForm):
    """A case type with its checklist."""

    detectors = RowsField(
        Detector.objects.order_by("name"),
        label="For new cases of",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: of every detector that no other type names.",
    )
    items = forms.CharField(
        label="Checklist",
        required=False,
        max_length=8000,
        widget=forms.Textarea(attrs={"class": "area", "rows": 8}),
        help_text="One item a line. Cases that are open keep the checklist that they began with.",
    )

    class Meta:
        model = CaseType
        fields = ("name", "is_active")
        widgets = {"name": forms.TextInput(attrs=INPUT)}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is not None:
            self.fields["items"].initial = "\n".join(
                self.instance.items.values_list("text", flat=True)
            )
            self.fields["detectors"].initial = [row.pk for row in self.instance.detectors.all()]

    def clean_items(self) -> list[str]:
        lines = [" ".join(line.split()) for line in self.cleaned_data["items"].splitlines()]
        items = list(dict.fromkeys(filter(None, lines)))
        if len(items) > MOST_ITEMS:
            raise ValidationError(f"At most {MOST_ITEMS} items: nobody ticks more.")
        if any(len(item) > 200 for item in items):
            raise ValidationError("An item has 200 letters at most.")
        return items
