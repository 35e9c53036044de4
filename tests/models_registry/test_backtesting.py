"""Backtests over stored events: point in time, without side effects, cancelled, honest."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.db import DatabaseError, connection
from django.forms.models import model_to_dict
from django.utils import timezone

from jobs.services import cancel_job, run_job
from jobs.workflow import JobStatus
from models_registry import backtest_arms, backtesting
from models_registry.backtest_models import Backtest
from models_registry.backtest_sampling import draw, read_only, take_census
from models_registry.backtesting import (
    request_rule_backtest,
    request_threshold_backtest,
    run_backtest,
)
from models_registry.promotion import promote
from scoring.deployment import loaded
from scoring.labelling import record_label
from scoring.models import Detector, Label, Prediction
from scoring.ordering import add_list_entry, revoke_list_entry, snooze_rule
from scoring.policy_models import ListEntry, Rule
from scoring.rule_editing import RuleText, create_rule, move_version
from tests.factories import START, payment, risky_payment, scored, scored_many
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db
BIG = RuleText("amount > limit", "A large amount.", parameters={"limit": 500})
DAYS = {"first_day": START.date(), "last_day": START.date() + timedelta(days=30), "most": 5000}


def ask(detector, lead, said=BIG, rule=None, code="BIG", **more):
    return request_rule_backtest(
        detector, rule=rule, code=code, said=said, requested_by=lead, **(DAYS | more)
    )


def run(test):
    job = run_job(test.job_id, run_backtest)
    assert job.status == JobStatus.SUCCEEDED, job.error
    test.refresh_from_db()
    return test.result


def labelled(amount, is_fraud, **changed):
    row = scored("payments", payment(amount=amount, **changed))
    if is_fraud is not None:
        record_label(row, is_fraud=is_fraud, source="analyst")
    return row


@pytest.fixture
def history(payments_detector):
    """Two frauds of which one is large, two legitimate of which one is large, one unknown."""
    return [
        labelled(amount, truth, user_id=f"u{i}")
        for i, (amount, truth) in enumerate(
            [(700.0, True), (30.0, True), (900.0, False), (20.0, False), (800.0, None)]
        )
    ]


def test_the_matrix_is_that_of_the_rule_on_labelled_events(payments_detector, history, lead):
    found = run(ask(payments_detector, lead))
    matrix = found["matrix"]
    assert [matrix[k] for k in ("tp", "fp", "fn", "tn")] == [1, 1, 1, 1]
    assert matrix["unlabelled"] == 1
    assert (matrix["precision"]["value"], matrix["recall"]["value"]) == (0.5, 0.5)
    assert (found["events"], found["read"], found["sampled"]) == (5, 5, False)
    assert found["arms"]["proposed"]["flagged"] - found["arms"]["today"]["flagged"] == 3
    assert found["changes"]["raised_bad"] == 1


def test_the_cost_is_that_of_the_detectors_cost_matrix(payments_detector, history, lead):
    costs = payments_detector.spec().costs
    found = run(ask(payments_detector, lead))
    before, after = (found["arms"][arm]["costs"] for arm in ("today", "proposed"))
    assert before["lost"] == pytest.approx(costs.loss_share * 730.0)
    assert after["lost"] == pytest.approx(costs.loss_share * 30.0)
    assert after["reviews"] == pytest.approx(2 * costs.review_cost)
    assert found["saving"]["value"] == pytest.approx(before["total"] - after["total"])


def test_each_cell_has_examples_with_the_values_read(payments_detector, history, lead):
    found = run(ask(payments_detector, lead))["examples"]
    assert {cell: len(rows) for cell, rows in found.items()} == {
        "tp": 1, "fp": 1, "fn": 1, "tn": 1, "unlabelled": 1,
    }  # fmt: skip
    (hit,) = found["tp"]
    assert hit["prediction"] == str(history[0].pk)
    assert hit["values"] == [["amount", 700.0]]
    assert (hit["then"], hit["proposed"]) == ("APPROVE", "REVIEW")


def test_a_rule_reads_features_as_they_were_when_the_event_came(payments_detector, lead):
    rows = [
        labelled(10.0, True, timestamp=(START + timedelta(minutes=minute)).isoformat())
        for minute in range(4)
    ]
    place = payments_detector.spec().feature_names.index("user_id_count_1h")
    stored = [row.vector_array()[place] for row in rows]
    assert len(set(stored)) == 4  # Each found more events before it than the one before.
    said = RuleText("user_id_count_1h >= least", "Many.", parameters={"least": stored[2]})
    found = run(ask(payments_detector, lead, said=said))
    assert found["matrix"]["tp"] == 2


def test_against_the_live_version_of_an_existing_rule(payments_detector, lead, history):
    version = create_rule(payments_detector, code="BIG", said=BIG, author=lead)
    move_version(version, to="live", seen="draft", author=lead)
    said = RuleText("amount > limit", "A large amount.", parameters={"limit": 850})
    found = run(ask(payments_detector, lead, said=said, rule=version.rule))
    assert found["matrix_today"]["tp"] == 1
    assert found["matrix"]["tp"] == 0
    assert found["changes"]["eased"] == 2


def test_a_new_rule_that_is_called_like_another_leaves_that_one_alone(payments_detector, lead):
    scored("payments", risky_payment())
    found = run(ask(payments_detector, lead, code="HIGH_AMOUNT", said=RuleText("amount < 0", "x")))
    assert found["arms"]["today"]["flagged"] == found["arms"]["then"]["flagged"] == 1


def test_a_feature_that_was_not_computed_yet_is_told(payments_detector, lead, monkeypatch):
    scored("payments", payment())
    values = backtest_arms.stored_values

    def without(row):
        return {k: v for k, v in values(row).items() if k != "user_id_count_1h"}

    monkeypatch.setattr(backtest_arms, "stored_values", without)
    found = run(ask(payments_detector, lead, said=RuleText("user_id_count_1h > 0", "x")))
    assert (found["lacking"], found["matrix"]["unlabelled"]) == (1, 0)


def test_lists_stand_as_they_stood(payments_detector, lead):
    add_list_entry(
        payments_detector, kind="allow", field="user_id", value="friend", reason="Known",
        expires_at=None, author=lead,
    )  # fmt: skip
    ListEntry.objects.update(created_at=START)
    labelled(700.0, True, user_id="friend")
    revoke_list_entry(ListEntry.objects.get(), author=lead)
    found = run(ask(payments_detector, lead))
    assert found["matrix"]["tp"] == 1  # The rule matches,
    assert found["arms"]["proposed"]["flagged"] == 0  # and the list of then approves.


def test_a_snooze_counts_for_events_that_came_while_it_stood(payments_detector, lead):
    version = create_rule(payments_detector, code="BIG", said=BIG, author=lead)
    before = labelled(700.0, True, user_id="u1")
    snooze_rule(
        version.rule, token=before.entity, shown="u1", reason="Known buyer",
        until=timezone.now() + timedelta(days=1), author=lead,
    )  # fmt: skip
    after = labelled(700.0, True, user_id="u1")
    Prediction.objects.filter(pk=after.pk).update(received_at=timezone.now() + timedelta(minutes=1))
    found = run(ask(payments_detector, lead, rule=version.rule))
    assert found["arms"]["proposed"]["flagged"] == 1


def test_young_events_count_apart_even_with_a_label(payments_detector, lead):
    recent = timezone.now() - timedelta(hours=1)
    labelled(700.0, True, timestamp=recent.isoformat())
    days = {"first_day": recent.date(), "last_day": timezone.now().date()}
    found = run(ask(payments_detector, lead, **days))
    assert (found["matrix"]["tp"], found["matrix"]["young"], found["young"]) == (0, 1, 1)


def test_labels_that_come_after_the_question_do_not_count(payments_detector, lead):
    row = labelled(700.0, None)
    test = ask(payments_detector, lead)
    record_label(row, is_fraud=True, source="analyst")
    assert run(test)["matrix"]["unlabelled"] == 1


def test_the_newest_label_counts(payments_detector, lead):
    row = labelled(700.0, True)
    record_label(row, is_fraud=False, source="analyst")
    assert run(ask(payments_detector, lead))["matrix"]["fp"] == 1


def test_who_has_labels_is_told(payments_detector, history, lead):
    bias = run(ask(payments_detector, lead))["bias"]
    assert (bias["looked_at"], bias["rest"], bias["rest_known"]) == (0, 5, 4)
    assert bias["corrected"]["recall"] is None


def test_random_audits_correct_recall_by_their_chance(payments_detector, lead):
    """300 audits at a chance of one half stand for 600 approved events, of which the rule finds
    two thirds of the bad ones."""
    raws = [payment(amount=700.0 if i % 3 else 30.0, user_id=f"u{i}") for i in range(600)]
    rows = scored_many("payments", raws)
    drawn = rows[:300]
    Prediction.objects.filter(detector=payments_detector).update(propensity=0.5)
    Prediction.objects.filter(pk__in=[row.pk for row in drawn]).update(
        selection_reason="random_audit"
    )
    Label.objects.bulk_create(
        Label(
            prediction=row, detector=payments_detector, is_fraud=i < 30,
            event_time=row.event_time, label_time=timezone.now(), source="analyst",
        )
        for i, row in enumerate(drawn)
    )  # fmt: skip
    corrected = run(ask(payments_detector, lead))["bias"]["corrected"]
    assert corrected["audited"] == 300
    assert corrected["recall"]["value"] == pytest.approx(2 / 3)
    assert corrected["prevalence"]["value"] == pytest.approx(0.1)


def test_a_sample_reads_the_rare_whole_and_weighs_the_rest(payments_detector, lead):
    rows = scored_many("payments", [payment(user_id=f"u{i}", amount=600.0) for i in range(60)])
    record_label(rows[0], is_fraud=True, source="analyst")
    found = run(ask(payments_detector, lead, most=21))
    assert found["sampled"]
    assert found["read"] == 21
    assert found["matrix"]["tp"] == 1
    assert found["matrix"]["unlabelled"] == pytest.approx(59)
    assert found["arms"]["proposed"]["flagged"] == pytest.approx(60)


def test_the_same_question_draws_the_same_sample(payments_detector, lead):
    scored_many("payments", [payment(user_id=f"u{i}", amount=10.0 * i) for i in range(60)])
    one, other = (run(ask(payments_detector, lead, most=20)) for _ in range(2))
    assert one["matrix"] == other["matrix"]
    assert one["examples"] == other["examples"]


def test_no_event_is_no_error(payments_detector, lead):
    found = run(ask(payments_detector, lead))
    assert (found["events"], found["matrix"]["precision"], found["saving"]) == (0, None, None)


# --- Thresholds ----------------------------------------------------------------------------------


@pytest.fixture
def version(payments_detector, payments_digest):
    """A champion."""
    made = VersionFactory(detector=payments_detector, number=1, digest=payments_digest)
    promote(made, actor=None, reason="The first.")
    return made


def ask_thresholds(version, lead, review, block=None):
    return request_threshold_backtest(
        version, review=review, block=block, today={"review": 0.5, "block": None},
        requested_by=lead, **DAYS,
    )  # fmt: skip


def test_lower_thresholds_flag_more_and_higher_ones_less(version, lead):
    for i, amount in enumerate((20.0, 120.0, 180.0, 400.0)):
        labelled(amount, amount > 150.0, user_id=f"u{i}")
    everything = run(ask_thresholds(version, lead, 0.0001))
    nothing = run(ask_thresholds(version, lead, 1.0))
    assert everything["arms"]["proposed"]["flagged"] == 4
    assert everything["matrix"]["recall"]["value"] == 1.0
    assert nothing["arms"]["proposed"]["flagged"] <= everything["arms"]["today"]["flagged"]
    assert everything["examples"]["tp"][0]["values"][0][0] == "risk"


def test_todays_thresholds_change_nothing(version, lead):
    for i in range(5):
        labelled(100.0 * i, i > 2, user_id=f"u{i}")
    stood = loaded(version.digest).predictor.thresholds
    block = None if stood.block > 1 else stood.block
    found = run(ask_thresholds(version, lead, stood.review, block))
    assert found["changes"]["raised"] == found["changes"]["eased"] == 0
    assert found["arms"]["then"] == found["arms"]["today"] == found["arms"]["proposed"]


# --- No side effects, progress, cancel -----------------------------------------------------------

OWN = {"jobs.Job", "models_registry.Backtest"}


def everything_stored():
    """Every row of every table but those of jobs and backtests."""
    return {
        model._meta.label: sorted(repr(row) for row in model.objects.values_list())
        for model in apps.get_models()
        if model._meta.label not in OWN and model._meta.managed
    }


def test_no_row_changes(payments_detector, history, lead):
    version = create_rule(payments_detector, code="BIG", said=BIG, author=lead)
    test = ask(payments_detector, lead, rule=version.rule)
    before = everything_stored()
    assert before["scoring.Prediction"]
    run(test)
    assert everything_stored() == before


@pytest.mark.django_db(transaction=True)
def test_the_database_refuses_to_write_while_history_is_read(payments_detector):
    with pytest.raises(DatabaseError), read_only():
        Detector.objects.update(name="Changed")
    Detector.objects.update(name="Changed after")
    assert Detector.objects.get().name == "Changed after"


def test_a_cancelled_backtest_has_no_result(payments_detector, history, lead, monkeypatch):
    test = ask(payments_detector, lead)
    read = backtesting._read

    def cancel_then_read(*args):
        cancel_job(test.job, actor=lead)
        return read(*args)

    monkeypatch.setattr(backtesting, "_read", cancel_then_read)
    job = run_job(test.job_id, run_backtest)
    test.refresh_from_db()
    assert (job.status, test.result) == (JobStatus.CANCELLED, None)


def test_counting_goes_on_over_many_chunks(payments_detector, lead, monkeypatch):
    monkeypatch.setattr("models_registry.backtest_sampling.CHUNK", 7)
    monkeypatch.setattr(backtesting, "CHUNK", 4)
    scored_many("payments", [payment(user_id=f"u{i}", amount=600.0) for i in range(23)])
    found = run(ask(payments_detector, lead))
    assert (found["events"], found["read"], found["matrix"]["unlabelled"]) == (23, 23, 23)


class Watch:
    """A progress that only listens."""

    def __init__(self):
        self.said = []

    def check_cancelled(self):
        self.said.append("asked")

    def report(self, fraction, stage=""):
        self.said.append(fraction)


def test_a_census_tells_how_far_it_is(payments_detector, monkeypatch):
    monkeypatch.setattr("models_registry.backtest_sampling.CHUNK", 5)
    scored_many("payments", [payment(user_id=f"u{i}") for i in range(12)])
    watch = Watch()
    census = take_census(
        payments_detector, DAYS["first_day"], DAYS["last_day"], known_at=timezone.now(),
        label_delay=0.0, progress=watch, span=0.3,
    )  # fmt: skip
    assert census.kinds.size == 12
    assert "asked" in watch.said
    assert all(0 <= x <= 0.3 for x in watch.said if x != "asked")
    drawn = draw(census, 5)
    assert drawn.weights.sum() == pytest.approx(12)
    assert len({census.id_at(place) for place in drawn.places}) == 5


def test_old_backtests_make_room(payments_detector, lead, monkeypatch):
    monkeypatch.setattr(backtesting, "KEPT", 3)
    tests = [ask(payments_detector, lead) for _ in range(5)]
    assert set(Backtest.objects.values_list("pk", flat=True)) == {t.pk for t in tests[2:]}


def test_a_rule_that_can_no_longer_be_asked_fails_in_words(payments_detector, history, lead):
    test = ask(payments_detector, lead, said=RuleText("gone > 1", "x"))
    job = run_job(test.job_id, run_backtest)
    assert job.status == JobStatus.FAILED
    assert "gone" in job.error


def test_the_test_helper_sees_changes(payments_detector, lead):
    """What must not change is really looked at."""
    before = everything_stored()
    Rule.objects.create(detector=payments_detector, code="NEW")
    assert everything_stored() != before
    assert model_to_dict(payments_detector)
    assert connection.vendor in ("sqlite", "postgresql")
