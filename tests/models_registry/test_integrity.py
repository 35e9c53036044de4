"""The integrity page finds what does not hold, and says what to do."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from jobs.models import Job
from models_registry import integrity, workers
from models_registry.artefacts import artefact_path, store_artefact
from models_registry.integrity import check_integrity
from models_registry.integrity_report import FAULT, WARNING
from models_registry.promotion import promote
from models_registry.registry_models import Artefact, Lineage, TrackedRun
from models_registry.retraining_models import RetrainingPolicy
from scoring.core.bundle import MODEL, write_bundle
from scoring.deployment import bundle_root, serving
from scoring.models import Deployment
from scoring.policies import set_policy
from scoring.policy_models import Watchlist
from tests.factories import payments, scored_many, trained_payments
from tests.models_registry.versions import VersionFactory, moved_from

pytestmark = pytest.mark.django_db
PAGE = "/models/integrity/"
DAY = 86400.0


@pytest.fixture(autouse=True)
def alive(db, monkeypatch):
    """A worker answers, beat has just run."""
    cache.clear()
    monkeypatch.setattr(integrity, "workers_answering", lambda: 1)
    every, _ = IntervalSchedule.objects.get_or_create(every=30, period="seconds")
    PeriodicTask.objects.all().delete()
    PeriodicTask.objects.create(name="sweep", task="t", interval=every, last_run_at=timezone.now())


class Gone:
    """A cache whose server is gone."""

    def get(self, *args):
        raise ConnectionError("Connection refused")

    set = get


@pytest.fixture
def version(payments_detector, bundle_dir):
    """A champion that holds in every way."""
    digest = write_bundle(bundle_root(), *trained_payments())
    rows = scored_many("payments", payments(20))
    made = VersionFactory(
        detector=payments_detector, number=1, digest=digest, trained_at=timezone.now(),
        dataset__first_event_at=rows[0].event_time, dataset__last_event_at=rows[-1].event_time,
    )  # fmt: skip
    promote(made, actor=None)
    return made


def kinds(level=None):
    report = check_integrity()
    return [f.kind for f in report.findings if f.kind != "list" and level in (None, f.level)]


def finding(kind):
    return next(found for found in check_integrity().findings if found.kind == kind)


def test_what_holds_is_not_complained_of(version):
    assert kinds() == []


def test_a_damaged_champion_is_a_fault_and_a_damaged_challenger_a_warning(version):
    place = bundle_root() / version.digest / MODEL
    place.write_bytes(place.read_bytes()[:-1] + b"x")
    VersionFactory(detector=version.detector, dataset=version.dataset, digest="f" * 64)
    found = [(f.kind, f.level, f.text) for f in check_integrity().findings if f.kind == "bundle"]
    assert [level for _, level, _ in found] == [FAULT, WARNING]
    assert "model.onnx was changed" in found[0][2]
    assert "cannot be read" in found[1][2]


def test_a_bundle_that_is_on_another_host_is_told_with_the_folder_to_share(version):
    place = bundle_root() / version.digest
    place.rename(place.with_name("elsewhere"))
    found = finding("bundle")
    assert (found.level, str(bundle_root()) in found.remedy) == (FAULT, True)
    assert "RISK_BUNDLE_DIR" in found.remedy


def test_what_serves_is_hashed_however_many_came_after_it(version, monkeypatch):
    monkeypatch.setattr(integrity, "MOST_HASHED", 2)
    VersionFactory.create_batch(3, detector=version.detector, dataset=version.dataset)
    serves = VersionFactory(detector=version.detector, dataset=version.dataset, stage="retired")
    Deployment.objects.create(
        detector=version.detector, slot="challenger", digest=serves.digest, version="v5",
        installed_at=timezone.now(),
    )  # fmt: skip
    read = []
    monkeypatch.setattr(integrity, "read_files", lambda place, digest: read.append(digest))
    report = check_integrity()
    assert len(read) == 4
    assert {version.digest, serves.digest} <= set(read)
    assert report.checked[0] == "4 bundles re-hashed byte by byte, 1 other looked for"


def test_only_the_manifests_of_few_versions_are_read_to_compare_features(version, monkeypatch):
    monkeypatch.setattr(integrity, "MOST_HASHED", 2)
    VersionFactory.create_batch(5, detector=version.detector, dataset=version.dataset)
    read = []
    monkeypatch.setattr(integrity, "read_files", lambda place, digest: None)
    monkeypatch.setattr(integrity, "read_manifest", lambda place, digest: read.append(digest) or {})
    check_integrity()
    assert len(read) == 3
    assert version.digest in read


@pytest.mark.parametrize("how", ["imported", "moved"])
def test_neither_an_import_nor_moved_thresholds_hide_that_nothing_was_trained(version, how):
    version.trained_at = timezone.now() - timedelta(days=40)
    version.save(update_fields=["trained_at"])
    other = VersionFactory(
        detector=version.detector, dataset=version.dataset, digest=version.digest,
        trained_at=timezone.now(),
    )  # fmt: skip
    if how == "imported":
        Lineage.objects.create(version=other, origin=Lineage.Origin.IMPORTED)
    else:
        moved_from(version, other)
    assert "40 days" in finding("stale").text


def test_a_deployed_bundle_without_a_version_is_hashed_too(version):
    Deployment.objects.create(
        detector=version.detector, slot="challenger", digest="d" * 64, version="v9",
        installed_at=timezone.now(),
    )  # fmt: skip
    assert kinds(FAULT) == ["bundle"]


def test_features_that_dangle_are_named_either_way(version):
    config = version.detector.config
    del config["features"]["transformations"][2]
    config["features"]["transformations"][2]["config"]["windows"] = ["1m", "1h", "24h", "30d"]
    version.detector.save(update_fields=["config"])
    text = finding("feature").text
    assert "no longer declared: " in text
    assert "hour" in text
    assert "declared, but not in the bundle" in text


def test_a_champion_past_its_review_is_a_fault(version):
    version.detector.config["training"]["review_after"] = "1d"
    version.detector.save(update_fields=["config"])
    Deployment.objects.update(installed_at=timezone.now() - timedelta(days=2))
    assert kinds(FAULT) == ["stale"]


@pytest.mark.parametrize(
    ("declared", "set_here", "days", "said"),
    [("0", DAY, 3, True), ("1d", 365 * DAY, 3, False), ("1d", 0.0, 3, False)],
)
def test_the_term_that_was_set_on_the_page_takes_the_place_of_the_declared_one(
    version, declared, set_here, days, said
):
    if declared != "0":
        version.detector.config["training"]["review_after"] = declared
        version.detector.save(update_fields=["config"])
    set_policy(version.detector, review_after=set_here, author=None)
    Deployment.objects.update(installed_at=timezone.now() - timedelta(days=days))
    assert serving("payments").bundle.overdue is said
    assert kinds(FAULT) == ["stale"] * said
    if said:
        assert "Retraining" in finding("stale").remedy


@pytest.mark.parametrize(("days", "said"), [(1, ["stale", "shadow"]), (30, []), (None, [])])
def test_the_age_is_judged_by_the_policy_that_was_saved(version, days, said):
    version.trained_at = timezone.now() - timedelta(days=40)
    version.save(update_fields=["trained_at"])
    RetrainingPolicy.objects.create(
        detector=version.detector, on_age=days is not None, age_hours=24 * (days or 1)
    )
    assert kinds() == said


def test_a_version_older_than_the_policy_is_a_warning(version):
    version.trained_at = timezone.now() - timedelta(days=40)
    version.save(update_fields=["trained_at"])
    found = finding("stale")
    assert (found.level, "40 days" in found.text) == (WARNING, True)


def test_data_that_is_gone_is_told(version):
    version.dataset.first_event_at -= timedelta(days=400)
    version.dataset.save()
    assert "cannot be trained again" in finding("data").text


def test_where_redis_is_gone_the_page_says_that_the_broker_does_not_answer(
    client, owner, monkeypatch
):
    monkeypatch.undo()  # The real question to the workers.
    monkeypatch.setattr(workers, "cache", Gone())
    client.force_login(owner)
    page = client.get(PAGE)
    assert (page.status_code, "It does not answer, so whether" in page.content.decode()) == (
        200,
        True,
    )


def test_what_is_wrong_stands_above_what_was_found_sound(client, owner, version):
    version.dataset.first_event_at -= timedelta(days=400)
    version.dataset.save()
    report = check_integrity()
    assert "Data behind versions" in dict(report.groups) and "Bundles" in report.sound
    assert len(report.groups) + len(report.sound) == report.kinds
    client.force_login(owner)
    page = client.get(PAGE).content.decode()
    assert page.index("Data behind versions") < page.index("Nothing found") < page.index("Bundles")


def test_a_missing_explanation_file_is_told(version):
    artefact = store_artefact(
        version, kind=Artefact.Kind.EXPLANATION, content=b"abc", detail={"features": []}
    )
    assert kinds() == []
    artefact_path(artefact.digest).unlink()
    assert finding("artefact").url == f"/models/{version.pk}/explanation/"


def test_an_explanation_that_was_damaged_is_whole_once_it_is_made_again(version):
    given = {"kind": Artefact.Kind.EXPLANATION, "content": b"points", "detail": {}}
    path = artefact_path(store_artefact(version, **given).digest)
    path.write_bytes(b"damaged")
    assert "artefact" in kinds()
    store_artefact(version, **given)
    assert "artefact" not in kinds()
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_a_silent_worker_is_a_fault_once_jobs_wait(version, monkeypatch):
    monkeypatch.setattr(integrity, "workers_answering", lambda: 0)
    assert finding("worker").level == WARNING
    Job.objects.create(kind="x")
    assert finding("worker").level == FAULT
    Job.objects.create(kind="x", status="running", heartbeat_at=timezone.now())
    assert "worker" not in kinds()


def test_a_broker_that_is_away_is_told_as_what_it_is(version, monkeypatch):
    monkeypatch.setattr(integrity, "workers_answering", lambda: None)
    assert finding("worker").subject == "Broker"
    assert finding("worker").level == FAULT


@pytest.mark.parametrize("last", [None, timedelta(hours=1), -timedelta(hours=1)])
def test_a_silent_beat_is_a_fault(version, last):
    PeriodicTask.objects.update(last_run_at=last and timezone.now() - last)
    assert kinds(FAULT) == ["beat"]


def test_stuck_jobs_are_told_with_their_page(version):
    old = timezone.now() - timedelta(hours=1)
    running = Job.objects.create(kind="x", status="running", heartbeat_at=old)
    Job.objects.create(kind="y", queued_at=old)
    found = [f for f in check_integrity().findings if f.kind == "job"]
    assert (found[0].level, found[0].url) == (FAULT, f"/jobs/{running.pk}/")
    assert len(found) == 2


def test_a_stale_list_is_a_fault(version):
    at = timezone.now() - timedelta(days=8)
    Watchlist.objects.create(
        digest="0" * 64, name="ofac_sdn", content=b"", entries=1, names=1, active=True, synced_at=at
    )
    found = finding("list")
    assert (found.level, found.remedy) == (FAULT, "Synchronise the list.")
    assert f"a reading of {at:%Y-%m-%d}" in found.text


def test_a_list_that_was_never_synchronised_is_a_warning(version):
    found = finding("list")
    assert (found.level, "sync_watchlist" in found.text) == (WARNING, True)


def test_what_the_tracking_server_did_not_take_is_told(version):
    TrackedRun.objects.create(version=version, status="failed", attempts=3, error="refused")
    found = finding("tracking")
    assert "after 3 tries: refused" in found.text
    assert "by itself, 9 more times: one version every 10 minutes until" in found.remedy
    TrackedRun.objects.update(attempts=12)
    assert "not tried again by itself" in finding("tracking").remedy


def test_the_page_shows_it_to_whoever_may_see_models(client, analyst, outsider, version):
    assert client.get(PAGE).status_code == 302
    client.force_login(outsider)
    assert client.get(PAGE).status_code == 403
    client.force_login(analyst)
    text = client.get(PAGE).content.decode()
    assert "sync_watchlist" in text
    assert "Nothing found" in text


def test_too_little_time_in_shadow_is_told_with_the_page_that_changes_it(version, settings):
    settings.SHADOW_MOST = 2
    assert "shadow" not in {found.kind for found in check_integrity().findings}
    RetrainingPolicy.objects.create(detector=version.detector, age_hours=48)
    [found] = [found for found in check_integrity().findings if found.kind == "shadow"]
    assert (found.level, found.url) == ("warning", "/models/payments/retraining/")


def test_the_api_tells_the_same(api, version):
    body = api("models:read").get("/api/v1/models/integrity").json()
    assert {found["kind"] for found in body["findings"]} == {"list"}
    assert body["faults"] == 0
    assert api("score").get("/api/v1/models/integrity").status_code == 403


def test_the_health_check_says_where_to_look(api, version):
    assert api("models:read").get("/api/v1/health").json()["integrity"] == PAGE


def test_looking_costs_the_same_queries_for_any_number_of_versions(version):
    spent = []
    for more in (1, 12):
        VersionFactory.create_batch(
            more, detector=version.detector, dataset=version.dataset, digest=version.digest
        )
        with CaptureQueriesContext(connection) as queries:
            check_integrity()
        spent.append(len(queries))
    assert spent[0] == spent[1] <= 20
