"""What model owners choose and write. Learners are named here, so that no page loads one."""

from django import forms

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
