"""The form of an exchange rate."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from accounts.models import User
from cases.exchange import LONGEST, RateError, check_rate, leaps, plain
from cases.exchange_rates import current_rates, set_rates
from cases.rate_models import ExchangeRate

SOURCE = "by hand"


class RateForm(forms.ModelForm):
    """What one unit of a currency is worth in the common one."""

    leaps = False

    currency = forms.CharField(
        max_length=3,
        widget=forms.TextInput(attrs={"class": "input", "placeholder": "JPY", "size": 5}),
        help_text="Three letters (ISO 4217).",
    )
    rate = forms.CharField(
        max_length=LONGEST,
        widget=forms.TextInput(
            attrs={"class": "input", "placeholder": "0.0067", "inputmode": "decimal"}
        ),
        help_text="What one unit of it is worth in the common currency.",
    )

    sure = forms.BooleanField(label="It is the right way round", required=False)

    class Meta:
        model = ExchangeRate
        fields = ("currency", "rate")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if not {"currency", "rate"} <= given.keys():
            return given
        try:
            code, rate = check_rate(
                given["currency"], given["rate"], common=settings.COMMON_CURRENCY
            )
        except RateError as error:
            raise ValidationError(str(error)) from None
        rates = current_rates()
        if rates is not None and rates.by_currency.get(code) == rate:
            raise ValidationError(f"{code} stands at {plain(rate)} already.")
        if rates is not None and not given.get("sure"):
            self._ask_again(leaps(rates.by_currency, {code: rate}))
        return {**given, "currency": code, "rate": rate}

    def _ask_again(self, changes: list[str]) -> None:
        """Raises ValidationError where the rate may be written the wrong way round."""
        self.leaps = bool(changes)
        for change in changes:
            raise ValidationError(
                f"{change}: is that the wrong way round? Tick below if it is meant."
            )

    def _post_clean(self) -> None:
        """Nothing to compare with what is stored: the rate before it makes room."""

    def set_rate(self, *, actor: User) -> ExchangeRate:
        """Put it into force. The form is valid."""
        given = self.cleaned_data
        found = set_rates({given["currency"]: given["rate"]}, actor=actor, source=SOURCE)
        # Somebody may have set the same meanwhile.
        return (
            found[0]
            if found
            else ExchangeRate.objects.get(currency=given["currency"], replaced_at=None)
        )
