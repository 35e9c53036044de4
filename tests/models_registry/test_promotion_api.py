"""Promotions and shadows over the API: who may, and what is refused how."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.test.client import MULTIPART_CONTENT

from accounts.api_keys import create_api_key
from accounts.models import AuditEntry
from accounts.roles import MODEL_OWNER
from jobs.models import Job
from models_registry.approvals import SelfApproval, approve_promotion, request_promotion
from models_registry.exporting import pack_bundle
from models_registry.models import ModelVersion
from models_registry.promotion_models import PromotionRequest
from scoring.deployment import serving
from tests.accounts.factories import key_for, user_with_role
from tests.models_registry.rivals import rivals
from tests.models_registry.versions import comparison

pytestmark = pytest.mark.django_db
JSON = "application/json"


@pytest.fixture
def versions(payments_detector, payments_digest):
    found = rivals(payments_detector, payments_digest)
    found[1].comparison = comparison(payments_digest)
    found[1].save(update_fields=["comparison"])
    return found


@pytest.fixture
def people(client):
    """`people(0)` posts as one model owner, `people(1)` as another."""
    users = [user_with_role(MODEL_OWNER, username=f"owner{i}") for i in range(2)]
    secrets = [key_for(user, scopes=("models:read", "models:write"))[1] for user in users]

    def post(i, path, body=None, method="post"):
        return getattr(client, method)(
            f"/api/v1{path}",
            body or {},
            content_type=JSON,
            headers={"authorization": f"Token {secrets[i]}"},
        )

    post.users = users
    return post


def test_one_asks_202_and_another_approves_200(people, versions):
    answer = people(0, f"/models/{versions[1].pk}/promote", {"reason": "Cheaper."})
    assert answer.status_code == 202
    asked = answer.json()
    assert (asked["status"], asked["in_place_of"], asked["requested_by"]) == (
        "pending", "v1", "owner0",
    )  # fmt: skip
    answer = people(1, f"/promotions/{asked['id']}/approve", {"note": "Yes."})
    assert (answer.status_code, answer.json()["version"]) == (200, "v2")
    assert serving("payments").version == "v2"


def test_ones_own_is_403_and_what_is_decided_409(people, versions):
    asked = people(0, f"/models/{versions[1].pk}/promote").json()["id"]
    answer = people(0, f"/promotions/{asked}/approve")
    assert answer.status_code == 403
    assert "second person" in answer.json()["detail"]
    assert people(1, f"/promotions/{asked}/withdraw").status_code == 403
    assert people(0, f"/promotions/{asked}/refuse", {"note": "x"}).status_code == 403
    assert people(1, f"/promotions/{asked}/refuse").status_code == 422
    assert people(1, f"/promotions/{asked}/refuse", {"note": "Later."}).status_code == 200
    assert people(1, f"/promotions/{asked}/approve").status_code == 409
    assert people(0, f"/promotions/{asked}/withdraw").status_code == 409
    assert people(0, "/promotions/99999/approve").status_code == 404


def test_who_trained_it_is_403(people, versions):
    ModelVersion.objects.filter(pk=versions[1].pk).update(trained_by=people.users[1])
    asked = people(0, f"/models/{versions[1].pk}/promote").json()["id"]
    assert people(1, f"/promotions/{asked}/approve").status_code == 403


def test_no_passing_comparison_is_409_an_override_without_reason_422(people, versions):
    ModelVersion.objects.filter(pk=versions[1].pk).update(comparison={})
    url = f"/models/{versions[1].pk}/promote"
    answer = people(0, url)
    assert answer.status_code == 409
    assert "never compared with v1" in answer.json()["detail"]
    answer = people(0, url, {"override": True})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reason")
    for reason in (5555555555555, "5555555555555", "----------"):
        answer = people(0, url, {"override": True, "reason": reason})
        assert answer.status_code == 422, reason
    answer = people(0, url, {"override": True, "reason": None})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reason")
    assert people(0, url, {"override": None, "reason": None}).status_code == 409
    answer = people(0, url, {"override": True, "reason": "The source of v1 ends."})
    assert (answer.status_code, answer.json()["override"]) == (202, True)
    assert people(1, url, {"override": True, "reason": "The same again."}).status_code == 409


def test_alone_where_the_installation_allows_it(people, versions, settings):
    settings.FOUR_EYES = False
    url = f"/models/{versions[1].pk}/promote"
    assert people(0, url).status_code == 422
    answer = people(0, url, {"reason": "Nobody else is here."})
    assert (answer.status_code, answer.json()["version"]) == (200, "v2")
    assert PromotionRequest.objects.get().alone


def test_what_no_body_knows_is_refused_and_changes_nothing(people, versions):
    asked = people(0, f"/models/{versions[1].pk}/promote").json()["id"]
    for path in (
        f"/models/{versions[1].pk}/promote",
        "/detectors/payments/roll_back",
        f"/promotions/{asked}/approve",
        f"/promotions/{asked}/refuse",
    ):
        answer = people(1, path, {"becuase": "x"})
        assert answer.status_code == 422, path
        assert [error["field"] for error in answer.json()["errors"]] == ["becuase"]
    assert PromotionRequest.objects.get().status == "pending"
    assert serving("payments").version == "v1"


def test_requests_are_listed_and_narrowed(people, versions):
    asked = people(0, f"/models/{versions[1].pk}/promote").json()["id"]
    read = lambda **given: people(1, "/promotions", given, method="get")  # noqa: E731
    assert [row["id"] for row in read(status="pending").json()["promotions"]] == [asked]
    assert read(status="approved").json()["promotions"] == []
    assert [row["id"] for row in read(detector="payments").json()["promotions"]] == [asked]
    assert read(detector="nothing").status_code == 404
    assert read(status="perhaps").status_code == 422


def test_the_list_costs_the_same_queries_for_any_number(
    people, versions, django_assert_num_queries
):
    for _ in range(3):
        asked = people(0, f"/models/{versions[1].pk}/promote").json()["id"]
        people(0, f"/promotions/{asked}/withdraw")
    with django_assert_num_queries(3):
        assert len(people(1, "/promotions", method="get").json()["promotions"]) == 3


def test_a_shadow_is_started_read_and_stopped(people, versions):
    url = f"/models/{versions[1].pk}/shadow"
    assert people(0, url, method="get").status_code == 404
    assert people(0, url).json()["state"] == "running"
    assert people(0, url).status_code == 409
    found = people(0, url, method="get").json()
    assert (found["version"], found["rows"], found["agreement"]) == ("v2", 0, None)
    assert people(0, url, method="delete").json()["state"] == "stopped"
    assert people(0, url, method="delete").status_code == 409


def test_without_the_scope_nothing_is_decided(api, client, people, versions):
    asked = people(0, f"/models/{versions[1].pk}/promote").json()["id"]
    for path in (f"promotions/{asked}/approve", f"models/{versions[1].pk}/shadow"):
        assert client.post(f"/api/v1/{path}").status_code == 401
        assert api("models:read").post(f"/api/v1/{path}").status_code == 403


def made_by(maker, user):
    """Posts by a key for `user` that `maker` made."""
    scopes = ["models:read", "models:write"]
    _, secret = create_api_key(user=user, label="x", scopes=scopes, rate="none", actor=maker)
    client = Client(headers={"authorization": f"Token {secret}"})
    return lambda path, body=None, kind=JSON: client.post(
        f"/api/v1{path}", body or {}, content_type=kind
    )


def test_a_key_for_who_may_not_promote_approves_nothing(people, versions, admin, analyst):
    asked = people(0, f"/models/{versions[1].pk}/promote").json()["id"]
    answer = made_by(admin, analyst)(f"/promotions/{asked}/approve")
    assert answer.status_code == 403
    assert "whose roles do not allow" in answer.json()["detail"]
    assert serving("payments").version == "v1"


@pytest.mark.parametrize("trained", [False, True])
def test_who_asked_or_trained_approves_by_no_key_that_they_made(people, versions, admin, trained):
    asker = people.users[0] if trained else admin
    ModelVersion.objects.filter(pk=versions[1].pk).update(trained_by=admin if trained else None)
    asked = request_promotion(ModelVersion.objects.get(pk=versions[1].pk), actor=asker)
    url = f"/promotions/{asked.pk}/approve"
    answer = made_by(admin, people.users[1])(url)
    assert answer.status_code == 403
    assert "key was made by who asked" in answer.json()["detail"]
    assert made_by(None, people.users[1])(url).status_code == 200


def test_who_made_the_key_that_asked_does_not_approve(client, people, versions, admin):
    url = f"/models/{versions[1].pk}/promote"
    asked = made_by(admin, people.users[0])(url).json()["id"]
    row = PromotionRequest.objects.get(pk=asked)
    with pytest.raises(SelfApproval, match="You made the API key"):
        approve_promotion(row, actor=admin)
    answer = made_by(admin, people.users[1])(f"/promotions/{asked}/approve")
    assert answer.status_code == 403
    assert serving("payments").version == "v1"
    client.force_login(admin)
    page = client.get(versions[1].get_absolute_url()).content.decode()
    assert "You made the API key by which it was asked for or the version" in page
    approve_promotion(row, actor=people.users[1])
    assert serving("payments").version == "v2"


@pytest.fixture(params=["trained", "imported"])
def version_by_key(request, people, versions, admin):
    """A version that the first owner made, by a key that an admin had made for them."""
    post = made_by(admin, people.users[0])
    if request.param == "imported":
        file = SimpleUploadedFile("v.zip", pack_bundle(versions[1]), "application/zip")
        versions[1].delete()
        answer = post("/detectors/payments/import", {"bundle": file}, MULTIPART_CONTENT)
        assert answer.status_code == 201, answer.json()
        return ModelVersion.objects.get(pk=answer.json()["id"])
    version = versions[1]
    version.job = Job.objects.get(pk=post("/detectors/payments/train").json()["job_id"])
    version.trained_by = version.job.requested_by
    version.save(update_fields=["job", "trained_by"])
    return version


def test_who_made_the_key_that_made_the_version_does_not_approve(
    client, people, admin, version_by_key
):
    assert version_by_key.trained_by == people.users[0]
    asked = request_promotion(
        version_by_key, actor=people.users[1], override=True, reason="It is urgent."
    )
    with pytest.raises(SelfApproval, match="You made the API key"):
        approve_promotion(asked, actor=admin)
    client.force_login(admin)
    page = client.get(version_by_key.get_absolute_url()).content.decode()
    assert "You made the API key by which" in page
    approve_promotion(asked, actor=user_with_role(MODEL_OWNER, username="third"))


def test_the_trail_names_the_keys_of_asking_and_approving(people, versions):
    asked = people(0, f"/models/{versions[1].pk}/promote").json()["id"]
    people(1, f"/promotions/{asked}/approve")
    for action, user in zip(("promotion_requested", "promote"), people.users, strict=True):
        detail = AuditEntry.objects.filter(action=f"model.{action}").first().detail
        assert detail["api_key"] == f"rp_{user.api_keys.get().prefix}"
