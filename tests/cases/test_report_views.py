"""Pages of reports by e-mail: subscribe, change, pause, delete, leave; who may, and bad input."""

import pytest
from django.urls import reverse

from accounts.models import AuditEntry
from accounts.roles import ADMIN, ANALYST, DATA_ENGINEER, LEAD, MODEL_OWNER
from cases.dashboard_models import TallyRun
from cases.report_models import ReportSubscription
from cases.report_subscribing import MOST, save_subscription
from notifications.models import Delivery, Notification, Preference
from tests.accounts.factories import user_with_role

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
WEEKLY = {"detector": "payments", "days": "7", "often": "weekly", "weekday": "2", "hour": "6"}
NEW = "/dashboards/reports/new/"
LIST = "/dashboards/reports/"


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


@pytest.fixture
def boss(client, lead):
    client.force_login(lead)
    return client


def of(owner, *others):
    report = ReportSubscription(owner=owner, days=7)
    save_subscription(report, recipients=list(others), actor=owner)
    return report


def test_subscribing_keeps_detector_days_and_currency_of_the_dashboard(reader, analyst):
    page = reader.get("/dashboards/", {"days": "7", "detector": "payments"}).content.decode()
    assert f'href="{NEW}?days=7&amp;detector=payments"' in page
    form = reader.get(f"{NEW}?days=7&detector=payments&currency=EUR").context["form"]
    assert [form[name].value() for name in ("days", "detector", "currency")] == [
        7, "payments", "EUR"
    ]  # fmt: skip
    answer = reader.post(NEW, WEEKLY | {"currency": "EUR"})
    assert (answer.status_code, answer["Location"]) == (302, LIST)
    report = ReportSubscription.objects.get()
    assert (report.owner, report.detector.slug, report.currency) == (analyst, "payments", "EUR")
    assert (report.days, report.often, report.weekday, report.hour) == (7, "weekly", 2, 6)
    assert "Every Wednesday at 06:00" in reader.get(LIST).content.decode()
    assert AuditEntry.objects.filter(action="report.subscribed", actor=analyst).exists()


def test_days_that_a_report_cannot_keep_are_said_to_be_left(reader):
    page = reader.get(f"{NEW}?from=2026-01-01&to=2026-01-05")
    assert page.context["form"]["days"].value() == 30
    assert "are not kept" in page.content.decode()


def test_a_daily_report_needs_no_weekday(reader):
    given = {name: value for name, value in WEEKLY.items() if name != "weekday"}
    assert reader.post(NEW, given | {"often": "daily"}).status_code == 302


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("days", "8"), ("days", ""), ("days", "9" * 400), ("often", "hourly"), ("often", ""),
        ("weekday", "7"), ("weekday", "x"), ("hour", "24"), ("hour", "-1"), ("hour", ""),
        ("detector", "nothing"), ("detector", "pay\0ments"),
    ],
)  # fmt: skip
def test_bad_input_is_told_by_field_and_what_was_typed_is_kept(reader, field, value):
    answer = reader.post(NEW, WEEKLY | {field: value})
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert answer.context["form"]["often"].value() == (value if field == "often" else "weekly")
    assert not ReportSubscription.objects.exists()


@pytest.mark.parametrize("given", ["EURO", "\0", "<b>", "e" * 5000])
def test_what_is_no_currency_changes_nothing(reader, given):
    answer = reader.post(NEW, WEEKLY | {"currency": given})
    assert answer.status_code in (302, 422)
    assert not ReportSubscription.objects.exclude(currency="").exists()


def test_strange_addresses_are_no_reason_to_fail(reader):
    for query in ("days=x", "days=" + "9" * 5000, "detector=%00", "from=x", "currency=%00%00"):
        assert reader.get(f"{NEW}?{query}").status_code == 200, query
    assert reader.get(LIST + "9" * 30 + "/").status_code == 404


# --- To others -----------------------------------------------------------------------------------


def test_a_lead_sends_it_to_others_by_user_name(boss, analyst, engineer):
    boss.post(NEW, WEEKLY | {"recipients": "@analyst, engineer  @analyst"})
    report = ReportSubscription.objects.get()
    assert set(report.recipients.all()) == {analyst, engineer}
    form = boss.get(report.get_absolute_url()).context["form"]
    assert form["recipients"].value() == "@analyst @engineer"
    boss.post(report.get_absolute_url(), WEEKLY | {"recipients": ""})
    assert not report.recipients.exists()


@pytest.mark.parametrize("name", ["somebody@outside.example", "outsider", "nobody", "@@", "a\0"])
def test_an_address_or_whoever_may_not_see_dashboards_is_refused(boss, outsider, name):
    answer = boss.post(NEW, WEEKLY | {"recipients": f"@lead {name}"})
    if name == "@@":
        assert answer.status_code == 302
        return
    assert answer.status_code == 422
    assert "recipients" in answer.context["form"].errors
    assert name.replace("\0", "") in answer.content.decode()
    assert not ReportSubscription.objects.exists()


def test_who_may_not_send_to_others_does_not(reader, lead):
    assert "recipients" not in reader.get(NEW).context["form"].fields
    reader.post(NEW, WEEKLY | {"recipients": "@lead"})
    assert not ReportSubscription.objects.get().recipients.exists()


def test_whoever_gets_it_sees_it_and_leaves(reader, lead, analyst):
    report = of(lead, analyst)
    assert "Sent to you by others" in reader.get(LIST).content.decode()
    assert reader.post(f"{LIST}{report.pk}/leave/").status_code == 302
    assert not report.recipients.exists()
    assert reader.post(f"{LIST}{report.pk}/leave/").status_code == 404
    assert AuditEntry.objects.filter(action="report.left", actor=analyst).exists()


# --- What is done with one -----------------------------------------------------------------------


def test_pause_go_on_and_delete(reader, analyst):
    report = of(analyst)
    reader.post(f"{LIST}{report.pk}/pause/")
    assert ReportSubscription.objects.get().is_paused
    assert "paused" in reader.get(LIST).content.decode()
    reader.post(f"{LIST}{report.pk}/pause/", {"resume": ""})
    assert not ReportSubscription.objects.get().is_paused
    reader.post(f"{LIST}{report.pk}/delete/")
    assert not ReportSubscription.objects.exists()


def test_send_now_says_to_how_many_and_refuses_a_second_one(boss, lead, analyst, settings):
    settings.EMAIL_HOST = "mail.bank.example"
    TallyRun.objects.create(pk=1, as_of="2026-01-01T00:00Z")
    for one in (lead, analyst):
        one.email = f"{one.username}@bank.example"
        one.save()
    report = of(lead, analyst)
    first = boss.post(f"{LIST}{report.pk}/send/", follow=True).content.decode()
    assert "On its way to 2 people." in first and "2 on the way" in first
    # A minute may begin between the two; then there is a second one.
    again = boss.post(f"{LIST}{report.pk}/send/", follow=True).content.decode()
    made = Notification.objects.count()
    assert ("a moment ago" in again) == (made == 1)
    assert Delivery.objects.count() == 2 * made


def test_so_many_and_no_more(reader, analyst):
    for _ in range(MOST):
        of(analyst)
    answer = reader.post(NEW, WEEKLY)
    assert answer.status_code == 422
    assert "Delete one first" in answer.content.decode()


@pytest.mark.parametrize("act", ["", "pause/", "send/", "delete/", "leave/"])
def test_nobody_elses_is_there(reader, lead, act):
    report = of(lead)
    address = f"{LIST}{report.pk}/{act}"
    assert reader.post(address, WEEKLY).status_code == 404
    assert ReportSubscription.objects.filter(pk=report.pk, is_paused=False).exists()


@pytest.mark.parametrize("act", ["pause/", "send/", "delete/", "leave/"])
def test_acts_are_posted(reader, analyst, act):
    assert reader.get(f"{LIST}{of(analyst).pk}/{act}").status_code == 405


# --- Who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "shares"),
    [(ANALYST, False), (DATA_ENGINEER, False), (MODEL_OWNER, False), (LEAD, True), (ADMIN, True)],
)
def test_each_role_subscribes_and_leads_and_admins_send_to_others(client, role, shares):
    client.force_login(user_with_role(role))
    assert client.get(LIST).status_code == 200
    assert ("recipients" in client.get(NEW).context["form"].fields) is shares
    assert client.post(NEW, WEEKLY).status_code == 302


@pytest.mark.parametrize("path", ["", "new/", "1/", "1/pause/", "1/send/", "1/delete/", "1/leave/"])
def test_an_outsider_is_refused_and_a_stranger_sent_to_the_log_in(client, outsider, path):
    address = f"{LIST}{path}"
    assert client.post(address)["Location"].startswith(reverse("login"))
    client.force_login(outsider)
    assert client.post(address).status_code == 403


# --- What stands in the way ----------------------------------------------------------------------


def test_the_page_says_why_nothing_would_come(reader, analyst, settings):
    settings.EMAIL_HOST = ""
    assert "No mail server" in reader.get(LIST).content.decode()
    settings.EMAIL_HOST = "mail.bank.example"
    analyst.email = ""
    analyst.save()
    assert "no e-mail address" in reader.get(NEW).content.decode()
    analyst.email = "a@bank.example"
    analyst.save()
    Preference.objects.create(user=analyst, chosen={"report.scheduled": []})
    assert "switched these e-mails off" in reader.get(LIST).content.decode()
    Preference.objects.all().delete()
    assert reader.get(LIST).context["obstacle"] == ""


def test_no_route_takes_reports(client, admin):
    client.force_login(admin)
    page = client.get("/notifications/routes/new/").content.decode()
    assert "alert.opened" in page and "report.scheduled" not in page
