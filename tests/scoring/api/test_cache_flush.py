"""Contract C: `POST /api/v1/cache/flush`."""

import json

import pytest

from accounts.models import ApiKey, AuditEntry
from scoring import deployment
from scoring.models import Detector

pytestmark = pytest.mark.django_db
URL = "/api/v1/cache/flush"


def flush(client, body=None):
    return client.post(URL, json.dumps(body or {}), content_type="application/json")


def epochs():
    return dict(Detector.objects.values_list("slug", "cache_epoch"))


def test_a_flush_raises_every_epoch_and_is_audited(api, payments_detector, fraud_detector):
    response = flush(api("models:write"))
    assert response.status_code == 200
    assert response.json() == {"status": "flushed", "detectors": ["fraud", "payments"]}
    assert epochs() == {"fraud": 1, "payments": 1}
    entry = AuditEntry.objects.first()
    key = ApiKey.objects.get()
    assert entry.action == "cache.flushed"
    assert entry.detail == {"detectors": ["fraud", "payments"], "api_key": f"rp_{key.prefix}"}


def test_one_detector_can_be_named(api, payments_detector, fraud_detector):
    assert flush(api("models:write"), {"detector": "fraud"}).json()["detectors"] == ["fraud"]
    assert epochs() == {"fraud": 1, "payments": 0}
    assert deployment.serving("fraud").epoch == 1


def test_the_address_may_name_it_as_on_the_other_routes(api, payments_detector, fraud_detector):
    def ask(slug):
        return api("models:write").generic("POST", f"{URL}?detector={slug}", content_type="")

    assert ask("fraud").json()["detectors"] == ["fraud"]
    assert epochs() == {"fraud": 1, "payments": 0}
    assert [ask(slug).status_code for slug in ("nothing", "", "%00")] == [404, 422, 422]


def test_a_bare_post_flushes_all(api, fraud_detector):
    assert api("models:write").generic("POST", URL, b"", content_type="").status_code == 200
    assert epochs() == {"fraud": 1}


def test_null_names_no_detector(api, fraud_detector):
    assert flush(api("models:write"), {"detector": None}).status_code == 200
    assert epochs() == {"fraud": 1}


def test_an_unknown_detector_is_404_and_a_wrong_one_422(api, fraud_detector):
    assert flush(api("models:write"), {"detector": "nothing"}).status_code == 404
    for wrong in (7, "", []):
        assert flush(api("models:write"), {"detector": wrong}).status_code == 422
    assert flush(api("models:write"), [1]).status_code == 422
    assert epochs() == {"fraud": 0}


def test_a_slip_in_the_name_flushes_nothing(api, fraud_detector):
    wrong = flush(api("models:write"), {"detectors": "fraud"})
    asked = api("models:write").generic("POST", f"{URL}?detectr=fraud", content_type="")
    assert [(one.status_code, one.json()["errors"][0]["field"]) for one in (wrong, asked)] == [
        (422, "detectors"),
        (422, "detectr"),
    ]
    assert epochs() == {"fraud": 0}


def test_who_may_not_flush(client, api, outsider, analyst, owner, fraud_detector):
    assert flush(client).status_code == 401
    assert flush(api("models:read", "score")).status_code == 403
    for user, status in ((outsider, 403), (analyst, 403), (owner, 200)):
        client.force_login(user)
        assert flush(client).status_code == status
    assert epochs() == {"fraud": 1}
