"""What model owners choose and write. Learners are named here, so that no page loads one."""

from typing import Any
from urllib.parse import urlencode

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict

from accounts.quantities import in_full
from models_registry.bundle_files import MOST_BYTES
from models_registry.rare_class import TITLES, why_not
from scoring.core.decision import Thresholds
from scoring.models import Detector

LEARNER_TITLES = {
    "lightgbm": "Gradient boosted trees (LightGBM)",
    "xgboost": "Gradient boosted trees (XGBoost)",
    "random_forest": "Random forest",
    "voting_ensemble": "XGBoost and random forest together",
    "logistic_regression": "Logistic regression",
    "isolation_forest": "Isolation forest",
    "one_class_svm": "One-class support vector machine",
    "autoencoder": "Autoencoder",
    "ecod": "Empirical tails (ECOD)",
}


IMBALANCES = (
    ("", "rare class as declared"),
    ("none", "rare class as it is"),
    *((method, title) for method, title in TITLES.items() if method != "none"),
)
SEARCHES = (
    ("", "parameters as declared"),
    ("0", "its own parameters"),
    ("5", "search 5 min or 500 trials"),
    ("20", "search 20 min or 500 trials"),
    ("60", "search 60 min or 500 trials"),
)


class TrainForm(forms.Form):
    """Which algorithm learns, and how. Several stand on one page, so ids carry the detector."""

    learner = forms.ChoiceField(
        choices=tuple(LEARNER_TITLES.items()), widget=forms.Select(attrs={"class": "select"})
    )
    imbalance = forms.ChoiceField(
        choices=IMBALANCES, required=False, widget=forms.Select(attrs={"class": "select"})
    )
    minutes = forms.TypedChoiceField(
        choices=SEARCHES,
        coerce=int,
        required=False,
        empty_value=None,
        widget=forms.Select(attrs={"class": "select"}),
    )

    def clean(self) -> dict[str, Any]:
        """A learner that needs no labels can do nothing about a rare class."""
        found = super().clean() or self.cleaned_data
        if refused := why_not(found.get("learner", ""), found.get("imbalance", "")):
            self.add_error("imbalance", refused)
        return found

    @property
    def tune_for(self) -> float | None:
        """Seconds to search parameters for; None: as declared."""
        minutes = self.cleaned_data["minutes"]
        return None if minutes is None else 60.0 * minutes

    @classmethod
    def of(cls, detector: Detector) -> "TrainForm":
        """The unbound form with the detector's own algorithm chosen, where that can be read."""
        learner = "" if detector.unreadable() else detector.spec().training.learner
        return cls(
            initial={"learner": learner, "imbalance": "", "minutes": ""},
            auto_id=f"{detector.slug}-%s",
        )


class ImportForm(forms.Form):
    """A bundle that another platform exported."""

    bundle = forms.FileField(
        max_length=200,
        allow_empty_file=False,
        widget=forms.ClearableFileInput(attrs={"class": "input", "accept": ".zip"}),
        label="Bundle (.zip)",
    )

    def clean_bundle(self) -> UploadedFile:
        """Too large is refused before it is read."""
        file: UploadedFile = self.cleaned_data["bundle"]
        if (file.size or 0) > MOST_BYTES:
            raise forms.ValidationError(f"The file is larger than {MOST_BYTES >> 20} MB.")
        return file


class DecisionForm(forms.Form):
    """Why a version is promoted, rejected or rolled back; kept with the decision."""

    reason = forms.CharField(
        required=False,
        max_length=2000,
        widget=forms.TextInput(
            attrs={
                "class": "input",
                "placeholder": "Why? Kept with the decision",
                "title": "Decide (p)",
                "data-key": "p",
                "data-key-label": "Decide on this version",
            }
        ),
        label="Reason",
    )

    def require_reason(self, letters: int) -> None:
        """Say beforehand, to people and browsers, that a reason of so many letters is needed."""
        self.fields["reason"].widget.attrs |= {
            "minlength": letters,
            "required": True,
            "aria-describedby": "reason-help",
            "placeholder": f"Why? {letters} letters or more, kept with the decision",
        }


class RollBackForm(DecisionForm):
    """Which champion is to leave, as whoever rolls back saw it, and why."""

    champion = forms.IntegerField()


def in_fields(stand: Thresholds) -> dict[str, str]:
    """Thresholds as they are written into the form, with all their decimals: what comes back is
    what stands. Nothing for one that nothing reaches."""
    found = {"review": stand.review, "block": stand.block}
    return {
        name: "" if value > 1.0 else in_full(value).rstrip("0").rstrip(".")
        for name, value in found.items()
    }


def preview_query(review: float, block: float) -> str:
    """The query that previews a review threshold, with blocks from `block` or, where that lies
    below it, from the same; empty where it cannot be published."""
    if not 0.0 < review <= 1.0:
        return ""
    blocked = "" if block > 1.0 else in_full(max(block, review))
    return urlencode({"review": in_full(review), "block": blocked})


class ThresholdForm(forms.Form):
    """Where people and blocks begin, on the risk; an empty block threshold blocks nothing."""

    review = forms.FloatField(
        label="Review from", widget=forms.NumberInput(attrs={"class": "input", "step": "any"})
    )
    block = forms.FloatField(
        required=False,
        label="Block from",
        widget=forms.NumberInput(attrs={"class": "input", "step": "any"}),
    )

    @classmethod
    def of(cls, stand: Thresholds) -> "ThresholdForm":
        """The unbound form with the thresholds as they stand, as a person would write them."""
        return cls(initial=in_fields(stand))

    def wanted(self) -> dict[str, Any]:
        """`review` and `block` (None: never) of a valid form."""
        return {"review": self.cleaned_data["review"], "block": self.cleaned_data["block"]}


class PublishForm(ThresholdForm):
    """The same with the reason, which is kept.

    A page that shows thresholds sends those that were previewed and those that stand in its fields
    now; where they differ, nobody has seen what would be published.
    """

    reason = forms.CharField(
        max_length=2000, widget=forms.TextInput(attrs={"class": "input"}), label="Why?"
    )

    def clean(self) -> dict[str, Any]:
        """Every value that was sent of a field has to say the same."""
        found = super().clean() or self.cleaned_data
        for name in ("review", "block"):
            if name in found and not self._all_say(name, found[name]):
                self.add_error(name, "It was changed after the preview. Preview it again.")
        return found

    def _all_say(self, name: str, value: float | None) -> bool:
        sent = self.data.getlist(name) if isinstance(self.data, QueryDict) else []
        try:
            return all(self.fields[name].clean(text) == value for text in sent)
        except forms.ValidationError:
            return False


class EvaluateForm(forms.Form):
    """How a version is judged again."""

    kind = forms.ChoiceField(choices=(("as_of", "As of today"), ("folds", "Over time")))
