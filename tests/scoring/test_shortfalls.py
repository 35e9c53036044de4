"""What is in force and does not do what it says is told, and approves nothing meanwhile."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from scoring import deployment
from scoring.core.types import SelectionReason
from scoring.models import Deployment
from scoring.policies import PolicyRefused, publish
from scoring.policy_models import Rule, RuleVersion, Watchlist
from scoring.replaying import verify_one
from scoring.rule_editing import next_base, tune_rule
from scoring.selectors import detector_list
from scoring.shortfalls import all_shortfalls, shortfalls_of
from scoring.watchlists import sync_watchlist
from tests.factories import payment, scored, shipped_detector

pytestmark = pytest.mark.django_db
HEALTH = "/api/v1/health"
ROW = '1,"PIKE, Zebulon","individual","TEST",' + ",".join(["-0- "] * 7) + ',"-0- "\r\n'


@pytest.fixture(autouse=True)
def nothing_cached():
    cache.clear()


def break_rule(detector, code="VELOCITY_MULTI_CITY", stage="live"):
    """A rule that was fine until a field that it reads became personal data."""
    versions = RuleVersion.objects.filter(rule__code=code)
    versions.update(when="user_name == 'Ada'", stage=stage)
    publish(detector)


@pytest.fixture
def broken(payments_detector):
    break_rule(payments_detector)
    return payments_detector


def page(client, user, url):
    client.force_login(user)
    return client.get(url).content.decode()


def kinds():
    return [(found.kind, found.subject) for found in all_shortfalls()]


def test_a_live_rule_that_cannot_be_evaluated_sends_events_to_a_human(broken):
    row = scored("payments", payment())
    assert (row.decision, row.selection_reason) == ("REVIEW", SelectionReason.RULE)
    assert "VELOCITY_MULTI_CITY cannot be evaluated" in row.rule_hits[0]["text"]
    assert verify_one(row) is None


def test_a_shadow_rule_that_cannot_be_evaluated_decides_nothing(payments_detector):
    break_rule(payments_detector, stage="shadow")
    assert scored("payments", payment()).decision == "APPROVE"
    assert ("rule", "VELOCITY_MULTI_CITY") in kinds()


@pytest.fixture
def mistaken(payments_detector):
    """A live rule of an earlier release, which took in a list of another kind."""
    when = "location in cities or amount > 10000"
    versions = RuleVersion.objects.filter(rule__code="HIGH_AMOUNT")
    versions.update(when=when, parameters={"cities": [7, "Oslo"]}, stage="live")
    publish(payments_detector)
    return payments_detector


def test_a_stored_rule_with_a_list_of_another_kind_decides_as_it_did_and_is_told(mistaken):
    rows = [scored("payments", payment(location=city)) for city in ("7", "Oslo")]
    assert [row.decision for row in rows] == ["APPROVE", "REVIEW"]
    assert [verify_one(row) for row in rows] == [None, None]
    [told] = [found for found in all_shortfalls() if found.kind == "rule"]
    assert "HIGH_AMOUNT looks for what it cannot find: 'location' is a text and 7" in told.text
    assert told.degrades


def test_a_stored_rule_with_a_list_of_another_kind_is_tuned_only_when_it_is_mended(mistaken, lead):
    rule = Rule.objects.get(code="HIGH_AMOUNT")
    base = next_base(rule)
    with pytest.raises(PolicyRefused, match="write '7'"):
        tune_rule(rule, changed={"text": "Else."}, base=base, author=lead)
    tune_rule(rule, changed={"parameters": {"cities": ["7"]}}, base=base, author=lead)
    assert not [found for found in all_shortfalls() if found.kind == "rule"]
    assert scored("payments", payment(location="7")).decision == "REVIEW"


def test_repairing_the_rule_lets_events_pass_again(broken):
    RuleVersion.objects.filter(rule__code="VELOCITY_MULTI_CITY").update(when="amount > 1000")
    publish(broken)
    assert scored("payments", payment()).decision == "APPROVE"
    assert not [kind for kind, _ in kinds() if kind == "rule"]


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("detector_detail", []),
        ("rule_list", []),
        ("rule_detail", ["VELOCITY_MULTI_CITY"]),
    ],
)
def test_pages_say_which_rule_does_not_count_and_why(client, analyst, broken, name, more):
    text = page(client, analyst, reverse(name, args=["payments", *more]))
    assert "of VELOCITY_MULTI_CITY cannot be evaluated by what serves" in text
    assert "every event that would be approved is reviewed" in text


def test_the_page_of_another_rule_says_nothing_of_it(client, analyst, broken):
    text = page(client, analyst, reverse("rule_detail", args=["payments", "HIGH_AMOUNT"]))
    assert "cannot be evaluated" not in text


def test_health_is_degraded_by_a_live_rule_and_names_it(api, broken):
    body = api("models:read").get(HEALTH).json()
    assert body["status"] == "degraded"
    assert ("payments", "rule", "VELOCITY_MULTI_CITY") in [
        (found["detector"], found["kind"], found["subject"]) for found in body["warnings"]
    ]


def test_a_bundle_that_does_not_load_is_told(payments_detector):
    Deployment.objects.update(digest="0" * 64)
    deployment._last_good.clear()
    assert kinds()[0] == ("bundle", "champion")


def test_a_list_that_was_never_synchronised_is_told_with_what_to_run(
    client, analyst, payments_detector
):
    run = "python manage.py sync_watchlist FILE_OR_ADDRESS --list ofac_sdn"
    command = f'Run <code class="command">{run}</code>.'
    for url in (payments_detector.get_absolute_url(), reverse("watchlists")):
        assert command in page(client, analyst, url)
    sentence = "Not screened by name against OFAC SDN and UN Security Council"
    assert sentence in page(client, analyst, scored("payments", payment()).get_absolute_url())


@pytest.fixture
def taken_in(payments_detector, tmp_path):
    """OFAC's list was synchronised a moment ago; the UN's never."""
    (tmp_path / "sdn.csv").write_text(ROW)
    (tmp_path / "alt.csv").write_text('1,1,"aka","NOBODY, Else",-0- \r\n')
    sync_watchlist(str(tmp_path))


def grow_old(days):
    Watchlist.objects.update(synced_at=timezone.now() - timedelta(days=days, minutes=1))


def stale_lists():
    return [found for found in all_shortfalls() if found.kind == "list" and found.degrades]


def test_once_it_is_synchronised_nothing_is_told_of_it(client, analyst, taken_in):
    assert kinds() == [("list", "un")]
    text = page(client, analyst, scored("payments", payment()).get_absolute_url())
    assert "Not screened by name against UN Security Council" in text


def test_health_warns_of_a_list_without_being_degraded(api, payments_detector):
    body = api("models:read").get(HEALTH).json()
    assert body["status"] == "ok"
    assert {found["subject"] for found in body["warnings"]} == {"ofac_sdn", "un"}


@pytest.mark.parametrize(
    ("setting", "days", "told"), [(7, 6, False), (7, 7, True), (30, 29, False), (0, 3000, False)]
)
def test_a_list_that_was_not_synchronised_for_long_is_told(taken_in, settings, setting, days, told):
    settings.WATCHLIST_STALE_DAYS = setting
    grow_old(days)
    assert [found.subject for found in stale_lists()] == ["ofac_sdn"] * told


def test_a_stale_list_is_told_with_its_date_and_what_to_run(client, analyst, taken_in):
    grow_old(8)
    [found] = stale_lists()
    day = f"{timezone.now() - timedelta(days=8, minutes=1):%Y-%m-%d}"
    assert f"by a reading of {day}, at least 7 days old" in found.text
    for url in (reverse("detector_detail", args=["payments"]), reverse("watchlists")):
        assert f"a reading of {day}" in page(client, analyst, url)


def test_a_stale_list_degrades_health_and_decides_nothing(api, taken_in):
    grow_old(8)
    assert api("models:read").get(HEALTH).json()["status"] == "degraded"
    row = scored("payments", payment())
    assert (row.decision, row.screening_hits) == ("APPROVE", [])
    assert scored("payments", payment(user_name="Zebulon Pike")).decision == "BLOCK"


def test_a_stale_list_is_told_of_detectors_that_screen_by_it_alone(taken_in):
    grow_old(8)
    other = shipped_detector("anomaly")
    assert shortfalls_of(detector_list().get(pk=other.pk), []) == []
    assert [found.detector for found in stale_lists()] == ["payments"]


def test_what_is_told_takes_four_queries_for_any_number_of_detectors(
    payments_detector, django_assert_num_queries
):
    for slug in ("fraud", "cards", "anomaly"):
        shipped_detector(slug)
    all_shortfalls()
    with django_assert_num_queries(4):
        all_shortfalls()
    assert len(detector_list()) == 4
