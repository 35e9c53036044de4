"""Pages of rules, lists and policies: who may what, what they show, what they refuse."""

import json
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from scoring.models import Detector, Prediction
from scoring.ordering import snooze_rule
from scoring.policy_models import Rule, RuleVersion, Snooze
from scoring.rule_approvals import approve_request
from scoring.rule_request_models import RuleRequest
from scoring.rule_tallying import tally_rules
from tests.factories import payments, risky_payment, scored, scored_many

pytestmark = pytest.mark.django_db
SLUG = "payments"
DRAFT = {
    "code": "BIG_GIFT",
    "text": "A large gift.",
    "when": "amount > limit",
    "parameters": "limit = 500",
    "outcome": "REVIEW",
    "weight": "",
    "note": "",
    "base": "",
}


@pytest.fixture(autouse=True)
def nothing_cached():
    cache.clear()


def page_url(name, *more):
    return reverse(name, args=[SLUG, *more])


def text_of(response):
    return response.content.decode()


def drafted(client, **changed):
    return client.post(page_url("rule_new"), DRAFT | changed)


def go_live(client, second, code="BIG_GIFT", version=1, seen="draft"):
    """Whoever is logged in asks, `second` approves."""
    sent = {"version": version, "seen": seen, "to": "live"}
    assert client.post(page_url("rule_move", code), sent).status_code == 302
    approve_request(RuleRequest.objects.get(status="pending"), actor=second)


PAGES = ["rule_list", "lists", "policy"]


@pytest.mark.parametrize("name", PAGES)
def test_whoever_reads_detectors_reads_their_rules(client, engineer, payments_detector, name):
    client.force_login(engineer)
    assert client.get(page_url(name)).status_code == 200


@pytest.mark.parametrize("name", [*PAGES, "rule_new"])
def test_a_stranger_logs_in_first_and_an_outsider_is_refused(
    client, outsider, payments_detector, name
):
    assert client.get(page_url(name)).status_code == 302
    client.force_login(outsider)
    assert client.get(page_url(name)).status_code == 403


@pytest.mark.parametrize("name", PAGES)
def test_an_unknown_detector_is_404(client, lead, name):
    client.force_login(lead)
    assert client.get(reverse(name, args=["none"])).status_code == 404


def test_the_list_shows_stages(client, analyst, payments_detector):
    client.force_login(analyst)
    page = text_of(client.get(page_url("rule_list")))
    assert "HIGH_AMOUNT" in page
    assert "Live v1" in page


def test_an_analyst_drafts_a_rule_and_cannot_put_it_into_force(client, analyst, payments_detector):
    client.force_login(analyst)
    assert drafted(client).status_code == 302
    version = RuleVersion.objects.get(rule__code="BIG_GIFT")
    assert (version.stage, version.parameters, version.author) == ("draft", {"limit": 500}, analyst)
    moved = client.post(
        page_url("rule_move", "BIG_GIFT"), {"version": 1, "seen": "draft", "to": "live"}
    )
    assert moved.status_code == 403
    assert "go live" not in text_of(client.get(page_url("rule_detail", "BIG_GIFT")))


def test_two_put_a_draft_into_force_and_the_next_event_obeys(
    client, lead, owner, payments_detector
):
    client.force_login(lead)
    drafted(client)
    go_live(client, owner)
    found = scored(SLUG, risky_payment(amount=700.0, transaction_id="gift"))
    assert [hit["code"] for hit in found.rule_hits] == ["BIG_GIFT"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"when": "amont > limit"}, "did you mean amount? (column 1)"),
        ({"when": "amount > > 1"}, "This is not an expression (column 10)"),
        ({"when": "location in limits", "parameters": "limits = [7]"}, "write '7' (column 13)"),
        ({"parameters": "limit"}, "Line 1: write name = value."),
        ({"parameters": "limit = [[1]]"}, "parameter"),
        pytest.param(
            {"parameters": "limit = " + "[" * 9000 + "]" * 9000}, "is no number", id="deep"
        ),
        ({"code": "big gift"}, "capitals, digits and _"),
        ({"code": "HIGH_AMOUNT"}, "There is a rule HIGH_AMOUNT already."),
        ({"outcome": "WEIGHT", "weight": "1.5"}, "A weight lies between 0 and 1."),
        ({"text": ""}, "This field is required."),
        (
            {"text": "Above {limt}."},
            "{limt} names no parameter of the rule (did you mean {limit}?)",
        ),
        ({"when": "amount >"}, "The condition is not finished (column 9)."),
        ({"when": "user_name == 'x'"}, "'user_name' is personal data, which no rule reads"),
        ({"parameters": "\nlimit = many"}, "Line 2: 'many' is no number"),
    ],
)
def test_what_is_wrong_is_said_under_its_field(client, analyst, payments_detector, changed, said):
    client.force_login(analyst)
    answer = drafted(client, **changed)
    assert answer.status_code == 422
    assert said in text_of(answer).replace("&#x27;", "'")
    assert not Rule.objects.filter(code="BIG_GIFT").exists()


def test_a_condition_that_reads_nothing_of_an_event_is_told(client, analyst, payments_detector):
    client.force_login(analyst)
    for when, said in (
        ("1 < 2", "all of them"),
        ("1 > 2", "none of them"),
        ("hour > 2 or 3 in [3]", "3 in [3] is always true."),
        ("hour > 2", ""),
    ):
        typed = {"act": "validate", "when": when, "text": "Some.", "parameters": ""}
        told = text_of(client.post(page_url("rule_new"), typed, headers={"HX-Request": "true"}))
        assert ("reads nothing of events" in told) is bool(said) and said in told


def test_a_mistake_elsewhere_is_not_told_as_one_of_the_condition(
    client, analyst, payments_detector
):
    client.force_login(analyst)
    for changed, said in (
        ({"text": "By {x}"}, "What it finds: {x} names no parameter"),
        ({"parameters": "limit = many"}, "Parameters: Line 1: &#x27;many&#x27; is no number"),
        ({"when": "amount >"}, "</svg> The condition is not finished"),
    ):
        typed = {"act": "validate", "when": "amount > 1", "text": "Some.", "parameters": ""}
        answer = client.post(page_url("rule_new"), typed | changed, headers={"HX-Request": "true"})
        assert said in " ".join(text_of(answer).split())


def test_a_value_that_no_event_has_is_told(client, analyst, payments_detector):
    client.force_login(analyst)
    for when, said in (("country == 'Germany'", True), ("country == 'DE'", False)):
        typed = {"act": "validate", "when": when, "text": "Some.", "parameters": ""}
        told = text_of(client.post(page_url("rule_new"), typed, headers={"HX-Request": "true"}))
        assert ("But no event has &#x27;Germany&#x27; in country" in told) is said


def test_a_condition_is_checked_while_it_is_written(client, analyst, payments_detector):
    client.force_login(analyst)
    typed = {"act": "validate", "when": "secret > 1", "parameters": ""}
    answer = client.post(page_url("rule_new"), typed, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert "column 1" in text_of(answer)
    assert "<form" not in text_of(answer)
    good = client.post(
        page_url("rule_new"), typed | {"when": "amount > 1"}, headers={"HX-Request": "true"}
    )
    assert "Valid." in text_of(good)


def test_the_editor_shows_what_analysts_read(client, analyst, payments_detector):
    client.force_login(analyst)
    typed = DRAFT | {"act": "validate", "text": "Above {limit}, not 500."}
    answer = text_of(client.post(page_url("rule_new"), typed, headers={"HX-Request": "true"}))
    assert 'id="preview"' in answer and 'hx-swap-oob="true"' in answer
    assert "Above 500, not 500." in answer
    assert "It says 500 itself" in answer
    deep = typed | {"parameters": "limit = " + "[" * 800 + "]" * 800}
    assert client.post(page_url("rule_new"), deep).status_code == 200
    broken = typed | {"when": "amount >", "text": "Above {limt}."}
    answer = text_of(client.post(page_url("rule_new"), broken, headers={"HX-Request": "true"}))
    assert "not finished (column 9)" in answer and "{limt} names no parameter" in answer


@pytest.mark.parametrize("name", ["rule_detail", "rule_list", "detector_detail"])
def test_pages_say_the_number_in_force(client, analyst, payments_detector, name):
    client.force_login(analyst)
    more = ["HIGH_AMOUNT"] if name == "rule_detail" else []
    page = text_of(client.get(page_url(name, *more)))
    assert "The amount is above 10,000." in page


def test_a_trial_tells_matches_and_changes_nothing(client, analyst, payments_detector):
    scored_many(SLUG, [risky_payment(), risky_payment(amount=10.0)])
    before = (Rule.objects.count(), Detector.objects.get().policy_digest)
    client.force_login(analyst)
    answer = text_of(client.post(page_url("rule_new"), DRAFT | {"act": "try"}))
    assert "1 of 2" in answer
    assert (Rule.objects.count(), Detector.objects.get().policy_digest) == before


def test_thresholds_are_a_small_form(client, owner, lead, payments_detector):
    client.force_login(owner)
    drafted(client)
    go_live(client, lead)
    url = page_url("rule_tune", "BIG_GIFT")
    assert client.post(url, {"base": 1, "p-limit": "900"}).status_code == 302
    approve_request(RuleRequest.objects.get(status="pending"), actor=lead)
    assert RuleVersion.objects.get(stage="live", rule__code="BIG_GIFT").parameters == {"limit": 900}
    late = client.post(url, {"base": 1, "p-limit": "950"})
    assert late.status_code == 422
    assert "Somebody saved version 2 meanwhile" in text_of(late)
    assert client.post(url, {"base": 2, "p-limit": "many"}).status_code == 422


def test_a_list_is_edited_as_one_and_says_what_changed(client, owner, lead, payments_detector):
    client.force_login(owner)
    url = page_url("rule_tune", "HIGH_RISK_MCC")
    rule = RuleVersion.objects.get(rule__code="HIGH_RISK_MCC")
    sent = {"base": 1, "p-kinds": json.dumps(rule.parameters["kinds"])}
    page = text_of(client.get(page_url("rule_detail", "HIGH_RISK_MCC")))
    assert '<textarea class="area"\n                        id="p-codes"' in page
    for typed, says in (("7995", "codes is a list and stays one"), ("casino, bet", "is no number")):
        answer = client.post(url, sent | {"p-codes": typed})
        assert answer.status_code == 422
        assert says in text_of(answer) and f">{typed}</textarea>" in text_of(answer)
    codes = [*rule.parameters["codes"][1:], "7996"]
    assert client.post(url, sent | {"p-codes": json.dumps(codes, indent=1)}).status_code == 302
    page = text_of(client.get(page_url("rule_detail", "HIGH_RISK_MCC")))
    assert "codes: added &quot;7996&quot;; removed &quot;4829&quot;" in page


def test_beside_refused_thresholds_the_editor_leads_to_the_page_of_the_rule(
    client, owner, payments_detector
):
    client.force_login(owner)
    answer = client.post(page_url("rule_tune", "HIGH_RISK_MCC"), {"base": 1, "p-codes": "7995"})
    assert answer.status_code == 422
    here = page_url("rule_detail", "HIGH_RISK_MCC")
    assert text_of(answer).count(f'hx-post="{here}"') == 2
    assert f'<form method="post" class="stack tight" action="{here}">' in text_of(answer)


def test_whoever_tunes_a_number_that_the_text_repeats_is_told(
    client, owner, lead, payments_detector
):
    client.force_login(owner)
    drafted(client, text="Above 500.")
    go_live(client, lead)
    answer = client.post(
        page_url("rule_tune", "BIG_GIFT"), {"base": 1, "p-limit": "900"}, follow=True
    )
    assert "Its text says 500 itself, and will: edit the rule and write {limit}." in text_of(answer)


def test_versions_show_what_they_changed(client, lead, payments_detector):
    client.force_login(lead)
    drafted(client)
    changed = DRAFT | {"when": "amount >= limit", "parameters": "limit = 600", "base": 1}
    assert client.post(page_url("rule_detail", "BIG_GIFT"), changed).status_code == 302
    page = text_of(client.get(page_url("rule_detail", "BIG_GIFT")))
    assert "<ins>=</ins>" in page
    assert "limit: 500 → 600" in page


def test_a_rule_is_snoozed_from_the_prediction_that_it_matched(
    client, analyst, lead, payments_detector
):
    found = scored(SLUG, risky_payment())
    client.force_login(analyst)
    url = reverse("snooze", args=[found.pk, "HIGH_AMOUNT"])
    assert url in text_of(client.get(found.get_absolute_url()))
    assert client.get(url).status_code == 200
    assert client.post(url, {"reason": "", "days": "7"}).status_code == 422
    assert client.post(url, {"reason": "Known buyer", "days": "7"}).status_code == 302
    snooze = Snooze.objects.get()
    assert (snooze.token, snooze.author) == (found.entity, analyst)
    revoke = page_url("snooze_revoke", snooze.pk)
    assert client.post(revoke).status_code == 403
    client.force_login(lead)
    assert "Known buyer" in text_of(client.get(page_url("rule_detail", "HIGH_AMOUNT")))
    assert client.post(revoke).status_code == 302
    assert Snooze.objects.get().revoked_at is not None


def test_a_snooze_leads_back_to_pages_of_ours_alone(client, analyst, payments_detector):
    found = scored(SLUG, risky_payment())
    client.force_login(analyst)
    url = reverse("snooze", args=[found.pk, "HIGH_AMOUNT"])
    sent = {"reason": "Known buyer", "days": "7", "back": "https://evil.example/"}
    assert client.post(url, sent).headers["Location"] == found.get_absolute_url()


def test_the_audit_rate_is_set_on_the_policy_page(client, owner, lead, analyst, payments_detector):
    client.force_login(analyst)
    assert client.post(page_url("policy_settings"), {"audit_percent": "2"}).status_code == 403
    client.force_login(owner)
    sent = {"audit_percent": "2", "review": "0.9", "block": "0.97", "embargoed": "kp"}
    assert client.post(page_url("policy_settings"), sent).status_code == 302
    assert "Audit rate 0.50% → 2.00%" in text_of(client.get(page_url("policy")))
    assert Detector.objects.get().policy_settings == {}
    approve_request(RuleRequest.objects.get(), actor=lead)
    page = text_of(client.get(page_url("policy")))
    assert "Audit rate 0.50% → 2.00%." in page
    assert client.post(page_url("policy_settings"), {"audit_percent": "200"}).status_code == 422


def test_pages_cost_the_same_queries_for_any_number_of_rows(client, lead, payments_detector):
    client.force_login(lead)
    spent = {name: [] for name in PAGES}
    for seed in (1, 2):
        raws = [p | {"transaction_id": f"{seed}{i}"} for i, p in enumerate(payments(20, seed=seed))]
        scored_many(SLUG, [*raws, risky_payment()])
        for number in range(3):
            drafted(client, code=f"RULE_{seed}_{number}")
            entry = {"kind": "deny", "field": "location", "values": f"{seed}{number}"}
            client.post(page_url("lists"), entry | {"reason": "Test"})
        for name in PAGES:
            cache.clear()
            with CaptureQueriesContext(connection) as queries:
                client.get(page_url(name))
            spent[name].append(len(queries))
    assert all(first == second <= 17 for first, second in spent.values()), spent


def test_a_shadow_match_is_shown_as_one(client, lead, payments_detector):
    client.force_login(lead)
    drafted(client)
    client.post(page_url("rule_move", "BIG_GIFT"), {"version": 1, "seen": "draft", "to": "shadow"})
    found = scored(SLUG, risky_payment(amount=700.0))
    assert found.decision == "APPROVE"
    page = text_of(client.get(Prediction.objects.get(pk=found.pk).get_absolute_url()))
    assert "Shadow" in page
    assert "+ <code>BIG_GIFT" not in page


def test_a_draft_is_not_said_to_have_matched_nothing(client, lead, payments_detector):
    client.force_login(lead)
    drafted(client)
    scored(SLUG, risky_payment())
    tally_rules(timezone.now() + timedelta(hours=1), seconds=60)
    page = text_of(client.get(page_url("rule_detail", "BIG_GIFT")))
    assert "it was evaluated on no event" in page and "no other rule" not in page
    client.post(page_url("rule_move", "BIG_GIFT"), {"version": 1, "seen": "draft", "to": "shadow"})
    page = text_of(client.get(page_url("rule_detail", "BIG_GIFT")))
    assert "it was evaluated on no event" not in page and "in shadow" in page


def test_matches_while_snoozed_are_told_on_the_pages(client, lead, payments_detector):
    until = timezone.now() + timedelta(days=7)
    rule = Rule.objects.get(code="HIGH_AMOUNT", detector=payments_detector)
    found = scored(SLUG, risky_payment())
    snooze = snooze_rule(
        rule, token=found.entity, shown="", reason="Known buyer", until=until, author=lead
    )
    Snooze.objects.filter(pk=snooze.pk).update(created_at=timezone.now() - timedelta(minutes=1))
    again = scored(SLUG, risky_payment())
    tally_rules(timezone.now() + timedelta(hours=1), seconds=60)
    client.force_login(lead)
    assert "(1 while snoozed)" in text_of(client.get(page_url("rule_detail", "HIGH_AMOUNT")))
    page = text_of(client.get(Prediction.objects.get(pk=again.pk).get_absolute_url()))
    assert f"Snoozed until {until:%Y-%m-%d %H:%M} UTC" in page
