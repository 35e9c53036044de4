"""The numbers beside the tabs and in the selects of the list of cases."""

from urllib.parse import parse_qsl

import pytest
from django.urls import reverse

from accounts.roles import ANALYST
from cases.models import Case
from cases.tagging import set_tags
from tests.accounts.factories import user_with_role
from tests.cases.alerts import case_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]


def test_every_count_of_the_list_is_what_a_click_shows(client, analyst):
    client.force_login(analyst)
    second = user_with_role(ANALYST, username="colleague")
    mine, late, done = case_of(analyst, "a"), case_of(second, "b"), case_of(analyst, "c")
    Case.objects.filter(pk=late.pk).update(priority=3, due_at="2020-01-01T00:00Z")
    Case.objects.filter(pk=done.pk).update(status="closed", disposition="fraud")
    set_tags(mine, names=["mule"], actor=analyst)
    queries = ("", "owner=me", "priority=3", "tag=mule", "q=Odd", "status=all&owner=me",
               "status=late&priority=3")  # fmt: skip
    for query in map(dict, map(parse_qsl, queries)):
        page = client.get(reverse("case_list"), query).context
        for tab in page["tabs"]:
            shown = client.get(reverse("case_list") + tab["url"]).context
            assert shown["page_obj"].paginator.count == tab["count"], (query, tab)
        for select in page["selects"]:
            for value, label in select["options"]:
                asked = query | {select["name"]: value}
                found = client.get(reverse("case_list"), asked).context["page_obj"]
                assert label.endswith(f"({found.paginator.count})") or "(" not in label, asked
