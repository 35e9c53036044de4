"""The audit search: who did what to what, and whether it stands as it was written."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.audit_chain import find_end_break, find_shown_breaks
from accounts.changes import changes_of, facts_of, in_short
from accounts.csv_tables import Cell, csv_stream
from accounts.models import AuditEntry
from accounts.pages import PAGE_SIZE, for_who_may, signed_in, template
from accounts.selectors import AuditAsked, audit_page, each_audit, subject_links
from accounts.services import record_audit
from accounts.typed import is_whole
from accounts.user_forms import AuditForm, subject_name

VIEW = "accounts.view_auditentry"
MOST = 100_000
"""Lines of one export."""
HEAD = ("Number", "At (UTC)", "Who", "Action", "Kind", "Key", "About", "Detail", "Hash")
FILTERS = ("actor", "action", "kind", "key", "since", "until")


@for_who_may(VIEW)
@require_GET
def audit_list(request: HttpRequest) -> HttpResponse:
    """Context: form, rows [{entry, kind, link, broken, detail}], older, newer, newest, export,
    end."""
    form = _form(request)
    context: dict[str, Any] = {
        "title": "Audit trail",
        "form": form,
        "narrowed": any(form.data.values()),
        "most": MOST,
    }
    if not form.is_valid():
        name = template(request, "accounts/audit_list.html", "list")
        return render(request, name, context, status=422)
    page = audit_page(
        form.asked(),
        size=PAGE_SIZE,
        before=_number(request, "before"),
        after=_number(request, "after"),
    )
    links, broken = subject_links(page.entries), find_shown_breaks(page.entries)
    kept = {name: value for name, value in form.data.items() if value}
    context |= {
        "rows": [
            {
                "entry": entry,
                "kind": subject_name(entry.object_type),
                "link": links.get(entry.number),
                "broken": broken.get(entry.number),
                "detail": in_short(entry.action, entry.detail),
            }
            for entry in page.entries
        ],
        "older": page.older and _link(kept, before=page.older),
        "newer": page.newer and _link(kept, after=page.newer),
        "newest": _link(kept),
        "export": f"{reverse('audit_export')}?{urlencode(kept)}",
        "broken": broken,
        "end": find_end_break(),
    }
    return render(request, template(request, "accounts/audit_list.html", "list"), context)


@for_who_may(VIEW)
@require_GET
def audit_entry(request: HttpRequest, number: int) -> HttpResponse:
    """Context: entry, kind, link, broken, changes [Change], facts [(name, value)], detail."""
    entry = get_object_or_404(AuditEntry.objects.select_related("actor"), number=number)
    context = {
        "title": f"Entry {entry.number}",
        "crumbs": [("Audit trail", reverse("audit_list"))],
        "entry": entry,
        "kind": subject_name(entry.object_type),
        "link": subject_links([entry]).get(entry.number),
        "broken": find_shown_breaks([entry]).get(entry.number),
        "changes": changes_of(entry.action, entry.detail),
        "facts": facts_of(entry.action, entry.detail),
        "detail": json.dumps(entry.detail, ensure_ascii=False, indent=2) if entry.detail else "",
    }
    return render(request, "accounts/audit_entry.html", context)


@for_who_may(VIEW)
@never_cache
@require_GET
def audit_export(request: HttpRequest) -> HttpResponseBase:
    """What was searched for as CSV, newest first; audited."""
    form = _form(request)
    if not form.is_valid():
        name, errors = next(iter(form.errors.items()))
        return HttpResponse(f"{name}: {errors[0]}", status=422, content_type="text/plain")
    asked = form.asked()
    kept = {name: value for name, value in form.data.items() if value}
    record_audit(actor=signed_in(request), action="audit.exported", detail={"asked": kept})
    response = StreamingHttpResponse(csv_stream(HEAD, _lines(asked)), content_type="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="audit-trail.csv"'
    return response


def _lines(asked: AuditAsked) -> Iterator[tuple[Cell, ...]]:
    for entry in each_audit(asked, most=MOST):
        yield (
            entry.number,
            entry.at,
            entry.actor.username if entry.actor else "",
            entry.action,
            entry.object_type,
            entry.object_id,
            entry.object_label,
            entry.detail_json,
            entry.row_hash,
        )


def _form(request: HttpRequest) -> AuditForm:
    return AuditForm({name: request.GET.get(name, "") for name in FILTERS})


def _number(request: HttpRequest, name: str) -> int | None:
    """A number of an entry in the address; anything else counts as none."""
    text = request.GET.get(name, "")
    return int(text) if is_whole(text) else None


def _link(kept: dict[str, Any], **more: int) -> str:
    asked = urlencode({**kept, **more})
    return f"{reverse('audit_list')}?{asked}" if asked else reverse("audit_list")
