"""The report of a case that went into another tells what its page does."""

import pytest
from django.utils import timezone

from cases.case_selectors import find_case
from cases.merging import merge_case
from cases.report import build_report
from tests.cases.alerts import case_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]


def test_the_report_tells_what_the_page_says_of_type_queue_and_merging(analyst, lead):
    source, target = case_of(analyst, "a"), case_of(analyst, "b")
    merge_case(source, target=target, actor=lead)
    source = find_case(source.pk)
    report = build_report(source, now=timezone.now(), actor=analyst)
    told = [one.text for section in report.sections for one in section.sentences]
    assert f"Its type: {source.case_type.name}. Its team queue: {source.work_queue.name}." in told
    assert f"It went into case {target.pk}: its alerts are there." in told
