"""Daily counts of rules: entities of busy and quiet ones, live and shadow versions told apart."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from scoring import rule_tallying
from scoring.labelling import record_label
from scoring.policy_models import RuleVersion
from scoring.rule_editing import RuleText, create_rule, move_version, save_draft
from scoring.rule_health import flagged_by_detector, read_health
from scoring.rule_tally_models import RuleTally
from scoring.rule_tallying import LOST_AFTER, mark_stale_days, tally_rules
from tests.factories import payment, scored_many
from tests.scoring.test_rule_health import DAYS, RANGE, count_all, health_of, on, text_of

pytestmark = pytest.mark.django_db
PAGES = [
    ("detector_list", []),
    ("rule_list", ["payments"]),
    ("rule_detail", ["payments", "BUSY"]),
    ("rule_overlap", ["payments"]),
]


def live_rule(detector, author, code, when, **said):
    version = create_rule(detector, code=code, said=RuleText(when, code, **said), author=author)
    move_version(version, to="live", seen="draft", author=author)
    return version


def shadow_version(live, author, when, **said):
    version = save_draft(live.rule, said=RuleText(when, "Wider.", **said), author=author, base=1)
    move_version(version, to="shadow", seen="draft", author=author)
    return version


def report_of(detector):
    versions = list(RuleVersion.objects.filter(stage__in=("live", "shadow")).select_related("rule"))
    versions.sort(key=lambda version: version.stage)
    return read_health(detector, DAYS, spec=detector.spec(), versions=versions)


# --- Entities ------------------------------------------------------------------------------------


@pytest.fixture
def busy_days(payments_detector, lead):
    """Two days on which one rule matches 300 entities, and another two of them, which are flagged.

    PostgreSQL keeps the keys of a count shorter first: "BUSY" before "HIGH_AMOUNT", whichever
    matched first.
    """
    live_rule(payments_detector, lead, "BUSY", "amount > 1", outcome="", weight=0.01)
    for day in (0, 1):
        many = [on(day, amount=2.0, user_id=f"w{i}") for i in range(300)]
        scored_many("payments", [*many, on(day, user_id="a"), on(day, user_id="b")])
    count_all()


def test_entities_of_busy_and_quiet_rules_are_told_apart(busy_days, payments_detector):
    busy, quiet = (health_of(payments_detector, code) for code in ("BUSY", "HIGH_AMOUNT"))
    assert (quiet.hits, quiet.entities, quiet.entities_exact) == (4, 2, True)
    assert quiet.repeats == 0.5
    assert (busy.hits, busy.entities_exact) == (604, False)
    assert busy.entities == pytest.approx(302, rel=0.1)


def test_the_list_of_detectors_counts_the_entities_that_were_flagged(busy_days, payments_detector):
    reports, _ = flagged_by_detector([payments_detector], DAYS)
    flagged = reports[payments_detector.pk].flagged
    assert (flagged.hits, flagged.entities, flagged.entities_exact) == (4, 2, True)
    assert report_of(payments_detector).flagged == flagged


def test_a_busy_rule_takes_no_page_down(busy_days, client, lead):
    client.force_login(lead)
    for name, args in PAGES:
        assert client.get(reverse(name, args=args), RANGE).status_code == 200, name


def test_a_day_whose_counting_was_broken_off_is_counted_again(
    busy_days, payments_detector, monkeypatch
):
    """Its worker was killed, or the database went away; until then nobody else counts it too."""
    before = health_of(payments_detector)
    RuleTally.objects.update(stale=True, events=7)
    now = timezone.now() + timedelta(hours=2)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(rule_tallying, "_stored", _be_killed)
        tally_rules(now, seconds=60)
    assert tally_rules(now + LOST_AFTER / 2, seconds=60) == 1, "the day behind it"
    assert tally_rules(now + LOST_AFTER, seconds=60) == 1
    assert health_of(payments_detector) == before
    assert not RuleTally.objects.filter(events=7).exists()
    assert tally_rules(now + 3 * LOST_AFTER, seconds=60) == 0


def test_a_day_whose_counting_began_while_the_clock_was_ahead_is_counted_again(
    busy_days, payments_detector, monkeypatch
):
    before = health_of(payments_detector)
    now = timezone.now() + timedelta(hours=2)
    tally_rules(now, seconds=60)
    RuleTally.objects.update(stale=True, events=7)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(rule_tallying, "_stored", _be_killed)
        tally_rules(now + timedelta(days=365), seconds=60)
    assert tally_rules(now, seconds=60) == 2
    assert health_of(payments_detector) == before
    assert not RuleTally.objects.filter(events=7).exists()
    assert tally_rules(now, seconds=60) == 0


def test_what_comes_after_the_clock_was_set_back_is_counted(busy_days, payments_detector):
    tally_rules(timezone.now() + timedelta(days=365), seconds=60)
    scored_many("payments", [payment(user_id="late")])
    RuleTally.objects.update(measured_at=timezone.now() + timedelta(days=365))
    assert tally_rules(timezone.now(), seconds=60) >= 1
    assert not RuleTally.objects.filter(stale=True).exists()


def test_nor_is_it_missed_where_nobody_looks_soon_after(busy_days, payments_detector):
    now = timezone.now()
    tally_rules(now + timedelta(days=365), seconds=60)
    scored_many("payments", [on(0, user_id="late"), on(1, user_id="late")])
    tally_rules(now + timedelta(hours=1), seconds=60)
    assert health_of(payments_detector).hits == 6
    tally_rules(now + timedelta(hours=2), seconds=60)
    assert not RuleTally.objects.filter(stale=True).exists()
    assert tally_rules(now + timedelta(hours=3), seconds=60) == 0, "all days once, not each time"


def _be_killed(_):
    raise KeyboardInterrupt


def test_days_of_an_earlier_layout_are_counted_anew(busy_days, payments_detector, client, lead):
    before = health_of(payments_detector)
    old = {"HIGH_AMOUNT": {"hits": 7, "shadow": 0, "last": "", "size": 9}}
    RuleTally.objects.update(content=old, pairs=[["A", "B", 7]], sketches=b"", stale=False)
    found = report_of(payments_detector)
    assert (found.waiting, found.events, found.by_code["HIGH_AMOUNT"].hits) == (2, 0, 0)
    client.force_login(lead)
    for name, args in PAGES:
        assert client.get(reverse(name, args=args), RANGE).status_code == 200
    later = timezone.now() + timedelta(hours=2)
    mark_stale_days(payments_detector, later)
    assert RuleTally.objects.filter(stale=True).count() == 2
    count_all()
    assert health_of(payments_detector) == before
    mark_stale_days(payments_detector, later + timedelta(hours=2))
    assert not RuleTally.objects.filter(stale=True).exists()


# --- A live and a shadow version -----------------------------------------------------------------


@pytest.fixture
def gift(payments_detector, lead):
    """A rule that is right 20 times, with a shadow version that is wrong another 100 times."""
    live = live_rule(payments_detector, lead, "GIFT", "amount > 5000", outcome="REVIEW")
    shadow_version(live, lead, "amount > 1", outcome="REVIEW")
    bad = scored_many("payments", [on(0, amount=6000.0, user_id=f"u{i}") for i in range(20)])
    good = scored_many("payments", [on(1, amount=2.0, user_id=f"w{i % 30}") for i in range(100)])
    for rows, is_fraud in ((bad, True), (good, False)):
        for row in rows:
            record_label(row, is_fraud=is_fraud, source="analyst")
    count_all()


def test_a_shadow_version_changes_no_figure_of_the_live_one(gift, payments_detector):
    report = report_of(payments_detector)
    live, shadow = report.by_code["GIFT"], report.beside["GIFT"]
    assert (live.stage, live.hits, live.labelled, live.precision) == ("live", 20, 20, 1.0)
    assert (live.mean_exposure, live.entities, list(live.trend)) == (6000.0, 20, [20, 0, 0])
    assert not live.marks
    assert (shadow.stage, shadow.hits, shadow.entities) == ("shadow", 120, 50)
    assert shadow.precision == pytest.approx(20 / 120)


def test_pages_give_the_shadow_version_a_line_of_its_own(gift, client, lead):
    client.force_login(lead)
    shown = " ".join(text_of(client.get(reverse("rule_detail", args=["payments", "GIFT"]))).split())
    assert "20 of 120 events" in shown
    assert "100 % (84 % to 100 %), 20 labelled" in shown
    assert "<dt> In shadow </dt> <dd> 120 of 120 events" in shown
    assert "17 % (11 % to 24 %), 120 labelled" in shown
    shown = " ".join(text_of(client.get(reverse("rule_list", args=["payments"]), RANGE)).split())
    assert '20 <span class="muted below">and 120 in shadow</span>' in shown


def test_overlap_tells_the_versions_of_a_rule_apart(gift, client, lead):
    client.force_login(lead)
    shown = " ".join(text_of(client.get(reverse("rule_overlap", args=["payments"]), RANGE)).split())
    assert shown.index("overlap-shadow-GIFT") < shown.index("overlap-live-GIFT")
    live = shown[shown.index("overlap-live-GIFT") :]
    assert "100 %" in live[: live.index("</tr>")]


def test_only_a_live_rule_makes_another_redundant(payments_detector, lead):
    live = live_rule(payments_detector, lead, "FIRST", "amount > 9000", outcome="REVIEW")
    shadow_version(live, lead, "amount > 1", outcome="REVIEW")
    live_rule(payments_detector, lead, "SECOND", "amount > 5", outcome="REVIEW")
    scored_many("payments", [payment(amount=10.0, user_id=f"u{i}") for i in range(25)])
    count_all()
    found = health_of(payments_detector, "SECOND")
    assert (found.hits, found.covered_by, found.marks) == (25, "", [])
    shadow = report_of(payments_detector).beside["FIRST"]
    assert (shadow.covered_by, [mark.word for mark in shadow.marks]) == ("SECOND", ["Redundant"])


def test_a_rule_that_is_only_in_shadow_is_told_by_its_shadow_matches(payments_detector, lead):
    version = create_rule(
        payments_detector, code="IDEA", said=RuleText("amount > 1", "Idea."), author=lead
    )
    move_version(version, to="shadow", seen="draft", author=lead)
    scored_many("payments", [payment(user_id=f"u{i}") for i in range(3)])
    count_all()
    report = report_of(payments_detector)
    assert (report.by_code["IDEA"].stage, report.by_code["IDEA"].hits) == ("shadow", 3)
    assert "IDEA" not in report.beside


def test_a_version_that_matched_in_shadow_is_not_dead_when_it_goes_live(payments_detector, lead):
    version = create_rule(
        payments_detector, code="IDEA", said=RuleText("amount > 1", "Idea."), author=lead
    )
    move_version(version, to="shadow", seen="draft", author=lead)
    scored_many("payments", [payment(user_id=f"u{i}") for i in range(3)])
    count_all()
    move_version(version, to="live", seen="shadow", author=lead)
    RuleVersion.objects.update(created_at=timezone.now() - timedelta(days=9000))
    RuleTally.objects.update(events=5000)
    report = report_of(payments_detector)
    live = report.by_code["IDEA"]
    assert (live.stage, live.hits, live.marks) == ("live", 0, [])
    assert (report.beside["IDEA"].stage, report.beside["IDEA"].hits) == ("shadow", 3)
    assert report.by_code["HIGH_AMOUNT"].marks[0].word == "Dead"
