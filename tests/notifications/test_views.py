"""The bell, its list and the preferences of a person."""

import re
from datetime import time

import pytest
from django.urls import reverse

from accounts.roles import MODEL_OWNER
from notifications.models import Notification, Preference, Receipt
from notifications.selectors import list_receipts
from tests.accounts.factories import user_with_role
from tests.notifications.factories import told

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
LIST = "notification_list"


@pytest.fixture
def reader(client, analyst):
    client.force_login(analyst)
    return client


def text_of(response):
    return response.content.decode()


def test_the_bell_counts_what_is_unread_and_says_so_to_screen_readers(reader, analyst):
    assert text_of(reader.get(reverse("notification_bell"))).strip() == ""
    told(analyst), told(analyst)
    answer = reader.get(reverse("notification_bell"))
    assert '<span class="number">2</span>' in text_of(answer)
    assert "unread" in text_of(answer)
    assert answer["Cache-Control"] == "no-store"


def test_the_bell_costs_one_query_besides_who_asks(reader, analyst, django_assert_num_queries):
    for many in (1, 30):
        for _ in range(many):
            told(analyst)
        with django_assert_num_queries(3):  # Session, user, count.
            reader.get(reverse("notification_bell"))


def test_the_bell_of_who_was_signed_out_meanwhile_is_empty(client):
    answer = client.get(reverse("notification_bell"), headers=HTMX)
    assert (answer.status_code, answer.content) == (204, b"")


def test_every_page_has_the_bell_and_its_way_without_scripts(reader):
    page = text_of(reader.get(reverse(LIST)))
    assert f'href="{reverse(LIST)}"' in page
    assert f'hx-get="{reverse("notification_bell")}"' in page


def test_opening_one_marks_it_read_and_leads_to_its_page(reader, analyst):
    receipt = told(analyst, url="/cases/").receipts.get()
    answer = reader.get(reverse("notification_open", args=[receipt.pk]))
    assert answer.url == "/cases/"
    receipt.refresh_from_db()
    assert receipt.read_at is not None


def test_the_list_shows_one_s_own_newest_first_and_is_narrowed_by_address(reader, analyst, lead):
    told(lead, subject="Not for you")
    told(analyst, subject="First")
    told(analyst, "sla.due", subject="Second")
    page = reader.get(reverse(LIST))
    assert [row.notification.subject for row in page.context["page_obj"]] == ["Second", "First"]
    assert "Not for you" not in text_of(page)
    narrowed = reader.get(reverse(LIST), {"kind": "sla.due"})
    assert len(narrowed.context["page_obj"]) == 1
    Receipt.objects.filter(kind="sla.due").update(read_at=Notification.objects.first().created_at)
    unread = reader.get(reverse(LIST), {"show": "unread"})
    assert [row.notification.subject for row in unread.context["page_obj"]] == ["First"]
    assert len(reader.get(reverse(LIST), {"kind": "nonsense"}).context["page_obj"]) == 2


def test_page_and_fragment_come_from_one_address(reader, analyst):
    told(analyst)
    assert "<title>" in text_of(reader.get(reverse(LIST)))
    assert "<title>" not in text_of(reader.get(reverse(LIST), headers=HTMX))


def test_an_empty_list_and_an_empty_filter_say_what_to_do(reader):
    assert "Open preferences" in text_of(reader.get(reverse(LIST)))
    assert "Clear the filters" in text_of(reader.get(reverse(LIST), {"show": "unread"}))


def test_marking_one_gives_its_row_back_and_has_the_bell_count_again(reader, analyst):
    receipt = told(analyst).receipts.get()
    url = reverse("notification_read", args=[receipt.pk])
    answer = reader.post(url, headers=HTMX)
    assert "Mark unread" in text_of(answer) and answer["HX-Trigger"] == "bell-changed"
    assert "Mark read" in text_of(reader.post(url, {"unread": "1"}, headers=HTMX))
    assert reader.post(url).url == reverse(LIST)
    assert reader.get(url).status_code == 405


def test_marking_all(reader, analyst):
    told(analyst), told(analyst)
    assert reader.post(reverse("notification_read_all")).url == reverse(LIST)
    assert not Receipt.objects.filter(read_at=None).exists()


def test_nobody_opens_or_marks_what_is_somebody_else_s(reader, lead):
    receipt = told(lead).receipts.get()
    assert reader.get(reverse("notification_open", args=[receipt.pk])).status_code == 404
    assert reader.post(reverse("notification_read", args=[receipt.pk])).status_code == 404
    receipt.refresh_from_db()
    assert receipt.read_at is None


def test_an_outsider_has_an_empty_bell_and_a_stranger_logs_in_first(client, outsider):
    names = (LIST, "notification_preferences")
    assert [client.get(reverse(name)).status_code for name in names] == [302, 302]
    client.force_login(outsider)
    assert [client.get(reverse(name)).status_code for name in names] == [200, 200]
    assert "You have no role yet" in text_of(client.get(reverse(names[1])))


def test_the_list_costs_the_same_for_any_number(reader, analyst, django_assert_num_queries):
    for many in (1, 30):
        for _ in range(many):
            told(analyst)
        # Session, user, permissions (user's and groups'), count, page.
        with django_assert_num_queries(6):
            reader.get(reverse(LIST), headers=HTMX)


def saved(reader, **given):
    data = {"time_zone": "Europe/Zurich", "quiet_from": "", "quiet_until": "", **given}
    return reader.post(reverse("notification_preferences"), data)


def test_kinds_stand_together_by_topic(client, admin):
    client.force_login(admin)
    page = client.get(reverse("notification_preferences")).content.decode()
    topics = re.findall(r'scope="rowgroup"[^>]*>([^<]+)<', page)
    assert topics == ["Alerts and cases", "Rules", "Models", "Platform"]


def test_a_person_chooses_kinds_channels_quiet_hours_and_their_zone(reader, analyst):
    answer = saved(
        reader, **{"case.mention:email": "on", "quiet_from": "22:00", "quiet_until": "07:00"}
    )
    assert answer.url == reverse("notification_preferences")
    found = Preference.objects.get(user=analyst)
    assert found.chosen["case.mention"] == ["email"]
    assert found.chosen["alert.opened"] == []
    assert (found.quiet_from, found.quiet_until) == (time(22), time(7))
    analyst.refresh_from_db()
    assert analyst.time_zone == "Europe/Zurich"
    page = text_of(reader.get(reverse("notification_preferences")))
    assert 'value="22:00"' in page


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"quiet_from": "22:00"}, "Give both times, or neither."),
        ({"quiet_until": "22:00"}, "Give both times, or neither."),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "choose another time"),
        ({"quiet_from": "late", "quiet_until": "22:00"}, "Enter a valid time"),
        ({"time_zone": "Mars/Olympus"}, "Select a valid choice"),
    ],
)
def test_a_mistake_is_told_at_its_field_and_what_was_typed_stays(reader, analyst, given, said):
    answer = saved(reader, **given)
    assert said in text_of(answer)
    assert not Preference.objects.exists()


def test_one_chooses_only_among_what_one_may_see_and_the_rest_is_kept(client):
    owner = user_with_role(MODEL_OWNER)
    Preference.objects.create(user=owner, chosen={"gone.kind": ["bell"]})
    client.force_login(owner)
    saved(client, **{"drift.alarm:bell": "on"})
    chosen = Preference.objects.get(user=owner).chosen
    assert chosen["drift.alarm"] == ["bell"] and chosen["gone.kind"] == ["bell"]


def test_the_page_says_that_no_mail_server_is_set_up(reader, analyst, settings):
    settings.EMAIL_HOST = ""
    assert "No mail server" in text_of(reader.get(reverse("notification_preferences")))
    settings.EMAIL_HOST = "mail.example.com"
    page = text_of(reader.get(reverse("notification_preferences")))
    assert "Your account has no e-mail address" in page


def test_who_lost_the_role_sees_nothing_of_it_any_more(reader, analyst):
    told(analyst)
    assert "Case" in text_of(reader.get(reverse(LIST)))
    analyst.groups.clear()
    assert list(list_receipts(type(analyst).objects.get(pk=analyst.pk))) == []
