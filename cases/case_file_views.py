"""What leaves the platform: the queue as a table; of a case attachments, the report, tables."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from accounts.csv_tables import csv_stream
from accounts.services import record_audit
from cases.attaching import FileLost, hand_out
from cases.case_filters import CaseFilters
from cases.case_forms import RevealForm, first_error
from cases.case_models import CaseAttachment
from cases.case_views import case_or_404
from cases.exporting import (
    ALERT_HEAD,
    CASE_HEAD,
    QUEUE_HEAD,
    alert_lines,
    case_lines,
    queue_lines,
    xlsx_file,
)
from cases.filters import QueueFilters
from cases.report import build_report, reveal_audited
from cases.second_looks import is_blind_to_case
from cases.views import signed_in

REVEAL = "scoring.reveal_pii"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# Whatever somebody attached: opened in the browser, it runs and loads nothing.
SANDBOX = "sandbox; default-src 'none'; frame-ancestors 'none'"


def _reads(
    view: Callable[..., HttpResponseBase], permission: str = "cases.view_case"
) -> Callable[..., HttpResponseBase]:
    """Signed in, may see cases; nothing of it stays in a cache."""
    allowed = permission_required(permission, raise_exception=True)(view)
    return login_required(never_cache(allowed))


def _works(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """As `_reads`, for who works on cases: files are not masked as fields are."""
    return _reads(view, "cases.work_case")


def _opens(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """As `_reads`, for who sees alerts."""
    return _reads(view, "cases.view_alert")


@_works
@require_GET
def case_attachment(request: HttpRequest, pk: int, attachment: int) -> HttpResponseBase:
    """The bytes of a file, as a download and nothing else."""
    row = get_object_or_404(
        CaseAttachment.objects.select_related("case"), pk=attachment, case__pk=pk
    )
    user = signed_in(request)
    if is_blind_to_case(user, row.case):
        return redirect("second_looks")
    try:
        content = hand_out(row, actor=user)
    except FileLost as lost:
        context = {"title": "File not available", "text": str(lost), "case": row.case}
        return render(request, "cases/case_file_lost.html", context, status=410)
    response = HttpResponse(content, content_type=row.content_type)
    response.headers["Content-Disposition"] = content_disposition_header(True, row.name)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = SANDBOX
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


@_reads
@require_http_methods(["GET", "POST"])
def case_report(request: HttpRequest, pk: int, form: str = "page") -> HttpResponseBase:
    """The report, as a page to print or as PDF; with personal data by POST, with a reason."""
    case, user = case_or_404(pk), signed_in(request)
    if is_blind_to_case(user, case):
        return redirect("second_looks")
    reveal, problem = False, ""
    if request.method == "POST":
        if not user.has_perm(REVEAL):
            raise PermissionDenied
        asked = RevealForm(request.POST)
        problem = first_error(asked)
        if not problem:
            reveal_audited(case, actor=user, reason=asked.cleaned_data["reason"])
            reveal = True
    report = build_report(case, now=timezone.now(), actor=user, reveal=reveal)
    if form == "pdf" and not problem:
        from cases.report_pdf import report_pdf  # fonts and pictures: not for who only scores

        response = HttpResponse(
            report_pdf(report, base_url=request.build_absolute_uri("/")),
            content_type="application/pdf",
        )
        response.headers["Content-Disposition"] = f'attachment; filename="case-{case.pk}.pdf"'
        return response
    context: dict[str, Any] = {
        "title": "Report",
        "crumbs": [
            ("Cases", reverse("case_list")),
            (case.title, case.get_absolute_url()),
        ],
        "case": case,
        "report": report,
        "reason": request.POST.get("reason", "")[:400],
        "problem": problem,
        "may_reveal": user.has_perm(REVEAL),
    }
    status = 422 if problem else 200
    return render(request, "cases/case_report.html", context, status=status)


@_reads
@require_GET
def case_export(request: HttpRequest, form: str) -> HttpResponseBase:
    """The list of cases as the address filters it."""
    _check_form(form)
    user, now = signed_in(request), timezone.now()
    filters = CaseFilters.read(request.GET.dict())
    record_audit(
        actor=user,
        action="case.list_exported",
        # What was searched for may be a name: that it was is enough.
        detail={"filters": filters.query(q=""), "searched": bool(filters.q), "form": form},
    )
    return _table(form, CASE_HEAD, case_lines(filters, user=user, now=now), name="cases")


@_opens
@require_GET
def queue_export(request: HttpRequest, form: str) -> HttpResponseBase:
    """The queue as the address filters and orders it."""
    _check_form(form)
    user, now = signed_in(request), timezone.now()
    filters = QueueFilters.read(request.GET.dict())
    record_audit(
        actor=user,
        action="alert.list_exported",
        # Words and an entity may be somebody's name: that they were asked for is enough.
        detail={
            "filters": filters.query(q="", entity=""),
            "searched": bool(filters.q or filters.entity),
            "form": form,
        },
    )
    return _table(form, QUEUE_HEAD, queue_lines(filters, user=user, now=now), name="alerts")


@_reads
@require_GET
def case_alerts_export(request: HttpRequest, pk: int, form: str) -> HttpResponseBase:
    """The alerts of a case."""
    _check_form(form)
    case, user = case_or_404(pk), signed_in(request)
    if is_blind_to_case(user, case):
        return redirect("second_looks")
    record_audit(
        actor=user,
        action="case.alerts_exported",
        subject=case,
        detail={"form": form},
    )
    return _table(form, ALERT_HEAD, alert_lines(case), name=f"case-{case.pk}-alerts")


def _check_form(form: str) -> None:
    if form not in ("csv", "xlsx"):
        raise Http404("Tables are CSV or XLSX.")


def _table(form: str, head: Any, lines: Any, *, name: str) -> HttpResponseBase:
    if form == "csv":
        response = StreamingHttpResponse(
            csv_stream(head, lines), content_type="text/csv; charset=utf-8"
        )
        response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
        return response
    out = xlsx_file(head, lines, title=name)
    return FileResponse(out, as_attachment=True, filename=f"{name}.xlsx", content_type=XLSX)
