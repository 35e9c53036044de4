"""Cases: the list and one case. What can be done with one is in `case_act_views`."""

from django.contrib.auth.decorators import login_required, permission_required
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from cases.case_filters import SORTS, CaseFilters, list_selects, tabs
from cases.case_pages import render_case
from cases.case_rows import case_rows
from cases.case_selectors import (
    alert_sums,
    case_rows_query,
    find_case,
    status_counts,
    waits_for_me,
)
from cases.exporting import MOST
from cases.models import Case
from cases.second_looks import hidden_look, hide_cases, untold_cases
from cases.services import begin_touch
from cases.views import fragment, page_address, signed_in

PAGE_SIZE = 50


@login_required
@permission_required("cases.view_case", raise_exception=True)
@require_GET
def case_index(request: HttpRequest) -> HttpResponse:
    """Cases that are not closed, the most urgent first, unless asked otherwise."""
    now, user = timezone.now(), signed_in(request)
    filters = CaseFilters.read(request.GET.dict())
    hidden = untold_cases(hidden_look(user))
    rows = filters.apply(case_rows_query(), user=user, now=now, hidden=hidden)
    narrowed = filters.narrow(Case.objects.all(), user=user, hidden=hidden)
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    cases = list(page.object_list)
    hide_cases(cases, hidden)
    context = {
        "title": "Cases",
        "filters": filters,
        "query": filters.query(),
        "page_obj": page,
        "rows": case_rows(cases, alert_sums([case.pk for case in cases]), now),
        "tabs": tabs(filters, status_counts(narrowed, now)),
        "selects": list_selects(filters, user=user, now=now, hidden=hidden),
        "sorts": [(name, label) for name, (label, _) in SORTS.items()],
        "keep": {"status": filters.status},
        "most": MOST,
        **waits_for_me(user),
    }
    if not fragment(request):
        return render(request, "cases/case_list.html", context)
    response = render(request, "cases/case_list.html#list", context)
    response["HX-Push-Url"] = page_address(request.path, filters.query(), page.number)
    return response


def case_or_404(pk: int) -> Case:
    case = find_case(pk)
    if case is None:
        raise Http404("There is no such case.")
    return case


@login_required
@permission_required("cases.view_case", raise_exception=True)
@require_GET
def case_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One case: its alerts, its timeline, the moves that this user may make."""
    case, user = case_or_404(pk), signed_in(request)
    begin_touch(user, case=case)
    return render_case(request, case, user, {"act": request.GET.get("act", "")})
