"""A card detector with a history to learn from, and versions of it."""

import copy
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from django.utils import timezone

from jobs.progress import JobCancelled
from models_registry.fitting import QuietProgress
from models_registry.models import Dataset, ModelVersion
from models_registry.training import train_version
from scoring.core.bundle import write_bundle
from scoring.deployment import bundle_root, install_rules_only
from scoring.labelling import record_truths
from scoring.models import Detector, Label
from tests.factories import START, card, config_of, scored_many

DAYS = 40
DELAY = timedelta(days=1)
KNOWN_AT = START + timedelta(days=DAYS)


def learning_config(**training: Any) -> dict[str, Any]:
    """The shipped `cards` with labels that mature in a day and a learner that is quick."""
    config = copy.deepcopy(config_of("cards"))
    config["training"] |= {"learner": "logistic_regression", "label_delay": "1d"} | training
    return config


class CancelledAt(QuietProgress):
    """Somebody cancels the job as soon as it tells of this stage; `stages` are all it told of."""

    def __init__(self, stage: str) -> None:
        self.stages = [""]
        self._cancelled_at = stage
        super().__init__(lambda fraction, stage: self.stages.append(stage))

    def check_cancelled(self) -> None:
        if self.stages[-1].endswith(self._cancelled_at):
            raise JobCancelled("Cancelled on request.")


def detector_of(config: dict[str, Any]) -> Detector:
    detector = Detector.objects.create(slug=config["slug"], name="Cards", config=config)
    install_rules_only(detector)
    return detector


def history(detector: Detector, *, events: int = 700, seed: int = 5) -> list[bool]:
    """Score and label a history over DAYS days in which large amounts are fraud, with noise."""
    rng = np.random.default_rng(seed)
    amounts = np.round(rng.lognormal(3.5, 1.0, events), 2)
    is_fraud = amounts * rng.lognormal(0.0, 0.3, events) > 120.0
    raws = [
        card(
            i,
            CUSTOMER_ID=int(rng.integers(30)),
            TERMINAL_ID=int(rng.integers(10)),
            TX_AMOUNT=float(amount),
            TX_DATETIME=(START + timedelta(days=DAYS) * (i / events)).isoformat(),
        )
        for i, amount in enumerate(amounts)
    ]
    rows = scored_many(detector.slug, raws)
    truths = {
        row.external_id: (bool(fraud), row.event_time + DELAY)
        for row, fraud in zip(rows, is_fraud, strict=True)
    }
    record_truths(detector.pk, truths, source=Label.Source.IMPORT)
    return is_fraud.tolist()


def first_version(detector: Detector, learner: str = "logistic_regression") -> ModelVersion:
    """Trained on all that is known at the end of the history, without a job."""
    return train_version(
        detector,
        learner=learner,
        trained_by=None,
        job=None,
        progress=QuietProgress(),
        now=KNOWN_AT,
    )


def version_of(detector: Detector, number: int, *, at: datetime | None = None) -> ModelVersion:
    """A registered challenger whose bundle is the detector's rules and says its number."""
    now = at or timezone.now()
    dataset = Dataset.objects.create(
        detector=detector, digest="0" * 64, known_at=now, first_event_at=now, last_event_at=now,
        rows=1, positives=1, feature_names=[],
    )  # fmt: skip
    manifest = {"detector": detector.config, "metrics": {"number": number}}
    return ModelVersion.objects.create(
        detector=detector, number=number, learner="logistic_regression", dataset=dataset,
        digest=write_bundle(bundle_root(), manifest, {}), trained_at=now, training_seconds=1.0,
    )  # fmt: skip
