"""What rules found, counted by day in the background, and what pages make of it."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from scoring.core.spec import CostSpec
from scoring.labelling import record_label
from scoring.models import Detector
from scoring.policy_models import RuleVersion
from scoring.rule_editing import RuleText, create_rule, move_version
from scoring.rule_health import Range, read_health, usual_range
from scoring.rule_marks import Health, break_even
from scoring.rule_tally_models import RuleTally, TallyMark
from scoring.rule_tallying import REST_FACTOR, mark_stale_days, measure_day, tally_rules
from scoring.tasks import tally_rules_task
from tests.factories import START, payment, risky_payment, scored, scored_many

pytestmark = pytest.mark.django_db
DAYS = Range(START.date(), START.date() + timedelta(days=2))


def count_all():
    return tally_rules(timezone.now() + timedelta(hours=1), seconds=60)


def health_of(detector, code="HIGH_AMOUNT", over=DAYS):
    versions = list(RuleVersion.objects.filter(stage="live").select_related("rule"))
    report = read_health(detector, over, spec=detector.spec(), versions=versions)
    return report.by_code[code]


def on(day, **changed):
    return risky_payment(timestamp=(START + timedelta(days=day)).isoformat(), **changed)


def test_matches_labels_and_entities_are_counted_by_day(payments_detector):
    rows = scored_many("payments", [on(0), on(0, user_id="user-2"), on(2), payment(amount=5.0)])
    record_label(rows[0], is_fraud=True, source="analyst")
    record_label(rows[1], is_fraud=False, source="analyst")
    assert count_all() == 2
    found = health_of(payments_detector)
    assert (found.hits, found.labelled, found.fraud, found.precision) == (3, 2, 1, 0.5)
    assert (found.entities, found.entities_exact, list(found.trend)) == (2, True, [2, 0, 1])
    assert found.repeats == pytest.approx(1 / 3)
    assert found.last == START + timedelta(days=2)
    assert found.interval == pytest.approx((0.0945, 0.9055), abs=1e-3)


def test_counting_again_changes_nothing(payments_detector):
    scored_many("payments", [on(0), on(1)])
    count_all()
    before = health_of(payments_detector)
    RuleTally.objects.update(stale=True)
    count_all()
    assert health_of(payments_detector) == before


def test_a_label_that_comes_later_corrects_its_day(payments_detector):
    row = scored("payments", on(0))
    count_all()
    assert health_of(payments_detector).labelled == 0
    record_label(row, is_fraud=True, source="analyst")
    record_label(row, is_fraud=False, source="analyst", label_time=timezone.now())
    count_all()
    assert (health_of(payments_detector).labelled, health_of(payments_detector).fraud) == (1, 0)


def test_only_days_of_which_something_came_are_counted_again(payments_detector):
    scored_many("payments", [on(0), on(1)])
    count_all()
    TallyMark.objects.update(received_at=timezone.now())
    scored("payments", on(1))
    assert mark_stale_days(payments_detector, timezone.now() + timedelta(hours=2)) == 1
    assert [row.day for row in RuleTally.objects.filter(stale=True)] == [date(2020, 6, 2)]


def test_what_is_committed_late_is_found(payments_detector):
    now = timezone.now()
    mark_stale_days(payments_detector, now)
    scored("payments", on(0))  # Received now, though the look back reached until now.
    assert mark_stale_days(payments_detector, now + timedelta(seconds=90)) == 1


def test_a_day_that_took_long_rests(payments_detector):
    scored("payments", on(0))
    now = timezone.now()
    assert tally_rules(now, seconds=60) == 1
    RuleTally.objects.update(stale=True, seconds=30.0)
    assert tally_rules(now + timedelta(seconds=30 * REST_FACTOR - 1), seconds=60) == 0
    assert tally_rules(now + timedelta(seconds=30 * REST_FACTOR + 1), seconds=60) == 1


def test_what_arrives_while_a_day_is_counted_makes_it_stale_again(payments_detector, monkeypatch):
    scored("payments", on(0))
    mark_stale_days(payments_detector, timezone.now())
    row = RuleTally.objects.get()
    measure_day(row, timezone.now())
    scored("payments", on(0))
    mark_stale_days(payments_detector, timezone.now())
    row.refresh_from_db()
    assert row.stale


def test_a_second_counting_at_once_does_no_harm_and_the_task_runs(payments_detector):
    scored("payments", on(0))
    assert tally_rules_task() == 1
    assert tally_rules_task() in (0, 1)
    assert health_of(payments_detector).hits == 1


def test_rules_that_find_the_same_are_paired_and_called_redundant(payments_detector, lead):
    said = RuleText("amount > 10000", "The same.")
    version = create_rule(payments_detector, code="TWIN", said=said, author=lead)
    move_version(version, to="live", seen="draft", author=lead)
    scored_many("payments", [on(0, user_id=f"u{i}") for i in range(25)])
    count_all()
    found = health_of(payments_detector, "TWIN")
    assert (found.covered_by, found.covered) == ("HIGH_AMOUNT", 1.0)
    assert [(mark.word, mark.why) for mark in found.marks] == [
        ("Redundant", "HIGH_AMOUNT matches 100 % of what it matches.")
    ]


def test_a_rule_that_finds_nothing_among_many_is_dead_once_it_had_its_time(payments_detector):
    RuleTally.objects.create(
        detector=payments_detector, day=DAYS.start, events=5000, stale=False, content={"live": {}}
    )
    assert not health_of(payments_detector).marks  # It is younger than these days.
    RuleVersion.objects.update(created_at=START - timedelta(days=9))
    assert health_of(payments_detector).marks[0].why == (
        "It matched none of the 5,000 events of these days."
    )
    RuleTally.objects.update(events=10)
    assert not health_of(payments_detector).marks


def test_a_rule_whose_matches_do_not_pay_is_noisy(payments_detector):
    rows = scored_many("payments", [on(0, amount=20_000.0) for _ in range(30)])
    for row in rows:
        record_label(row, is_fraud=False, source="analyst")
    count_all()
    # Reviewing 20,000 pays even at a precision of one in thousands: thirty say too little.
    assert not health_of(payments_detector).marks
    assert break_even(CostSpec(review_cost=5.0), 20_000.0, blocks=False) == 5.0 / 20_000.0
    RuleTally.objects.update(
        content={
            "live": {"HIGH_AMOUNT": _count(hits=300, labelled=300, exposure=3000.0, priced=300)}
        }
    )
    assert health_of(payments_detector).marks[0].word == "Noisy"


def _count(**changed):
    zero = {"hits": 0, "snoozed": 0, "labelled": 0, "fraud": 0, "exposure": 0.0, "priced": 0}
    return zero | {"last": "2020-06-01T12:00:00+00:00", "offset": 0, "size": 0} | changed


def test_precision_from_which_acting_pays():
    costs = CostSpec(review_cost=5.0, false_block_cost=20.0, loss_share=1.0, capacity=0.01)
    assert break_even(costs, 100.0, blocks=False) == 0.05
    assert break_even(costs, 80.0, blocks=True) == 0.2
    assert break_even(costs, None, blocks=False) == pytest.approx(costs.capacity)


def test_nothing_was_found_is_no_share():
    assert (Health().precision, Health().repeats) == (None, None)


def test_usual_days_end_with_the_newest_events(payments_detector):
    today = date(2026, 1, 31)
    assert usual_range(payments_detector, today) == Range(date(2026, 1, 2), today)
    RuleTally.objects.create(
        detector=payments_detector, day=date(2020, 6, 1), events=9, measured_at=datetime.now(UTC)
    )
    assert usual_range(payments_detector, today).end == date(2020, 6, 1)


# --- Pages ---------------------------------------------------------------------------------------


def page(client, name="rule_list", **query):
    return client.get(reverse(name, args=["payments"]), query)


def text_of(response):
    return response.content.decode()


RANGE = {"from": "2020-06-01", "to": "2020-06-03"}


def test_the_list_shows_how_rules_do_and_as_of_when(client, engineer, payments_detector):
    client.force_login(engineer)
    assert "Not counted yet" in text_of(page(client))
    row = scored("payments", on(0))
    record_label(row, is_fraud=True, source="analyst")
    count_all()
    shown = text_of(page(client, **RANGE))
    assert "Counted as of" in shown
    assert 'class="muted below">21 % to 100 %, 1 labelled</span>' in shown
    assert 'name="from"' in shown
    assert 'value="2020-06-01"' in shown


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"from": "x", "to": "2020-06-01"}, "written like 2026-01-31"),
        ({"from": "2020-02-31", "to": "2020-06-01"}, "written like 2026-01-31"),
        ({"from": "2020-06-02", "to": "2020-06-01"}, "lies after the last"),
        ({"from": "2020-01-01", "to": "2020-12-31"}, "At most 92 days"),
        ({"from": "2020-01-01"}, "Both days are written"),
    ],
)
def test_days_that_cannot_be_are_told_and_the_usual_ones_shown(
    client, lead, payments_detector, query, said
):
    client.force_login(lead)
    answer = page(client, **query)
    assert answer.status_code == 200
    assert said in text_of(answer)


def test_the_list_is_sorted_by_the_url(client, lead, payments_detector):
    scored_many("payments", [on(0), on(0)])
    count_all()
    client.force_login(lead)
    shown = text_of(page(client, **RANGE, sort="hits", dir="desc"))
    codes = sorted(rule.code for rule in payments_detector.spec().rules)
    assert all(shown.index('id="rule-HIGH_AMOUNT"') <= shown.index(f'id="rule-{c}"') for c in codes)
    shown = text_of(page(client, **RANGE, sort="code", dir="asc"))
    places = [shown.index(f'id="rule-{code}"') for code in codes]
    assert places == sorted(places)
    assert 'aria-sort="ascending"' in shown
    assert page(client, sort="nothing", dir="x").status_code == 200


def test_the_rules_own_page_tells_how_it_does(client, analyst, payments_detector):
    client.force_login(analyst)
    url = reverse("rule_detail", args=["payments", "HIGH_AMOUNT"])
    assert "Not counted yet" in text_of(client.get(url))
    row = scored("payments", on(0))
    record_label(row, is_fraud=True, source="analyst")
    count_all()
    shown = text_of(client.get(url))
    assert "100 % (21 % to 100 %), 1 labelled" in shown
    assert "1 of 1 events" in shown


def test_overlap_is_a_page_of_its_own(client, analyst, outsider, payments_detector, lead):
    said = RuleText("amount > 10000", "The same.")
    version = create_rule(payments_detector, code="TWIN", said=said, author=lead)
    move_version(version, to="live", seen="draft", author=lead)
    client.force_login(analyst)
    assert "Nothing to compare" in text_of(page(client, "rule_overlap", **RANGE))
    scored("payments", on(0))
    count_all()
    shown = text_of(page(client, "rule_overlap", **RANGE))
    assert "100 %" in shown
    assert shown.index("overlap-live-HIGH_AMOUNT") < shown.index("overlap-live-TWIN")
    client.force_login(outsider)
    assert page(client, "rule_overlap").status_code == 403


def test_detectors_show_what_was_flagged(client, analyst, payments_detector):
    rows = scored_many("payments", [on(0), on(0), payment(amount=3.0)])
    record_label(rows[0], is_fraud=True, source="analyst")
    count_all()
    client.force_login(analyst)
    shown = text_of(client.get(reverse("detector_list"), RANGE))
    assert "1 labelled" in shown
    assert "Flagged events a day" in shown


def test_pages_cost_the_same_whatever_was_scored(client, lead, payments_detector, fraud_detector):
    client.force_login(lead)
    urls = [
        reverse("rule_list", args=["payments"]),
        reverse("rule_overlap", args=["payments"]),
        reverse("detector_list"),
    ]
    spent = {url: [] for url in urls}
    for round_number in (1, 2):
        scored_many("payments", [on(d, user_id=f"{round_number}{d}") for d in range(3)])
        said = RuleText("amount > 1", "Another.")
        version = create_rule(
            payments_detector, code=f"MORE_{round_number}", said=said, author=lead
        )
        move_version(version, to="live", seen="draft", author=lead)
        count_all()
        for url in urls:
            with CaptureQueriesContext(connection) as queries:
                assert client.get(url, RANGE).status_code == 200
            assert not [q for q in queries if "scoring_prediction" in q["sql"]], url
            spent[url].append(len(queries))
    assert all(first == second <= 14 for first, second in spent.values()), spent


def test_a_detector_whose_declaration_is_broken_is_still_listed(client, lead, payments_detector):
    Detector.objects.filter(pk=payments_detector.pk).update(config={})
    client.force_login(lead)
    assert client.get(reverse("detector_list")).status_code == 200
