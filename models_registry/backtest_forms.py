"""Over which days, and how many events of them, a backtest reads."""

from datetime import date, timedelta
from typing import Any

from django import forms

from accounts.typed import is_plausible
from models_registry.forms import ThresholdForm

LONGEST_DAYS = 366
USUAL_DAYS = 90
MOST = [("5000", "5,000"), ("20000", "20,000"), ("100000", "100,000")]
USUAL_MOST = "20000"
DAY = {"class": "input", "type": "date"}


class SpanForm(forms.Form):
    """Days left out are the last 90 that there are."""

    backtest_from = forms.DateField(
        label="From", required=False, widget=forms.DateInput(attrs=DAY, format="%Y-%m-%d")
    )
    backtest_to = forms.DateField(
        label="To", required=False, widget=forms.DateInput(attrs=DAY, format="%Y-%m-%d")
    )
    backtest_most = forms.ChoiceField(
        label="Events to read at most",
        choices=MOST,
        required=False,
        widget=forms.Select(attrs={"class": "select"}),
    )

    def clean(self) -> dict[str, Any]:
        """Both days in order and not too far apart."""
        found: dict[str, Any] = super().clean() or {}
        first, last = found.get("backtest_from"), found.get("backtest_to")
        for day in (first, last):
            if day and not is_plausible(day):
                raise forms.ValidationError(f"{day} lies outside of any history.")
        if first and last and first > last:
            raise forms.ValidationError("The first day lies after the last one.")
        if first and last and (last - first).days >= LONGEST_DAYS:
            raise forms.ValidationError(f"A backtest reads at most {LONGEST_DAYS} days.")
        return found

    def wanted(self, newest: date) -> dict[str, Any]:
        """`first_day`, `last_day` and `most`; `newest` is the day of the newest event."""
        found = self.cleaned_data
        last = found["backtest_to"] or newest
        first = found["backtest_from"] or last - timedelta(days=USUAL_DAYS - 1)
        first = max(min(first, last), last - timedelta(days=LONGEST_DAYS - 1))
        return {
            "first_day": first,
            "last_day": last,
            "most": int(found["backtest_most"] or USUAL_MOST),
        }

    def said(self) -> list[str]:
        """Everything that is wrong, each as a sentence with its field."""
        return [
            f"{self.fields[name].label}: {error}" if name in self.fields else str(error)
            for name, errors in self.errors.items()
            for error in errors
        ]


class BacktestThresholdForm(ThresholdForm):
    """Thresholds to try, with a slider beside each number."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("review", "block"):
            self.fields[name].widget.attrs |= {"min": 0, "max": 1, "data-slider": f"slide-{name}"}
