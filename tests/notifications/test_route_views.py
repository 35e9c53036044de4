"""Routes and the delivery log, for admins alone."""

import pytest
from django.urls import reverse

from accounts import vault
from notifications.models import Delivery, Route
from notifications.routing import send_test, signing_keys
from notifications.sending import deliver
from tests.notifications.factories import route_for

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}
GIVEN = {
    "name": "Fraud ops",
    "channel": "webhook",
    "address": "https://hooks.example.com/verysecretpart",
    "about": "cards",
    "kinds": ["drift.alarm", "model.promoted"],
}


@pytest.fixture
def boss(client, admin, cards_detector):
    client.force_login(admin)
    return client


def text_of(response):
    return response.content.decode()


def new(boss, **changed):
    return boss.post(reverse("notification_route_new"), GIVEN | changed)


def page_of(route):
    return reverse("notification_route_detail", args=[route.pk])


def test_a_new_webhook_shows_its_secret_once(boss):
    answer = new(boss)
    route = Route.objects.get()
    (secret,) = signing_keys(route)
    assert secret in text_of(answer) and answer["Cache-Control"] == "no-store"
    for url in (page_of(route), reverse("notification_route_list")):
        page = text_of(boss.get(url))
        assert secret not in page and "verysecretpart" not in page
        assert "hooks.example.com/••••" in page
    assert route.kinds == ["model.promoted", "drift.alarm"]  # In the order of the table.


def test_a_route_to_slack_has_no_secret_and_asks_for_a_test(boss):
    answer = new(boss, channel="slack")
    assert answer.url == page_of(Route.objects.get())
    assert "Send a test" in text_of(boss.get(answer.url))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"address": "http://hooks.example.com/"}, "begin with https"),
        ({"address": "https://hooks.example.com:22/"}, "Only these ports"),
        ({"address": "fraud-ops"}, "begin with https"),
        ({"channel": "email"}, "Enter a valid email address"),
        ({"kinds": []}, "This field is required"),
        ({"kinds": ["nonsense"]}, "Select a valid choice"),
        ({"about": "card"}, "Select a valid choice"),
        ({"kinds": ["drift.alarm", "job.failed"]}, "is of no detector"),
        ({"name": ""}, "This field is required"),
    ],
)
def test_a_mistake_is_told_and_nothing_is_made(boss, changed, said):
    answer = new(boss, **changed)
    assert said in text_of(answer)
    assert not Route.objects.exists()


def test_a_route_is_of_a_detector_that_there_is(boss, cards_detector):
    page = text_of(boss.get(reverse("notification_route_new")))
    assert f'<option value="cards">{cards_detector.name}</option>' in page


def test_a_route_of_a_detector_that_is_gone_says_so_and_keeps_it(boss):
    route = route_for(about="former", kinds=["drift.alarm"])
    page = text_of(boss.get(page_of(route)))
    assert '<option value="former" selected>former (there is none)</option>' in page
    given = {"name": route.name, "address": "", "kinds": ["drift.alarm"], "about": "former"}
    boss.post(page_of(route), given)
    route.refresh_from_db()
    assert route.about == "former"


def test_two_routes_of_one_name_are_refused_unless_one_was_removed(boss):
    new(boss)
    assert "Another route has this name" in text_of(new(boss))
    boss.post(reverse("notification_route_remove", args=[Route.objects.get().pk]))
    assert new(boss).status_code == 200


def test_a_change_without_an_address_keeps_it(boss):
    new(boss)
    route = Route.objects.get()
    sealed = route.sealed_address
    changed = {"name": "Ops", "address": "", "kinds": ["job.failed"], "about": ""}
    assert boss.post(page_of(route), changed).url == page_of(route)
    route.refresh_from_db()
    assert (route.name, route.kinds, route.enabled) == ("Ops", ["job.failed"], False)
    assert route.sealed_address == sealed


def test_a_new_address_is_where_it_leads_from_then_on(boss):
    new(boss)
    address = "https://elsewhere.example.com/another"
    boss.post(page_of(Route.objects.get()), GIVEN | {"address": address, "enabled": "on"})
    route = Route.objects.get()
    assert vault.decrypt(route.sealed_address) == address
    assert "elsewhere.example.com" in route.shown_address


def test_a_new_secret_is_shown_once_and_the_former_signs_on_for_a_day(boss):
    route = route_for("webhook")
    (former,) = signing_keys(route)
    answer = boss.post(reverse("notification_route_secret", args=[route.pk]))
    route.refresh_from_db()
    new_one, kept = signing_keys(route)
    assert new_one in text_of(answer) and kept == former
    assert "Two secrets sign" in text_of(boss.get(page_of(route)))
    slack = route_for("slack")
    refused = boss.post(reverse("notification_route_secret", args=[slack.pk]), follow=True)
    assert "Only signed webhooks have a secret." in text_of(refused)


def test_a_test_shows_how_it_goes_until_it_is_over(boss, receiver):
    route = route_for("webhook", address=receiver.url())
    answer = boss.post(reverse("notification_route_test", args=[route.pk]))
    delivery = Delivery.objects.get()
    assert answer.url == reverse("notification_delivery_detail", args=[delivery.pk])
    live = text_of(boss.get(answer.url, headers=HTMX))
    assert "Waiting for a worker" in live and "every 2s" in live
    deliver(delivery.pk)
    over = text_of(boss.get(answer.url, headers=HTMX))
    assert "The receiver answered 200." in over and "every 2s" not in over
    assert receiver.requests[0].headers["X-Risk-Event"] == "test"


def test_a_route_that_is_off_is_not_tested(boss):
    route = route_for()
    Route.objects.update(enabled=False)
    answer = boss.post(reverse("notification_route_test", args=[route.pk]), follow=True)
    assert "Switch it on first." in text_of(answer)
    assert not Delivery.objects.exists()


def test_what_failed_is_sent_again(boss, admin, receiver):
    receiver.answers = [{"status": 404}, {"status": 200}]
    delivery = send_test(route_for("webhook", address=receiver.url()), actor=admin)
    deliver(delivery.pk)
    page = reverse("notification_delivery_detail", args=[delivery.pk])
    assert "Failed: The receiver answered 404." in text_of(boss.get(page))
    boss.post(reverse("notification_delivery_resend", args=[delivery.pk]))
    deliver(delivery.pk)
    assert "Sent" in text_of(boss.get(page))


def test_the_log_is_narrowed_by_the_address(boss, admin, receiver):
    receiver.answers = [{"status": 404}]
    route = route_for("webhook", address=receiver.url())
    deliver(send_test(route, actor=admin).pk)
    send_test(route_for("slack"), actor=admin)
    url = reverse("notification_delivery_list")

    def found(**asked):
        return len(boss.get(url, asked).context["page_obj"])

    assert found() == 2
    assert found(status="failed") == 1
    assert found(channel="slack") == 1
    assert found(route=str(route.pk)) == 1
    assert found(kind="alert.opened") == 0
    assert found(status="x", channel="bell", route="x", kind="x") == 2
    assert "Clear the filters" in text_of(boss.get(url, {"kind": "alert.opened"}))
    assert "<title>" not in text_of(boss.get(url, headers=HTMX))


def test_only_admins_see_or_do_any_of_it(client, admin, lead, engineer, owner, outsider):
    route = route_for()
    delivery = send_test(route, actor=admin)
    one, sent = [route.pk], [delivery.pk]
    pages = [
        *(reverse(f"notification_{name}") for name in ("route_list", "route_new", "delivery_list")),
        reverse("notification_route_detail", args=one),
        reverse("notification_delivery_detail", args=sent),
    ]
    acts = [
        *(reverse(f"notification_route_{name}", args=one) for name in ("test", "secret", "remove")),
        reverse("notification_delivery_resend", args=sent),
        pages[1],
    ]
    assert {client.get(url).status_code for url in pages} == {302}
    for user in (lead, engineer, owner, outsider):
        client.force_login(user)
        assert {client.get(url).status_code for url in pages} == {403}
        assert {client.post(url).status_code for url in acts} == {403}
        assert "Delivery log" not in text_of(client.get(reverse("notification_list")))
    client.force_login(admin)
    assert {client.get(url).status_code for url in pages} == {200}


def test_a_route_that_does_not_exist_is_404(boss):
    assert boss.get(reverse("notification_route_detail", args=[99])).status_code == 404


def test_the_admin_shows_routes_without_what_is_sealed(boss):
    route = route_for()
    page = text_of(boss.get(f"/admin/notifications/route/{route.pk}/change/"))
    assert route.sealed_address not in page and "••••" in page
    for name in ("notification", "delivery", "route"):
        assert boss.get(f"/admin/notifications/{name}/").status_code == 200
