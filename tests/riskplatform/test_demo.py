"""What the demo does where an hour's history holds too little fraud, and after an interruption."""

from datetime import timedelta

import pytest
from django.utils import timezone

from cases.models import Case
from models_registry.datasets import DatasetError
from riskplatform import demo, demo_marks
from tests.factories import payment, scored, scored_many
from tests.models_registry.factories import VersionFactory
from tests.models_registry.learning import detector_of, learning_config

pytestmark = pytest.mark.django_db


@pytest.fixture
def hours(monkeypatch):
    """`hours(n)`: only the n-th history has enough; gives the seeds that were simulated."""

    def too_little_until(enough):
        seeds = [demo.SEED]

        def train(detector, **given):
            if len(seeds) < enough:
                raise DatasetError("Only 17 labelled positives lie in the training part.")
            return "version"

        def simulate(detector, *, start, end, events, seed, settled_until):
            seeds.append(seed)

        monkeypatch.setattr(demo, "train_version", train)
        monkeypatch.setattr(demo, "simulate_history", simulate)
        return seeds

    return too_little_until


def test_more_is_simulated_until_there_is_enough_to_learn_from(hours, owner):
    seeds, said = hours(3), []
    detector = detector_of(learning_config())
    assert demo._train(detector, timezone.now(), 1000, owner, said.append) == "version"
    assert seeds == [7, 8, 9]
    assert said[0] == (
        "cards: Only 17 labelled positives lie in the training part. More is simulated."
    )


def test_at_the_end_it_says_what_is_missing(hours, owner):
    seeds = hours(99)
    with pytest.raises(DatasetError, match="Only 17"):
        demo._train(detector_of(learning_config()), timezone.now(), 1000, owner, print)
    assert len(seeds) == demo.MOST_SEEDS


class Interrupted(Exception):
    """As a kill would."""


def test_a_fill_goes_on_where_it_was_interrupted(
    monkeypatch, settings, tmp_path, payments_detector, owner
):
    """`payments` has its champion; the triage is interrupted after its case was opened."""
    settings.VAR_DIR, settings.EMBEDDED = tmp_path, True
    VersionFactory(detector=payments_detector, stage="champion")
    done, triages = [], iter([Interrupted, None, None])

    def triage(now, say):
        Case.objects.create(title="of the demo", opened_at=now)
        if (problem := next(triages)) is not None:
            raise problem

    monkeypatch.setattr(demo, "_simulate_past", lambda *_: done.append("past"))
    monkeypatch.setattr(demo, "_train", lambda *_: done.append("train"))
    monkeypatch.setattr(demo, "simulate_history", lambda *_, **__: done.append("recent"))
    monkeypatch.setattr(demo, "tally_everything", lambda: 0)
    monkeypatch.setattr(demo, "_triage", triage)
    with pytest.raises(Interrupted):
        demo.fill(print, events={"payments": 100})
    assert not demo_marks.is_filled() and not Case.objects.exists()
    demo.fill(print, events={"payments": 100})
    assert demo_marks.is_filled() and Case.objects.count() == 1
    assert done == ["recent", "recent"]


def test_the_days_served_keep_the_pace_of_the_history(payments_detector):
    """Three a day before: 24 in the eight days since."""
    now, days = timezone.now(), (demo.HISTORY - demo.SERVED).days
    past = [payment(timestamp=_at(now - demo.HISTORY + timedelta(days=i / 3)))
            for i in range(3 * days)]  # fmt: skip
    scored_many("payments", past)
    scored("payments", payment(timestamp=_at(now - timedelta(days=1))))
    assert demo._usual_pace(payments_detector, now) == 24


def _at(moment):
    return moment.isoformat()
