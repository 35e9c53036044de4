"""Who may decide a promotion hears that it waits, and whoever asked what became of it."""

import pytest

from accounts.models import AuditEntry
from models_registry.approvals import (
    approve_promotion,
    refuse_promotion,
    request_promotion,
    withdraw_promotion,
)
from models_registry.models import ModelVersion
from models_registry.promotion import PromotionRefused, promote, reject, roll_back
from models_registry.promotion_models import PromotionRequest
from notifications.models import Notification
from notifications.selectors import list_receipts
from tests.models_registry.rivals import make_versions

pytestmark = pytest.mark.django_db
ASKED, DECIDED = "model.promotion_asked", "model.promotion_decided"


@pytest.fixture
def versions(payments_detector, payments_digest):
    """v1 serves; v2 won its comparison, v3 did not."""
    return make_versions(payments_detector, payments_digest)


@pytest.fixture
def name(payments_detector):
    return payments_detector.name


def told_to(user):
    """Of what waits and what was decided, newest first."""
    receipts = [one.notification for one in list_receipts(user)]
    return [news.subject for news in receipts if news.kind in (ASKED, DECIDED)]


def test_who_may_be_the_second_person_hears_that_it_waits(
    versions, owner, second_owner, analyst, name
):
    asked = request_promotion(versions[1], actor=owner, reason="It is cheaper.")
    assert told_to(second_owner) == [f"Waits for a second person: v2 to serve {name}"]
    assert told_to(owner) == told_to(analyst) == []
    news = Notification.objects.get(kind=ASKED)
    assert news.text == f"{owner.name} asks for it, in place of v1. “It is cheaper.”"
    assert news.url == f"{versions[1].get_absolute_url()}#promotion-{asked.pk}"
    assert news.data == {"request": asked.pk, "version": "v2", "override": False}


def test_what_nothing_backs_says_so(versions, owner, second_owner):
    reason = "The old one reads a source that ends."
    request_promotion(versions[2], actor=owner, reason=reason, override=True)
    assert "v1. No comparison backs it. “The old one" in Notification.objects.get(kind=ASKED).text


def test_who_trained_it_is_not_asked_to_approve_it(versions, owner, second_owner):
    versions[1].trained_by = second_owner
    versions[1].save(update_fields=["trained_by"])
    request_promotion(versions[1], actor=owner)
    assert told_to(second_owner) == []


def test_who_asked_hears_that_it_was_refused_by_whom_and_why(
    client, versions, owner, second_owner, name
):
    asked = request_promotion(versions[1], actor=owner)
    refuse_promotion(asked, actor=second_owner, note="Not before the holidays.")
    assert told_to(owner) == [f"Refused: v2 to serve {name}"]
    news = Notification.objects.get(kind=DECIDED)
    assert news.text == f"By {second_owner.name}. Not before the holidays."
    page, _, place = news.url.partition("#")
    client.force_login(owner)
    assert f'id="{place}"' in client.get(page).content.decode()


def test_that_it_was_approved_is_told_once(versions, owner, second_owner):
    approve_promotion(request_promotion(versions[1], actor=owner), actor=second_owner)
    kinds = [one.notification.kind for one in list_receipts(owner)]
    assert kinds.count("model.promoted") == 1 and DECIDED not in kinds


def test_what_somebody_withdrew_they_are_not_told(versions, owner, second_owner):
    withdraw_promotion(request_promotion(versions[1], actor=owner), actor=owner)
    assert told_to(owner) == []


def test_where_one_person_decides_nobody_is_asked(versions, owner, second_owner, settings):
    settings.FOUR_EYES = False
    request_promotion(versions[1], actor=owner, reason="Nobody else is here.")
    assert told_to(owner) == told_to(second_owner) == []


@pytest.mark.parametrize(
    ("act", "note"),
    [
        (lambda one, two, three: reject(two, actor=None), "v2 was rejected."),
        (
            lambda one, two, three: promote(three, actor=None),
            "What serves has changed since: it is v3 now.",
        ),
    ],
    ids=["rejected", "another serves"],
)
def test_a_request_ends_where_what_it_asks_for_is_no_longer_to_be_had(
    versions, owner, second_owner, name, act, note
):
    asked = request_promotion(versions[1], actor=owner)
    act(*versions)
    asked.refresh_from_db()
    assert (asked.status, asked.note) == ("outdated", note)
    assert asked.decided_at is not None and asked.decided_by is None
    assert told_to(owner) == [f"Outdated: v2 to serve {name}"]
    entry = AuditEntry.objects.get(action="model.promotion_outdated")
    assert (entry.actor, entry.object_id) == (None, str(versions[1].pk))
    assert entry.detail == {"request": asked.pk, "note": note}


def test_a_roll_back_ends_what_was_asked_for_beside_the_one_that_leaves(versions, owner, name):
    promote(versions[2], actor=None)
    asked = request_promotion_of(versions[1], owner)
    roll_back(versions[2].detector, actor=None, expected=versions[2].pk, reason="It broke.")
    asked.refresh_from_db()
    assert (asked.status, told_to(owner)) == ("outdated", [f"Outdated: v2 to serve {name}"])


def test_what_is_found_outdated_by_who_would_approve_it_is_told_and_on_record(
    versions, owner, second_owner, name
):
    asked = request_promotion(versions[1], actor=owner)
    ModelVersion.objects.filter(pk=versions[1].pk).update(comparison={})
    with pytest.raises(PromotionRefused, match="ask again"):
        approve_promotion(asked, actor=second_owner)
    assert told_to(owner) == [f"Outdated: v2 to serve {name}"]
    assert AuditEntry.objects.filter(action="model.promotion_outdated").count() == 1


def test_requests_of_other_versions_and_detectors_wait_on(versions, owner, second_owner):
    request_promotion(versions[1], actor=owner)
    reject(versions[2], actor=None)
    assert PromotionRequest.objects.get().is_pending
    assert told_to(owner) == []


def request_promotion_of(version, owner):
    reason = "The old one reads a source that ends."
    return request_promotion(version, actor=owner, reason=reason, override=True)
