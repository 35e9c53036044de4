"""Where numbers or intervals are missing, page and command say why, and what to do."""

import numpy as np
import pytest
from django.core.management import call_command
from django.urls import reverse

from models_registry.core.evaluation import evaluate
from models_registry.evaluation_models import Evaluation
from models_registry.judging import finite
from models_registry.metric_rows import too_few_for
from models_registry.stated_numbers import stated_metrics
from tests.models_registry.core.test_evaluation import BOUNDS, TIGHT, drawn
from tests.models_registry.core.test_few_blocks import bursts
from tests.models_registry.test_evaluation_views import text_of
from tests.models_registry.test_told_metrics import judged_again
from tests.models_registry.versions import VersionFactory


def metrics_of(given):
    how = {"thresholds": BOUNDS, "costs": TIGHT, "entities_a_day": 100, "resamples": 20}
    return finite(evaluate(**given, calibrated=True, **how)[0])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (drawn() | {"labels": np.zeros(4000, int)}, "None of these events is known to be bad"),
        (drawn() | {"labels": np.ones(4000, int)}, "is known to be legitimate"),
        (bursts(1, 1), "1 of these events is bad, which tell no more than 1.0 entities"),
        (bursts(2, 20), "40 of these events are bad, which tell no more than 2.0 entities"),
        (bursts(3, 20), ""),
        (drawn(), ""),
    ],
)
def test_it_is_said_in_words(given, said):
    told = too_few_for(metrics_of(given))
    assert said in told and bool(said) == bool(told)
    assert "evaluate as of today" in told or not told


def test_evaluations_of_before_say_nothing_of_how_events_lay_together():
    assert too_few_for({}) == ""
    assert too_few_for({"rows": 90, "positives": 3, "resampled": {"unit": "entity"}}) == ""


def test_how_they_lay_together_travels_with_a_bundle():
    metrics = metrics_of(bursts(2, 20))
    assert too_few_for(stated_metrics(metrics)) == too_few_for(metrics)


@pytest.mark.django_db
def test_pages_and_command_say_so_of_a_version_and_of_its_evaluation(
    client, analyst, payments_detector, payments_digest, capsys
):
    version = VersionFactory(
        detector=payments_detector,
        number=1,
        digest=payments_digest,
        metrics=metrics_of(bursts(2, 20)),
    )
    judged_again(version, kind=Evaluation.Kind.AS_OF)
    client.force_login(analyst)
    said = "nobody can tell how sure a number is"
    assert text_of(client.get(version.get_absolute_url())).count(said) == 2
    assert said in text_of(client.get(reverse("model_card", args=[version.pk])))
    call_command("models", "info", "v1", "--detector", payments_detector.slug)
    assert said in capsys.readouterr().out
