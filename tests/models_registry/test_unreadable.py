"""A declaration that is stored and cannot be read any more takes no page, probe or sweep along."""

import copy

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from accounts.scopes import SCOPES
from benchmarks.addresses import readable_pages
from models_registry.integrity import check_integrity
from models_registry.models import ModelVersion
from models_registry.promotion import PromotionRefused, promote, roll_back
from models_registry.tasks import check_drift_everywhere, retrain_due
from scoring import deployment
from scoring.core.bundle import fault_at, read_files, write_bundle
from scoring.core.reader import UnreadableDeclaration
from scoring.declarations import SHIPPED
from scoring.models import Deployment, Detector
from scoring.shortfalls import all_shortfalls
from tests.accounts.factories import key_for
from tests.factories import payment
from tests.models_registry.versions import VersionFactory
from tests.world import begin_world, shown_of

pytestmark = pytest.mark.django_db
GONE = "'gone' is not a property of event.schema"
TOLD = "The declaration of payments cannot be read any more (event.entity: &#x27;gone&#x27;"


def broken(config):
    """The declaration, naming an entity that its schema does not have."""
    config = copy.deepcopy(config)
    config["event"]["entity"] = "gone"
    return config


def break_declaration(detector):
    detector.config = broken(detector.config)
    detector.save(update_fields=["config"])


def break_bundle(digest):
    """Let versions and slots have a bundle of which only the declaration cannot be read."""
    manifest, files = read_files(deployment.bundle_root() / digest, digest)
    made = write_bundle(
        deployment.bundle_root(), manifest | {"detector": broken(manifest["detector"])}, files
    )
    ModelVersion.objects.filter(digest=digest).update(digest=made)
    Deployment.objects.filter(digest=digest).update(digest=made)
    deployment._last_good.clear()  # A process that has just begun remembers nothing sound.
    deployment._stand_ins.clear()
    return made


@pytest.fixture
def keyed(admin):
    """An admin in the browser, with a key for the API."""
    client = Client(raise_request_exception=False)
    client.force_login(admin)
    return client, {"authorization": f"Token {key_for(admin, scopes=tuple(SCOPES))[1]}"}


@pytest.fixture
def versions(champion, payments_digest):
    """The champion v2, in place of v1."""
    found = [VersionFactory(detector=champion, digest=payments_digest) for _ in range(2)]
    for version in found:
        promote(version, actor=None, reason="for the tests")
    return found


def failing(keyed, shown):
    """Addresses that answer with an error of ours."""
    client, headers = keyed
    pages = list(readable_pages(shown))
    asked = [(a, client.get(a, headers=headers if a.startswith("/api") else {})) for _, a in pages]
    return [(address, answer.status_code) for address, answer in asked if answer.status_code >= 500]


@pytest.mark.slow
def test_every_page_answers_where_neither_declaration_nor_bundle_can_be_read(
    champion, payments_digest, admin, keyed
):
    world = begin_world(champion, payments_digest, admin)
    shown = shown_of(world)
    break_bundle(payments_digest)
    assert failing(keyed, shown) == []
    break_declaration(world.detector)
    deployment._stand_ins.clear()
    assert failing(keyed, shown) == []


def test_pages_of_versions_say_what_cannot_be_read_and_what_to_do(client, owner, versions):
    break_declaration(versions[1].detector)
    client.force_login(owner)
    pk = versions[1].pk
    pages = ["/models/", f"/models/{pk}/", f"/models/{pk}/card/", f"/models/{pk}/thresholds/"]
    pages += [f"/models/compare/?v={versions[0].pk}&v={pk}", "/models/integrity/"]
    for page in pages:
        answer = client.get(page)
        assert answer.status_code == 200
        assert TOLD in answer.content.decode(), page


def test_rules_lists_and_policies_say_why_they_cannot_be_shown(keyed, champion):
    break_declaration(champion)
    client, headers = keyed
    for page in ("rules/new/", "lists/", "policy/"):
        answer = client.get(f"/detectors/payments/{page}")
        assert (answer.status_code, TOLD in answer.content.decode()) == (409, True), page
    entry = {"kind": "deny", "field": "user_id", "values": ["u"], "reason": "stolen"}
    answer = client.post(
        "/api/v1/detectors/payments/list-entries", entry, "application/json", headers=headers
    )
    assert (answer.status_code, GONE in answer.json()["detail"]) == (409, True)


def test_what_needs_the_declaration_is_refused_and_says_why(client, owner, api, versions):
    break_declaration(versions[1].detector)
    client.force_login(owner)
    for answer in (
        client.post("/models/train/payments/", {"learner": "lightgbm"}),
        client.get("/models/payments/retraining/"),
    ):
        assert answer.status_code in (409, 422)
        assert TOLD in answer.content.decode()
    answer = api("models:write").post("/api/v1/detectors/payments/train", {}, "application/json")
    assert (answer.status_code, GONE in answer.json()["detail"]) == (409, True)
    with pytest.raises(CommandError, match="cannot be read any more"):
        call_command("train", "--detector=payments")


def test_nothing_is_promoted_that_no_guard_could_watch_but_what_served_comes_back(versions):
    before, now = versions
    break_declaration(now.detector)
    detector = Detector.objects.get()
    another = VersionFactory(detector=detector, digest=now.digest)
    with pytest.raises(PromotionRefused, match="cannot be read any more"):
        promote(another, actor=None, reason="for the tests")
    assert roll_back(detector, actor=None).version == before


def test_a_roll_back_needs_nothing_of_what_cannot_be_read(versions, payments_digest):
    now = versions[1]
    made = break_bundle(payments_digest)
    ModelVersion.objects.exclude(pk=now.pk).update(digest=payments_digest)
    break_declaration(now.detector)
    detector = Detector.objects.get()
    with pytest.raises(deployment.NothingServes):
        deployment.serving_of(detector)
    assert roll_back(detector, actor=None).version == versions[0]
    assert deployment.serving_of(detector).bundle.digest == payments_digest != made


def test_events_are_not_decided_on_and_told_why(api, versions, payments_digest):
    break_bundle(payments_digest)
    break_declaration(versions[1].detector)
    answer = api("score").post("/api/v1/detectors/payments/score", payment(), "application/json")
    assert (answer.status_code, GONE in answer.json()["detail"]) == (503, True)
    assert "Retry-After" in answer.headers


def test_health_goes_on_telling_of_every_other_detector(versions, fraud_detector, payments_digest):
    break_declaration(versions[1].detector)
    (of_declaration,) = (s for s in all_shortfalls() if s.kind == "declaration")
    assert not of_declaration.degrades
    break_bundle(payments_digest)
    (of_bundle,) = (s for s in all_shortfalls() if s.kind == "bundle")
    assert of_bundle.degrades
    assert GONE in of_bundle.text


def test_integrity_tells_of_a_bundle_whose_declaration_is_of_an_older_release(
    versions, payments_digest
):
    made = break_bundle(payments_digest)
    told = [found for found in check_integrity().findings if found.kind == "bundle"]
    assert {found.subject for found in told} == {str(version) for version in versions}
    assert all(GONE in found.text for found in told)
    assert GONE in fault_at(deployment.bundle_root() / made, made)


def test_sweeps_go_on_with_the_detectors_that_can_be_read(
    versions, fraud_detector, payments_digest, monkeypatch, caplog
):
    asked = []
    monkeypatch.setattr("models_registry.tasks.announce_job", asked.append)
    Detector.objects.filter(slug="payments").update(name="A detector that comes first")
    deployment.install(fraud_detector, slot="champion", digest=payments_digest, version="v1")
    break_bundle(payments_digest)
    Deployment.objects.filter(detector=fraud_detector).update(digest=payments_digest)
    break_declaration(Detector.objects.get(slug="payments"))
    check_drift_everywhere()
    retrain_due()
    assert [job.params["detector"] for job in asked] == ["fraud"]
    assert "payments cannot be checked for drift: No bundle of payments loads." in caplog.text


def test_a_declaration_that_is_loaded_again_mends_it(versions, payments_digest):
    break_bundle(payments_digest)
    break_declaration(versions[1].detector)
    with pytest.raises(UnreadableDeclaration, match="load_detectors"):
        Detector.objects.get(slug="payments").spec()
    call_command("load_detectors", SHIPPED / "payments.yaml")
    assert Detector.objects.get(slug="payments").unreadable() == ""
    assert deployment.serving("payments").degraded
