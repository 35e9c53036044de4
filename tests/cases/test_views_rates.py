"""Exchange rates on their page, in Django's admin and from a file."""

import time
from decimal import Decimal
from threading import Event

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts.models import AuditEntry
from cases.case_alerts import open_case
from cases.models import Alert
from cases.rate_models import ExchangeRate
from cases.reordering import reorder_alerts
from models_registry.integrity import check_integrity
from tests.cases.rates import alert_in, declared

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
URL, ADMIN_URL = "/cases/rates/", "/admin/cases/exchangerate/"


@pytest.fixture(autouse=True)
def common(settings):
    settings.COMMON_CURRENCY = "USD"
    settings.CASE_APPROVAL_LIMIT = Decimal(30_000)


def text_of(answer):
    return " ".join(answer.content.decode().split())


def test_an_admin_sets_a_rate_and_what_waits_is_ordered_anew(
    client, admin, monkeypatch, django_capture_on_commit_callbacks
):
    monkeypatch.setattr("cases.tasks.send_soon", lambda send, name, args: reorder_alerts())
    alert_in("a", "JPY")
    client.force_login(admin)
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(URL, {"currency": "jpy", "rate": "0.0067"}, follow=True)
    assert "One JPY is 0.0067 USD from now on" in text_of(answer)
    assert ExchangeRate.objects.get().set_by == admin
    assert AuditEntry.objects.latest("number").action == "exchange_rates.set"
    assert Alert.objects.get().expected_loss == 67


def test_without_rates_the_page_says_what_that_means(client, analyst):
    client.force_login(analyst)
    text = text_of(client.get(URL))
    assert "compared as they stand until an admin sets the first rate" in text
    assert "Set a rate" not in text


@pytest.mark.parametrize("person", ["analyst", "lead", "engineer", "owner", "outsider"])
def test_only_admins_set_rates(client, request, person):
    client.force_login(request.getfixturevalue(person))
    for url in (URL, f"{ADMIN_URL}add/"):
        assert client.post(url, {"currency": "JPY", "rate": "1"}).status_code in (302, 403)
    assert not ExchangeRate.objects.exists()


@pytest.mark.parametrize(("currency", "rate", "told"), [
    ("JPY", "x", "not a number"), ("JPY", "-1", "must lie between"), ("JPY", "", "required"),
    ("USD", "1", "common currency itself"), ("EURO", "1", "at most 3"), ("", "1", "required"),
    ("EUR", "1.10", "stands at 1.1 already"), ("E<R", "1", "no currency"),
])  # fmt: skip
@pytest.mark.parametrize("url", [URL, f"{ADMIN_URL}add/"])
def test_what_is_no_rate_is_told_and_changes_nothing(client, admin, url, currency, rate, told):
    declared(EUR="1.1")
    admin.is_superuser = True
    admin.save()
    client.force_login(admin)
    answer = client.post(url, {"currency": currency, "rate": rate})
    assert answer.status_code == (422 if url == URL else 200)
    assert told in text_of(answer)
    assert ExchangeRate.objects.count() == 1


def test_a_rate_is_added_in_the_admin_never_changed(client, admin):
    declared(JPY="0.0061")
    client.force_login(admin)
    assert client.post(f"{ADMIN_URL}add/", {"currency": "JPY", "rate": "0.0067"}).status_code == 302
    rows = ExchangeRate.objects.order_by("pk")
    assert [(row.rate, row.replaced_at is None) for row in rows] == [
        (Decimal("0.0061"), False), (Decimal("0.0067"), True),
    ]  # fmt: skip
    change = f"{ADMIN_URL}{rows[1].pk}/change/"
    assert client.get(change).status_code == 200
    assert client.post(change, {"currency": "JPY", "rate": "1"}).status_code == 403
    assert client.post(f"{ADMIN_URL}{rows[1].pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get(ADMIN_URL).status_code == 200


@pytest.mark.parametrize("page", [URL, f"{ADMIN_URL}add/"])
def test_a_silent_broker_holds_nobody_up_who_sets_a_rate(
    client, admin, monkeypatch, django_capture_on_commit_callbacks, page
):
    asked, speaks = [], Event()

    def say_nothing(name, args):
        asked.append(name)
        speaks.wait(30)

    monkeypatch.setattr("cases.tasks.current_app.send_task", say_nothing)
    client.force_login(admin)
    began = time.monotonic()
    with django_capture_on_commit_callbacks(execute=True):
        client.post(page, {"currency": "JPY", "rate": "0.0067"})
    waited = time.monotonic() - began
    speaks.set()
    assert (asked, ExchangeRate.objects.count()) == (["cases.reorder_alerts"], 1)
    assert waited < 10


def test_a_rate_that_looks_the_wrong_way_round_is_asked_for_again(client, admin):
    declared(JPY="0.0067")
    client.force_login(admin)
    answer = client.post(URL, {"currency": "JPY", "rate": "149"})
    assert "JPY from 0.0067 to 149: is that the wrong way round?" in text_of(answer)
    assert 'name="sure"' in text_of(answer)
    assert 'name="sure"' not in text_of(client.get(URL))
    assert client.post(URL, {"currency": "JPY", "rate": "149", "sure": "on"}).status_code == 302


def test_the_page_names_currencies_without_a_rate(client, analyst):
    declared(JPY="0.0067")
    alert_in("a", "CHF"), alert_in("b", "CHF"), alert_in("c", "USD")
    client.force_login(analyst)
    text = text_of(client.get(URL))
    assert "closed by two people: CHF (2 alerts)" in text
    found = [f.text for f in check_integrity().findings if f.kind == "rate"]
    assert found == [
        "1 currency has no rate: CHF (2 alerts). They are ordered as they stand, and take two"
        " people to close."
    ]


def test_the_queue_says_on_hover_how_an_amount_counts(client, analyst):
    declared(JPY="0.0067")
    alert_in("a", "JPY", 50_000), alert_in("b", "CHF"), alert_in("c", "USD")
    client.force_login(analyst)
    text = text_of(client.get("/"))
    assert 'title="50,000.00 JPY, ≈ 335.00 USD at 0.0067"' in text
    assert 'title="20,000.00 CHF, no rate to USD: ordered as it stands"' in text
    assert 'title="20,000.00 USD"' in text
    version = ExchangeRate.objects.get().pk
    assert f"by exchange rates of version {version}" in text
    assert f"to USD, version {version}" in text_of(client.get(URL))


def test_a_case_says_what_it_holds_together_and_what_lacks_a_rate(client, analyst):
    declared(JPY="0.0067", EUR="1.1")
    case = open_case([alert_in("a", "JPY"), alert_in("b", "EUR", 10_001)], title="M", actor=analyst)
    client.force_login(analyst)
    text = text_of(client.get(case.get_absolute_url()))
    assert 'title="20,000.00 JPY, ≈ 134.00 USD at 0.0067"' in text
    assert 'title="11,135.10 USD"' in text
    case = open_case([alert_in("c", "CHF")], title="Francs", actor=analyst)
    text = text_of(client.get(case.get_absolute_url()))
    assert "No rate from CHF to USD is declared: closing takes two people." in text
    said = {"disposition": "false_positive", "reason_code": "travel"}
    answer = client.post(reverse("case_close", args=[case.pk]), {**said, "move": "ask"})
    assert answer.status_code == 302
    assert "20,000.00 CHF without a rate" in text_of(client.get(case.get_absolute_url()))
    report = text_of(client.get(reverse("case_report", args=[case.pk])))
    assert "20,000.00 CHF without a rate at risk, not to be compared with the limit" in report


# --- from a file ----------------------------------------------------------------------------------


def test_a_file_sets_its_rates_and_orders_anew(tmp_path, capsys):
    declared(JPY="0.0067")
    alert_in("a", "EUR")
    file = tmp_path / "rates.csv"
    file.write_text("currency,rate\nJPY,0.0067\nEUR,1.1\n")
    call_command("load_rates", str(file))
    assert capsys.readouterr().out.splitlines() == [
        "One EUR is 1.1 USD.", "1 changed, 1 as before.", "Alerts ordered anew: 1.",
    ]  # fmt: skip
    entry = AuditEntry.objects.latest("number")
    assert (entry.actor, entry.detail["source"]) == (None, "rates.csv")


def test_a_file_with_one_bad_line_changes_nothing(tmp_path):
    file = tmp_path / "rates.csv"
    file.write_text("currency,rate\nJPY,0.0067\nEUR,x\n")
    with pytest.raises(CommandError, match=r"Nothing was changed\. Line 3: The rate of EUR"):
        call_command("load_rates", str(file))
    assert not ExchangeRate.objects.exists()


def test_a_file_the_wrong_way_round_takes_a_second_word(tmp_path):
    declared(JPY="0.0067")
    file = tmp_path / "rates.json"
    file.write_text('{"JPY": 149.25}')
    with pytest.raises(CommandError, match=r"JPY from 0\.0067 to 149\.25"):
        call_command("load_rates", str(file))
    call_command("load_rates", str(file), force=True)
    assert ExchangeRate.objects.get(replaced_at=None).rate == Decimal("149.25")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("load_rates", str(tmp_path / "none.csv"))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("load_rates", str(tmp_path))
