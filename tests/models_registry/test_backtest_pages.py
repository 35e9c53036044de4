"""Pages of backtests: who may ask, what is kept on error, what a result says and does not say."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from jobs.models import Job
from jobs.services import run_job
from models_registry.backtest_models import Backtest
from models_registry.backtesting import run_backtest
from models_registry.promotion import promote
from scoring.labelling import record_label
from scoring.models import Label, Prediction
from scoring.policy_models import RuleVersion
from scoring.rule_editing import RuleText, create_rule, move_version
from tests.factories import START, payment, scored, scored_many
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db
SLUG = "payments"
TYPED = {
    "code": "BIG",
    "text": "A large amount.",
    "when": "amount > limit",
    "parameters": "limit = 500",
    "outcome": "REVIEW",
    "weight": "",
    "note": "",
    "base": "",
    "act": "backtest",
    "backtest_from": "2020-06-01",
    "backtest_to": "2020-06-30",
}


def url_of(name, *more):
    return reverse(name, args=[SLUG, *more])


def text_of(response):
    return response.content.decode().replace("&#x27;", "'")


@pytest.fixture(autouse=True)
def no_worker(monkeypatch):
    """Jobs wait until a test runs them."""
    monkeypatch.setattr("models_registry.backtest_views.announce_job", lambda job: None)


@pytest.fixture
def history(payments_detector):
    for i, (amount, truth) in enumerate(
        [(700.0, True), (30.0, True), (900.0, False), (800.0, None)]
    ):
        row = scored(SLUG, payment(amount=amount, user_id=f"u{i}"))
        if truth is not None:
            record_label(row, is_fraud=truth, source="analyst")


def asked(client, **changed):
    answer = client.post(url_of("backtest_rule"), TYPED | changed)
    assert answer.status_code == 302, text_of(answer)
    return Backtest.objects.latest("pk")


def run(test):
    run_job(test.job_id, run_backtest)
    return test


def shown(client, test, **query):
    return text_of(client.get(test.get_absolute_url(), query))


def test_an_analyst_backtests_a_rule_that_nobody_saved(client, analyst, history):
    client.force_login(analyst)
    test = asked(client)
    assert "Queued" in shown(client, test)
    page = shown(client, run(test))
    assert "It matches 3 of 4 events: 1 known fraud, 1 known legitimate, 1 not known yet." in page
    assert "No false-positive rate" in page
    assert "Labels exist mostly where people looked" not in page or "random audits" in page
    assert not RuleVersion.objects.filter(rule__code="BIG").exists()


def test_what_is_not_filled_in_yet_is_no_mistake(client, analyst, history):
    client.force_login(analyst)
    page = shown(client, run(asked(client, code="", text="")))
    assert "It matches 3 of 4 events" in page


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"when": "amont > 5"}, "did you mean amount?"),
        ({"parameters": "limit"}, "Line 1: write name = value."),
        ({"outcome": "WEIGHT", "weight": "7"}, "A weight lies between 0 and 1."),
        ({"backtest_from": "2021-01-01", "backtest_to": "2020-01-01"}, "lies after the last"),
        ({"backtest_from": "2018-01-01"}, "at most 366 days"),
        ({"backtest_from": "soon"}, "From: Enter a valid date."),
        ({"backtest_most": "7"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said_in_the_editor_and_what_was_typed_stays(
    client, analyst, payments_detector, changed, said
):
    client.force_login(analyst)
    answer = client.post(url_of("backtest_rule"), TYPED | changed)
    assert answer.status_code == 422
    page = text_of(answer)
    assert said in page
    for name in ("when", "parameters", "text"):
        assert (TYPED | changed)[name].replace(">", "&gt;") in page
    assert f'value="{(TYPED | changed)["backtest_from"]}"' in page
    assert not Backtest.objects.exists()


def test_an_existing_rule_is_compared_with_what_is_live(client, lead, history, payments_detector):
    said = RuleText("amount > limit", "A large amount.", parameters={"limit": 850})
    version = create_rule(payments_detector, code="BIG", said=said, author=lead)
    move_version(version, to="live", seen="draft", author=lead)
    client.force_login(lead)
    answer = client.post(url_of("backtest_rule") + "?rule=BIG", TYPED | {"base": "1"})
    assert answer.status_code == 302
    page = shown(client, run(Backtest.objects.get()))
    assert "Against version 1" in page
    assert "limit: 850 → 500" in page
    assert url_of("rule_detail", "BIG") in page


def test_a_rule_that_no_database_can_hold_is_404(client, lead, payments_detector):
    client.force_login(lead)
    assert client.post(url_of("backtest_rule") + "?rule=BIG%00", TYPED).status_code == 404


def test_an_existing_rule_keeps_the_editor_on_error(client, lead, payments_detector):
    client.force_login(lead)
    answer = client.post(
        url_of("backtest_rule") + "?rule=HIGH_AMOUNT", TYPED | {"when": "amount >"}
    )
    assert answer.status_code == 422
    assert "HIGH_AMOUNT" in text_of(answer)
    missing = client.post(url_of("backtest_rule") + "?rule=NOPE", TYPED)
    assert missing.status_code == 404


def test_the_result_is_saved_as_a_draft_or_edited_again(client, analyst, history):
    client.force_login(analyst)
    run(asked(client))
    sent = {name: value for name, value in TYPED.items() if "backtest" not in name}
    again = client.post(url_of("rule_new"), sent | {"act": "edit"})
    assert again.status_code == 200
    assert "amount &gt; limit" in text_of(again)
    saved = client.post(url_of("rule_new"), sent | {"act": "save", "note": "Backtest 1"})
    assert saved.status_code == 302
    assert RuleVersion.objects.get(rule__code="BIG").parameters == {"limit": 500}


def test_a_cell_shows_who_judges_an_alert_blind_no_event_of_its_entity(
    client, analyst, history, monkeypatch
):
    """The cell tells the label."""
    client.force_login(analyst)
    test = run(asked(client))
    mine, other = (Prediction.objects.get(exposure=amount) for amount in (700, 900))
    monkeypatch.setattr("cases.blinding.untold_entity", lambda user, detector: mine.entity)
    assert mine.get_absolute_url() not in shown(client, test, cell="tp")
    assert other.get_absolute_url() in shown(client, test, cell="fp")


def test_each_cell_leads_to_its_examples(client, analyst, history):
    client.force_login(analyst)
    test = run(asked(client))
    for cell, amount in (("tp", 700), ("fp", 900), ("fn", 30), ("unlabelled", 800)):
        row = Prediction.objects.get(exposure=amount)
        assert reverse("prediction_detail", args=[row.pk]) in shown(client, test, cell=cell)
    assert "No event that was read falls into this cell" in shown(client, test, cell="tn")
    first = Prediction.objects.get(exposure=700)
    assert first.get_absolute_url() in shown(client, test, cell="nonsense")
    part = client.get(
        test.get_absolute_url(), {"cell": "fp"}, headers={"HX-Target": "backtest-examples"}
    )
    assert text_of(part).strip().startswith("<section")


def test_where_labels_come_from_is_told(client, analyst, history):
    client.force_login(analyst)
    page = shown(client, run(asked(client)))
    assert "Labels exist mostly where people looked" in page
    assert "too few to correct for that" in page


def test_full_labels_lean_to_no_side(client, analyst, payments_detector):
    rows = scored_many(SLUG, [payment(user_id=f"u{i}", amount=400.0 + i * 50) for i in range(6)])
    Label.objects.bulk_create(
        Label(
            prediction=row, detector=payments_detector, is_fraud=i == 4, source="import",
            event_time=row.event_time, label_time=row.event_time,
        )
        for i, row in enumerate(rows)
    )  # fmt: skip
    client.force_login(analyst)
    page = shown(client, run(asked(client)))
    assert "leans to no side" in page
    assert "False-positive rate" in page


def test_a_sample_says_that_it_is_one(client, analyst, payments_detector, monkeypatch):
    monkeypatch.setattr("models_registry.backtest_forms.MOST", [("5", "5")])
    scored_many(SLUG, [payment(user_id=f"u{i}", amount=600.0) for i in range(30)])
    client.force_login(analyst)
    test = asked(client)
    Backtest.objects.update(most=5)
    page = shown(client, run(test))
    assert "A sample: 5 of 30 events were read" in page
    assert "It matches about 30 of 30 events" in page


def test_nothing_to_read_says_what_to_do(client, analyst, payments_detector):
    client.force_login(analyst)
    assert "Ask again over other days" in shown(client, run(asked(client)))


def test_whoever_asked_cancels_it_and_others_may_not(client, analyst, lead, owner, history):
    client.force_login(analyst)
    test = asked(client)
    url = url_of("backtest_cancel", test.pk)
    client.force_login(lead)
    assert client.post(url).status_code == 403
    client.force_login(analyst)
    assert client.post(url).status_code == 302
    assert "It was cancelled before it was over" in shown(client, test)
    second = asked(client)
    client.force_login(owner)
    assert client.post(url_of("backtest_cancel", second.pk)).status_code == 302


def test_a_failure_is_told(client, analyst, history):
    client.force_login(analyst)
    test = asked(client)
    Backtest.objects.update(asked={**test.asked, "when": "gone > 1"})
    page = shown(client, run(test))
    assert "It failed" in page
    assert "Nothing was changed." in page
    assert "ask again below" in page
    Job.objects.update(error="Its worker died, 3 times out of 3.")
    assert "What it had done before is kept." in shown(client, test)


@pytest.mark.parametrize("name", ["backtest_list", "backtest_thresholds"])
def test_who_sees_what(client, engineer, outsider, payments_detector, name):
    assert client.get(url_of(name)).status_code == 302
    client.force_login(outsider)
    assert client.get(url_of(name)).status_code == 403
    client.force_login(engineer)
    assert client.get(url_of(name)).status_code == 200


def test_an_outsider_asks_nothing_and_sees_nothing(client, analyst, outsider, history):
    client.force_login(analyst)
    test = asked(client)
    client.force_login(outsider)
    assert client.post(url_of("backtest_rule"), TYPED).status_code == 403
    assert client.get(test.get_absolute_url()).status_code == 403
    assert client.post(url_of("backtest_cancel", test.pk)).status_code == 403
    assert client.post(url_of("backtest_thresholds"), {"review": "0.5"}).status_code == 403


def test_a_backtest_of_another_detector_is_not_found(client, analyst, history, fraud_detector):
    client.force_login(analyst)
    test = asked(client)
    assert client.get(reverse("backtest_detail", args=["fraud", test.pk])).status_code == 404


@pytest.fixture
def version(payments_detector, payments_digest):
    made = VersionFactory(detector=payments_detector, number=1, digest=payments_digest)
    promote(made, actor=None, reason="The first.")
    return made


def test_thresholds_are_tried_with_a_slider(client, engineer, version):
    for i, amount in enumerate((20.0, 400.0)):
        record_label(
            scored(SLUG, payment(amount=amount, user_id=f"u{i}")), is_fraud=i == 1, source="analyst"
        )
    client.force_login(engineer)
    assert 'type="range"' in text_of(client.get(url_of("backtest_thresholds")))
    sent = {"review": "0.0001", "block": "", "backtest_from": "2020-06-01"}
    answer = client.post(url_of("backtest_thresholds"), sent | {"backtest_to": "2020-06-30"})
    assert answer.status_code == 302
    page = shown(client, run(Backtest.objects.get()))
    assert "It would flag 2 of 2 events" in page
    assert "today's champion on the feature vectors" in page


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"review": "2"}, "not above 1"),
        ({"review": "x"}, "Enter a number."),
        ({"review": "0.6", "block": "0.5"}, "between the review threshold and 1"),
        ({"review": "nan"}, "Enter a number."),
        ({"review": "0.6", "backtest_from": "x"}, "Enter a valid date."),
    ],
)
def test_thresholds_that_cannot_be_are_told_and_stay(client, engineer, version, sent, said):
    client.force_login(engineer)
    answer = client.post(url_of("backtest_thresholds"), sent)
    assert answer.status_code == 422
    page = text_of(answer)
    assert said in page
    assert f'value="{sent["review"]}"' in page
    assert not Backtest.objects.exists()


def test_without_a_model_there_are_no_thresholds(client, analyst, payments_detector):
    client.force_login(analyst)
    assert "No thresholds to try" in text_of(client.get(url_of("backtest_thresholds")))
    assert client.post(url_of("backtest_thresholds"), {"review": "0.5"}).status_code == 422


def test_pages_cost_the_same_for_any_number_of_events_and_backtests(client, lead, history):
    client.force_login(lead)
    spent = {"list": [], "result": []}
    for round_number in (1, 2):
        test = run(asked(client))
        scored_many(SLUG, [payment(user_id=f"{round_number}{i}") for i in range(20)])
        for name, url in (("list", url_of("backtest_list")), ("result", test.get_absolute_url())):
            with CaptureQueriesContext(connection) as queries:
                assert client.get(url).status_code == 200
            spent[name].append(len(queries))
    assert all(first == second <= 10 for first, second in spent.values()), spent


def test_days_left_out_are_the_last_that_have_events(client, analyst, history):
    client.force_login(analyst)
    test = asked(client, backtest_from="", backtest_to="")
    assert test.last_day == START.date()
    assert test.first_day == START.date() - timedelta(days=89)
    assert test.known_at <= timezone.now()


def test_days_before_the_first_event_make_nothing_seldom(client, analyst, history):
    client.force_login(analyst)
    test = run(asked(client, backtest_from="", backtest_to=""))
    page = text_of(client.get(test.get_absolute_url()))
    assert "Flagged events a day: 3.0, today" in page


def test_fewer_flagged_events_have_a_minus_and_hardly_any_are_not_none(client, analyst, history):
    client.force_login(analyst)
    test = run(asked(client))
    test.refresh_from_db()
    days = test.result["days"]
    for arm, flagged in (("today", 5 * days), ("proposed", 0.04 * days)):
        test.result["arms"][arm] |= {"flagged": flagged, "blocked": 0.3 * (arm == "proposed")}
    test.result["minutes"] = 10.0
    test.save(update_fields=["result"])
    page = shown(client, test)
    assert "Flagged events a day: under 0.1, today 5.0." in page
    assert "For people that is −50 minutes a day" in page  # noqa: RUF001
    assert ">+0<" not in page and ">−0<" not in page  # noqa: RUF001
