"""Allow and deny lists over the API: `/api/v1/detectors/<slug>/list-entries`."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry
from scoring import ordering
from scoring.policy_models import ListEntry
from tests.accounts.factories import key_for
from tests.factories import payment, scored

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("payments_detector")]
URL = "/api/v1/detectors/payments/list-entries"
REMOVE = f"{URL}/remove"
RING = {"kind": "deny", "field": "user_id", "reason": "Chargeback ring"}


@pytest.fixture(autouse=True)
def orders_count_at_once(monkeypatch):
    monkeypatch.setattr(ordering, "SETTLING", timedelta(0))


def keyed(user, *scopes):
    _, secret = key_for(user, scopes=scopes)
    return Client(headers={"authorization": f"Token {secret}"})


@pytest.fixture
def writer(lead):
    return keyed(lead, "lists:write", "lists:read")


def post(client, body, url=URL):
    return client.post(url, json.dumps(body), content_type="application/json")


def states(response):
    return [one["state"] for one in response.json()["results"]]


def test_values_are_put_on_a_list_and_read(writer, lead):
    end = timezone.now() + timedelta(days=30)
    sent = RING | {"field": "location", "values": ["Oslo", "Bonn"], "expires_at": end.isoformat()}
    response = post(writer, sent)
    assert (response.status_code, states(response)) == (201, ["added", "added"])
    assert response.json()["added"] == 2
    entries = writer.get(URL).json()["entries"]
    assert [entry["value"] for entry in entries] == ["Bonn", "Oslo"]
    assert (entries[0]["kind"], entries[0]["author"]) == ("deny", lead.username)
    assert entries[0]["expires_at"] == end.isoformat().replace("+00:00", "Z")
    assert scored("payments", payment(location="Oslo")).decision == "BLOCK"
    assert writer.get(f"{URL}/{entries[0]['id']}").json() == entries[0]


def test_the_same_call_again_changes_nothing(writer):
    first = post(writer, RING | {"values": ["user-1", "user-1"]})
    assert states(first) == ["added", "repeated"]
    again = post(writer, RING | {"values": ["user-1"], "reason": "Something else"})
    assert (again.status_code, states(again), again.json()["added"]) == (200, ["standing"], 0)
    assert again.json()["results"][0]["entry"] == first.json()["results"][0]["entry"]
    assert ListEntry.objects.count() == 1


def test_personal_data_is_masked_in_every_answer(writer):
    sent = RING | {"field": "user_name", "values": ["Ada Lovelace"]}
    answers = [post(writer, sent), writer.get(URL), post(writer, sent, REMOVE)]
    assert not any("Lovelace" in answer.content.decode() for answer in answers)
    assert "lace" in answers[0].json()["results"][0]["entry"]["value"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"kind": "grey"}, "kind"),
        ({"field": "amount"}, "field"),
        ({"field": "timestamp"}, "field"),
        ({"values": []}, "values"),
        ({"values": [str(i) for i in range(501)]}, "values"),
        ({"values": "user-1"}, "values"),
        ({"values": ["user-1", ""]}, "values.1"),
        ({"values": ["user-1", "x" * 301]}, "values.1"),
        ({"values": ["user-1", "us\u200ber"]}, "values.1"),
        ({"values": ["user-1", {"a": 1}]}, "values.1"),
        ({"reason": ""}, "reason"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"expire_at": "2099-01-01T00:00:00Z"}, "expire_at"),
    ],
)
def test_what_is_wrong_is_422_and_nothing_is_stored(writer, changed, field):
    response = post(writer, RING | {"values": ["user-1"]} | changed)
    assert response.status_code == 422, response.content
    assert [entry["field"] for entry in response.json()["errors"]] == [field]
    assert not ListEntry.objects.exists()


def test_a_value_of_the_other_list_is_422_and_nothing_is_stored(writer):
    post(writer, RING | {"values": ["user-1"]})
    response = post(writer, RING | {"kind": "allow", "values": ["user-2", "user-1"]})
    [entry] = response.json()["errors"]
    assert (response.status_code, entry["loc"]) == (422, ["values", 1])
    assert ListEntry.objects.count() == 1


def test_values_are_taken_off_as_often_as_asked(writer):
    post(writer, RING | {"values": ["user-1", "user-2"]})
    sent = {"kind": "deny", "field": "user_id", "values": ["user-1", "user-9"]}
    response = post(writer, sent, REMOVE)
    assert (states(response), response.json()["removed"]) == (["removed", "absent"], 1)
    assert states(post(writer, sent, REMOVE)) == ["absent", "absent"]
    assert scored("payments", payment(user_id="user-1")).decision == "APPROVE"
    assert [entry["reason"] for entry in writer.get(URL, {"state": "over"}).json()["entries"]] == [
        "Chargeback ring"
    ]


def test_an_entry_is_taken_off_by_its_id_as_often_as_asked(writer):
    pk = post(writer, RING | {"values": ["user-1"]}).json()["results"][0]["entry"]["id"]
    first = writer.delete(f"{URL}/{pk}")
    assert (first.status_code, first.json()["revoked_at"] is None) == (200, False)
    assert writer.delete(f"{URL}/{pk}").json() == first.json()
    assert writer.get(URL).json()["entries"] == []
    assert AuditEntry.objects.filter(action="list.revoked").count() == 1


def test_the_page_is_narrowed_and_cut(writer):
    post(writer, RING | {"values": ["user-1", "user-2"]})
    post(writer, RING | {"kind": "allow", "field": "location", "values": ["Oslo"]})

    def got(**asked):
        return len(writer.get(URL, asked).json()["entries"])

    assert [got(), got(kind="deny"), got(field="location"), got(limit=1), got(skip=2)] == [
        3, 2, 1, 1, 1
    ]  # fmt: skip
    assert writer.get(URL, {"kind": "grey"}).status_code == 422
    assert writer.get(URL, {"limit": 1001}).status_code == 422


@pytest.mark.parametrize("method", ["get", "post"])
def test_another_detector_or_none_is_404(writer, fraud_detector, method):
    pk = post(writer, RING | {"values": ["user-1"]}).json()["results"][0]["entry"]["id"]
    ask = writer.get if method == "get" else lambda url: post(writer, RING | {"values": ["1"]}, url)
    assert ask("/api/v1/detectors/none/list-entries").status_code == 404
    assert writer.delete(f"/api/v1/detectors/fraud/list-entries/{pk}").status_code == 404


def test_a_404_names_no_class_of_ours(writer):
    for url in ("/api/v1/detectors/none/list-entries", f"{URL}/99999"):
        assert writer.get(url).json() == {"detail": "Not found."}


def test_the_trail_tells_by_which_key(writer, lead):
    post(writer, RING | {"values": ["user-1", "user-2"]})
    [entry] = AuditEntry.objects.filter(action="list.added")
    told = json.loads(entry.detail_json)
    assert (entry.actor, len(told["entries"])) == (lead, 2)
    assert told["api_key"].startswith("rp_")
    assert "user-1" not in entry.detail_json


def test_who_may_read_and_write(client, lead, analyst, outsider):
    body = RING | {"values": ["user-1"]}
    assert client.get(URL).status_code == post(client, body).status_code == 401
    reader = keyed(outsider, "lists:read")
    assert reader.get(URL).status_code == 200
    assert post(reader, body).status_code == 403
    assert keyed(lead, "lists:write").get(URL).status_code == 403
    for who in (keyed(analyst, "lists:write"), keyed(outsider, "admin")):
        for url in (URL, REMOVE):
            assert post(who, body, url).status_code == 403
        assert who.delete(f"{URL}/1").status_code == 403
    client.force_login(analyst)
    assert client.get(URL).status_code == 200
    assert post(client, body).status_code == 403
    client.force_login(outsider)
    assert client.get(URL).status_code == 403
