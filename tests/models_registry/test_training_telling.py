"""People hear that a challenger was trained, and what live traffic says of one in shadow."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from jobs.models import Job
from jobs.services import claim_job, run_job
from models_registry.core import live
from models_registry.models import ModelVersion
from models_registry.promotion import promote
from models_registry.retraining import request_training
from models_registry.shadow_judging import judge_shadow
from models_registry.shadow_scoring import shadow_some
from models_registry.training import run_training
from notifications.models import Notification
from notifications.selectors import list_receipts
from tests.factories import payments, scored_many
from tests.models_registry.learning import detector_of, history, learning_config
from tests.models_registry.rivals import rivals, shadow_of, tell_truths

pytestmark = pytest.mark.django_db(transaction=True)
TRAINED, VERDICT = "model.trained", "model.live_verdict"


@pytest.fixture
def detector(db):
    made = detector_of(learning_config())
    history(made, events=400)
    return made


def told_to(user, kind):
    receipts = [one.notification for one in list_receipts(user)]
    return [news.subject for news in receipts if news.kind == kind]


def train(detector, **asked):
    job = run_job(request_training(detector, **asked).pk, run_training)
    return ModelVersion.objects.get(pk=job.result["version"])


def test_who_asked_for_a_training_hears_how_it_compares(detector, owner, second_owner, analyst):
    version = train(detector, requested_by=owner)
    assert told_to(owner, TRAINED) == [f"{detector.name}: v1 is trained"]
    assert told_to(second_owner, TRAINED) == told_to(analyst, TRAINED) == []
    news = Notification.objects.get(kind=TRAINED)
    assert news.url == version.get_absolute_url()
    assert news.text == (
        "Rules alone serve: there is no champion to compare with."
        " Ask for its promotion, or watch it in shadow first."
    )


def test_owners_hear_of_what_somebody_asked_for_who_is_gone(detector, owner, second_owner):
    job = request_training(detector, requested_by=owner)
    owner.is_active = False
    owner.save()
    run_job(job.pk, run_training)
    assert told_to(second_owner, TRAINED) == [f"{detector.name}: v1 is trained"]


def test_owners_hear_of_what_nobody_asked_for_and_why_it_was_trained(
    detector, owner, second_owner, analyst
):
    promote(train(detector, requested_by=owner), actor=None)
    train(detector, requested_by=None, reason="the newest version is 9 days old")
    assert told_to(second_owner, TRAINED) == [f"{detector.name}: v2 is trained"]
    assert told_to(analyst, TRAINED) == []
    news = Notification.objects.get(kind=TRAINED, data__version="v2")
    assert news.text.startswith("Trained because the newest version is 9 days old. On ")
    assert "v2 is not surely better." in news.text
    assert "Ask for its promotion" not in news.text
    assert news.data == {"version": "v2", "evidence": "none", "backed": False}


def test_an_attempt_that_finds_the_version_made_tells_it_once(detector, owner):
    job = claim_job(request_training(detector, requested_by=owner).pk)
    for _ in range(2):
        Job.objects.update(status="queued")
        run_job(job.pk, run_training)
    assert ModelVersion.objects.count() == 1
    assert told_to(owner, TRAINED) == [f"{detector.name}: v1 is trained"]


def test_at_the_command_line_one_sees_it_without_the_bell(detector, owner, capsys):
    call_command("train", detector=detector.slug)
    assert ModelVersion.objects.count() == 1
    assert not Notification.objects.filter(kind=TRAINED).exists()


def test_what_live_traffic_says_of_a_challenger_is_told_once(
    payments_detector, payments_digest, owner, analyst
):
    shadow = shadow_of(rivals(payments_detector, payments_digest)[1])
    look(shadow)  # Too few labels say nothing.
    assert told_to(owner, VERDICT) == []
    raws = payments(900, users=60)
    for i, raw in enumerate(raws):
        raw["timestamp"] = f"2020-06-{1 + i * 10 // 900:02d}T12:{i % 60:02d}:00+00:00"
    tell_truths(scored_many("payments", raws))
    for _ in range(2):
        assert look(shadow)["verdict"] == live.BETTER
    assert told_to(owner, VERDICT) == [
        f"{payments_detector.name}: on live traffic v2 is better than v1"
    ]
    assert told_to(analyst, VERDICT) == []
    news = Notification.objects.get(kind=VERDICT)
    assert news.url == shadow.version.get_absolute_url()
    assert news.text == shadow.comparison["reason"]


def look(shadow):
    now = timezone.now() + timedelta(seconds=30)
    shadow_some(shadow, now=now, most=100_000)
    return judge_shadow(shadow, now=now)
