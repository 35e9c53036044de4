"""The page of a version follows what works on it, and shows what was found without a reload."""

import pytest
from django.urls import reverse
from django.utils import timezone

from jobs.models import Job
from jobs.services import claim_job
from models_registry.evaluation_jobs import EVALUATE, request_evaluation
from models_registry.shadow_judging import SHADOW, request_judgement
from models_registry.shadow_models import Shadow
from models_registry.shadowing import start_shadow
from models_registry.views import ENDS
from tests.models_registry.versions import VersionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def version(champion, payments_digest):
    VersionFactory(detector=champion, number=1, digest=payments_digest, stage="champion")
    made = VersionFactory(detector=champion, number=2, digest=payments_digest)
    start_shadow(made, actor=None)
    Shadow.objects.update(rows=5, agreed=5)
    return made


def ask(version, region, client):
    headers = {"HX-Request": "true", "HX-Target": region}
    return client.get(version.get_absolute_url(), headers=headers)


def begin(version, kind, user):
    if kind == EVALUATE:
        job = request_evaluation(version, kind="as_of", requested_by=user)
    else:
        job = request_judgement(version, requested_by=user)
    return claim_job(job.pk)


@pytest.mark.parametrize(
    ("kind", "region", "panel"),
    [(EVALUATE, "judging", "judgements"), (SHADOW, "comparing", "shadow")],
)
@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_a_job_is_followed_until_it_is_over(client, owner, version, kind, region, panel, status):
    client.force_login(owner)
    job = begin(version, kind, owner)
    page = client.get(version.get_absolute_url()).content.decode()
    assert f'id="{region}"' in page and f"Job {job.pk}</a>" in page
    assert f'hx-get="{version.get_absolute_url()}"' in page and 'hx-trigger="every 1s"' in page
    told = ask(version, region, client)
    assert f'id="{region}"' in told.content.decode() and "HX-Refresh" not in told
    assert "<html" not in told.content.decode() and f'id="{panel}"' not in told.content.decode()
    Job.objects.filter(pk=job.pk).update(status=status, finished_at=timezone.now())
    over = ask(version, region, client)
    assert (over["HX-Refresh"], over.content) == ("true", b"")
    text = client.get(version.get_absolute_url()).content.decode()
    assert f'id="{panel}"' in text and f'id="{region}"' not in text
    assert (f'see <a href="{reverse("job_detail", args=[job.pk])}' in text) == (status == "failed")
    assert f"of {version.label} {ENDS[status]}." in text


def test_a_job_that_only_caught_up_says_so(client, owner, version):
    client.force_login(owner)
    job = begin(version, SHADOW, owner)
    result = {"verdict": "", "reason": "It was compared a short while ago."}
    Job.objects.filter(pk=job.pk).update(
        status="succeeded", finished_at=timezone.now(), result=result
    )
    ask(version, "comparing", client)
    page = client.get(version.get_absolute_url()).content.decode()
    assert "It was compared a short while ago." in page and "is done." not in page


def test_a_failed_comparison_is_told_until_another_was_made(client, owner, version):
    client.force_login(owner)
    job = begin(version, SHADOW, owner)
    Job.objects.filter(pk=job.pk).update(status="failed", finished_at=timezone.now())
    assert "The last comparison failed" in client.get(version.get_absolute_url()).content.decode()
    Shadow.objects.update(compared_at=timezone.now())
    page = client.get(version.get_absolute_url()).content.decode()
    assert "The last comparison failed" not in page and 'id="shadow"' in page


def test_compare_now_shows_its_job_on_the_page(client, owner, version):
    client.force_login(owner)
    page = client.post(reverse("shadow_judge", args=[version.pk]), follow=True).content.decode()
    assert (
        f"Job {Job.objects.get().pk}</a> scores what came and compares it on live traffic" in page
    )
    assert "see Jobs" not in page
