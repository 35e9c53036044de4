"""What model owners choose and write. Learners are named here, so that no page loads one."""

from django import forms
from django.core.files.uploadedfile import UploadedFile

from models_registry.bundle_files import MOST_BYTES
from scoring.models import Detector

LEARNER_TITLES = {
    "lightgbm": "Gradient boosted trees (LightGBM)",
    "logistic_regression": "Logistic regression",
    "isolation_forest": "Isolation forest",
}


class TrainForm(forms.Form):
    """Which algorithm learns. Several stand on one page, so ids carry the detector."""

    learner = forms.ChoiceField(
        choices=tuple(LEARNER_TITLES.items()), widget=forms.Select(attrs={"class": "select"})
    )

    @classmethod
    def of(cls, detector: Detector) -> "TrainForm":
        """The unbound form with the detector's own algorithm chosen."""
        return cls(
            initial={"learner": detector.spec().training.learner},
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
