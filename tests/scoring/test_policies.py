"""Rules, lists and settings as people change them: who comes second is told, nothing is lost."""

import json
import threading

import pytest
import yaml
from django.db import connection

from accounts.models import AuditEntry
from scoring import deployment
from scoring.answers import reasons_by_code
from scoring.core.readings import HIDDEN, IN_OTHER_LETTERS
from scoring.core.types import Stage
from scoring.declarations import SHIPPED, load_detector
from scoring.models import Detector
from scoring.policies import DECLARED, PolicyRefused, publish, set_policy
from scoring.policy_models import PolicySnapshot, Rule, RuleVersion
from scoring.policy_store import screening_body, screening_spec
from scoring.recording import audit_draw
from scoring.rule_editing import (
    MOVES,
    RuleText,
    create_rule,
    move_version,
    save_draft,
    text_of,
    tune_rule,
)
from scoring.rule_reports import content_changes, policy_history
from tests.factories import config_of, payment, scored
from tests.scoring.gift import GIFT

pytestmark = pytest.mark.django_db


@pytest.fixture
def gift(payments_detector, lead):
    """A rule of our own, live."""
    version = create_rule(payments_detector, code="GIFT", said=GIFT, author=lead)
    return move_version(version, to="live", seen="draft", author=lead)


def declared(tmp_path, **changed):
    path = tmp_path / "payments.yaml"
    path.write_text(yaml.safe_dump(config_of("payments") | changed))
    return load_detector(path)[0]


def one_rule(**changed):
    return [{"code": "ONE", "when": "amount > 50", "outcome": "REVIEW", "text": "x"} | changed]


def codes_of(prediction):
    return {hit["code"] for hit in prediction.rule_hits}


# --- Declared rules ------------------------------------------------------------------------------


def test_declared_rules_are_live_at_once(payments_detector):
    versions = RuleVersion.objects.filter(rule__detector=payments_detector)
    assert {v.rule.code for v in versions} == {r.code for r in payments_detector.spec().rules}
    assert {(v.stage, v.note, v.author) for v in versions} == {("live", DECLARED, None)}
    assert payments_detector.policies.get().digest == payments_detector.policy_digest


def test_loading_the_same_declaration_changes_nothing(payments_detector):
    before = list(RuleVersion.objects.values_list("pk", "stage").order_by("pk"))
    assert load_detector_again() == payments_detector.policy_digest
    assert list(RuleVersion.objects.values_list("pk", "stage").order_by("pk")) == before


def load_detector_again():
    load_detector(SHIPPED / "payments.yaml")
    return Detector.objects.get().policy_digest


def test_a_rule_that_nobody_edited_follows_its_declaration(tmp_path):
    declared(tmp_path, rules=one_rule())
    declared(tmp_path, rules=one_rule(when="amount > 60"))
    versions = RuleVersion.objects.filter(rule__code="ONE")
    assert [(v.number, v.stage, v.when) for v in versions] == [
        (2, "live", "amount > 60"),
        (1, "retired", "amount > 50"),
    ]
    declared(tmp_path, rules=[])
    assert not RuleVersion.objects.filter(stage="live").exists()


def test_a_rule_that_was_edited_here_keeps_its_edit(tmp_path, lead):
    declared(tmp_path, rules=one_rule(when="amount > limit", parameters={"limit": 50}))
    rule = Rule.objects.get(code="ONE")
    tune_rule(rule, changed={"parameters": {"limit": 70}}, base=1, author=lead)
    declared(tmp_path, rules=one_rule(when="amount > limit", parameters={"limit": 90}))
    assert rule.versions.get(stage="live").parameters == {"limit": 70}
    declared(tmp_path, rules=[])
    assert rule.versions.get(stage="live").parameters == {"limit": 70}


def test_a_rule_that_was_retired_here_stays_retired(tmp_path, lead):
    detector = declared(tmp_path, rules=one_rule())
    move_version(RuleVersion.objects.get(), to="retired", seen="live", author=lead)
    declared(tmp_path, rules=one_rule(when="amount > 60"))
    assert not RuleVersion.objects.filter(stage="live").exists()
    assert scored(detector.slug, payment(amount=100.0)).rule_hits == []


def test_a_promoted_bundle_does_not_lose_edited_rules(payments_detector, payments_digest, gift):
    deployment.install(payments_detector, slot="champion", digest=payments_digest, version="v2")
    found = scored("payments", payment(amount=700.0))
    assert "GIFT" in codes_of(found)
    assert found.policy_digest == Detector.objects.get().policy_digest
    assert found.bundle_digest == payments_digest


# --- Publishing ----------------------------------------------------------------------------------


def test_the_same_content_is_the_same_policy_and_no_news(payments_detector, lead):
    entries = AuditEntry.objects.count()
    first, second = (publish(payments_detector, author=lead) for _ in range(2))
    assert first.pk == second.pk
    assert AuditEntry.objects.count() == entries


def test_going_back_to_an_older_content_is_the_older_policy(payments_detector, lead):
    before = payments_detector.policy_digest
    set_policy(payments_detector, audit_rate=0.1, author=lead)
    assert payments_detector.policy_digest != before
    set_policy(payments_detector, audit_rate=0.005, author=lead)
    assert Detector.objects.get().policy_digest == before
    assert PolicySnapshot.objects.count() == 2
    assert len(policy_history(payments_detector)) == 3


def test_two_detectors_never_share_a_policy(payments_detector, cards_detector):
    digests = Detector.objects.values_list("policy_digest", flat=True)
    assert len(set(digests)) == len(digests) == 2


def test_the_history_says_who_changed_what(payments_detector, gift, lead):
    newest, first = policy_history(payments_detector)
    assert newest.entry.actor == lead
    assert newest.changes == ["GIFT v1 is live."]
    assert first.changes[0].startswith("First policy")


@pytest.mark.parametrize(("count", "said"), [(0, "no rules"), (1, "1 rule"), (2, "2 rules")])
def test_the_first_policy_counts_its_rules_in_words(count, said):
    assert content_changes(None, {"rules": [{}] * count}) == [f"First policy, with {said}."]


# --- Drafts, stages, thresholds ------------------------------------------------------------------


def test_a_draft_decides_nothing_and_a_shadow_is_only_recorded(payments_detector, lead):
    version = create_rule(payments_detector, code="GIFT", said=GIFT, author=lead)
    assert scored("payments", payment(amount=700.0)).rule_hits == []
    move_version(version, to="shadow", seen="draft", author=lead)
    found = scored("payments", payment(amount=700.0))
    assert [(hit["code"], hit["stage"]) for hit in found.rule_hits] == [("GIFT", "shadow")]
    assert (found.decision, found.rule_score) == ("APPROVE", 0.0)


def test_a_live_rule_counts_from_the_next_event(gift):
    found = scored("payments", payment(amount=700.0))
    (hit,) = found.rule_hits
    assert (hit["code"], hit["version"], hit["values"]) == ("GIFT", 1, {"amount": 700.0})
    assert (found.decision, found.selection_reason) == ("REVIEW", "rule")


def test_a_weighted_rule_adds_to_the_risk(payments_detector, lead):
    said = RuleText("amount > 500", "Large.", outcome="", weight=0.4)
    version = create_rule(payments_detector, code="HEAVY", said=said, author=lead)
    move_version(version, to="live", seen="draft", author=lead)
    found = scored("payments", payment(amount=700.0))
    assert (found.rule_score, found.risk_level, found.decision) == (0.4, "MEDIUM", "APPROVE")


def test_one_version_is_live_and_rolling_back_is_a_move(gift, lead):
    rule = gift.rule
    second = save_draft(rule, said=RuleText("amount > 5", "x"), base=1, author=lead)
    move_version(second, to="live", seen="draft", author=lead)
    assert [(v.number, v.stage) for v in rule.versions.all()] == [(2, "live"), (1, "retired")]
    first = rule.versions.get(number=1)
    move_version(first, to="live", seen="retired", author=lead)
    assert [(v.number, v.stage) for v in rule.versions.all()] == [(2, "retired"), (1, "live")]


def test_live_and_shadow_stand_side_by_side(gift, lead):
    second = save_draft(gift.rule, said=RuleText("amount > 5", "x"), base=1, author=lead)
    move_version(second, to="shadow", seen="draft", author=lead)
    found = scored("payments", payment(amount=700.0))
    assert [(hit["version"], hit["stage"]) for hit in found.rule_hits] == [
        (1, "live"),
        (2, "shadow"),
    ]


def test_thresholds_are_edited_without_the_condition(gift, lead):
    tune_rule(gift.rule, changed={"parameters": {"limit": 900}}, base=1, author=lead)
    assert scored("payments", payment(amount=700.0)).rule_hits == []
    live = gift.rule.versions.get(stage="live")
    assert (live.number, live.when, live.parameters) == (2, "amount > limit", {"limit": 900})


def test_after_tuning_the_text_says_the_number_in_force(payments_detector, lead):
    rule = Rule.objects.get(code="HIGH_AMOUNT")
    before = scored("payments", payment(amount=20_000.0))
    tune_rule(rule, changed={"parameters": {"limit": 5000}}, base=1, author=lead)
    after = scored("payments", payment(amount=20_000.0))
    said = [hit["text"] for row in (before, after) for hit in row.rule_hits]
    assert said == ["The amount is above 10,000.", "The amount is above 5,000."]
    assert reasons_by_code(after)["HIGH_AMOUNT"] == "The amount is above 5,000."
    before.refresh_from_db()
    assert before.rule_hits[0]["text"] == said[0]
    [body] = [r for r in policy_content() if r["code"] == "HIGH_AMOUNT"]
    assert body["text"] == said[1]


def test_a_text_of_an_earlier_release_keeps_no_rule_from_being_tuned_or_moved(gift, lead):
    RuleVersion.objects.filter(pk=gift.pk).update(text="A gift {of} some size.")
    tuned = tune_rule(gift.rule, changed={"parameters": {"limit": 900}}, base=1, author=lead)
    moved = move_version(tuned, to="shadow", seen="live", author=lead)
    found = scored("payments", payment(amount=950.0))
    assert found.rule_hits[0]["text"] == moved.text == "A gift {of} some size."
    with pytest.raises(PolicyRefused, match=r"\{of\} names no parameter"):
        save_draft(gift.rule, said=text_of(moved), base=2, author=lead)


def policy_content():
    digest = Detector.objects.get(slug="payments").policy_digest
    return PolicySnapshot.objects.get(pk=digest).content["rules"]


def test_another_currency_of_the_detector_is_told_in_the_history(tmp_path):
    declared(tmp_path, rules=[])
    event = config_of("payments")["event"] | {"currency": {"default": "EUR"}}
    rules = one_rule(when="amount > limit", parameters={"limit": 50}, text="Above {limit}.")
    declared(tmp_path, rules=rules, event=event)
    detector = declared(tmp_path, rules=rules, event=event | {"currency": {"default": "USD"}})
    assert "ONE: live v1 says: Above 50 USD." in policy_history(detector)[0].changes


def test_a_list_stays_a_list_and_a_value_a_value(payments_detector, lead):
    rule = Rule.objects.get(code="HIGH_RISK_MCC")
    for value, says in (
        (7995, "codes is a list and stays one"),
        ("7995", "codes is a list and stays one"),
        ([7995], "write '7995'"),
        ([["7995"]], "Parameter 'codes'"),
    ):
        with pytest.raises(PolicyRefused, match=says):
            tune_rule(rule, changed={"parameters": {"codes": value}}, base=1, author=lead)
    rule = Rule.objects.get(code="HIGH_AMOUNT")
    with pytest.raises(PolicyRefused, match="limit is one value and stays one"):
        tune_rule(rule, changed={"parameters": {"limit": [1]}}, base=1, author=lead)


@pytest.mark.parametrize("stage", list(Stage))
def test_only_the_moves_of_the_table_are_made(gift, lead, stage):
    RuleVersion.objects.filter(pk=gift.pk).update(stage=stage)
    for to in set(Stage) - set(MOVES[stage]):
        with pytest.raises(PolicyRefused, match="cannot become"):
            move_version(gift, to=to, seen=stage, author=lead)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        (RuleText("amount >", "x"), "when"),
        (RuleText("country == 'N\u200bG'", "x"), "when"),
        (RuleText("country in bad", "x", parameters={"bad": ["N\u00a0G"]}), "parameters"),
        (RuleText("nobody > 1", "x"), "when"),
        (RuleText("user_name == 'Ada'", "x"), "when"),
        (RuleText("amount > 1", " "), "text"),
        (RuleText("amount > top", "Above {tp}.", parameters={"top": 5}), "text"),
        (RuleText("amount >", "Above {tp}."), "text"),
        (RuleText("amount > 1", "x", outcome="APPROVE"), "outcome"),
        (RuleText("amount > 1", "x", outcome="", weight=1.0), "weight"),
        (RuleText("amount > 1", "x", parameters={"amount": 1}), "parameters"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_with_its_field(payments_detector, lead, said, field):
    with pytest.raises(PolicyRefused) as refused:
        create_rule(payments_detector, code="BAD", said=said, author=lead)
    assert field in dict(refused.value.problems)
    assert not Rule.objects.filter(code="BAD").exists()


def test_who_saves_second_is_told(gift, lead, owner):
    save_draft(gift.rule, said=GIFT, base=1, author=lead)
    with pytest.raises(PolicyRefused, match="Somebody saved version 2"):
        save_draft(gift.rule, said=GIFT, base=1, author=owner)
    with pytest.raises(PolicyRefused, match="Somebody saved version 2"):
        tune_rule(gift.rule, changed={"parameters": {"limit": 1}}, base=1, author=owner)


def test_who_moves_second_is_told(gift, lead, owner):
    move_version(gift, to="retired", seen="live", author=lead)
    with pytest.raises(PolicyRefused, match="is retired by now"):
        move_version(gift, to="shadow", seen="live", author=owner)


def test_changes_stand_in_the_audit_trail(gift, lead):
    made = AuditEntry.objects.filter(actor=lead).order_by("number")
    assert [entry.action for entry in made] == ["rule.created", "policy.published", "rule.live"]
    assert json.loads(made.last().detail_json)["version"] == 1


@pytest.mark.django_db(transaction=True)
def test_two_editors_at_once_give_one_version_and_one_clear_answer(payments_detector, lead):
    version = create_rule(payments_detector, code="GIFT", said=GIFT, author=lead)
    start, answers = threading.Barrier(2), []

    def edit():
        start.wait()
        try:
            answers.append(save_draft(version.rule, said=GIFT, base=1, author=lead).number)
        except PolicyRefused as refusal:
            answers.append(str(refusal))
        finally:
            connection.close()

    editors = [threading.Thread(target=edit) for _ in range(2)]
    for editor in editors:
        editor.start()
    for editor in editors:
        editor.join()
    assert sorted(map(str, answers))[0] == "2"
    assert "Somebody saved version 2" in sorted(map(str, answers))[1]


# --- Settings and audits -------------------------------------------------------------------------


def test_settings_outlive_a_new_declaration(payments_detector, lead):
    set_policy(payments_detector, audit_rate=0.25, author=lead)
    load_detector_again()
    content = PolicySnapshot.objects.get(pk=Detector.objects.get().policy_digest).content
    assert content["audit_rate"] == 0.25


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan")])
def test_an_audit_rate_is_a_share(payments_detector, lead, rate):
    with pytest.raises(PolicyRefused):
        set_policy(payments_detector, audit_rate=rate, author=lead)


def test_what_is_drawn_for_audit_stays_approved_with_its_propensity(payments_detector, lead):
    set_policy(payments_detector, audit_rate=1.0, author=lead)
    found = scored("payments", payment())
    assert (found.decision, found.selection_reason, found.propensity) == (
        "APPROVE", "random_audit", 1.0,
    )  # fmt: skip


def test_an_unlucky_draw_logs_its_propensity_too(payments_detector):
    name = next(f"a{n}" for n in range(100) if audit_draw("payments", f"a{n}") > 0.5)
    found = scored("payments", payment(transaction_id=name))
    assert (found.selection_reason, found.propensity) == ("", 0.005)


def test_draws_are_uniform_and_independent_of_what_clients_choose():
    """20,000 draws in 20 classes: a chi-square above 43.8 has a chance of 0.1 % (19 degrees)."""
    draws = [audit_draw("payments", f"tx-{n}") for n in range(20_000)]
    counts = [0] * 20
    for draw in draws:
        counts[int(draw * 20)] += 1
    assert sum((count - 1000) ** 2 / 1000 for count in counts) < 43.8
    assert abs(sum(draw < 0.005 for draw in draws) - 100) < 40  # four standard deviations


def test_nobody_without_the_key_can_tell_a_draw(settings):
    before = audit_draw("payments", "tx-1")
    assert audit_draw("payments", "tx-1") == before
    assert audit_draw("cards", "tx-1") != before
    settings.PII_KEYS = "other:" + "A" * 43 + "="
    assert audit_draw("payments", "tx-1") != before


# --- Reports -------------------------------------------------------------------------------------


def test_embargoed_countries_are_read_as_those_of_events_are(payments_detector, lead):
    set_policy(payments_detector, screening={"embargoed": ["uk", "IR"]}, author=lead)
    row = scored("payments", payment(country="UK"))
    assert (row.decision, row.screening_hits[0]["entry"]) == ("BLOCK", "GB")
    for nothing in ("XX", "IRN", "I1"):
        with pytest.raises(PolicyRefused, match=f"No two-letter country code: {nothing}"):
            set_policy(payments_detector, screening={"high_risk": ["IR", nothing]}, author=lead)


def test_a_policy_of_before_there_were_readings_decides_without_them(payments_detector):
    body = screening_body(payments_detector.spec().screening)
    assert screening_spec(body).readings == IN_OTHER_LETTERS
    assert screening_spec({k: v for k, v in body.items() if k != "readings"}).readings == 0
    assert screening_spec(body | {"readings": True}).readings == HIDDEN
