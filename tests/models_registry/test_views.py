"""The models page: what serves, what waits, training that is followed live."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from jobs.models import Job
from jobs.services import cancel_job, claim_job, run_job
from models_registry.core.tuning import MOST_TRIALS
from models_registry.drift_models import DriftCheck
from models_registry.retraining import request_training
from scoring.models import Detector
from tests.models_registry.drifting import kept_check
from tests.models_registry.versions import VersionFactory, comparison, make_detector, moved_from

pytestmark = pytest.mark.django_db
LIST = "/models/"


@pytest.fixture
def unsent(monkeypatch):
    """Jobs are queued and announced to nobody."""
    monkeypatch.setattr("models_registry.views.announce_job", lambda job: None)


def fragment(slug):
    return {"HX-Request": "true", "HX-Target": f"training-{slug}"}


def text_of(response):
    return response.content.decode()


def test_everybody_who_may_view_sees_champion_and_challengers(client, analyst, payments_detector):
    VersionFactory(detector=payments_detector, number=1, stage="champion")
    VersionFactory(detector=payments_detector, number=2, comparison=comparison())
    client.force_login(analyst)
    page = text_of(client.get(LIST))
    assert "v1 serves" in page
    assert "v2 is better than the champion, and its decisions cost less." in page
    assert "Retrain now" not in page


def test_a_stranger_logs_in_first_and_an_outsider_is_refused(client, outsider):
    assert client.get(LIST).status_code == 302
    client.force_login(outsider)
    assert client.get(LIST).status_code == 403


def test_without_a_version_the_page_says_what_to_do(client, owner, payments_detector):
    client.force_login(owner)
    assert "train the first version below" in text_of(client.get(LIST))


def test_a_detector_that_is_off_is_listed_for_its_versions_alone(
    client, owner, payments_detector, fraud_detector
):
    Detector.objects.update(enabled=False)
    client.force_login(owner)
    VersionFactory(detector=payments_detector, number=1, stage="challenger")
    page = text_of(client.get(LIST))
    assert (payments_detector.name in page, fraud_detector.name in page) == (True, False)


def test_an_owner_starts_one_training_however_often_he_clicks(
    client, owner, payments_detector, unsent
):
    client.force_login(owner)
    url = reverse("model_train", args=["payments"])
    for _ in range(2):
        answer = client.post(url, {"learner": "isolation_forest"}, headers=fragment("payments"))
    asked = {"detector": "payments", "learner": "isolation_forest", "imbalance": "none"}
    assert Job.objects.get().params == asked
    assert 'hx-trigger="every 1s"' in text_of(answer)
    assert "<title>" not in text_of(answer)


def test_without_script_training_leads_back_to_the_page(client, owner, payments_detector, unsent):
    client.force_login(owner)
    answer = client.post(reverse("model_train", args=["payments"]), {"learner": "lightgbm"})
    assert answer.url == "/models/#detector-payments"


def test_an_unknown_algorithm_is_422_and_starts_nothing(client, owner, payments_detector):
    client.force_login(owner)
    answer = client.post(reverse("model_train", args=["payments"]), {"learner": "oracle"})
    assert answer.status_code == 422
    assert not Job.objects.exists()


def test_an_analyst_may_not_train(client, analyst, payments_detector):
    client.force_login(analyst)
    assert client.post(reverse("model_train", args=["payments"])).status_code == 403


def test_a_running_training_shows_its_stage_and_asks_on(client, owner, payments_detector):
    job = claim_job(request_training(payments_detector, requested_by=owner).pk)
    Job.objects.filter(pk=job.pk).update(stage="Calibrating", progress=0.78)
    client.force_login(owner)
    answer = text_of(client.get(LIST, {"detector": "payments"}, headers=fragment("payments")))
    assert "Calibrating" in answer
    assert "78" in answer
    assert "hx-get=" in answer
    assert "hx-swap-oob" not in answer


def test_a_running_training_tells_why_and_about_how_long(client, owner, payments_detector):
    reason = "512 labels matured since v3"
    job = claim_job(request_training(payments_detector, requested_by=None, reason=reason).pk)
    started = timezone.now() - timedelta(seconds=60)
    log = [{"at": "2026-01-01T10:20:30+00:00", "text": "4,000 events"}]
    Job.objects.filter(pk=job.pk).update(progress=0.5, started_at=started, log=log)
    client.force_login(owner)
    answer = text_of(client.get(LIST, {"detector": "payments"}, headers=fragment("payments")))
    assert f"because {reason}" in answer
    assert "about 60 s left" in answer
    assert "4,000 events" in answer


def test_when_training_ends_the_table_comes_along(client, owner, payments_detector):
    job = request_training(payments_detector, requested_by=owner)
    version = VersionFactory(detector=payments_detector, job=job)
    run_job(job.pk, lambda job, progress: {"version": version.pk})
    client.force_login(owner)
    answer = text_of(client.get(LIST, {"detector": "payments"}, headers=fragment("payments")))
    assert "waits as a challenger" in answer
    assert 'id="versions-payments" hx-swap-oob="true"' in answer
    assert "hx-get=" not in answer


def test_a_training_is_no_news_once_a_newer_version_is_there(client, owner, payments_detector):
    job = request_training(payments_detector, requested_by=owner)
    version = VersionFactory(detector=payments_detector, number=1)
    run_job(job.pk, lambda job, progress: {"version": version.pk})
    client.force_login(owner)
    assert "and waits as a challenger" in text_of(client.get(LIST))
    VersionFactory(detector=payments_detector, number=2)
    assert "and waits as a challenger" not in text_of(client.get(LIST))


def progress_line(page):
    return page.partition("progress-line")[2].partition("</div>")[0]


@pytest.mark.parametrize(
    ("progress", "log", "said"),
    [
        (0.1, [], "at least 5 min left"),
        (0.32, [], "at least 4 min left"),
        (0.32, [{"usual": 90.0}], "about 5 min left"),
        (0.7, [{"usual": 90.0}, {"searched": 30.0}], "about 20 s left"),
        (0.7, [{"searched": 0.0}], "about 30 s left"),
    ],
)
def test_a_search_says_its_bounds_and_about_how_long_it_takes(
    client, owner, payments_detector, progress, log, said
):
    claim_job(request_training(payments_detector, requested_by=owner, tune_for=300.0).pk)
    stage = "Searching parameters: trial 3 of 500 at most, 20 of 300 s"
    at = timezone.now().isoformat(timespec="seconds")
    lines = [{"at": at, "text": "", **told} for told in log]
    started = timezone.now() - timedelta(seconds=70)
    Job.objects.update(progress=progress, stage=stage, started_at=started, log=lines)
    client.force_login(owner)
    for url in (LIST, reverse("job_detail", args=[Job.objects.get().pk])):
        page = text_of(client.get(url))
        assert "20 of 300 s" in page
        assert said in progress_line(page)
    Job.objects.update(status="cancelled")
    assert f"search 5 min or {MOST_TRIALS} trials" in text_of(client.get(LIST))


def test_who_may_only_look_sees_no_empty_foot(client, analyst, payments_detector):
    VersionFactory(detector=payments_detector, number=1, stage="champion")
    client.force_login(analyst)
    assert "is-foot" not in text_of(client.get(LIST))


def test_an_alarm_of_drift_stands_in_the_list_and_on_the_champion(
    client, analyst, payments_detector
):
    serves = VersionFactory(detector=payments_detector, number=1, stage="champion")
    check = kept_check(payments_detector, bundle_digest=serves.digest)
    client.force_login(analyst)
    for url in (LIST, serves.get_absolute_url()):
        assert "is major since" in text_of(client.get(url))
    DriftCheck.objects.filter(pk=check.pk).update(bundle_digest="f" * 64)
    for url in (LIST, serves.get_absolute_url()):
        assert "is major since" not in text_of(client.get(url))
    kept_check(payments_detector, bundle_digest=serves.digest, status="stable", hours_ago=-1)
    assert "is major since" not in text_of(client.get(LIST))


def test_a_failed_training_says_why_until_a_version_comes(client, owner, payments_detector):
    def fail(job, progress):
        raise ValueError("Only 3 labelled positives.")

    run_job(request_training(payments_detector, requested_by=None).pk, fail)
    client.force_login(owner)
    assert "The last training failed: Only 3 labelled positives." in text_of(client.get(LIST))
    job = Job.objects.get()
    base = VersionFactory(detector=payments_detector)
    moved_from(base, VersionFactory(detector=payments_detector, trained_at=job.finished_at))
    assert "The last training failed" in text_of(client.get(LIST))
    VersionFactory(detector=payments_detector, trained_at=job.finished_at)
    assert "The last training failed" not in text_of(client.get(LIST))


@pytest.mark.parametrize(
    ("tune_for", "error", "nothing"),
    [
        (0.0, "ValueError: Only 3 labelled positives.", True),
        (300.0, "ValueError: Only 3 labelled positives.", False),
        (0.0, "Its worker died, 3 times out of 3.", False),
    ],
)
@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_an_ended_training_says_what_it_left(
    client, owner, payments_detector, status, tune_for, error, nothing
):
    claim_job(request_training(payments_detector, requested_by=owner, tune_for=tune_for).pk)
    Job.objects.update(status=status, error=error, finished_at=timezone.now())
    client.force_login(owner)
    page = text_of(client.get(LIST))
    assert ("Nothing was changed." in page) is nothing
    assert ("What it had done before is kept." in page) is not nothing


def test_a_cancelled_training_is_told(client, owner, payments_detector):
    asked = request_training(payments_detector, requested_by=owner, tune_for=300.0)
    cancel_job(asked, actor=owner)
    client.force_login(owner)
    page = text_of(client.get(LIST))
    assert "The last training was cancelled" in page
    assert "Nothing was changed." in page


def test_the_page_costs_the_same_queries_for_any_number_of_rows(client, owner):
    client.force_login(owner)
    spent = []
    for versions in (1, 9):
        for slug in (f"one{versions}", f"two{versions}"):
            detector = make_detector(slug)
            VersionFactory(detector=detector, stage="champion")
            VersionFactory.create_batch(versions, detector=detector, comparison=comparison())
            request_training(detector, requested_by=owner)
        with CaptureQueriesContext(connection) as queries:
            client.get(LIST)
        spent.append(len(queries))
    assert spent[0] == spent[1] <= 12


def test_the_list_says_why_a_comparison_could_decide_nothing(client, owner, payments_detector):
    first = VersionFactory.create(detector=payments_detector, number=1, stage="champion")
    found = comparison(first.digest, verdict="undecided", cheaper="undecided", positives=3)
    VersionFactory.create(detector=payments_detector, number=2, comparison=found)
    client.force_login(owner)
    page = text_of(client.get(reverse("model_list")))
    assert "v2 is not surely better or worse than v1." in page
    assert "Only 3 positives were known among these events" in page


def test_a_perfect_precision_of_before_without_legitimate_events_is_a_dash(
    client, owner, payments_detector
):
    perfect = {"rows": 16, "positives": 16, "average_precision": 1.0}
    version = VersionFactory.create(detector=payments_detector, number=1, metrics=perfect)
    client.force_login(owner)
    assert "1.000" not in text_of(client.get(reverse("model_list")))
    page = text_of(client.get(version.get_absolute_url()))
    assert "Average precision \N{EN DASH} on 16 events (16 positive)" in page
    assert "1.000" not in page


def test_all_versions_of_a_detector_stand_in_pages(client, owner, payments_detector):
    VersionFactory.create_batch(60, detector=payments_detector)
    client.force_login(owner)
    assert "All 60 versions" in text_of(client.get(LIST))
    page = client.get(LIST, {"detector": "payments"})
    assert len(page.context["panels"][0].rows) == 50
    assert client.get(LIST, {"detector": "nonsense"}).status_code == 404


@pytest.mark.parametrize("name", ["model_list", "model_compare"])
def test_a_name_that_no_database_can_hold_is_no_fault_of_ours(client, owner, name):
    client.force_login(owner)
    assert client.get(reverse(name), {"detector": "\0"}).status_code == 200
    assert client.get(reverse(name), {"detector": "none\0"}).status_code == 404
