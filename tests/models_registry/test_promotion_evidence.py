"""What backs a promotion: live traffic, a comparison, and what outweighs either."""

import pytest

from models_registry.approvals import request_promotion
from models_registry.evidence import evidence_for
from models_registry.models import ModelVersion
from models_registry.promotion import PromotionRefused, promote, roll_back
from models_registry.promotion_models import PromotionGuard
from tests.models_registry.rivals import make_versions, shadow_of
from tests.models_registry.versions import comparison

pytestmark = pytest.mark.django_db


@pytest.fixture
def versions(payments_detector, payments_digest):
    return make_versions(payments_detector, payments_digest)


def test_what_broke_its_guard_once_is_backed_by_no_comparison_any_more(versions, owner):
    first, won, drawn = versions
    promote(won, actor=None, reason="test")
    promote(drawn, actor=None, reason="test")
    roll_back(won.detector, actor=None, reason="test", expected=drawn.pk)
    roll_back(won.detector, actor=None, reason="test", expected=won.pk)
    PromotionGuard.objects.filter(version=drawn).update(state="broken")
    assert evidence_for(won, first).passed  # Its own guard ended, and broke nothing.
    PromotionGuard.objects.filter(version=won).update(state="broken")
    assert "rolled back by its guard" in evidence_for(won, first).text
    with pytest.raises(PromotionRefused, match="as an override"):
        request_promotion(ModelVersion.objects.get(pk=won.pk), actor=owner, reason="It is cheaper.")


@pytest.mark.parametrize("verdict", ["better", "worse"])
def test_live_traffic_beside_another_champion_says_nothing(versions, verdict):
    told = {"champion_digest": "d" * 64, "verdict": verdict, "reason": "Of another day."}
    for version in versions[1:]:
        shadow_of(version, comparison=told)
    won, drawn = (evidence_for(version, versions[0]) for version in versions[1:])
    assert (won.kind, won.passed, won.against) == ("offline", True, "")
    assert (drawn.kind, drawn.passed, drawn.against) == ("none", False, "")


def test_a_comparison_backs_what_is_better_in_one_thing_and_worse_in_none(versions):
    for verdict, cheaper, more, backed, said in (
        ("better", "undecided", {}, True, "surely ranks better"),
        ("undecided", "better", {}, True, "surely costs less"),
        ("undecided", "better", {"cost": None}, False, "not surely better"),
        ("undecided", "better", {"positives": 900}, False, "not surely better"),
        ("undecided", "worse", {}, False, "is worse"),
        ("worse", "better", {}, False, "is worse"),
        ("better", "worse", {}, False, "is worse"),
        ("undecided", "worse", {"cost": None}, False, "not surely better"),
    ):
        told = {"verdict": verdict, "cheaper": cheaper} | more
        versions[1].comparison = comparison(versions[0].digest, **told)
        found = evidence_for(versions[1], versions[0])
        assert (found.passed, found.kind) == (backed, "offline" if backed else "none")
        assert said in found.text
