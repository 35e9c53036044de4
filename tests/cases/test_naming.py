"""Names that are offered while somebody types `@`, and who is told of a comment on an alert."""

import pytest
from django.urls import reverse

from accounts.models import User
from accounts.roles import ADMIN, ANALYST, DATA_ENGINEER, LEAD, MODEL_OWNER
from cases.bulk import assign_many, comment_on_many
from cases.mentioning import MOST_OFFERED
from cases.resting import comment_on_alert
from notifications.models import Notification
from tests.accounts.factories import user_with_role
from tests.cases.alerts import alert_of

pytestmark = pytest.mark.django_db
ADDRESS = "/mentions/"


def person(username, *names, role=ANALYST, **given):
    user = user_with_role(role, username=username)
    User.objects.filter(pk=user.pk).update(
        **dict(zip(("first_name", "last_name"), names, strict=False)), **given
    )
    return user


@pytest.fixture
def find(client, analyst):
    client.force_login(analyst)

    def ask(q, **more):
        answer = client.get(ADDRESS, {"q": q, "in": "alert", **more})
        assert answer.status_code == 200
        return [one["username"] for one in answer.json()["people"]]

    return ask


def test_names_are_found_by_how_they_begin(find):
    person("ana.k", "Bea", "Kurz", display_name="")
    person("zoe", "Ann", "Ito", display_name="")
    person("x9", display_name="Max Anders")
    person("hanan", "Hanan", "Z", display_name="")
    assert find("an") == ["ana.k", "x9", "zoe"]
    assert find("KUR") == ["ana.k"]
    assert find("nothing") == []


def test_it_shows_the_name_and_the_user_name(client, analyst):
    person("x9", display_name="Max <b>")
    client.force_login(analyst)
    found = client.get(ADDRESS, {"q": "x9", "in": "case"})
    assert found.json() == {"people": [{"username": "x9", "name": "Max <b>"}]}
    assert found["Content-Type"] == "application/json"


def test_at_most_eight_are_offered_without_oneself_the_gone_and_those_who_may_not(find, outsider):
    for n in range(12):
        person(f"team{n:02d}")
    User.objects.filter(username="team00").update(is_active=False)
    assert find("team") == [f"team{n:02d}" for n in range(1, 1 + MOST_OFFERED)]
    assert find("analyst") == [] and find("outsider") == []
    assert len(find("")) == MOST_OFFERED


@pytest.mark.parametrize("q", ["%", "_", "\\", "'", "@", "(", "\0", "é"])
def test_signs_of_a_search_mean_themselves(find, q):
    person("somebody")
    assert find(q) == ([] if q != "\0" else ["somebody"])


def test_bad_questions_are_refused_with_field_and_reason(client, analyst):
    client.force_login(analyst)
    answer = client.get(ADDRESS, {"in": "secrets"})
    assert (answer.status_code, answer.json()["field"]) == (400, "in")
    answer = client.get(ADDRESS, {"q": "a" * 41})
    assert (answer.status_code, answer.json()["field"]) == (400, "q")
    assert client.post(ADDRESS).status_code == 405


@pytest.mark.parametrize("role", [ANALYST, LEAD, DATA_ENGINEER, MODEL_OWNER, ADMIN])
@pytest.mark.parametrize("place", ["alert", "case"])
def test_every_role_that_reads_is_answered(client, role, place):
    client.force_login(user_with_role(role))
    assert client.get(ADDRESS, {"in": place}).status_code == 200


def test_an_outsider_is_refused_and_a_stranger_sent_to_the_log_in(client, outsider):
    assert client.get(ADDRESS)["Location"].startswith(reverse("login"))
    client.force_login(outsider)
    assert client.get(ADDRESS).status_code == 403


def test_it_costs_one_query_beside_the_log_in(find, django_assert_num_queries):
    for n in range(10):
        # Session, user, permissions (two), people.
        with django_assert_num_queries(5):
            find("team")
        person(f"team{n}")


# --- Comments on alerts --------------------------------------------------------------------------


@pytest.mark.usefixtures("payments_detector")
def test_who_is_named_in_a_comment_on_an_alert_is_told(analyst, lead, outsider):
    alert = alert_of("a")
    Notification.objects.all().delete()
    comment_on_alert(alert, text="Look, @lead and @outsider and @analyst", actor=analyst)
    news = Notification.objects.get(kind="case.mention")
    assert news.url == alert.get_absolute_url()
    assert f"on alert {alert.pk}" in news.subject
    assert [receipt.user for receipt in news.receipts.all()] == [lead]


@pytest.mark.usefixtures("payments_detector")
def test_one_comment_on_many_alerts_tells_once(analyst, lead):
    alerts = [alert_of("a"), alert_of("b"), alert_of("c")]
    comment_on_many(alerts, actor=analyst, note="@lead, look")
    news = Notification.objects.get(kind="case.mention")
    assert "and 2 more" in news.subject
    assert news.data == {"alerts": [alert.pk for alert in alerts]}
    assign_many(alerts, owner=None, actor=analyst, note="for @lead")
    assert Notification.objects.filter(kind="case.mention").count() == 2


@pytest.mark.usefixtures("payments_detector")
def test_a_comment_that_names_nobody_tells_nobody(analyst):
    alert = alert_of("a")
    comment_on_many([alert], actor=analyst, note="Nothing odd.")
    assert not Notification.objects.filter(kind="case.mention").exists()
