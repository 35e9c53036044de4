"""Titles of cases, the news of them, and saved views do not name whom was erased."""

import pytest

from accounts import vault
from accounts.models import AuditEntry
from cases.case_alerts import open_case, take_out_of_case
from cases.casework import close_case
from cases.erasure import request_erasure, run_erasure
from cases.filters import QueueFilters
from cases.models import Case
from cases.queue_models import SavedView
from cases.saving_views import save_view
from cases.services import label_alert
from jobs.services import run_job
from notifications.models import Notification
from scoring.erasing import person_named
from tests.cases.alerts import alert_of
from tests.factories import payment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("champion")]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
NAME = payment()["user_name"]


def erase(detector):
    person = person_named(detector, "user_id", "user-1")
    job = request_erasure(person, reason="They asked by letter", actor=None)
    done = run_job(job.pk, run_erasure)
    assert done.status == "succeeded", done.error


@pytest.mark.parametrize(("title", "then"), [
    (f"Payments: {vault.mask('user-1')}", "Payments: erased"),
    (f"user-1 is {NAME}, or user-12", "erased is erased, or user-12"),
    ("••••er-12 and Payments-user-1", "••••er-12 and Payments-user-1"),
    ("x" * 190 + " user-1", "x" * 190 + " erased"),
])  # fmt: skip
def test_titles_and_the_news_of_them_name_nobody_any_more(champion, analyst, lead, title, then):
    case = open_case([alert_of()], title=title, actor=analyst)
    close_case(case, **FRAUD, actor=lead)
    told = list(Notification.objects.filter(url=case.get_absolute_url()).order_by("pk"))
    assert told
    erase(champion)
    case.refresh_from_db()
    assert case.title == then
    for before in told:
        words = before.subject[: before.subject.index(title[:20])]
        now = Notification.objects.get(pk=before.pk)
        assert now.subject == (words + then)[:200].rstrip()


def test_a_case_that_their_alert_was_taken_out_of_names_them_no_more(champion, analyst, lead):
    mine, other = alert_of(), alert_of("user-2")
    case = open_case([mine, other], title="user-1 with user-2", actor=analyst)
    take_out_of_case(case, mine, reason="Not theirs", actor=lead)
    label_alert(mine, **FRAUD, actor=lead)
    apart = open_case([alert_of("user-3")], title="Like user-1", actor=analyst)
    erase(champion)
    assert set(Case.objects.values_list("title", flat=True)) == {
        "erased with user-2", "Like user-1",
    }  # fmt: skip
    assert apart.alerts.count() == 1


def test_views_that_ask_for_them_are_deleted_and_others_stay(champion, analyst):
    alert = label_alert(alert_of(), **FRAUD, actor=analyst)
    asked = [{"entity": "user-1"}, {"entity": alert.entity}, {"q": "user-1"}, {"q": f"EU {NAME}"}]
    kept = [{"entity": "user-2"}, {"q": "user-12"}, {"level": "HIGH"}]
    for i, filters in enumerate([*asked, *kept]):
        save_view(analyst, name=str(i), filters=QueueFilters(**filters), shared=False)
    erase(champion)
    names = SavedView.objects.order_by("name").values_list("name", flat=True)
    assert list(names) == ["4", "5", "6"]


def test_the_audit_trail_never_holds_the_title_of_a_case(analyst):
    open_case([alert_of()], title="user-1", actor=analyst)
    entries = AuditEntry.objects.filter(object_type="cases.case")
    assert {entry.object_label for entry in entries} == {f"Case {Case.objects.get().pk}"}
