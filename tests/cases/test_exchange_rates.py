"""Amounts of different currencies are ordered and limited by rates, and shown as they are."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from django.db import IntegrityError, connections, transaction
from django.urls import reverse

from accounts.models import AuditEntry
from cases import reordering
from cases.case_alerts import open_case, take_out_of_case
from cases.case_events import words_of
from cases.case_models import CaseApproval
from cases.casework import approve_closing, ask_to_close, close_case
from cases.exchange_rates import current_rates, set_rates
from cases.filters import QueueFilters
from cases.limits import stake_of
from cases.models import Alert
from cases.rate_models import ExchangeRate
from cases.reordering import reorder_alerts
from cases.selectors import alert_queue, lack_of_rates
from cases.services import label_alert, open_alerts
from cases.workflow import MoveRefused
from tests.cases.rates import alert_in, declared

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
FALSE = {"disposition": "false_positive", "reason_code": "travel"}


@pytest.fixture(autouse=True)
def common(settings):
    settings.COMMON_CURRENCY = "USD"
    settings.CASE_APPROVAL_LIMIT = Decimal(30_000)


def order():
    return list(alert_queue().values_list("currency", flat=True))


def test_without_rates_amounts_are_ordered_as_they_stand():
    alert_in("a", "JPY", 50_000), alert_in("b", "USD", 40_000)
    assert order() == ["JPY", "USD"]
    assert set(Alert.objects.values_list("rate", "rates_version")) == {(None, None)}


def test_yen_are_not_ordered_as_dollars():
    declared(JPY="0.0067")
    yen, dollars = alert_in("a", "JPY", 50_000), alert_in("b", "USD", 40_000)
    assert order() == ["USD", "JPY"]
    assert (yen.expected_loss, dollars.expected_loss) == (0.5 * 335, 0.5 * 40_000)
    assert (yen.exposure, yen.currency) == (50_000, "JPY")


def test_the_order_by_amount_goes_by_rates_too():
    declared(JPY="0.0067")
    alert_in("a", "JPY", 50_000), alert_in("b", "USD", 11_000), alert_in("c", "USD", 12_000)
    ordered = alert_queue().order_by(*QueueFilters(sort="amount").ordering)
    assert [row.exposure for row in ordered] == [12_000, 11_000, 50_000]


def test_an_alert_of_several_currencies_counts_them_all():
    declared(JPY="0.0067", EUR="1.1")
    for currency in ("JPY", "EUR", "USD"):
        alert = alert_in("a", currency)
    assert alert.expected_loss == pytest.approx(0.5 * (134 + 22_000 + 20_000))
    assert (alert.exposure, alert.currency) == (20_000, "JPY")


def test_an_alert_says_by_which_rates_it_was_ordered():
    declared(JPY="0.0067")
    version = current_rates().version
    yen, dollars, francs = (alert_in(c, c) for c in ("JPY", "USD", "CHF"))
    rows = [(row.rate, row.rates_version) for row in (yen, dollars, francs)]
    assert rows == [(Decimal("0.0067"), version), (None, version), (None, version)]
    assert yen.common_note == "≈ 134.00 USD at 0.0067"
    assert dollars.common_note == ""
    assert francs.common_note == "no rate to USD: ordered as it stands"


def test_without_its_rate_an_alert_is_ordered_as_it_stands():
    declared(JPY="0.0067")
    assert alert_in("a", "CHF").expected_loss == 0.5 * 20_000
    assert lack_of_rates().startswith("1 currency has no rate: CHF (1 alerts).")


def test_lacking_rates_are_told_only_where_amounts_differ_in_currency():
    alert_in("a", "JPY")
    assert lack_of_rates() == ""
    alert_in("b", "USD")
    assert lack_of_rates().startswith("No rate is declared: amounts in JPY (1 alerts), USD")


def test_codes_that_nobody_lists_are_told_until_they_have_a_rate(client, admin):
    alert_in("a", "XQZ")
    alert_in("b", "usd")
    said = "Not in ISO 4217: XQZ. Ask who sends it, or declare its rate."
    assert lack_of_rates().endswith(said)
    client.force_login(admin)
    assert said in client.get(reverse("exchange_rates")).content.decode()
    declared(XQZ="0.5")
    assert said not in lack_of_rates() + client.get(reverse("exchange_rates")).content.decode()


def test_new_rates_order_anew_what_waits():
    yen, closed = alert_in("a", "JPY", 50_000), alert_in("b", "JPY")
    alert_in("c", "USD", 40_000)
    Alert.objects.filter(pk=closed.pk).update(status="closed", disposition="fraud")
    declared(JPY="0.0067")
    assert (reorder_alerts(), order()) == (2, ["USD", "JPY"])
    assert reorder_alerts() == 0
    declared(JPY="1.5")
    assert (reorder_alerts(), order()) == (2, ["JPY", "USD"])
    yen.refresh_from_db()
    assert yen.loss_per_minute == pytest.approx(yen.expected_loss / yen.handling_minutes)
    closed.refresh_from_db()
    assert closed.rates_version is None


def test_ordering_anew_goes_on_behind_those_it_has_done(monkeypatch):
    monkeypatch.setattr(reordering, "AT_ONCE", 2)
    for user in "abcde":
        alert_in(user, "JPY")
    declared(JPY="0.0067")
    assert reorder_alerts() == 5


def test_an_alert_is_valued_the_same_when_it_opens_and_when_rates_change():
    for currency in ("JPY", "EUR", "CHF", "USD"):
        alert_in("a", currency)
    declared(JPY="0.0067", EUR="1.1")
    reorder_alerts()
    anew = Alert.objects.get()
    Alert.objects.all().delete()
    open_alerts([link.pk for link in anew.top_prediction.__class__.objects.all()])
    assert Alert.objects.get().expected_loss == anew.expected_loss


def test_rates_are_added_and_audited_never_overwritten(admin):
    declared(JPY="0.0061")
    set_rates({"JPY": Decimal("0.0067"), "EUR": Decimal(1)}, actor=admin, source="by hand")
    rows = ExchangeRate.objects.order_by("pk").values_list("currency", "rate", "set_by__username")
    assert list(rows) == [
        ("JPY", Decimal("0.0061"), None), ("EUR", 1, "admin"), ("JPY", Decimal("0.0067"), "admin"),
    ]  # fmt: skip
    assert [row.replaced_at is None for row in ExchangeRate.objects.order_by("pk")] == [
        False, True, True,
    ]  # fmt: skip
    entry = AuditEntry.objects.latest("number")
    assert (entry.action, entry.actor) == ("exchange_rates.set", admin)
    assert entry.detail == {
        "to": "USD", "source": "by hand", "version": current_rates().version,
        "rates": {"JPY": {"before": "0.0061", "after": "0.0067"},
                  "EUR": {"before": None, "after": "1"}},
    }  # fmt: skip


@pytest.mark.django_db(transaction=True)
def test_rates_set_at_once_take_turns():
    declared(JPY="0.0061")

    def change(n):
        try:
            declared(JPY=f"0.{n + 1}", **{f"X{'ABCDEF'[n]}X": "2"})
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(change, range(6)))
    newest = ExchangeRate.objects.filter(currency="JPY").latest("pk")
    assert ExchangeRate.objects.get(currency="JPY", replaced_at=None) == newest
    assert AuditEntry.objects.filter(action="exchange_rates.set").count() == 7
    assert set(current_rates().by_currency) == {"JPY", *(f"X{c}X" for c in "ABCDEF")}


def test_what_stands_already_is_no_change():
    declared(JPY="0.0067")
    before = AuditEntry.objects.count()
    declared(JPY="0.00670")
    assert (ExchangeRate.objects.count(), AuditEntry.objects.count()) == (1, before)


def test_the_database_has_one_rate_in_force_of_a_currency():
    declared(JPY="0.0067")
    row = ExchangeRate.objects.get()
    row.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        row.save(force_insert=True)


def test_rates_to_another_common_currency_do_not_count(settings, analyst):
    declared(JPY="0.0067")
    settings.COMMON_CURRENCY = "EUR"
    assert (current_rates().common, current_rates().by_currency) == ("EUR", {})
    with pytest.raises(MoveRefused, match="no rate from JPY to EUR"):
        label_alert(alert_in("a", "JPY"), **FALSE, actor=analyst)
    declared(JPY="0.0067")
    assert current_rates().by_currency == {"JPY": Decimal("0.0067")}


# --- limits ---------------------------------------------------------------------------------------


def test_without_rates_each_currency_is_held_to_the_number(analyst):
    with pytest.raises(MoveRefused, match="more is at risk"):
        label_alert(alert_in("a", "JPY", 50_000), **FALSE, actor=analyst)


def test_a_limit_counts_in_the_common_currency(analyst):
    declared(JPY="0.0067", EUR="1.6")
    alert = label_alert(alert_in("a", "JPY", 50_000), **FALSE, actor=analyst)
    entry = AuditEntry.objects.latest("number")
    assert (alert.status, entry.detail["at_risk"]) == ("closed", [["JPY", "50,000.00", "0.0067"]])
    with pytest.raises(MoveRefused, match="more is at risk than one person may close"):
        label_alert(alert_in("b", "EUR"), **FALSE, actor=analyst)


def test_currencies_are_added_by_their_rates(analyst, lead):
    declared(JPY="0.0067", EUR="1.1")
    alerts = [alert_in("a", "JPY"), alert_in("b", "EUR", 18_000), alert_in("c", "USD", 11_000)]
    case = open_case(alerts, title="Mixed", actor=analyst)
    assert stake_of(case).weighed == ("USD", Decimal("30934.00"))
    with pytest.raises(MoveRefused, match="More is at risk"):
        close_case(case, **FALSE, actor=analyst)
    asked = ask_to_close(case, **FALSE, actor=analyst)
    assert (asked.amount, asked.currency, asked.limit) == (Decimal("30934.00"), "USD", 30_000)
    said = "18,000.00 EUR at 1.1 and 20,000.00 JPY at 0.0067 and 11,000.00 USD"
    assert asked.totals_words == said
    assert said in words_of(case.timeline.get(kind="asked"))
    approve_closing(case, actor=lead)
    assert said in words_of(case.timeline.get(kind="closed"))
    kept = AuditEntry.objects.filter(action="case.ask").latest("number").detail["at_risk"]
    assert kept == CaseApproval.objects.get().totals


def test_what_one_person_closes_keeps_the_rates_that_let_them(analyst):
    declared(JPY="0.0067")
    case = open_case([alert_in("a", "JPY"), alert_in("b", "USD")], title="Small", actor=analyst)
    close_case(case, **FALSE, actor=analyst)
    words = words_of(case.timeline.get(kind="closed"))
    at_risk = "20,000.00 JPY at 0.0067 and 20,000.00 USD"
    assert words == f"closed the case as false positive, travel ({at_risk})"


def test_a_currency_without_a_rate_takes_a_second_person_and_says_why(analyst, lead):
    declared(JPY="0.0067")
    alert = alert_in("a", "CHF", 10_001)
    with pytest.raises(MoveRefused) as refusal:
        label_alert(alert, **FALSE, actor=analyst)
    assert str(refusal.value) == (
        "Open a case: no rate from CHF to USD is declared. An admin may add the rate under Team"
        " queues, Exchange rates."
    )
    case = open_case([alert], title="Francs", actor=analyst)
    for act in (close_case, lambda *_, **__: take_out_of_case(
            case, alert, actor=analyst, reason="Another.")):  # fmt: skip
        with pytest.raises(MoveRefused, match="No rate from CHF to USD is declared: ask"):
            act(case, **FALSE, actor=analyst)
    asked = ask_to_close(case, **FALSE, actor=analyst)
    assert (asked.amount, asked.totals_words) == (0, "10,001.00 CHF without a rate")
    assert approve_closing(case, actor=lead).status == "closed"


def test_the_rate_that_is_added_lets_one_person_close(analyst):
    declared(JPY="0.0067")
    alert = alert_in("a", "CHF", 10_001)
    declared(CHF="1.2")
    assert label_alert(alert, **FALSE, actor=analyst).status == "closed"


def test_what_is_above_anyway_says_so_whatever_lacks_a_rate(analyst):
    declared(JPY="0.0067")
    alert_in("a", "CHF", 10_001)
    with pytest.raises(MoveRefused, match="more is at risk"):
        label_alert(alert_in("a", "USD", 40_000), **FALSE, actor=analyst)


def test_who_set_the_rate_does_not_close_what_counts_by_it(admin, lead):
    declared(EUR="1.1")
    set_rates({"JPY": Decimal("0.000000001")}, actor=admin, source="by hand")
    yen, euros = alert_in("a", "JPY", 10**9), alert_in("b", "EUR")
    with pytest.raises(MoveRefused, match="You set the rate from JPY: somebody else closes"):
        label_alert(yen, **FALSE, actor=admin)
    case = open_case([yen], title="Yen", actor=admin)
    with pytest.raises(MoveRefused, match="You set the rate from JPY"):
        close_case(case, **FALSE, actor=admin)
    assert close_case(case, **FALSE, actor=lead).status == "closed"
    assert label_alert(euros, **FALSE, actor=admin).status == "closed"


def test_without_a_limit_no_rate_is_needed(analyst, settings):
    settings.CASE_APPROVAL_LIMIT = None
    declared(JPY="0.0067")
    assert label_alert(alert_in("a", "CHF"), **FALSE, actor=analyst).status == "closed"


def test_what_is_in_the_common_currency_alone_asks_for_no_rates(django_assert_num_queries):
    declared(JPY="0.0067")
    yen, dollars = alert_in("a", "JPY"), alert_in("b", "USD")
    for alert, queries in ((yen, 2), (dollars, 1)):
        assert alert.work_queue is not None  # read before it counts
        with django_assert_num_queries(queries):
            stake_of(alert)
