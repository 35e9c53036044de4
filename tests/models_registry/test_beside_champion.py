"""A version is compared with the champion of today on events that are new to both."""

from datetime import timedelta

import pytest
from django.urls import reverse

from models_registry import beside_champion
from models_registry.approvals import request_promotion
from models_registry.beside_champion import chosen_before
from models_registry.core.comparison import could_decide
from models_registry.datasets import read_rows
from models_registry.evaluating import evaluate_as_of
from models_registry.evidence import evidence_for
from models_registry.fitting import QuietProgress
from models_registry.models import ModelVersion
from models_registry.promotion import promote
from models_registry.threshold_moves import publish_thresholds
from models_registry.training import train_version
from models_registry.verdicts import verdict_of
from scoring.deployment import loaded
from tests.models_registry.learning import KNOWN_AT, detector_of, history, learning_config
from tests.models_registry.test_champion_features import features

pytestmark = pytest.mark.django_db
EARLIER = KNOWN_AT - timedelta(days=14)


def train(detector, *, now=KNOWN_AT):
    return train_version(
        detector, learner="logistic_regression", trained_by=None, job=None,
        progress=QuietProgress(), now=now,
    )  # fmt: skip


def evaluate(version, *, now=KNOWN_AT):
    version = ModelVersion.objects.select_related("detector", "dataset").get(pk=version.pk)
    found = evaluate_as_of(version, requested_by=None, job=None, progress=QuietProgress(), now=now)
    return version, found


def redeclare(detector, **changed):
    detector.config["features"] = features(**changed)
    detector.save(update_fields=["config"])


@pytest.fixture
def detector(db):
    detector = detector_of(learning_config() | {"features": features(), "rules": []})
    history(detector, events=1500)
    return detector


@pytest.fixture
def versions(detector):
    """v1 reads an event's own amount; v2, trained since and serving, does not and is worse."""
    first = train(detector, now=EARLIER)
    redeclare(detector, include_current=False)
    second = train(detector, now=KNOWN_AT - timedelta(days=10))
    promote(second, actor=None)
    return first, second


def test_an_older_version_that_is_better_can_take_the_champions_place(versions, owner):
    first, second = versions
    assert "An evaluation as of today compares them" in evidence_for(first, second).text
    first, found = evaluate(first)
    assert first.comparison["champion_digest"] == second.digest
    assert first.comparison["verdict"] == "better"
    evidence = evidence_for(first, second)
    assert (evidence.kind, evidence.passed) == ("offline", True)
    assert request_promotion(first, actor=owner).override is False
    assert found.metrics["comparison"]["verdict"] == "better"


def test_only_events_new_to_both_are_compared(versions, detector):
    first, second = versions
    first, _ = evaluate(first)
    start = max(chosen_before(one, loaded(one.digest)) for one in versions)
    rows = read_rows(detector, known_at=KNOWN_AT, report=lambda part: None)
    end = KNOWN_AT.timestamp() - second.detector.spec().training.label_delay
    new = (rows.event_time >= start) & (rows.event_time < end)
    assert start == chosen_before(second, loaded(second.digest))
    assert abs(first.comparison["rows"] - new.sum()) <= 3  # The history ends an event early.
    assert first.comparison["champion_saw_test_rows"] is False


def test_where_nothing_is_new_to_both_it_says_why_and_keeps_what_it_had(versions):
    first, second = versions
    split = second.dataset.detail["split"]
    second.dataset.detail["split"] = split | {"validation_end": KNOWN_AT.timestamp()}
    second.dataset.save(update_fields=["detail"])
    first, found = evaluate(first)
    assert first.comparison == {}
    told = found.metrics["not_compared"]
    assert told.startswith("Not compared with v2: events are new to both from")
    assert "none has matured yet" in told


def test_too_few_positives_decide_nothing_and_say_so(versions, detector):
    detector.config["training"]["minimum_positives"] = 1000
    detector.save(update_fields=["config"])
    first, found = evaluate(versions[0])
    assert first.comparison == {}
    told = found.metrics["not_compared"]
    assert "too few positives to tell models apart" in told
    assert told.endswith("It takes 1,000, and 6 independent ones.")


def test_too_few_legitimate_events_decide_nothing_and_say_so(versions, monkeypatch):
    honest = beside_champion.compare_with

    def positives_alone(*args, **options):
        return honest(*args, **options) | {"rows": 60, "positives": 55}

    monkeypatch.setattr(beside_champion, "compare_with", positives_alone)
    first, found = evaluate(versions[0])
    assert first.comparison == {}
    told = found.metrics["not_compared"]
    assert told.endswith("too few legitimate ones to tell models apart: 5. It takes 20.")


def test_a_pair_is_looked_at_once(versions):
    before, _ = evaluate(versions[0], now=KNOWN_AT - timedelta(days=2))
    assert could_decide(before.comparison)
    after, found = evaluate(versions[0])
    assert after.comparison == before.comparison
    assert "comparison" not in found.metrics


def test_a_pair_is_looked_at_once_also_when_the_champion_comes_back(versions, owner):
    first, second = versions
    before, _ = evaluate(first, now=KNOWN_AT - timedelta(days=2))
    other = train(first.detector, now=KNOWN_AT - timedelta(days=9))
    promote(other, actor=None, reason="In between")
    between, _ = evaluate(first)
    assert between.comparison["champion_digest"] == other.digest
    promote(ModelVersion.objects.get(pk=second.pk), actor=None, reason="Back again")
    after, found = evaluate(first)
    told = dict(after.comparison)
    assert [one["champion_digest"] for one in told.pop("earlier")] == [other.digest]
    assert told == before.comparison
    assert found.metrics["not_compared"] == "Compared with v2 before; that comparison stands."


def test_a_comparison_that_flattered_the_champion_does_not_stand(versions):
    before, _ = evaluate(versions[0], now=KNOWN_AT - timedelta(days=2))
    before.comparison["champion_saw_test_rows"] = True
    before.save(update_fields=["comparison"])
    after, _ = evaluate(versions[0])
    assert after.comparison["champion_saw_test_rows"] is False
    assert after.comparison["rows"] > before.comparison["rows"]


def test_events_on_which_people_moved_thresholds_are_not_new(versions):
    second = versions[1]
    review = second.metrics["thresholds"]["review"] / 2
    moved = publish_thresholds(second, review=review, block=None, actor=None, reason="See more")
    assert chosen_before(second, loaded(second.digest)) < KNOWN_AT.timestamp()
    assert chosen_before(moved, loaded(moved.digest)) == pytest.approx(
        moved.trained_at.timestamp(), abs=60
    )


def test_a_champion_has_no_rival(versions):
    _, found = evaluate(versions[1])
    assert not {"comparison", "not_compared"} & found.metrics.keys()


def test_the_page_leads_there_and_tells_what_was_found(client, owner, versions):
    client.force_login(owner)
    url = reverse("model_detail", args=[versions[0].pk])
    assert "Evaluate it as of today</a> to compare" in client.get(url).content.decode()
    first, _ = evaluate(versions[0])
    page = client.get(url).content.decode()
    assert "of these events, new to both: v1 is better than v2" in page
    assert "Evaluate it as of today</a> to compare" not in page
    told = " ".join(verdict_of(first, rival="v2", currency="EUR").evidence)
    assert f"new to both, with the labels known on {KNOWN_AT:%Y-%m-%d}." in told
