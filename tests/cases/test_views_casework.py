"""Every button of a case page: who has it, what it does, what happens when it is refused."""

from decimal import Decimal

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from accounts.models import AuditEntry
from accounts.roles import ANALYST
from accounts.services import set_active
from cases.attaching import place_of
from cases.case_models import CaseAttachment, CaseHandover, CaseType
from cases.casework import ask_to_close
from cases.merging import merge_case
from cases.models import Case
from cases.services import comment_on_case
from scoring.models import Label
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of, case_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
PDF = b"%PDF-1.7\nhello"


@pytest.fixture(autouse=True)
def small_limit(settings, tmp_path):
    settings.CASE_APPROVAL_LIMIT = Decimal(15_000)
    settings.ATTACHMENT_DIR = tmp_path / "files"


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


@pytest.fixture
def second(db):
    return user_with_role(ANALYST, username="second")


def url(name, case, *more):
    return reverse(name, args=[case.pk, *more])


def page(client, case):
    return client.get(case.get_absolute_url())


def text(response):
    return response.content.decode()


# --- Four eyes ------------------------------------------------------------------------------------


def test_closing_with_four_eyes_from_page_to_page(client, reader, analyst, lead):
    case = case_of(analyst, "a")
    shown = page(reader, case)
    assert [move.name for move in shown.context["moves"]] == ["investigate", "ask"]
    assert "Closing takes two people" in text(shown)
    reader.post(url("case_close", case), FRAUD | {"move": "ask", "notes": "Sure."})
    waits = page(reader, case)
    assert [move.name for move in waits.context["moves"]] == ["withdraw"]
    assert "somebody else has to decide" in text(waits)
    client.force_login(lead)
    offered = page(client, case)
    assert [move.name for move in offered.context["moves"]] == ["approve", "return"]
    read = {"request": offered.context["pending"].pk, "seen": offered.context["stake"].events}
    assert client.post(url("case_approve", case), read).status_code == 302
    assert (Case.objects.get().status, Label.objects.count()) == ("closed", 1)
    assert "approved" in text(page(client, case))


def test_the_buttons_of_a_page_are_the_moves_and_nothing_else(client, analyst, lead, engineer):
    case = ask_to_close(case_of(analyst, "a"), **FRAUD, actor=analyst).case
    for user, names in ((lead, {"approve", "return"}), (analyst, {"move"}), (engineer, set())):
        client.force_login(user)
        found = text(page(client, case))
        offered = {
            n for n in ("approve", "return", "close", "move") if url(f"case_{n}", case) in found
        }
        assert offered == names


def test_a_self_approval_by_hand_is_refused(client, lead):
    asked = ask_to_close(case_of(lead, "a"), **FRAUD, actor=lead)
    case = asked.case
    client.force_login(lead)
    answer = client.post(url("case_approve", case), {"request": asked.pk, "seen": 1})
    assert answer.status_code == 422
    assert Case.objects.get().status == "pending_approval"


def test_an_approver_is_told_of_what_came_meanwhile(client, analyst, lead):
    asked = ask_to_close(case_of(analyst, "a"), **FRAUD, actor=analyst)
    case, read = asked.case, {"request": asked.pk, "seen": 1}
    alert_of("a")
    client.force_login(lead)
    assert "More events came" in text(page(client, case))
    answer = client.post(url("case_approve", case), read | {"note": "Typed note"})
    assert answer.status_code == 422
    assert "look again" in text(answer)
    assert "Typed note" in text(answer)


def test_returning_needs_a_note_and_tells_it(client, analyst, lead):
    asked = ask_to_close(case_of(analyst, "a"), **FRAUD, actor=analyst)
    case, read = asked.case, {"request": asked.pk}
    client.force_login(lead)
    assert client.post(url("case_return", case), read | {"note": ""}).status_code == 422
    client.post(url("case_return", case), read | {"note": "Call them."})
    assert "Call them." in text(page(client, case))
    assert Case.objects.get().status == "investigating"


# --- People ---------------------------------------------------------------------------------------


def test_a_case_is_handed_over_and_taken(client, reader, analyst, second):
    case = case_of(analyst, "a")
    answer = reader.post(url("case_hand_over", case), {"person": second.pk, "note": ""})
    assert answer.status_code == 422
    reader.post(url("case_hand_over", case), {"person": second.pk, "note": "Call at 9."})
    handover = CaseHandover.objects.get()
    client.force_login(second)
    assert case.title in text(client.get(reverse("case_list")))
    client.post(url("case_answer", case), {"handover": handover.pk, "take": "1"})
    assert Case.objects.get().owner == second


def test_an_analyst_takes_a_case_and_a_lead_gives_it(client, reader, analyst, second, lead):
    case = case_of(second, "a")
    reader.post(url("case_assign", case), {"person": "me"})
    assert Case.objects.get().owner == analyst
    assert reader.post(url("case_assign", case), {"person": second.pk}).status_code == 422
    client.force_login(lead)
    client.post(url("case_assign", case), {"person": second.pk})
    assert Case.objects.get().owner == second
    assert client.post(url("case_assign", case), {"person": "999"}).status_code == 422


# --- Marks ----------------------------------------------------------------------------------------


def test_priority_is_lowered_by_a_lead_with_a_reason_alone(client, reader, analyst, lead):
    case = case_of(analyst, "a")
    down = {"priority": 0, "reason": "Known customer."}
    refused = reader.post(url("case_priority", case), down)
    assert (refused.status_code, "only rises" in text(refused)) == (422, True)
    client.force_login(lead)
    assert client.post(url("case_priority", case), down | {"reason": ""}).status_code == 422
    client.post(url("case_priority", case), down)
    assert Case.objects.get().priority == 0


def test_tags_are_saved_and_found(reader, analyst):
    case = case_of(analyst, "a")
    reader.post(url("case_tags", case), {"tags": "Mule, ring 7"})
    assert list(case.tags.values_list("name", flat=True)) == ["mule", "ring 7"]
    found = reader.get(reverse("case_list"), {"tag": "mule"})
    assert list(found.context["page_obj"]) == [case]
    refused = reader.post(url("case_tags", case), {"tags": "=1+1"})
    assert (refused.status_code, "=1+1" in text(refused)) == (422, True)


def test_an_item_is_ticked_by_htmx_and_by_a_plain_form(reader, analyst):
    case = case_of(analyst, "a")
    check = case.checks.first()
    where = url("case_check", case, check.pk)
    part = reader.post(
        where, {"done": "1"}, headers={"HX-Request": "true", "HX-Target": "checklist"}
    )
    assert (part.status_code, "<html" in text(part)) == (200, False)
    assert analyst.name in text(part)
    assert reader.post(where, {"done": "0"}).status_code == 302
    check.refresh_from_db()
    assert check.done_at is None


def test_a_check_of_another_case_is_not_found(reader, analyst):
    one, two = case_of(analyst, "a"), case_of(analyst, "b")
    where = url("case_check", one, two.checks.first().pk)
    assert reader.post(where, {"done": "1"}).status_code == 404


def test_the_type_is_changed(reader, analyst):
    case = case_of(analyst, "a")
    other = CaseType.objects.create(name="Other")
    reader.post(url("case_type", case), {"case_type": other.pk})
    assert Case.objects.get().case_type == other
    assert reader.post(url("case_type", case), {"case_type": 999}).status_code == 422


# --- Merging --------------------------------------------------------------------------------------


def test_a_case_is_merged_shown_there_and_taken_out(reader, analyst):
    one, two = case_of(analyst, "a"), case_of(analyst, "b")
    comment_on_case(one, text="Said in the first", actor=analyst)
    answer = reader.post(url("case_merge", one), {"target": two.pk, "note": "Same."})
    assert answer.url == two.get_absolute_url()
    shown = text(page(reader, two))
    assert "Said in the first" in shown
    assert f"case {one.pk}" in shown
    assert shown.count("merged case") == 1
    assert "can be taken out again there" in text(page(reader, one)).lower()
    reader.post(url("case_unmerge", one), {})
    assert Case.objects.get(pk=one.pk).status == "open"


@pytest.mark.parametrize("target", ["", "x", "999", "0", "9" * 30])
def test_an_impossible_merge_says_why_and_keeps_what_was_typed(reader, analyst, target):
    case = case_of(analyst, "a")
    answer = reader.post(url("case_merge", case), {"target": target, "note": "My note"})
    assert answer.status_code == 422
    assert "My note" in text(answer)


def test_an_alert_goes_in_and_out_by_its_number(reader, analyst, settings):
    settings.CASE_APPROVAL_LIMIT = Decimal(40_000)
    case, alert = case_of(analyst, "a"), alert_of("b")
    reader.post(url("case_add_alert", case), {"alert": alert.pk})
    assert case.alerts.count() == 2
    refused = reader.post(url("case_remove_alert", case), {"alert": alert.pk, "reason": ""})
    assert (refused.status_code, case.alerts.count()) == (422, 2)
    reader.post(url("case_remove_alert", case), {"alert": alert.pk, "reason": "Another one."})
    assert case.alerts.count() == 1
    assert reader.post(url("case_add_alert", case), {"alert": 999}).status_code == 422


def test_above_the_limit_the_page_says_who_takes_an_alert_out(reader, analyst):
    case = case_of(analyst, "a")
    data = {"alert": case.alerts.get().pk, "reason": "Another customer."}
    refused = reader.post(url("case_remove_alert", case), data)
    assert (refused.status_code, case.alerts.count()) == (422, 1)
    assert "ask a lead to take alerts out" in text(refused)


# --- Files ----------------------------------------------------------------------------------------


def attach(client, case, content=PDF, name="scan.pdf"):
    file = SimpleUploadedFile(name, content, content_type="text/html")
    return client.post(url("case_attach", case), {"file": file, "text": "Statement"})


def test_a_file_is_attached_and_comes_back_as_a_harmless_download(reader, analyst):
    case = case_of(analyst, "a")
    assert attach(reader, case).status_code == 302
    row = CaseAttachment.objects.get()
    assert "scan.pdf" in text(page(reader, case))
    answer = reader.get(row.get_absolute_url())
    assert answer.content == PDF
    headers = answer.headers
    assert headers["Content-Disposition"] == 'attachment; filename="scan.pdf"'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("sandbox")
    assert headers["Content-Type"] == "application/pdf"
    assert "no-store" in headers["Cache-Control"]
    assert AuditEntry.objects.filter(action="case.file_read", actor=analyst).exists()


@pytest.mark.parametrize(
    ("content", "name"), [(b"MZ\x90\0", "a.pdf"), (b"<script>", "a.html"), (b"", "a.txt")]
)
def test_what_is_not_taken_is_refused_with_the_reason(reader, analyst, content, name):
    case = case_of(analyst, "a")
    assert attach(reader, case, content, name).status_code == 422
    assert case.attachments.count() == 0


def test_a_file_is_for_who_works_on_cases_and_only_under_its_case(
    client, reader, analyst, engineer, outsider
):
    case, other = case_of(analyst, "a"), case_of(analyst, "b")
    attach(reader, case)
    row = CaseAttachment.objects.get()
    assert reader.get(url("case_attachment", other, row.pk)).status_code == 404
    assert row.get_absolute_url() in page(reader, case).content.decode()
    client.force_login(engineer)
    assert client.get(row.get_absolute_url()).status_code == 403
    shown = page(client, case).content.decode()
    assert row.name in shown and row.get_absolute_url() not in shown
    client.force_login(outsider)
    assert client.get(row.get_absolute_url()).status_code == 403
    client.logout()
    assert client.get(row.get_absolute_url()).status_code == 302


def test_a_lost_file_says_so(reader, analyst):
    case = case_of(analyst, "a")
    attach(reader, case)
    row = CaseAttachment.objects.get()
    place_of(row.sha256).unlink()
    answer = reader.get(row.get_absolute_url())
    assert (answer.status_code, "Tell an admin" in text(answer)) == (410, True)


# --- Who may --------------------------------------------------------------------------------------

WORK = (
    *("assign", "hand_over", "answer", "priority", "tags", "type", "merge", "unmerge", "attach"),
    *("comment", "move", "close", "add_alert", "remove_alert"),
)


@pytest.mark.parametrize("name", [*WORK, "approve", "return"])
def test_who_only_reads_does_nothing(client, analyst, engineer, outsider, name):
    case = case_of(analyst, "a")
    where = url(f"case_{name}", case)
    assert client.post(where).status_code == 302  # to the login
    for user in (engineer, outsider):
        client.force_login(user)
        assert client.post(where).status_code == 403
        assert client.get(where).status_code in (403, 405)


@pytest.mark.parametrize("name", ["approve", "return"])
def test_an_analyst_decides_nothing(reader, analyst, name):
    case = ask_to_close(case_of(analyst, "a"), **FRAUD, actor=analyst).case
    assert reader.post(url(f"case_{name}", case), {"note": "x", "seen": 1}).status_code == 403


def test_a_reader_sees_a_case_without_any_form(client, analyst, engineer):
    case = case_of(analyst, "a")
    client.force_login(engineer)
    shown = text(page(client, case))
    assert "You can read this case" in shown
    assert not [name for name in WORK if url(f"case_{name}", case) in shown]


# --- Many rows ------------------------------------------------------------------------------------


def test_a_long_case_stays_small(reader, analyst, lead, django_assert_max_num_queries):
    case = case_of(analyst, *[f"user-{i}" for i in range(60)])
    for i in range(120):
        comment_on_case(case, text=f"Comment {i} @lead", actor=analyst)
    for i in range(3):
        merge_case(case_of(analyst, f"other-{i}"), target=case, actor=analyst)
    page(reader, case)
    with django_assert_max_num_queries(23):
        shown = page(reader, case)
    assert len(shown.content) < 150_000
    assert shown.context["alerts_count"] == 63
    assert "Show" in text(shown)
    assert "Comment 0 " not in text(shown)
    assert "Comment 0 " in text(reader.get(case.get_absolute_url(), {"timeline": "all"}))


def test_the_list_filters_counts_and_orders(reader, analyst, second, lead):
    a, b, c = case_of(analyst, "a"), case_of(second, "b"), case_of(analyst, "c")
    Case.objects.filter(pk=b.pk).update(priority=3, due_at="2020-01-01T00:00Z")
    Case.objects.filter(pk=c.pk).update(status="closed", disposition="fraud")
    shown = reader.get(reverse("case_list"))
    assert list(shown.context["page_obj"]) == [b, a]
    counts = {tab["label"]: tab["count"] for tab in shown.context["tabs"]}
    assert (counts["Not closed"], counts["Overdue"], counts["Closed"]) == (2, 1, 1)
    for query, found in (
        ({"status": "late"}, [b]),
        ({"owner": "me"}, [a]),
        ({"owner": str(second.pk)}, [b]),
        ({"owner": "none"}, []),
        ({"priority": "3"}, [b]),
        ({"queue": str(a.work_queue_id)}, [b, a]),
        ({"status": "closed"}, [c]),
        ({"status": "all", "sort": "newest"}, [c, b, a]),
        ({"status": "nonsense", "owner": "x", "priority": "9", "queue": "'"}, [b, a]),
    ):
        assert list(reader.get(reverse("case_list"), query).context["page_obj"]) == found
    owners = next(s for s in shown.context["selects"] if s["name"] == "owner")["options"]
    assert owners == [("me", "Mine (1)"), ("none", "Nobody's (0)"), (str(second.pk), "second (1)")]


def test_a_filter_pushes_its_address(reader, analyst):
    case_of(analyst, "a")
    answer = reader.get(
        reverse("case_list"),
        {"owner": "me", "q": "", "priority": ""},
        headers={"HX-Request": "true", "HX-Target": "content"},
    )
    assert answer.headers["HX-Push-Url"] == "/cases/?owner=me"
    assert "<html" not in text(answer)


def test_the_second_person_is_told_that_the_first_may_not_work_on_cases_any_more(
    client, analyst, lead
):
    case = ask_to_close(case_of(analyst, "a"), **FRAUD, actor=analyst).case
    client.force_login(lead)
    told = "analyst may not work on cases any more."
    assert told not in text(page(client, case))
    set_active(analyst, active=False, actor=None)
    assert told in text(page(client, case))
