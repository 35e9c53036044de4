"""What is broken, missing or older than policies approves nothing that would not be approved."""

import zlib
from datetime import timedelta

import pytest
from django.utils import timezone

from cases.models import Alert
from cases.services import open_alerts
from scoring import deployment, policy_store, watchlist_store
from scoring.models import Detector
from scoring.ordering import add_list_entry
from scoring.policies import set_policy
from scoring.policy_models import ListEntry, PolicySnapshot, Rule, RuleVersion, Watchlist
from scoring.replaying import CannotReplay, verify_one
from scoring.rule_editing import RuleText, create_rule, move_version
from scoring.watchlists import sync_watchlist
from tests.factories import payment, scored

pytestmark = pytest.mark.django_db
LISTED = "Rodion Rasskolnikow"
ROW = '1,"{}","individual","TEST",' + ",".join(["-0- "] * 7) + ',"-0- "\r\n'


def restart():
    policy_store._compiled.clear()
    policy_store._last_good.clear()
    watchlist_store.forget_indexes()
    deployment._latest.clear()


@pytest.fixture(autouse=True)
def fresh():
    restart()
    yield
    restart()


@pytest.fixture
def publish(tmp_path):
    def publish_list(name):
        (tmp_path / "sdn.csv").write_text(ROW.format(name))
        (tmp_path / "alt.csv").write_text('1,1,"aka","NOBODY, Else",-0- \r\n')
        return sync_watchlist(str(tmp_path))

    return publish_list


def deny(detector, value, author):
    add_list_entry(
        detector, kind="deny", field="user_id", value=value, reason="stolen",
        expires_at=None, author=author,
    )  # fmt: skip
    ListEntry.objects.update(created_at=timezone.now() - timedelta(minutes=1))


def test_a_damaged_list_asks_for_a_human_until_it_is_repaired(payments_detector, publish):
    publish("RASSKOLNIKOW, Rodion")
    good = bytes(Watchlist.objects.get().content)
    restart()
    Watchlist.objects.update(content=zlib.compress(b"[]"))
    assert scored("payments", payment(user_name=LISTED)).decision == "REVIEW"
    Watchlist.objects.update(content=good)
    assert scored("payments", payment(user_name=LISTED)).decision == "BLOCK"


def test_an_unreadable_policy_still_blocks_embargoes_and_asks_for_a_human(payments_detector):
    PolicySnapshot.objects.update(content={"changed": "by hand"})
    restart()
    assert scored("payments", payment(country="KP")).decision == "BLOCK"
    assert scored("payments", payment()).decision == "REVIEW"


def test_an_unreadable_policy_keeps_the_deny_list(payments_detector, admin):
    deny(payments_detector, "thief", admin)
    PolicySnapshot.objects.update(content={"changed": "by hand"})
    restart()
    assert scored("payments", payment(user_id="thief")).decision == "BLOCK"


@pytest.fixture
def damaged(payments_detector, publish):
    """The reading that serves was read, the one that came after it cannot be."""
    publish("RASSKOLNIKOW, Rodion")
    assert scored("payments", payment(user_name=LISTED)).decision == "BLOCK"
    newest = publish("PIKE, Zebulon").digest
    Watchlist.objects.filter(pk=newest).update(content=zlib.compress(b"[]"))
    return payments_detector


def test_a_damaged_list_keeps_what_is_denied_from_then_on(damaged, admin):
    deny(damaged, "thief", admin)
    assert scored("payments", payment(user_id="thief")).decision == "BLOCK"


def test_a_damaged_list_keeps_todays_rules_and_the_reading_before(damaged, owner):
    create_rule(damaged, code="ROME", said=RuleText("location == 'Rome'", "x"), author=owner)
    move_version(RuleVersion.objects.get(rule__code="ROME"), to="live", seen="draft", author=owner)
    assert scored("payments", payment(location="Rome")).decision == "REVIEW"
    assert scored("payments", payment(user_name=LISTED)).decision == "BLOCK"


def test_what_was_scored_beside_a_damaged_list_replays(damaged, admin):
    deny(damaged, "thief", admin)
    assert verify_one(scored("payments", payment(user_id="thief"))) is None
    assert verify_one(scored("payments", payment(user_name=LISTED))) is None


def test_an_unreadable_policy_keeps_an_entry_that_the_one_in_memory_did_not_know(
    payments_detector, admin
):
    assert scored("payments", payment(user_id="thief")).decision == "APPROVE"
    deny(payments_detector, "thief", admin)
    newest = Detector.objects.get().policy_digest
    PolicySnapshot.objects.filter(pk=newest).update(content={"changed": "by hand"})
    row = scored("payments", payment(user_id="thief"))
    assert row.decision == "BLOCK"
    assert verify_one(row) is None


def test_what_nobody_screened_is_not_replayed_as_if_it_had_been(payments_detector, publish):
    publish("RASSKOLNIKOW, Rodion")
    restart()
    Watchlist.objects.update(content=zlib.compress(b"[]"))
    row = scored("payments", payment())
    with pytest.raises(CannotReplay, match="could not be read"):
        verify_one(row)


def test_the_first_change_of_a_detector_older_than_policies_keeps_its_rules(
    payments_detector, admin
):
    RuleVersion.objects.all().delete()
    Rule.objects.all().delete()
    Detector.objects.update(policy_digest="")
    PolicySnapshot.objects.all().delete()
    deny(payments_detector, "thief", admin)
    found = scored("payments", payment(amount=25000.0))
    assert "HIGH_AMOUNT" in {hit["code"] for hit in found.rule_hits}


@pytest.mark.parametrize("value", ["thief ", " thief", "thief"])
def test_spaces_do_not_get_past_the_deny_list(payments_detector, admin, value):
    deny(payments_detector, "thief", admin)
    assert scored("payments", payment(user_id=value)).decision == "BLOCK"


def test_a_whole_number_is_the_same_however_it_is_written():
    assert policy_store.list_token("code", 5.0) == policy_store.list_token("code", 5)


def test_a_broken_declaration_keeps_no_other_detector_from_a_new_list(payments_detector, publish):
    Detector.objects.create(slug="old", name="old", config={"slug": "old"})
    assert publish("PIKE, Zebulon").republished == ("payments",)


def test_settings_that_an_earlier_release_passed_over_stop_no_detector(payments_detector):
    Detector.objects.update(config=payments_detector.config | {"colour": "blue"})
    assert Detector.objects.get().spec().slug == "payments"


def test_an_unscored_audit_ranks_below_what_has_something_against_it(payments_detector, lead):
    set_policy(payments_detector, audit_rate=1.0, author=lead)
    drawn, flagged = (scored("payments", payment(amount=a, user_id=str(a))) for a in (900.0, 2e4))
    open_alerts([drawn.pk, flagged.pk])
    losses = dict(Alert.objects.values_list("top_prediction__decision", "expected_loss"))
    assert losses["APPROVE"] == 0.0
    assert max(losses.values()) > 0.0
