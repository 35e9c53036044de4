"""The page of exchange rates: who sees cases reads them, admins set them."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from cases.currencies import word_of_unknown
from cases.exchange import plain
from cases.exchange_rates import rates_in_force, rates_of
from cases.rate_forms import RateForm
from cases.selectors import currencies_without_rate
from cases.tasks import reorder_soon
from cases.views import signed_in

SET_RATE = "cases.add_exchangerate"


@login_required
@permission_required("cases.view_case", raise_exception=True)
@require_http_methods(["GET", "POST"])
def exchange_rates(request: HttpRequest) -> HttpResponse:
    """The rates in force, which currencies lack one, and the form for those who may set them."""
    user = signed_in(request)
    form = RateForm(request.POST or None)
    if request.method == "POST":
        if not user.has_perm(SET_RATE):
            raise PermissionDenied
        if form.is_valid():
            with transaction.atomic():
                row = form.set_rate(actor=user)
                reorder_soon()
            messages.success(
                request,
                f"One {row.currency} is {plain(row.rate)} {row.to} from now on. What waits is"
                " ordered anew within moments.",
            )
            return redirect("exchange_rates")
    common = settings.COMMON_CURRENCY
    rows = list(rates_in_force().select_related("set_by"))
    lacking = currencies_without_rate(rates_of(rows))
    context = {
        "title": "Exchange rates",
        "crumbs": [("Cases", "/cases/"), ("Team queues", "/cases/team-queues/")],
        "common": common,
        "version": max((row.pk for row in rows), default=0),
        "rows": [(row, plain(row.rate), row.to == common) for row in rows],
        "lacking": sorted(lacking.items()),
        "unknown": word_of_unknown(lacking),
        "form": form,
        "may_change": user.has_perm(SET_RATE),
    }
    status = 422 if request.method == "POST" else 200
    return render(request, "cases/exchange_rates.html", context, status=status)
