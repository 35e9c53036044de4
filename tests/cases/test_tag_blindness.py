"""Who holds a second look at an alert of a live case learns no tag of that case."""

import pytest
from django.urls import reverse

from cases.casework import close_case, move_case
from cases.second_looks import take_second_look
from cases.tagging import set_tags
from tests.cases.alerts import case_of

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("payments_detector", "draw_everything"),
]


def tags_offered(client, **asked):
    page = client.get(reverse("case_list"), asked).context
    return next(select for select in page["selects"] if select["name"] == "tag")["options"]


def test_the_select_of_tags_counts_no_live_case_of_the_holders_alert(client, analyst, lead, second):
    case, other = case_of(analyst, "a"), case_of(analyst, "b")
    set_tags(case, names=["confirmed mule", "ring"], actor=analyst)
    set_tags(other, names=["ring"], actor=analyst)
    close_case(case, actor=analyst, disposition="fraud", reason_code="card_testing")
    move_case(case, move="reopen", actor=lead)
    assert take_second_look(second).alert.case_id == case.pk
    client.force_login(second)
    for asked in ({}, {"status": "all"}, {"tag": "confirmed mule"}, {"owner": "none"}):
        names = [name for name, _ in tags_offered(client, **asked)]
        assert "confirmed mule" not in names, asked
    assert tags_offered(client) == [("ring", "ring (1)")]
    client.force_login(analyst)
    assert dict(tags_offered(client))["confirmed mule"] == "confirmed mule (1)"
