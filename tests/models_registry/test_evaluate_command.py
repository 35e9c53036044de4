"""A version is judged again by hand: `manage.py evaluate`."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from models_registry.evaluation_jobs import request_evaluation
from models_registry.evaluation_models import Evaluation
from models_registry.promotion import promote
from models_registry.threshold_moves import publish_thresholds
from tests.models_registry.learning import (
    KNOWN_AT,
    detector_of,
    first_version,
    history,
    learning_config,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def trained(monkeypatch):
    """v1 of `cards` with 40 days of history, and it is the end of them."""
    monkeypatch.setattr("models_registry.evaluating.timezone.now", lambda: KNOWN_AT)
    detector = detector_of(learning_config())
    history(detector)
    return first_version(detector)


def evaluate(*args, version="v1"):
    out = StringIO()
    call_command("evaluate", version, "--detector", "cards", *args, stdout=out)
    return out.getvalue()


def test_it_is_judged_as_of_today_and_that_is_kept(trained, capsys):
    text = evaluate()
    found = Evaluation.objects.get()
    assert (found.kind, found.requested_by) == ("as_of", None)
    assert (found.job.status, found.job.asker) == ("succeeded", "the command line")
    for said in (f"Judged on {found.metrics['rows']:,} unseen", "ROC AUC", "Cost per 1,000 events",
                 f"Kept as evaluation {found.pk} of"):  # fmt: skip
        assert said in text, said
    assert "Judging" in capsys.readouterr().err


def test_over_time_it_prints_mean_and_spread(trained):
    text = evaluate("--over-time")
    found = Evaluation.objects.get()
    assert found.kind == "folds"
    assert f"trained anew for each of {len(found.metrics['folds'])} folds" in text
    line = next(line for line in text.splitlines() if "ROC AUC" in line)
    assert f"{found.metrics['mean']['roc_auc']:.3f}" in line


def test_a_look_back_is_printed_not_kept_and_no_evidence_for_a_promotion(trained):
    promote(trained, actor=None)
    review = trained.metrics["thresholds"]["review"] / 2
    moved = publish_thresholds(trained, review=review, block=None, actor=None, reason="See more")
    earlier = KNOWN_AT - timedelta(days=3)
    text = evaluate("--as-of", earlier.isoformat(), version="v2")
    assert f"labels as known at {earlier:%Y-%m-%d %H:%M} UTC" in text
    assert "Not kept" in text
    moved.refresh_from_db()
    assert moved.comparison == {}
    assert not Evaluation.objects.exists()
    evaluate(version="v2")
    moved.refresh_from_db()
    assert moved.comparison["champion_digest"] == trained.digest


def test_what_cannot_be_judged_is_said(trained):
    with pytest.raises(CommandError, match="no version 'v9'"):
        evaluate(version="v9")
    with pytest.raises(CommandError, match="lies in the future"):
        evaluate("--as-of", (timezone.now() + timedelta(days=99_999)).isoformat())
    with pytest.raises(CommandError, match="not allowed with argument"):
        evaluate("--over-time", "--as-of", "2026-06-01")
    job = request_evaluation(trained, kind="folds", requested_by=None)
    with pytest.raises(CommandError, match=f"Job {job.pk} is evaluating v1 already"):
        evaluate()
    assert not Evaluation.objects.exists()
