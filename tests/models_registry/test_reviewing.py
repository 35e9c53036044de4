"""Owners hear that a champion's review date comes near, and that it is past."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.roles import MODEL_OWNER
from models_registry.promotion import promote
from models_registry.reviewing import tell_reviews
from models_registry.tasks import tell_reviews_task
from notifications.models import Notification
from scoring.models import Deployment, Detector
from scoring.policies import set_policy
from tests.accounts.factories import user_with_role
from tests.models_registry.versions import make_detector

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
DUE, OVER = "model.review_due", "model.review_over"


@pytest.fixture
def owner(db):
    return user_with_role(MODEL_OWNER)


@pytest.fixture
def champion(guarded, owner):
    """v1, which serves for 30 days at most, as somebody said on the page."""
    set_policy(guarded[0].detector, review_after=30 * DAY.total_seconds(), author=owner)
    return guarded[0]


def kinds(owner):
    receipts = owner.notification_receipts.filter(kind__startswith="model.review")
    return sorted(receipts.values_list("kind", flat=True))


def after(days):
    """The moment at which it has served for so long."""
    return Deployment.objects.get().term_from + days * DAY


@pytest.mark.parametrize(
    ("days", "told"), [(22.9, []), (23.1, [DUE]), (29.9, [DUE]), (30, [OVER]), (40, [OVER])]
)
def test_it_is_told_a_week_before_and_from_the_day_on(champion, owner, days, told):
    for _ in range(2):
        assert tell_reviews(now=after(days)) == len(told)
    assert kinds(owner) == told


def test_a_model_past_its_date_is_told_of_once_a_day_until_another_serves(champion, guarded, owner):
    for days in (31, 31.01, 32.01):
        tell_reviews(now=after(days))
    assert kinds(owner) == [OVER, OVER]
    promote(guarded[1], actor=None, reason="better")
    assert tell_reviews(now=timezone.now()) == 0


def test_of_a_short_term_the_last_quarter_is_told(champion, owner):
    set_policy(champion.detector, review_after=4 * 3600.0, author=owner)
    assert tell_reviews(now=after(2.9 / 24)) == 0
    assert tell_reviews(now=after(3.1 / 24)) == 1


def test_it_says_what_to_do_and_leads_there(champion, owner):
    tell_reviews(now=after(31))
    told = Notification.objects.get(kind=OVER)
    assert "Promote a version, or extend the term" in told.text
    assert told.url == f"/models/{champion.detector.slug}/retraining/"
    assert told.critical


def test_what_cannot_be_read_or_has_no_end_keeps_no_other_from_being_told(champion, owner):
    for slug, config in (("broken", {"training": 1}), ("endless", None)):
        made = make_detector(slug)
        if config:
            Detector.objects.filter(pk=made.pk).update(config=made.config | config)
        Deployment.objects.create(
            detector=made, slot="champion", digest="0" * 64, version="v1",
            installed_at=timezone.now() - 900 * DAY,
        )  # fmt: skip
    Deployment.objects.filter(detector=champion.detector).update(
        installed_at=timezone.now() - 31 * DAY
    )
    assert tell_reviews_task() == 1
    assert kinds(owner) == [OVER]
