"""Tables of the queue and of cases: as they are filtered, and never a part for the whole."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from cases.models import Alert
from tests.cases.alerts import alert_of, case_of, waiting
from tests.cases.test_exported_tables import rows_of, sheet_of
from tests.cases.test_reporting import url

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


def test_a_table_that_does_not_hold_all_says_so_and_so_does_the_page(reader, analyst, monkeypatch):
    case = case_of(analyst, "a", "b", "c")
    other = case_of(analyst, "d")
    address, own = reverse("case_export", args=["csv"]), url("case_alerts_export", case, "csv")
    monkeypatch.setattr("cases.exporting.MOST", 2)
    assert {row["Case"] for row in rows_of(reader.get(address))} == {str(case.pk), str(other.pk)}
    assert rows_of(reader.get(own))[-1]["Alert"] == "Not all: the first 2 of 3 alerts."
    monkeypatch.setattr("cases.exporting.MOST", 1)
    assert rows_of(reader.get(address))[-1]["Case"] == "Not all: the first 1 of 2 cases."
    monkeypatch.setattr("cases.case_views.MOST", 1)
    assert "tables hold the first 1" in reader.get(reverse("case_list")).content.decode()


def test_the_queue_is_exported_as_it_is_filtered_and_ordered(reader, analyst):
    alerts = waiting(3)
    Alert.objects.filter(pk=alerts[0].pk).update(owner=analyst, exposure=5)
    Alert.objects.filter(pk=alerts[1].pk).update(exposure=7)
    Alert.objects.filter(pk=alerts[2].pk).update(snoozed_until=timezone.now() + timedelta(days=1))
    address = reverse("queue_export", args=["csv"])
    found = [row["Alert"] for row in rows_of(reader.get(address, {"sort": "amount"}))]
    assert found == [str(alerts[1].pk), str(alerts[0].pk)]
    (row,) = rows_of(reader.get(address, {"owner": "me"}))
    assert (row["Owner"], row["At risk"], row["Level"]) == (analyst.username, "5.00", "HIGH")
    (asleep,) = rows_of(reader.get(address, {"view": "snoozed"}))
    assert asleep["Snoozed until (UTC)"]
    book = reader.get(reverse("queue_export", args=["xlsx"]))
    assert sheet_of(b"".join(book.streaming_content)).count("<row") == 3


def test_the_queue_leads_to_its_table_with_its_filters(reader):
    waiting(1)
    page = reader.get(reverse("queue"), {"level": "high", "sort": "age"}).content.decode()
    assert "/alerts/export.csv?level=HIGH&amp;sort=age" in page


def test_an_export_of_the_queue_is_masked_audited_and_bounded(reader, analyst, monkeypatch):
    alert_of("user-12345678")
    monkeypatch.setattr("cases.exporting.MOST", 1)
    alert_of("user-87654321")
    address = reverse("queue_export", args=["csv"])
    one, last = rows_of(reader.get(address))
    assert last["Alert"] == "Not all: the first 1 of 2 alerts."
    assert "user-" not in str(one)
    b"".join(reader.get(address, {"entity": "user-1", "level": "HIGH"}).streaming_content)
    entry = AuditEntry.objects.filter(action="alert.list_exported").order_by("-pk")[0]
    assert entry.actor == analyst
    assert entry.detail == {"filters": "level=HIGH", "searched": True, "form": "csv"}
    assert reader.get(reverse("queue_export", args=["exe"])).status_code == 404


def test_an_export_of_the_queue_reads_in_parts(reader, django_assert_max_num_queries):
    for n in (2, 12):
        Alert.objects.all().delete()
        waiting(n)
        with django_assert_max_num_queries(14):
            assert len(rows_of(reader.get(reverse("queue_export", args=["csv"])))) == n
