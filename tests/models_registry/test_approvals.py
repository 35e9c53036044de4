"""Four eyes: who may ask, who may decide, what backs it, and what happens at the same time."""

import ast
import threading
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from accounts.models import AuditEntry, User
from accounts.roles import MODEL_OWNER
from accounts.services import set_active, set_roles
from models_registry import approvals
from models_registry.approvals import (
    ReasonNeeded,
    SelfApproval,
    approve_promotion,
    refuse_promotion,
    request_promotion,
    withdraw_promotion,
)
from models_registry.apps import check_four_eyes
from models_registry.evidence import evidence_for
from models_registry.models import ModelVersion, PromotionDecision
from models_registry.promotion import PromotionRefused, promote, reject, roll_back
from models_registry.promotion_models import PromotionGuard, PromotionRequest
from models_registry.selectors import champion_of
from scoring.core.bundle import BundleError
from scoring.deployment import serving
from tests.accounts.factories import user_with_role
from tests.factories import shipped_detector
from tests.models_registry.rivals import make_versions, other_digest, shadow_of
from tests.models_registry.versions import VersionFactory, comparison, make_detector

pytestmark = pytest.mark.django_db


@pytest.fixture
def versions(payments_detector, payments_digest):
    """v1 serves; v2 won its comparison, v3 did not."""
    return make_versions(payments_detector, payments_digest)


def test_one_asks_and_another_approves(versions, owner, second_owner):
    asked = request_promotion(versions[1], actor=owner, reason="It is cheaper.")
    assert (asked.status, serving("payments").version) == ("pending", "v1")
    decision = approve_promotion(asked, actor=second_owner, note="I agree.")
    assert serving("payments").version == "v2"
    assert (decision.actor, decision.reason) == (second_owner, "It is cheaper.")
    asked.refresh_from_db()
    assert (asked.status, asked.decided_by, asked.decision) == ("approved", second_owner, decision)


def test_the_audit_trail_names_both_and_the_evidence(versions, owner, second_owner):
    approve_promotion(request_promotion(versions[1], actor=owner), actor=second_owner)
    entries = list(AuditEntry.objects.filter(action__startswith="model.promot").order_by("number"))
    assert [(e.action, e.actor and e.actor.username) for e in entries] == [
        ("model.promote", None),
        ("model.promotion_requested", "owner"),
        ("model.promote", "second"),
    ]
    said = entries[-1].detail
    assert (said["requested_by"], said["approved_by"]) == ("owner", "second")
    assert (said["four_eyes"], said["override"], said["evidence"]["kind"]) == (
        True, False, "offline",
    )  # fmt: skip


def test_nobody_approves_what_they_asked_for_or_trained(versions, owner, second_owner):
    asked = request_promotion(versions[1], actor=owner)
    with pytest.raises(SelfApproval, match="You asked"):
        approve_promotion(asked, actor=owner)
    ModelVersion.objects.filter(pk=versions[1].pk).update(trained_by=second_owner)
    asked = PromotionRequest.objects.get()
    with pytest.raises(SelfApproval, match="You trained v2"):
        approve_promotion(asked, actor=second_owner)
    assert serving("payments").version == "v1"
    assert PromotionRequest.objects.get().status == "pending"


def test_who_may_not_promote_approves_nothing(versions, owner, analyst, outsider):
    asked = request_promotion(versions[1], actor=owner)
    for person in (analyst, outsider):
        with pytest.raises(SelfApproval, match="Your roles do not allow"):
            approve_promotion(asked, actor=person)
    assert serving("payments").version == "v1"
    assert PromotionRequest.objects.get().status == "pending"


def test_the_database_knows_it_too(versions, owner):
    asked = request_promotion(versions[1], actor=owner)
    with pytest.raises(IntegrityError), transaction.atomic():
        PromotionRequest.objects.filter(pk=asked.pk).update(status="approved", decided_by=owner)


def test_without_a_passing_comparison_an_override_needs_a_reason(versions, owner, second_owner):
    with pytest.raises(PromotionRefused, match="not surely better"):
        request_promotion(versions[2], actor=owner, reason="I would like to have it.")
    with pytest.raises(ReasonNeeded, match="written reason"):
        request_promotion(versions[2], actor=owner, reason=" because ", override=True)
    asked = request_promotion(
        versions[2], actor=owner, reason="The old one reads a source that ends.", override=True
    )
    approve_promotion(asked, actor=second_owner)
    assert serving("payments").version == "v3"
    assert AuditEntry.objects.order_by("-number")[0].detail["override"] is True


def test_a_written_reason_has_ten_letters_or_more(versions, owner):
    for reason in ("", "too short", "  padded    "):
        with pytest.raises(ReasonNeeded, match="10 letters"):
            request_promotion(versions[2], actor=owner, reason=reason, override=True)
    asked = request_promotion(versions[2], actor=owner, reason=" ten or so. ", override=True)
    assert (asked.reason, asked.override) == ("ten or so.", True)


def test_an_override_of_what_passes_is_none(versions, owner):
    assert request_promotion(versions[1], actor=owner, override=True).override is False


def test_the_first_champion_needs_no_comparison_but_a_second_person(
    payments_detector, payments_digest, owner, second_owner
):
    version = VersionFactory(
        detector=payments_detector, number=1, digest=payments_digest, trained_by=owner
    )
    asked = request_promotion(version, actor=owner)
    assert asked.evidence["kind"] == "first"
    with pytest.raises(SelfApproval):
        approve_promotion(asked, actor=owner)
    approve_promotion(asked, actor=second_owner)
    assert serving("payments").version == "v1"


def test_who_trained_it_may_refuse_it(versions, owner, second_owner):
    versions[1].trained_by = second_owner
    versions[1].save(update_fields=["trained_by"])
    asked = request_promotion(versions[1], actor=owner)
    assert refuse_promotion(asked, actor=second_owner, note="It peeks.").status == "refused"


def test_a_second_person_may_refuse_with_a_note(versions, owner, second_owner):
    asked = request_promotion(versions[1], actor=owner)
    with pytest.raises(ReasonNeeded):
        refuse_promotion(asked, actor=second_owner, note=" ")
    with pytest.raises(SelfApproval, match="withdraw"):
        refuse_promotion(asked, actor=owner, note="no")
    refuse_promotion(asked, actor=second_owner, note="Wait for October.")
    with pytest.raises(PromotionRefused, match="refused by second"):
        approve_promotion(asked, actor=second_owner)
    assert request_promotion(versions[1], actor=owner).status == "pending"


def test_only_who_asked_can_withdraw(versions, owner, second_owner):
    asked = request_promotion(versions[1], actor=owner)
    with pytest.raises(SelfApproval):
        withdraw_promotion(asked, actor=second_owner)
    withdraw_promotion(asked, actor=owner)
    assert PromotionRequest.objects.get().status == "withdrawn"


def test_asking_twice_is_told_who_asked(versions, owner, second_owner):
    request_promotion(versions[1], actor=owner)
    with pytest.raises(PromotionRefused, match="asked for by owner"):
        request_promotion(versions[1], actor=second_owner)
    assert PromotionRequest.objects.count() == 1


def test_a_champion_that_changed_meanwhile_makes_the_request_outdated(
    versions, owner, second_owner
):
    asked = request_promotion(versions[1], actor=owner)
    promote(versions[2], actor=None, reason="test")
    with pytest.raises(PromotionRefused, match="What serves has changed since: it is v3"):
        approve_promotion(asked, actor=second_owner)
    assert serving("payments").version == "v3"
    assert PromotionRequest.objects.get().note == "What serves has changed since: it is v3 now."


def test_an_approval_outdates_what_is_still_open_and_leaves_what_was_decided(
    versions, owner, second_owner
):
    why = {"override": True, "reason": "A reason that is long."}
    refused = request_promotion(versions[2], actor=owner, **why)
    refuse_promotion(refused, actor=second_owner, note="Not today.")
    waits = request_promotion(versions[2], actor=owner, **why)
    asked = request_promotion(versions[1], actor=owner)
    approve_promotion(asked, actor=second_owner)
    rows = PromotionRequest.objects.order_by("pk")
    assert [row.pk for row in rows] == [refused.pk, waits.pk, asked.pk]
    assert [row.status for row in rows] == ["refused", "outdated", "approved"]
    assert rows[0].note == "Not today."
    assert rows[0].decided_at < rows[1].decided_at


def test_a_version_that_was_rejected_or_changed_meanwhile_is_outdated(
    versions, owner, second_owner
):
    asked = request_promotion(versions[1], actor=owner)
    reject(versions[1], actor=second_owner)
    with pytest.raises(PromotionRefused, match="rejected"):
        approve_promotion(asked, actor=second_owner)
    assert PromotionRequest.objects.get().status == "outdated"
    other = request_promotion(
        versions[2], actor=owner, override=True, reason="A reason that is long."
    )
    ModelVersion.objects.filter(pk=versions[2].pk).update(digest="a" * 64)
    with pytest.raises(PromotionRefused, match="another bundle"):
        approve_promotion(other, actor=second_owner)
    assert serving("payments").version == "v1"


def test_live_traffic_has_the_last_word(versions, owner, second_owner):
    champion = versions[0]
    asked = request_promotion(versions[1], actor=owner)
    shadow_of(
        versions[1],
        comparison={"champion_digest": champion.digest, "verdict": "worse", "reason": "Dearer."},
    )
    assert not evidence_for(versions[1], champion).passed
    with pytest.raises(PromotionRefused, match=r"Dearer.*ask again"):
        approve_promotion(asked, actor=second_owner)
    shadow_of(
        versions[2],
        comparison={"champion_digest": champion.digest, "verdict": "better", "reason": "Cheaper."},
    )
    found = evidence_for(versions[2], champion)
    assert (found.kind, found.passed) == ("live", True)


def test_what_comes_into_service_elsewhere_leaves_requests_and_guards_alone(
    versions, owner, payments_digest
):
    promote(versions[1], actor=None, reason="It is watched now.")
    request_promotion(versions[2], actor=owner, override=True, reason="A reason that is long.")
    elsewhere = make_detector("elsewhere")
    make_versions(elsewhere, payments_digest)
    promote(ModelVersion.objects.get(detector=elsewhere, number=2), actor=None, reason="test")
    roll_back(elsewhere, actor=None, reason="test")
    assert PromotionRequest.objects.get().status == "pending"
    assert champion_of(versions[1].detector) == versions[1]
    assert champion_of(elsewhere) == ModelVersion.objects.get(detector=elsewhere, number=1)
    guards = PromotionGuard.objects.order_by("id").values_list("version__detector__slug", "state")
    assert list(guards) == [("payments", "watching"), ("elsewhere", "ended")]


def test_a_comparison_with_another_champion_backs_nothing(versions):
    found = evidence_for(versions[1], versions[2])
    assert (found.passed, "another champion than v3" in found.text) == (False, True)
    never = VersionFactory(detector=versions[0].detector, number=9)
    assert "never compared" in evidence_for(never, versions[0]).text


def test_who_asks_with_an_old_copy_asks_for_what_is_stored(versions, owner, second_owner):
    old, serves = (
        ModelVersion.objects.get(pk=version.pk) for version in (versions[1], versions[0])
    )
    ModelVersion.objects.filter(pk=old.pk).update(digest=other_digest(review=0.3))
    asked = request_promotion(old, actor=owner)
    assert asked.digest == ModelVersion.objects.get(pk=old.pk).digest != versions[1].digest
    withdraw_promotion(asked, actor=owner)
    old.stage, serves.stage = "challenger", "challenger"
    reject(ModelVersion.objects.get(pk=old.pk), actor=second_owner)
    with pytest.raises(PromotionRefused, match="was rejected"):
        request_promotion(old, actor=owner)
    with pytest.raises(PromotionRefused, match="champion already"):
        request_promotion(serves, actor=owner, override=True, reason="A reason that is long.")


def test_what_could_not_serve_is_not_asked_for(versions, owner):
    broken = VersionFactory(
        detector=versions[0].detector, number=9, comparison=comparison(versions[0].digest)
    )
    with pytest.raises(BundleError):
        request_promotion(broken, actor=owner)
    assert not PromotionRequest.objects.exists()


def test_where_four_eyes_are_off_one_person_decides_with_a_reason_and_it_is_marked(
    versions, owner, settings
):
    settings.FOUR_EYES = False
    with pytest.raises(ReasonNeeded, match="Deciding alone"):
        request_promotion(versions[1], actor=owner)
    assert serving("payments").version == "v1"
    asked = request_promotion(versions[1], actor=owner, reason="I am the only one here.")
    assert (asked.status, asked.alone, serving("payments").version) == ("approved", True, "v2")
    assert AuditEntry.objects.order_by("-number")[0].detail["four_eyes"] is False


def test_nobody_comes_past_four_eyes_in_the_code():
    """Pages and API never call the bare act."""
    root = Path(approvals.__file__).parent
    callers = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "models_registry.promotion":
                place = path.relative_to(root).as_posix()
                callers |= {place for name in node.names if name.name == "promote"}
    assert callers == {"approvals.py", "management/commands/models.py"}


def test_who_loses_the_role_while_waiting_for_their_turn_approves_nothing(
    versions, owner, second_owner, monkeypatch
):
    asked, lock = request_promotion(versions[1], actor=owner), approvals._lock
    assert second_owner.has_perm(approvals.PROMOTE)

    def late(detector):
        User.objects.get(pk=second_owner.pk).groups.clear()
        lock(detector)

    monkeypatch.setattr(approvals, "_lock", late)
    with pytest.raises(SelfApproval, match="do not allow"):
        approve_promotion(asked, actor=second_owner)
    assert serving("payments").version == "v1"


@pytest.mark.django_db(transaction=True)
def test_two_who_approve_at_once_promote_once(payments_digest):
    owner = user_with_role(MODEL_OWNER, username="owner")
    approvers = [user_with_role(MODEL_OWNER, username=f"approver{i}") for i in range(3)]
    versions = make_versions(shipped_detector("payments"), payments_digest)
    asked = request_promotion(versions[1], actor=owner)
    outcomes: list[str] = []
    start = threading.Barrier(len(approvers))

    def approve(person):
        mine = PromotionRequest.objects.select_related("version__detector", "detector").get(
            pk=asked.pk
        )
        start.wait()
        try:
            approve_promotion(mine, actor=person)
            outcomes.append("promoted")
        except PromotionRefused as problem:
            outcomes.append(str(problem))
        finally:
            connection.close()

    threads = [threading.Thread(target=approve, args=(person,)) for person in approvers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome == "promoted" for outcome in outcomes) == [False, False, True]
    assert all("no longer open" in outcome for outcome in outcomes if outcome != "promoted")
    assert PromotionDecision.objects.filter(version=versions[1]).count() == 1


def test_switching_four_eyes_off_is_loud(settings):
    assert check_four_eyes() == []
    settings.FOUR_EYES = False
    assert [found.id for found in check_four_eyes()] == ["models_registry.W001"]


def test_the_training_command_does_not_replace_a_champion_without_a_reason(versions):
    with pytest.raises(CommandError, match="v1 serves"):
        call_command("train", detector="payments", promote=True)
    assert ModelVersion.objects.count() == 3


@pytest.mark.parametrize("how", ["role", "account"])
def test_what_somebody_asked_for_who_may_promote_no_more_is_outdated(
    versions, owner, second_owner, how
):
    asked = request_promotion(versions[1], actor=owner)
    if how == "role":
        set_roles(owner, roles=[], actor=None)
    else:
        set_active(owner, active=False, actor=None)
    with pytest.raises(PromotionRefused, match="owner, who asked for it, may not promote any more"):
        approve_promotion(asked, actor=second_owner)
    assert serving("payments").version == "v1"
    assert PromotionRequest.objects.get().status == "outdated"
    assert request_promotion(versions[1], actor=second_owner).is_pending
