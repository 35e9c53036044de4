"""The forms of rules and policy settings: they read and keep the input, services decide."""

import ast
import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from scoring.core.types import Decision
from scoring.policies import PolicyRefused
from scoring.policy_models import RuleVersion
from scoring.rule_editing import LONGEST_TEXT, RuleText

WEIGHT = "WEIGHT"
OUTCOMES = [
    (Decision.REVIEW.value, "Ask for a review"),
    (Decision.BLOCK.value, "Block"),
    (WEIGHT, "Add weight to the risk"),
]
MOST_PARAMETERS = 20_000
"""Characters: a list may hold 500 values."""
AREA = {"class": "area", "spellcheck": "false", "autocapitalize": "none", "autocomplete": "off"}


def read_value(text: str) -> Any:
    """A constant as people write it: a number, true / false, 'text', ['a', 'b'].

    Raises ValidationError.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass  # JSON has double quotes only; the language has single ones.
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError) as error:
        said = f"'{text.strip()[:40]}' is no number, 'text' or ['list', 'of texts']."
        raise ValidationError(said) from error
    return list(value) if isinstance(value, tuple) else value


def write_value(value: Any) -> str:
    """The reverse of `read_value`."""
    return json.dumps(value, ensure_ascii=False)


class ParametersField(forms.CharField):
    """One `name = value` a line; gives a dict."""

    def to_python(self, value: Any) -> Any:
        found: dict[str, Any] = {}
        for number, line in enumerate((value or "").splitlines(), start=1):
            if not line.strip():
                continue
            name, sign, given = line.partition("=")
            name = name.strip()
            if not sign or not name:
                raise ValidationError(f"Line {number}: write name = value.")
            if name in found:
                raise ValidationError(f"Line {number}: '{name}' stands here twice.")
            try:
                found[name] = read_value(given)
            except ValidationError as error:
                raise ValidationError(f"Line {number}: {error.messages[0]}") from error
        return found


class RuleForm(forms.Form):
    """A rule as an editor sees it."""

    code = forms.CharField(
        label="Code",
        max_length=40,
        help_text="Capitals, digits and _. It stays; clients see it as a reason code.",
        widget=forms.TextInput(attrs={"class": "input", "autocomplete": "off"}),
    )
    text = forms.CharField(
        label="What it finds",
        max_length=LONGEST_TEXT,
        help_text="One sentence that an analyst reads on the alert. <code>{limit}</code> stands "
        "for the value of the parameter of that name.",
        widget=forms.TextInput(attrs={"class": "input"}),
    )
    when = forms.CharField(
        label="Condition",
        max_length=2000,
        widget=forms.Textarea(attrs={**AREA, "rows": 4}),
    )
    parameters = ParametersField(
        label="Parameters",
        required=False,
        max_length=MOST_PARAMETERS,
        help_text="One <code>name = value</code> a line; the condition reads the names.",
        widget=forms.Textarea(attrs={**AREA, "rows": 2}),
    )
    outcome = forms.ChoiceField(
        label="Then", choices=OUTCOMES, widget=forms.Select(attrs={"class": "select"})
    )
    weight = forms.FloatField(
        label="Weight",
        required=False,
        help_text="Only for weight: 0 to 1, as independent evidence beside the model.",
        widget=forms.NumberInput(attrs={"class": "input", "step": "any", "min": 0, "max": 1}),
    )
    note = forms.CharField(
        label="Why this change, optional",
        required=False,
        max_length=LONGEST_TEXT,
        widget=forms.TextInput(attrs={"class": "input"}),
    )
    base = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def said(self) -> RuleText:
        """What the version is to say."""
        found = self.cleaned_data
        weighted = found["outcome"] == WEIGHT
        return RuleText(
            when=found["when"],
            text=found["text"],
            outcome="" if weighted else found["outcome"],
            weight=(found["weight"] or 0.0) if weighted else 0.0,
            parameters=found["parameters"],
        )

    def refuse(self, refusal: PolicyRefused) -> None:
        """Show what the service refused, each beside its field."""
        add_problems(self, refusal)


def rule_initial(version: RuleVersion, base: int) -> dict[str, Any]:
    """A version as the form's input."""
    return {
        "code": version.rule.code,
        "text": version.text,
        "when": version.when,
        "parameters": "\n".join(
            f"{name} = {write_value(value)}" for name, value in version.parameters.items()
        ),
        "outcome": version.outcome or WEIGHT,
        "weight": version.weight or None,
        "base": base,
    }


class SettingsForm(forms.Form):
    """How many approved events are drawn for audit, and where screening begins to act."""

    audit_percent = forms.FloatField(
        label="Random audits, % of approved events",
        min_value=0,
        max_value=100,
        help_text="A human looks at them; their outcome tells what the platform misses.",
        widget=forms.NumberInput(attrs={"class": "input", "step": "any"}),
    )
    review = forms.FloatField(
        label="Name match: review from",
        required=False,
        widget=forms.NumberInput(attrs={"class": "input", "step": "any"}),
    )
    block = forms.FloatField(
        label="Name match: block from",
        required=False,
        help_text="Above 1 means never.",
        widget=forms.NumberInput(attrs={"class": "input", "step": "any"}),
    )
    embargoed = forms.CharField(
        label="Embargoed countries: block",
        required=False,
        max_length=1000,
        help_text="Codes of two letters (ISO 3166), such as CU IR.",
        widget=forms.TextInput(attrs={"class": "input"}),
    )
    high_risk = forms.CharField(
        label="High-risk countries: review",
        required=False,
        max_length=1000,
        widget=forms.TextInput(attrs={"class": "input"}),
    )

    reason = forms.CharField(
        label="Why",
        required=False,
        max_length=LONGEST_TEXT,
        widget=forms.TextInput(attrs={"class": "input", "autocomplete": "off"}),
    )

    def screening(self) -> dict[str, Any]:
        """The screening part, as `policies.set_policy` takes it."""
        found = self.cleaned_data
        marks = {name: found[name] for name in ("review", "block") if found[name] is not None}
        codes = {name: found[name].replace(",", " ").split() for name in ("embargoed", "high_risk")}
        return marks | codes


def add_problems(form: forms.Form, refusal: PolicyRefused) -> None:
    """A refusal's problems beside the fields that they are about."""
    for name, message in refusal.problems:
        form.add_error(name if name in form.fields else None, message)


def thresholds_of(
    parameters: Mapping[str, Any], typed: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """A thresholds form's fields: name, value as text (as `typed`, if it was), whether a list."""
    return [
        {
            "name": name,
            "value": write_value(value) if typed is None else typed.get(f"p-{name}", ""),
            "is_list": isinstance(value, list),
        }
        for name, value in parameters.items()
    ]


def tuned_parameters(names: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """The values of a thresholds form, by parameter. Raises PolicyRefused naming the parameter."""
    found = {}
    for name in names:
        text = given.get(f"p-{name}", "").strip()
        try:
            found[name] = read_value(text)
        except ValidationError as error:
            raise PolicyRefused((name, f"{name}: {error.messages[0]}")) from error
    return found
