"""The report states stored facts alone."""

import re
import zlib
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from accounts.services import record_audit
from cases.case_alerts import open_case
from cases.case_models import CaseCheck
from cases.casework import approve_closing, ask_to_close, close_case
from cases.checklists import tick
from cases.models import Case
from cases.report import MOST_AUDIT, build_report
from cases.report_pdf import CODED, _Pages, printable, report_pdf
from cases.report_sections import Fact, Report
from cases.services import comment_on_case
from cases.tagging import set_tags
from tests.cases.alerts import case_of
from tests.cases.rates import alert_in, declared

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
FRAUD = {"disposition": "fraud", "reason_code": "card_testing"}
NAME = "Ada Lovelace"


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


def url(name, case, *more):
    return reverse(name, args=[case.pk, *more])


def text(response):
    return response.content.decode()


@pytest.fixture
def told(analyst, lead, settings):
    """A case with everything in it that a report can tell."""
    settings.CASE_APPROVAL_LIMIT = Decimal(15_000)
    case = case_of(analyst, "user-12345678")
    comment_on_case(case, text="Called <the> bank.\nNo answer.", actor=analyst)
    tick(case.checks.first(), done=True, actor=analyst)
    ask_to_close(case, **FRAUD, actor=analyst, notes="Sure.")
    return approve_closing(case, actor=lead, note="Agreed.")


def sentences(case, actor, **options):
    report = build_report(case, now=timezone.now(), actor=actor, **options)
    return report, [one.text for section in report.sections for one in section.sentences]


def test_every_sentence_has_a_fact_and_every_fact_a_sentence(told, analyst):
    report, said = sentences(told, analyst)
    numbers = {one.number for section in report.sections for one in section.sentences}
    assert numbers == set(range(1, len(report.facts) + 1))
    kinds = {fact.kind for fact in report.facts}
    assert kinds >= {
        *("case", "alert", "prediction", "label", "timeline entry", "approval", "check"),
        "audit entry",
    }
    assert len(said) > 15


def test_the_report_tells_how_it_ended_and_who_decided(told, analyst, lead):
    story = " ".join(sentences(told, analyst)[1])
    assert f"{analyst.name} asked on" in story
    assert f"{lead.name} approved it on" in story
    assert "confirmed fraud (card testing)" in story
    assert "20,000.00 EUR" in story
    assert "It was labelled fraud by" in story
    assert "“Called <the> bank. No answer.”" in story


def test_the_report_tells_the_tags_that_stand_on_the_case(told, analyst):
    assert "Its tags: none." in sentences(told, analyst)[1]
    set_tags(told, names=["ring", "gift cards"], actor=analyst)
    told.refresh_from_db()
    assert "Its tags: gift cards, ring." in sentences(told, analyst)[1]


def test_the_report_tells_what_several_currencies_come_to(payments_detector, analyst):
    declared(USD="0.5")
    alerts = [alert_in("a", "EUR", 20_000), alert_in("b", "USD", 10_000)]
    case = open_case(alerts, title="Two", actor=analyst)
    said = "Together that is 25,000.00 EUR by the declared rates."
    assert said in sentences(case, analyst)[1]


def test_facts_are_found_where_the_report_says(reader, told, analyst):
    report, _ = sentences(told, analyst)
    for fact in report.facts:
        if fact.url:
            address, _, anchor = fact.url.partition("#")
            page = reader.get(address)
            assert page.status_code == 200, fact
            if anchor and fact.kind != "label":
                assert f'id="{anchor}"' in text(page), fact


def test_the_page_has_a_link_behind_every_sentence_and_escapes_what_people_wrote(reader, told):
    shown = text(reader.get(url("case_report", told)))
    assert "Called &lt;the&gt; bank." in shown
    report = reader.get(url("case_report", told)).context["report"]
    total = sum(len(section.sentences) for section in report.sections)
    assert len(re.findall(r'class="source"', shown)) == total


def test_personal_data_is_masked_until_somebody_says_why(reader, told):
    assert NAME not in text(reader.get(url("case_report", told)))
    refused = reader.post(url("case_report", told), {"reason": " "})
    assert (refused.status_code, NAME in text(refused)) == (422, False)
    shown = reader.post(url("case_report", told), {"reason": "Asked by the court."})
    assert NAME in text(shown)
    entry = AuditEntry.objects.get(action="case.pii_revealed")
    assert entry.detail == {"reason": "Asked by the court."}


def test_who_may_not_reveal_does_not(client, told, engineer):
    client.force_login(engineer)
    assert "Show personal data" not in text(client.get(url("case_report", told)))
    for name in ("case_report", "case_report_pdf"):
        assert client.post(url(name, told), {"reason": "Curious me."}).status_code == 403
    assert not AuditEntry.objects.filter(action="case.pii_revealed").exists()


def pdf_text(content):
    """Everything in the streams of a PDF, and its link addresses."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", content, re.S)
    opened = b""
    for stream in streams:
        try:
            opened += zlib.decompress(stream)
        except zlib.error:
            opened += stream
    return opened


def test_the_pdf_is_one_with_links_and_needs_nothing_from_outside(reader, told):
    answer = reader.get(url("case_report_pdf", told))
    assert answer.headers["Content-Type"] == "application/pdf"
    assert f'filename="case-{told.pk}.pdf"' in answer.headers["Content-Disposition"]
    assert answer.content.startswith(b"%PDF-")
    assert f"http://testserver/cases/{told.pk}/#event-".encode() in answer.content
    assert NAME.encode() not in pdf_text(answer.content)
    shown = reader.post(url("case_report_pdf", told), {"reason": "Asked by the court."})
    assert shown.content.startswith(b"%PDF-")
    assert reader.post(url("case_report_pdf", told), {"reason": ""}).status_code == 422


@pytest.fixture
def set_texts(monkeypatch):
    """The texts that PDFs set, as they stand there."""
    texts, normalize = [], _Pages.normalize_text

    def keep(self, text):
        texts.append(normalize(self, text))
        return texts[-1]

    monkeypatch.setattr(_Pages, "normalize_text", keep)
    return texts


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Ωмега 5 € “zażółć” " + "x" * 120, "Ωмега 5 € “zażółć” " + "x" * 120),
        ("王小明 and محمد", "<U+738B U+5C0F U+660E> and <U+0645 U+062D U+0645 U+062F>"),
        ("🂡 lives", "<U+1F0A1> lives"),
        ("pay\u200bment\u202e", "pay<U+200B>ment<U+202E>"),
    ],
)
def test_a_pdf_loses_no_letter_and_says_what_stands_for_it(
    told, analyst, set_texts, caplog, title, shown
):
    Case.objects.filter(pk=told.pk).update(title=title)
    told.refresh_from_db()
    report, _ = sentences(told, analyst)
    assert report_pdf(report, base_url="http://x/").startswith(b"%PDF-")
    assert any(shown in text for text in set_texts)
    assert (CODED in set_texts) is (shown != title)
    assert "missing" not in caplog.text


def test_a_long_text_in_another_script_stays_bounded():
    assert printable("a中中b中", {97, 98}, most=2) == ("a<U+4E2D U+4E2D>b<…>", 2)
    assert printable("a中中b中", {97, 98}, most=1) == ("a<U+4E2D …>b<…>", 1)


def test_a_report_costs_the_same_queries_for_any_number_of_alerts(
    reader, analyst, django_assert_max_num_queries
):
    for case in (case_of(analyst, "a"), case_of(analyst, *[f"user-{i}" for i in range(20)])):
        reader.get(url("case_report", case))
        # Session, user, permissions, banner; case, alerts, merged, timeline and its mentions,
        # tags, stake, approvals, labels, checks, files, audit.
        with django_assert_max_num_queries(18):
            reader.get(url("case_report", case))


def test_a_stranger_and_an_outsider_get_nothing_out(client, told, outsider):
    pages = [
        url("case_report", told),
        url("case_report_pdf", told),
        url("case_alerts_export", told, "csv"),
        reverse("case_export", args=["xlsx"]),
        reverse("queue_export", args=["csv"]),
    ]
    for page in pages:
        assert client.get(page).status_code == 302
    client.force_login(outsider)
    for page in pages:
        assert client.get(page).status_code == 403


def test_a_closed_case_without_four_eyes_is_told_too(analyst):
    case = close_case(case_of(analyst, "a"), **FRAUD, actor=analyst)
    story = " ".join(sentences(case, analyst)[1])
    assert "It was closed on" in story
    assert "asked on" not in story


def test_what_was_searched_for_is_not_in_the_audit_trail(reader):
    reader.get(reverse("case_export", args=["csv"]), {"q": "Ada Lovelace", "status": "all"})
    detail = AuditEntry.objects.get(action="case.list_exported").detail
    assert detail == {"filters": "status=all", "searched": True, "form": "csv"}


def test_a_long_text_is_cut_and_the_newest_have_the_room(analyst):
    case = case_of(analyst, "a")
    for number in range(60):
        comment_on_case(case, text=f"No. {number} " + "word " * 1600, actor=analyst)
    report, said = sentences(case, analyst)
    whole = next(one for one in said if "No. 59" in one)
    assert (len(whole) < 700, whole.endswith("…”")) == (True, True)
    assert not any("“No. 0 " in one for one in said)
    assert any(
        re.fullmatch(r"\d+ earlier entries are on the page of the case\.", one) for one in said
    )
    assert any(section.title == "Audit trail" for section in report.sections)


def test_the_size_of_a_report_is_bounded_and_it_says_what_it_leaves_out(analyst):
    case = case_of(analyst, "a")
    CaseCheck.objects.bulk_create(CaseCheck(case=case, text="c" * 200) for _ in range(300))
    for number in range(220):
        comment_on_case(case, text=f"{number} " + "x" * 8000, actor=analyst)
    report, said = sentences(case, analyst)
    checklist = next(section for section in report.sections if section.title == "Checklist")
    left_out = 300 + CaseCheck.objects.exclude(text="c" * 200).count() + 1
    left_out -= len(checklist.sentences)
    assert checklist.sentences[-1].text.startswith(f"{left_out} more statements left out")
    assert len(said) < 700
    assert sum(map(len, said)) < 70_000


def audited(case):
    return AuditEntry.objects.filter(object_type="cases.case", object_id=str(case.pk)).count()


@pytest.mark.parametrize(("more", "said"), [(0, None), (1, "1 earlier entry is"), (7, "7 earlier")])
def test_the_audit_section_says_how_many_earlier_entries_it_leaves_out(analyst, more, said):
    case = case_of(analyst, "a")
    for number in range(MOST_AUDIT + more - audited(case)):
        record_audit(actor=analyst, action=f"case.act_{number}", subject=case)
    report, _ = sentences(case, analyst)
    trail = report.sections[-1]
    texts = [sentence.text for sentence in trail.sentences]
    assert texts[-1].endswith(f"case.act_{number} by {analyst.name}.")
    assert len(texts) == MOST_AUDIT + (said is not None)
    assert said is None or texts[0].startswith(said)
    assert trail.left_out == 0


def test_long_names_leave_the_newest_audit_entries_in_the_report(analyst):
    analyst.display_name = "n" * 120
    analyst.save()
    case = case_of(analyst, "a")
    for number in range(MOST_AUDIT):
        record_audit(actor=analyst, action=f"case.act_{number}", subject=case)
    report, _ = sentences(case, analyst)
    trail = report.sections[-1]
    told = len(trail.sentences) - 1
    assert f"case.act_{MOST_AUDIT - 1} " in trail.sentences[-1].text
    assert (
        trail.sentences[0].text == f"{audited(case) - told} earlier entries are in the audit trail."
    )


def test_a_report_begins_its_alerts_with_how_many_are_not_in_it(analyst, monkeypatch):
    monkeypatch.setattr("cases.report.MOST_ALERTS", 1)
    report, _ = sentences(case_of(analyst, "a", "b", "c"), analyst)
    alerts = next(section for section in report.sections if section.title == "Alerts")
    assert alerts.sentences[0].text == "2 more alerts are in the export."


@pytest.mark.parametrize(
    ("word", "pages"), [("word ", 34), ("a中b中 ", 57)], ids=["latin", "mixed"]
)
def test_the_pdf_of_a_report_in_full_is_short_enough_to_be_made_within_a_request(word, pages):
    """The time goes with the pages: below 0.1 s of processor each, slow and shared ones too."""
    report = Report("Odd", "Report", timezone.now(), "Lea Dorn", False)
    for number, (lines, letters) in enumerate([(300, 25_000), (201, 25_000), *[(50, 5_000)] * 4]):
        report.section(f"Section {number}", lines=lines, letters=letters)
        text = word * (letters // lines // 5)
        for line in range(lines):
            report.say(text, Fact("timeline entry", f"{number}-{line}", f"/cases/1/#event-{line}"))
    made = report_pdf(report, base_url="http://testserver/")
    assert 0 < len(re.findall(rb"/Type /Page\b", made)) <= pages
