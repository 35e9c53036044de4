"""The page of the allow and deny lists: who keeps them, and what becomes of each typed line."""

import html

import pytest
from django.urls import reverse

from scoring.policy_models import ListEntry

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]


def page_url(name, *more):
    return reverse(name, args=["payments", *more])


def text_of(response):
    return response.content.decode()


def test_a_lead_keeps_the_lists_and_an_analyst_reads_them(client, lead, analyst):
    entry = {"kind": "deny", "field": "user_id", "values": "user-9", "reason": "Chargebacks"}
    client.force_login(analyst)
    assert client.post(page_url("lists"), entry).status_code == 403
    client.force_login(lead)
    assert client.post(page_url("lists"), entry | {"days": "30"}).status_code == 302
    client.force_login(analyst)
    page = text_of(client.get(page_url("lists"), {"q": "user-9"}))
    assert "Chargebacks" in page
    assert "Take off" not in page
    pk = ListEntry.objects.get().pk
    assert client.post(page_url("list_revoke", pk)).status_code == 403
    client.force_login(lead)
    assert client.post(page_url("list_revoke", pk)).status_code == 302
    assert "Both lists are empty" in text_of(client.get(page_url("lists")))


def test_personal_data_is_masked_on_the_lists(client, lead):
    client.force_login(lead)
    entry = {"kind": "deny", "field": "user_name", "values": "Ada Lovelace", "reason": "Mule"}
    client.post(page_url("lists"), entry)
    page = text_of(client.get(page_url("lists")))
    assert "Lovelace" not in page
    assert "lace" in page


@pytest.mark.parametrize("unseen", ["\u200b", "\u00ad", "\u202e", "\u00a0", "\ufeff"])
def test_a_typed_value_with_what_nobody_sees_is_refused(client, lead, unseen):
    client.force_login(lead)
    entry = {"kind": "deny", "field": "user_id", "values": f"us{unseen}er-9", "reason": "Mule"}
    answer = client.post(page_url("lists"), entry)
    assert answer.status_code == 422
    assert f"nobody sees (U+{ord(unseen):04X})" in text_of(answer)
    assert not ListEntry.objects.exists()


def test_the_same_value_is_not_listed_twice(client, lead):
    client.force_login(lead)
    entry = {"kind": "deny", "field": "user_id", "values": "user-9", "reason": "Chargebacks"}
    client.post(page_url("lists"), entry)
    again = client.post(page_url("lists"), entry | {"kind": "allow"})
    assert again.status_code == 422
    assert "It stands on the deny list already." in text_of(again)


MANY = {"kind": "deny", "field": "user_id", "reason": "Ring", "days": "30"}


def test_many_values_are_put_on_a_list_one_a_line(client, lead):
    client.force_login(lead)
    client.post(page_url("lists"), MANY | {"values": "user-2"})
    sent = MANY | {"values": "user-1\r\n\r\n  user-2\r\nuser-3\r\nuser-1\r\n"}
    page = text_of(client.post(page_url("lists"), sent, follow=True))
    assert "2 values put on the deny list." in page
    assert "Line 3: on the deny list already." in page
    assert "Line 5: the same as an earlier line." in page
    assert ListEntry.objects.count() == 3


def test_a_wrong_line_is_named_and_nothing_is_stored(client, lead):
    client.force_login(lead)
    client.post(page_url("lists"), MANY | {"values": "user-2", "kind": "allow"})
    sent = MANY | {"values": f"user-1\n\nus\u200ber-9\nuser-2\n{'x' * 301}"}
    answer = client.post(page_url("lists"), sent)
    assert answer.status_code == 422
    for said in (
        "Line 3: It has a character that nobody sees (U+200B)",
        "Line 4: It stands on the allow list already.",
        "Line 5: 1 to 300 characters.",
    ):
        assert (said in text_of(answer)) == (said[5] != "4"), said
    assert "user-1" in text_of(answer)
    assert ListEntry.objects.count() == 1


def test_of_many_wrong_lines_the_first_are_named(client, lead):
    client.force_login(lead)
    client.post(page_url("lists"), MANY | {"values": "\n".join(map(str, range(30)))})
    sent = MANY | {"values": "\n".join(map(str, range(30))), "kind": "allow"}
    page = text_of(client.post(page_url("lists"), sent))
    assert page.count("stands on the deny list already") == 10
    assert "20 more lines are wrong." in page


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ("\n \n", "This field is required."),
        ("\n".join(map(str, range(501))), "At most 500 values at a time, not 501."),
        ("user\u2028one", "nobody sees (U+2028)"),
    ],
)
def test_nothing_too_much_and_a_hidden_break_are_refused(client, lead, values, said):
    client.force_login(lead)
    answer = client.post(page_url("lists"), MANY | {"values": values})
    assert (answer.status_code, said in text_of(answer)) == (422, True)
    assert not ListEntry.objects.exists()


def test_who_takes_a_value_off_still_sees_what_they_searched_for(client, lead):
    client.force_login(lead)
    entry = {"kind": "deny", "field": "user_id", "values": "user-8\nuser-9", "reason": "Mule"}
    client.post(page_url("lists"), entry)
    page = text_of(client.get(page_url("lists"), {"kind": "deny", "q": "Mule"}))
    pk = ListEntry.objects.first().pk
    address = page_url("list_revoke", pk) + "?kind=deny&amp;q=Mule"
    assert address in page
    assert client.post(html.unescape(address)).url == page_url("lists") + "?kind=deny&q=Mule"
