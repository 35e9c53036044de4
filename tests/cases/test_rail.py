"""The rail marks one place, and it is the one that the page's tabs and crumbs say."""

import pytest
from django.urls import reverse

from accounts.roles import ADMIN
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]


def place_in_the_rail(page):
    rail = page[page.index('<aside class="rail"') : page.index("</aside>")]
    (current,) = [link for link in rail.split("<a ")[1:] if "aria-current" in link]
    return current.split('href="')[1].split('"')[0]


def test_the_rail_marks_the_queue_alone_as_the_place_of_an_alert(client):
    client.force_login(user_with_role(ADMIN))
    page = client.get(reverse("alert_detail", args=[alert_of("a").pk])).content.decode()
    assert place_in_the_rail(page) == "/"


@pytest.mark.parametrize(
    ("name", "args", "place"),
    [("second_look_agreement", (), "dashboards"), ("personal_data", (), "user_list"),
     ("backtest_list", ("payments",), "rules_overview"), ("second_looks", (), "second_looks")],
)  # fmt: skip
def test_the_rail_marks_where_the_tabs_and_the_crumbs_say_one_is(client, name, args, place):
    client.force_login(user_with_role(ADMIN))
    page = client.get(reverse(name, args=args)).content.decode()
    assert place_in_the_rail(page) == reverse(place)
