"""The page that erases a person's data: what is stored first, then why, then a job."""

from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from cases.erasure import digest_of, reach_of, request_erasure, why_not
from cases.erasure_forms import ErasureForm, ReasonForm
from cases.retention import last_retention
from cases.views import signed_in
from jobs.dispatch import announce_job
from scoring.erasing import ErasureRefused, Person, person_named

WORDS = {
    "predictions": "Predictions",
    "alerts": "Alerts",
    "cases": "Cases",
    "windows": "Windows",
    "orders": "List entries and snoozes",
    "links": "Links to what their events shared",
}


@login_required
@permission_required("scoring.erase_pii", raise_exception=True)
@never_cache
@require_http_methods(["GET", "POST"])
def personal_data(request: HttpRequest) -> HttpResponse:
    """Context: form, days (how long data is kept, 0 for ever), last (the newest job that applied
    it), and once somebody was named: seen, counts [(what, how many)], fields, refused, reason (the
    form). What was typed stays out of every address."""
    form = ErasureForm(request.POST or None)
    context: dict[str, Any] = {
        "title": "Personal data",
        "form": form,
        "days": settings.RETENTION_DAYS,
        "last": last_retention(),
    }
    if request.method == "POST" and form.is_valid():
        erasing = "erase" in request.POST
        reason = ReasonForm(request.POST if erasing else None)
        try:
            detector = form.detectors[form.cleaned_data["detector"]]
            field = detector.spec().entity_field
            person = person_named(detector, field, form.cleaned_data["value"])
            context |= _found(person) | {"reason": reason}
            if erasing and form.cleaned_data["seen"] != context["seen"]:
                raise ErasureRefused("This is somebody else than was shown. Look again.")
            if erasing and reason.is_valid():
                return _begin(request, person, reason.cleaned_data["reason"])
        except ErasureRefused as error:
            form.add_error(None, str(error))
        if not erasing and not form.errors:
            return render(request, "cases/personal_data.html", context)
    status = 422 if request.method == "POST" else 200
    return render(request, "cases/personal_data.html", context, status=status)


def _found(person: Person) -> dict[str, Any]:
    """What is stored of them. Raises ErasureRefused."""
    reach = reach_of(person)
    if reach.is_empty:
        raise ErasureRefused(
            f"{person.detector} stores nothing under this value of {person.spec.entity_field}."
        )
    return {
        "seen": digest_of(f"{person.detector.pk}:{person.token}"),
        "counts": [(WORDS[name], count) for name, count in asdict(reach).items()],
        "fields": sorted(person.fields),
        "refused": why_not(person, timezone.now()),
    }


def _begin(request: HttpRequest, person: Person, reason: str) -> HttpResponse:
    """Raises ErasureRefused."""
    with transaction.atomic():
        job = request_erasure(person, reason=reason, actor=signed_in(request))
        announce_job(job)
    messages.success(request, "Their personal data is being erased; this job says when it is done.")
    return redirect("job_detail", job.pk)
