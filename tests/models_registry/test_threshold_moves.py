"""A person moves the champion's thresholds: a version of its own, with the same model."""

from dataclasses import replace

import pytest

from accounts.changes import Change, changes_of
from accounts.models import AuditEntry
from models_registry.approvals import SelfApproval, approve_promotion, request_promotion
from models_registry.card import model_card
from models_registry.core.thresholds import NEVER
from models_registry.evaluation_models import ThresholdMove
from models_registry.evidence import evidence_for
from models_registry.explaining import explanation_of
from models_registry.forms import in_fields
from models_registry.models import ModelVersion
from models_registry.presenting_card import card_lines
from models_registry.promotion import promote, roll_back
from models_registry.registry_models import TrackedRun
from models_registry.selectors import documented_versions
from models_registry.threshold_moves import (
    MoveRefused,
    check_thresholds,
    known_of,
    publish_thresholds,
)
from models_registry.verdicts import per_thousand, same_events_rows, share, verdict_of
from scoring.core.bundle import read_files
from scoring.core.decision import Thresholds
from scoring.deployment import bundle_root, serving
from tests.factories import card, scored
from tests.models_registry.learning import (
    detector_of,
    first_version,
    history,
    learning_config,
)
from tests.models_registry.versions import comparison

pytestmark = pytest.mark.django_db
STAND = Thresholds(review=0.2, block=0.8, medium=0.2, high=0.5, critical=0.8)


@pytest.fixture
def champion(db):
    detector = detector_of(learning_config())
    history(detector, events=500)
    version = first_version(detector)
    promote(version, actor=None)
    return version


def publish(version, **changed):
    given = {"review": 0.05, "block": 0.95, "actor": None, "reason": "A quiet week"}
    return publish_thresholds(version, **(given | changed))


def test_the_new_version_has_the_same_model_in_a_bundle_of_its_own(champion):
    made = publish(champion)
    manifest, files = read_files(bundle_root() / made.digest, made.digest)
    before, same = read_files(bundle_root() / champion.digest, champion.digest)
    assert files == same
    assert made.digest != champion.digest
    assert manifest["thresholds"] == {
        **manifest["thresholds"], "review": 0.05, "medium": 0.05, "block": 0.95, "critical": 0.95,
    }  # fmt: skip
    assert manifest["moved_from"] == {"digest": champion.digest, "version": "v1"}
    assert manifest["training"] == before["training"]


def test_it_waits_as_a_challenger_with_its_lineage(champion, owner):
    made = publish(champion, actor=owner)
    assert (made.label, made.stage, made.dataset_id) == ("v2", "challenger", champion.dataset_id)
    move = ThresholdMove.objects.get(version=made)
    assert (move.base, move.actor, move.reason) == (champion, owner, "A quiet week")
    assert (move.review_before, move.review) == (
        champion.metrics["thresholds"]["review"],
        0.05,
    )
    assert serving("cards").version == "v1"


def test_it_is_audited_with_both_thresholds_and_the_reason(champion, owner):
    publish(champion, actor=owner)
    entry = AuditEntry.objects.get(action="model.move_thresholds")
    assert entry.actor == owner
    assert '"reason": "A quiet week"' in entry.detail_json
    was = str(champion.metrics["thresholds"]["review"])
    assert Change("review", was, "0.05") in changes_of(entry.action, entry.detail)


def test_promoted_it_decides_otherwise_on_the_same_risk(champion):
    risky = card(9001, TX_AMOUNT=200.0)
    before = scored("cards", risky)
    made = publish(champion, review=before.risk / 2, block=before.risk)
    promote(made, actor=None)
    after = scored("cards", card(9002, TX_AMOUNT=200.0))
    assert after.risk == pytest.approx(before.risk, rel=0.2)
    assert serving("cards").bundle.predictor.thresholds.block == before.risk
    roll_back(champion.detector, actor=None)
    assert serving("cards").version == "v1"


def test_its_metrics_at_the_threshold_are_those_of_the_preview(champion):
    point = known_of(champion).curve.at(0.05, 0.95)
    made = publish(champion)
    assert made.metrics["recall"] == point.recall
    assert made.metrics["cost_per_event"] == pytest.approx(point.cost)
    assert made.metrics["average_precision"] == champion.metrics["average_precision"]
    assert "recall" not in made.metrics["intervals"]
    assert "roc_auc" in made.metrics["intervals"]


def test_the_preview_at_the_thresholds_as_they_stand_is_what_was_measured(champion):
    known = known_of(champion)
    point = known.curve.at(known.thresholds.review, known.thresholds.block)
    assert point.recall == pytest.approx(champion.metrics["recall"], abs=1e-9)
    assert point.cost == pytest.approx(champion.metrics["cost_per_event"], abs=1e-9)
    saved = 1 - point.cost / known.curve.cost_without_model
    assert saved == pytest.approx(champion.metrics["savings"], abs=1e-9)


@pytest.mark.parametrize(
    ("changed", "field", "said"),
    [
        ({"review": 0.0}, "review", "above 0"),
        ({"review": float("nan")}, "review", "above 0"),
        ({"review": 0.9, "block": 0.5}, "block", "between"),
        ({"block": float("nan")}, "block", "between"),
        ({"reason": "  "}, "reason", "Say why"),
    ],
)
def test_nonsense_is_refused_with_its_field_and_nothing_is_left(champion, changed, field, said):
    with pytest.raises(MoveRefused, match=said) as problem:
        publish(champion, **changed)
    assert problem.value.field == field
    assert ModelVersion.objects.count() == 1
    assert not ThresholdMove.objects.exists()


def test_a_full_disk_is_told_on_the_page_and_nothing_is_left(champion, client, owner, full_disk):
    client.force_login(owner)
    asked = {"review": "0.05", "block": "0.95", "reason": "A quiet week"}
    page = client.post(f"/models/{champion.pk}/thresholds/", asked)
    said = "cannot be written: No space left on device. Nothing was changed."
    assert (page.status_code, said in page.content.decode()) == (422, True)
    assert ModelVersion.objects.get() == champion


def test_the_thresholds_as_they_stand_are_no_move(champion):
    stand = champion.metrics["thresholds"]
    with pytest.raises(MoveRefused, match="already"):
        publish(champion, review=stand["review"], block=stand["block"])


def test_only_the_champions_thresholds_can_be_moved(champion):
    made = publish(champion)
    with pytest.raises(MoveRefused, match="Only the champion"):
        publish(made, review=0.1)


def test_it_is_brought_to_the_tracking_server_too(champion, settings):
    publish(champion)
    assert not TrackedRun.objects.exists()
    settings.MLFLOW_TRACKING_URI = "http://mlflow.example:5000"
    made = publish(champion, review=0.1)
    assert TrackedRun.objects.get().version == made


def test_a_threshold_close_to_what_stands_is_another_one():
    """Pages write 0.0235 for what stands: who asks for that gets it, and the form asks for it."""
    stand = replace(STAND, review=0.02346123456789012, block=0.9)
    assert check_thresholds(stand, review=0.0235, block=0.9).review == 0.0235
    shown = in_fields(stand)
    assert check_thresholds(stand, review=float(shown["review"]), block=0.9).review == stand.review


def test_what_nothing_reaches_stays_so():
    never = replace(STAND, block=NEVER)
    assert check_thresholds(never, review=0.3, block=1.5).block == NEVER
    with pytest.raises(MoveRefused, match="between the review threshold and 1"):
        check_thresholds(STAND, review=0.3, block=1.5)


def test_an_empty_block_threshold_blocks_nothing():
    found = check_thresholds(STAND, review=0.3, block=None)
    assert found.block > 1.0
    assert found.critical == 0.8


def test_who_moved_the_thresholds_does_not_approve_them(champion, owner, second_owner):
    made = publish(champion, actor=second_owner)
    found = evidence_for(made, champion)
    assert (found.kind, found.passed) == ("none", False)
    assert "chosen on the very events" in found.text
    asked = request_promotion(made, actor=owner, override=True, reason="A quiet week it is.")
    with pytest.raises(SelfApproval):
        approve_promotion(asked, actor=second_owner)
    assert serving("cards").version == "v1"


def test_what_is_known_of_the_model_is_known_of_the_version(champion, owner):
    made = documented_versions().get(pk=publish(champion, actor=owner).pk)
    base = champion.lineage
    assert (made.lineage.parent, made.lineage.code) == (champion, base.code)
    mine, theirs = explanation_of(made), explanation_of(champion)
    assert mine[1].to_bytes() == theirs[1].to_bytes()
    assert mine[0].detail == theirs[0].detail
    card = model_card(made)
    assert not {"origin", "code version", "global explanation"} & set(card["unknown"])
    assert card["thresholds_moved"]["reason"] == "A quiet week"
    assert "Moved from v1 by owner" in card_lines(card, currency="EUR").moved


def test_the_verdict_tells_what_the_thresholds_change(champion):
    made = publish(champion)
    known = known_of(champion)
    stand = known.curve.at(known.thresholds.review, known.thresholds.block)
    verdict = verdict_of(made, rival="v1", currency="EUR")
    assert verdict.headline == "v2 is v1 with its thresholds moved."
    told = f"{share(made.metrics['alert_rate'])} of the events, v1 {share(stand.alert_rate)}"
    assert told in verdict.evidence[0]
    assert per_thousand(stand.cost, "EUR") in verdict.evidence[1]


@pytest.mark.parametrize(
    ("cheaper", "said"),
    [
        ("better", "its decisions cost less."),
        ("worse", "its decisions cost more."),
        ("undecided", "that it costs less or more is not sure."),
    ],
)
def test_judged_as_of_today_it_is_the_cost_that_tells(champion, cheaper, said):
    made = publish(champion)
    made.comparison = comparison(champion.digest, verdict="undecided", cheaper=cheaper)
    verdict = verdict_of(made, rival="v1", currency="EUR")
    assert verdict.headline.endswith(said)
    assert "Its decisions cost" in verdict.evidence[0]
    assert "luck" not in " ".join(verdict.evidence)
    assert [row.name for row in same_events_rows(made, currency="EUR")] == ["Cost per 1,000 events"]
