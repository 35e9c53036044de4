"""Champions come and go by decision, one at a time, and each act is on record."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from models_registry.models import ModelVersion, PromotionDecision
from models_registry.promotion import (
    PromotionRefused,
    promote,
    reject,
    review_over,
    roll_back,
)
from models_registry.shadow_models import Shadow
from scoring.core.bundle import BundleError, write_bundle
from scoring.deployment import (
    bundle_root,
    install_rules_only,
    is_overdue,
    serving,
    serving_many,
)
from scoring.models import Deployment, Detector
from scoring.policies import set_policy
from scoring.shortfalls import review_due
from tests.factories import card, config_of, scored
from tests.models_registry.learning import version_of
from tests.models_registry.rivals import shadow_of

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def stages():
    return list(ModelVersion.objects.order_by("number").values_list("stage", flat=True))


@pytest.fixture
def versions(cards_detector, bundle_dir):
    install_rules_only(cards_detector)
    return [version_of(cards_detector, number) for number in (1, 2, 3)]


def test_the_next_event_is_scored_by_what_was_promoted(versions, owner):
    assert scored("cards", card(1)).model_version == "rules-only"
    promote(versions[0], actor=owner, reason="better")
    row = scored("cards", card(2))
    assert (row.model_version, row.bundle_digest) == ("v1", versions[0].digest)


def test_a_promotion_retires_the_champion_and_is_on_record(versions, owner):
    promote(versions[0], actor=owner)
    decision = promote(versions[1], actor=owner, reason="better")
    assert stages() == ["retired", "champion", "challenger"]
    assert (decision.previous, decision.actor, decision.reason) == (versions[0], owner, "better")
    entry = AuditEntry.objects.order_by("-number").first()
    assert (entry.action, entry.actor) == ("model.promote", owner)


def test_rolling_back_brings_the_previous_champion_back(versions, owner):
    promote(versions[0], actor=owner)
    promote(versions[1], actor=owner)
    decision = roll_back(versions[0].detector, actor=owner)
    assert (decision.action, decision.version) == ("roll_back", versions[0])
    assert stages() == ["champion", "retired", "challenger"]
    assert serving("cards").version == "v1"


def test_rolling_back_twice_never_brings_the_bad_version_back(versions, owner):
    for version in versions:
        promote(version, actor=owner)
    detector = versions[0].detector
    assert roll_back(detector, actor=owner).version == versions[1]
    assert roll_back(detector, actor=owner, expected=versions[1].pk).version == versions[0]
    with pytest.raises(PromotionRefused, match="no earlier"):
        roll_back(detector, actor=owner)


def test_a_second_roll_back_that_names_no_champion_is_the_first_sent_again(versions, owner):
    detector = versions[0].detector
    for version in versions:
        promote(version, actor=owner)
    roll_back(detector, actor=owner)
    with pytest.raises(PromotionRefused, match="v3 was rolled back to v2 already"):
        roll_back(detector, actor=owner)
    assert serving("cards").version == "v2"
    promote(versions[2], actor=owner)
    assert roll_back(detector, actor=owner).version == versions[1]


def test_a_request_sent_twice_goes_back_one_step(versions, owner):
    for version in versions:
        promote(version, actor=owner)
    shown = versions[2].pk
    assert roll_back(versions[0].detector, actor=owner, expected=shown).version == versions[1]
    with pytest.raises(PromotionRefused, match="changed since you looked: it is v2 now"):
        roll_back(versions[0].detector, actor=owner, expected=shown)
    assert serving("cards").version == "v2"


@pytest.fixture
def overdue(versions, owner):
    """v1 was promoted 100 days ago, v2 today; a model may serve for 90 days."""
    detector = versions[0].detector
    set_policy(detector, review_after=90 * DAY.total_seconds(), author=owner)
    promote(versions[0], actor=owner)
    PromotionDecision.objects.update(at=timezone.now() - 100 * DAY)
    promote(versions[1], actor=owner)
    return Detector.objects.get(pk=detector.pk)


def term_is_over(detector):
    row = Deployment.objects.get(detector=detector)
    asked = serving_many([detector.slug])[detector.slug]
    over = is_overdue(row.term_from, detector.review_after())
    assert over is (review_due(row) <= timezone.now())
    assert asked.policy.review_after == detector.review_after()
    return over


def test_a_roll_back_begins_no_new_review_term(overdue, owner):
    assert not term_is_over(overdue)
    decision = roll_back(overdue, actor=owner)
    assert term_is_over(overdue)
    assert "rules decide alone" in review_over(decision.version, overdue)
    row = Deployment.objects.get()
    assert row.installed_at > timezone.now() - DAY


def test_whoever_is_told_of_a_roll_back_is_told_that_its_term_is_over(overdue, monkeypatch):
    told = []
    monkeypatch.setattr("models_registry.telling.notify", lambda kind, **given: told.append(given))
    roll_back(overdue, actor=None, reason="Rolled back by its guard: too many alerts.")
    assert "too many alerts. The review of v1 was due" in told[0]["text"]


def test_what_is_promoted_again_was_reviewed(overdue, owner, versions):
    roll_back(overdue, actor=owner)
    promote(versions[1], actor=owner)
    promote(ModelVersion.objects.get(number=1), actor=owner)
    assert not term_is_over(overdue)
    promote(versions[2], actor=owner)
    assert review_over(roll_back(overdue, actor=owner).version, overdue) == ""
    assert not term_is_over(overdue)


def test_without_a_term_a_roll_back_says_nothing_of_it(overdue, owner):
    set_policy(overdue, review_after=0.0, author=owner)
    overdue.refresh_from_db()
    assert review_over(roll_back(overdue, actor=owner).version, overdue) == ""


def test_who_rolls_back_is_warned_before_and_after(client, overdue, owner, versions):
    client.force_login(owner)
    for url in ("/models/", versions[1].get_absolute_url()):
        assert "The review of v1 was due" in client.get(url).content.decode()
    given = {"champion": versions[1].pk}
    url = reverse("model_roll_back", args=["cards"])
    page = client.post(url, given, follow=True).content.decode()
    assert "v1 is back in Card transactions" in page
    assert "rules decide alone until a version is promoted" in page


def test_an_integration_that_rolls_back_is_warned_too(api, overdue):
    url = "/api/v1/detectors/cards/roll_back"
    body = api("models:write").post(url, {}, content_type="application/json").json()
    assert "The review of v1 was due" in body["warning"]


def test_without_an_earlier_champion_there_is_no_way_back(versions, owner):
    with pytest.raises(PromotionRefused, match="no earlier"):
        roll_back(versions[0].detector, actor=owner)
    promote(versions[0], actor=owner)
    with pytest.raises(PromotionRefused, match="no earlier"):
        roll_back(versions[0].detector, actor=owner)
    assert serving("cards").version == "v1"


def test_a_double_click_promotes_once(versions, owner):
    same = ModelVersion.objects.get(pk=versions[0].pk)
    promote(versions[0], actor=owner)
    with pytest.raises(PromotionRefused, match="already"):
        promote(same, actor=owner)
    assert PromotionDecision.objects.count() == 1


def test_a_rejected_version_never_serves(versions, owner):
    reject(versions[0], actor=owner, reason="worse")
    with pytest.raises(PromotionRefused, match="rejected"):
        promote(versions[0], actor=owner)
    assert stages()[0] == "rejected"
    assert AuditEntry.objects.filter(action="model.reject", actor=owner).exists()


def test_only_a_challenger_can_be_rejected(versions, owner):
    stale = ModelVersion.objects.get(pk=versions[0].pk)
    promote(versions[0], actor=owner)
    for version in (versions[0], stale):
        with pytest.raises(PromotionRefused, match="challenger"):
            reject(version, actor=owner)
    assert stages()[0] == "champion"


def test_a_damaged_bundle_changes_nothing(versions, owner, bundle_dir):
    promote(versions[0], actor=owner)
    manifest = bundle_dir / versions[1].digest / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    with pytest.raises(BundleError, match="was changed"):
        promote(versions[1], actor=owner)
    assert stages() == ["champion", "challenger", "challenger"]
    assert serving("cards").version == "v1"
    assert PromotionDecision.objects.count() == 1


def test_the_database_holds_one_champion_a_detector(versions, owner):
    promote(versions[0], actor=owner)
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelVersion.objects.filter(pk=versions[1].pk).update(stage="champion")


def test_a_version_with_other_windows_serves_at_once_and_knows_the_past(versions, owner):
    scored("cards", card(1))
    config = config_of("cards")
    step = next(
        step
        for step in config["features"]["transformations"]
        if step["type"] == "time_window_aggregation"
    )
    step["config"]["windows"] = [*step["config"]["windows"], "60d"]
    digest = write_bundle(bundle_root(), {"detector": config, "reference": {}}, {})
    ModelVersion.objects.filter(pk=versions[0].pk).update(digest=digest)
    promote(ModelVersion.objects.get(pk=versions[0].pk), actor=owner)
    row = scored("cards", card(2))
    names = serving("cards").bundle.plan.names
    assert row.vector_array()[names.index("CUSTOMER_ID_count_60d")] == 2.0


def test_a_promotion_ends_its_own_shadow_and_no_other(versions):
    earlier = timezone.now() - timedelta(days=9)
    stood = [("running", None), ("blocked", None), ("ended", earlier)]
    for version, (state, stopped) in zip(versions, stood, strict=True):
        shadow_of(version, state=state, stopped_at=stopped)
    promote(versions[2], actor=None, reason="test")
    promote(versions[1], actor=None, reason="test")
    rows = Shadow.objects.order_by("version__number").values_list("state", "stopped_at")
    (first, running), (second, ended), (third, before) = rows
    assert (first, second, third) == ("running", "ended", "ended")
    assert (running, before) == (None, earlier)
    assert ended > earlier
