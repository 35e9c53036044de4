"""The list of jobs and one job; page and polled fragment from the same view and template."""

import json
from typing import Any, cast

from django.contrib.auth.decorators import login_required, permission_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.http import require_POST

from accounts.models import User
from jobs.models import Job
from jobs.selectors import get_job, list_jobs
from jobs.services import cancel_job
from jobs.words import params_in_words
from jobs.workflow import JobStatus

PAGE_SIZE = 50
_may_view = permission_required("jobs.view_job", raise_exception=True)


@method_decorator(login_required, name="dispatch")
@method_decorator(_may_view, name="dispatch")
class JobList(View):
    """Context: `page` (of jobs), `statuses`, `status` (chosen), `is_live` (poll on), `query`."""

    def get(self, request: HttpRequest) -> HttpResponse:
        status = request.GET.get("status", "")
        if status not in {known.value for known in JobStatus}:
            status = ""
        page = Paginator(list_jobs(status=status), PAGE_SIZE).get_page(request.GET.get("page"))
        context = {
            "page": page,
            "status": status,
            "statuses": [known.value for known in JobStatus],
            "is_live": any(job.is_live for job in page),
            "query": request.GET.urlencode(),
        }
        return render(request, _template(request, "jobs/job_list.html", "job-table"), context)


@method_decorator(login_required, name="dispatch")
@method_decorator(_may_view, name="dispatch")
class JobDetail(View):
    """Context: `job`, `may_cancel`, `about` (what it was asked to do, in words)."""

    def get(self, request: HttpRequest, job_id: int) -> HttpResponse:
        return render_job(request, job_or_404(job_id))


@login_required
@permission_required("jobs.cancel_job", raise_exception=True)
@require_POST
def job_cancel(request: HttpRequest, job_id: int) -> HttpResponse:
    """Cancel, then show the job: the fragment to HTMX, the page to everyone else."""
    job = job_or_404(job_id)
    cancel_job(job, actor=cast(User, request.user))
    if _is_htmx(request):
        answer = render_job(request, job)
        said = "is cancelled" if not job.is_live else "was asked to stop; that can take a moment"
        answer["HX-Trigger"] = json.dumps({"toast": {"text": f"Job {job.pk} {said}."}})
        return answer
    return redirect("job_detail", job_id=job.pk)


def job_or_404(job_id: int) -> Job:
    job = get_job(job_id)
    if job is None:
        raise Http404("There is no such job.")
    return job


def render_job(request: HttpRequest, job: Job) -> HttpResponse:
    may_cancel = (
        job.is_live
        and job.cancel_requested_at is None
        and cast(User, request.user).has_perm("jobs.cancel_job")
    )
    context: dict[str, Any] = {
        "job": job,
        "may_cancel": may_cancel,
        "about": params_in_words(job.params),
    }
    return render(request, _template(request, "jobs/job_detail.html", "job-panel"), context)


def _template(request: HttpRequest, name: str, fragment: str) -> str:
    return f"{name}#{fragment}" if _is_htmx(request) else name


def _is_htmx(request: HttpRequest) -> bool:
    # A boosted or restored page wants the whole page.
    htmx = request.htmx  # type: ignore[attr-defined]
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request
