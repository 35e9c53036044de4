import json
from datetime import timedelta
from html import unescape

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.roles import ANALYST, MODEL_OWNER
from jobs.models import Job
from jobs.services import claim_job, run_job
from tests.accounts.factories import UserFactory, user_with_role
from tests.jobs.factories import JobFactory

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def job():
    return JobFactory(subject="cards")


@pytest.fixture
def analyst(client):
    client.force_login(user_with_role(ANALYST))
    return client


@pytest.fixture
def owner(client):
    client.force_login(user_with_role(MODEL_OWNER))
    return client


def test_an_analyst_sees_the_list_and_a_job(analyst, job):
    assert "cards" in analyst.get(reverse("job_list")).content.decode()
    assert "cards" in analyst.get(reverse("job_detail", args=[job.pk])).content.decode()


def test_a_stranger_logs_in_first_and_an_outsider_is_refused(client, job):
    for url in (reverse("job_list"), reverse("job_detail", args=[job.pk])):
        assert client.get(url).status_code == 302
    client.force_login(UserFactory())
    for url in (reverse("job_list"), reverse("job_detail", args=[job.pk])):
        assert client.get(url).status_code == 403


@pytest.mark.parametrize("name", ["list", "detail"])
def test_page_and_fragment_come_from_one_address(analyst, job, name):
    url = reverse("job_list") if name == "list" else reverse("job_detail", args=[job.pk])
    page, fragment = analyst.get(url), analyst.get(url, headers=HTMX)
    assert "<title>" in page.content.decode()
    assert "<title>" not in fragment.content.decode()
    assert f'hx-get="{url}"' in fragment.content.decode()


def test_what_is_over_is_not_asked_for_again(analyst, job):
    run_job(job.pk, lambda job, progress: {})
    url = reverse("job_detail", args=[job.pk])
    assert "hx-trigger" not in analyst.get(url, headers=HTMX).content.decode()


def test_the_list_can_be_narrowed_to_a_status(analyst, job):
    running = claim_job(JobFactory().pk)
    page = analyst.get(reverse("job_list"), {"status": "running"}).context["page"]
    assert list(page) == [running]
    assert len(analyst.get(reverse("job_list"), {"status": "nonsense"}).context["page"]) == 2


def test_the_list_costs_the_same_queries_for_any_number_of_jobs(analyst, django_assert_num_queries):
    for jobs in (1, 30):
        JobFactory.create_batch(jobs, requested_by=UserFactory())
        analyst.get(reverse("job_list"))
        # Session, user, permissions (user's and groups'), count, page.
        with django_assert_num_queries(6):
            analyst.get(reverse("job_list"), headers=HTMX)


def test_a_job_is_told_in_words(analyst):
    job = JobFactory(
        kind="models_registry.evaluate",
        subject="Cards v3",
        params={"version": 4711, "kind": "as_of", "tune_for": 300.0, "learner": "random_forest"},
    )
    page = analyst.get(reverse("job_detail", args=[job.pk])).content.decode()
    for said in ("Evaluation", "Cards v3", "as of today", "up to 5 min", "Random forest"):
        assert said in page, said
    for internal in ("4711", "as_of", "tune_for", "models_registry", "random_forest"):
        assert internal not in page, internal


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.02, "< 0.1 s"), (3.44, "3.4 s"), (64, "64 s"), (600, "10 min"), (9000, "2.5 h")],
)
def test_a_job_that_is_over_says_how_long_it_ran(analyst, job, seconds, told):
    run_job(job.pk, lambda job, progress: {})
    began = timezone.now()
    Job.objects.update(started_at=began, finished_at=began + timedelta(seconds=seconds))
    for url in (reverse("job_list"), reverse("job_detail", args=[job.pk])):
        page = unescape(analyst.get(url).content.decode()).replace("\u00a0", " ")
        assert told in page, url


def test_a_job_that_runs_has_taken_no_time_yet(analyst, job):
    claim_job(job.pk)
    assert Job.objects.get().took == ""
    url = reverse("job_detail", args=[job.pk])
    assert "<dt>Took</dt>" not in analyst.get(url).content.decode()


def test_a_click_on_cancel_is_answered_at_once(owner, job):
    claim_job(job.pk)
    answer = owner.post(reverse("job_cancel", args=[job.pk]), headers=HTMX)
    assert "was asked to stop" in json.loads(answer["HX-Trigger"])["toast"]["text"]


def test_a_model_owner_cancels_by_post_only(owner, job):
    url = reverse("job_cancel", args=[job.pk])
    assert owner.get(url).status_code == 405
    assert owner.post(url).url == reverse("job_detail", args=[job.pk])
    job.refresh_from_db()
    assert job.status == "cancelled"


def test_cancelling_by_htmx_gives_the_fragment_back(owner, job):
    response = owner.post(reverse("job_cancel", args=[job.pk]), headers=HTMX)
    assert "Cancelled" in response.content.decode()
    assert "<title>" not in response.content.decode()


def test_an_analyst_may_not_cancel(analyst, job):
    assert (
        "Cancel this job" not in analyst.get(reverse("job_detail", args=[job.pk])).content.decode()
    )
    assert analyst.post(reverse("job_cancel", args=[job.pk])).status_code == 403


def test_a_job_that_does_not_exist_is_404(analyst):
    assert analyst.get(reverse("job_detail", args=[99])).status_code == 404


@pytest.mark.parametrize(
    ("kind", "error", "nothing"),
    [
        ("models_registry.evaluate", "ValueError: x", True),
        ("models_registry.evaluate", "Its worker died, 3 times out of 3.", False),
        ("models_registry.shadow", "ValueError: x", False),
        ("models_registry.track_version", "TrackingError: x", False),
    ],
)
def test_a_failed_job_says_that_nothing_was_changed_only_where_that_holds(
    analyst, kind, error, nothing
):
    job = JobFactory(kind=kind, status="failed", attempt=1, error=error)
    page = analyst.get(reverse("job_detail", args=[job.pk])).content.decode()
    assert ("Nothing was changed." in page) is nothing
    assert ("What it had done before is kept." in page) is not nothing
