"""Every address of the platform that can be read, from its own URL table, so that no page is
forgotten where all of them are measured or counted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from accounts.models import ApiKey, AuditEntry, User
from cases.case_models import CaseType
from cases.models import Alert, Case
from cases.report_models import ReportSubscription
from cases.second_look_models import SecondLook
from cases.work_queue_models import WorkQueue
from jobs.models import Job
from models_registry.backtest_models import Backtest
from models_registry.models import ModelVersion
from notifications.models import Delivery, Receipt, Route
from scoring.models import Detector
from scoring.source_models import Source

NOBODY = UUID(int=0)
FORMS = {
    *("rule_request_approve", "rule_request_refuse", "rule_request_withdraw"),
    *("snooze_revoke", "list_revoke", "password_reset_confirm", "api_list_entry"),
    *("promotion_approve", "promotion_refuse", "promotion_withdraw"),
    *("api_approve", "api_refuse", "api_withdraw"),
    *("view_change", "undo_closing"),
    *("case_check", "case_attachment", "work_queue_availability"),
}
"""Routes that only take a form and need a row of their own."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Keys of the rows that the addresses point at; `rule` is a rule's code, `backtest` is 0 where
    there is none."""

    slug: str
    token: str
    rule: str
    alert: int
    case: int
    prediction: Any
    event: str
    version: int
    dataset: int
    job: int
    backtest: int
    work_queue: int
    case_type: int
    receipt: int = 0
    route: int = 0
    delivery: UUID = NOBODY
    look: int = 0
    user: int = 0
    key: int = 0
    entry: int = 0
    report: int = 0
    source: str = "none"


def shown_rows(slug: str) -> Shown:
    """The busiest rows of a detector that has a champion, alerts and a case."""
    detector = Detector.objects.get(slug=slug)
    busy = (
        Alert.objects.filter(status="open", detector=detector, top_prediction__score__isnull=False)
        .annotate(n=Count("links"))
        .order_by("-n", "-pk")
        .select_related("top_prediction")[:1]
        .get()
    )
    case = Case.objects.annotate(n=Count("timeline")).order_by("-n", "-pk")[:1].get()
    version = ModelVersion.objects.get(detector=detector, stage="champion")
    return Shown(
        slug=detector.slug,
        token=busy.entity,
        rule=detector.spec().rules[0].code,
        alert=busy.pk,
        case=case.pk,
        prediction=busy.top_prediction_id,
        event=busy.top_prediction.external_id,
        version=version.pk,
        dataset=version.dataset_id,
        job=Job.objects.values_list("pk", flat=True).first() or 0,
        backtest=Backtest.objects.values_list("pk", flat=True).first() or 0,
        work_queue=WorkQueue.objects.order_by("pk").values_list("pk", flat=True).first() or 0,
        case_type=CaseType.objects.order_by("pk").values_list("pk", flat=True).first() or 0,
        receipt=Receipt.objects.values_list("pk", flat=True).first() or 0,
        route=Route.objects.filter(removed_at=None).values_list("pk", flat=True).first() or 0,
        delivery=Delivery.objects.values_list("pk", flat=True).first() or NOBODY,
        look=SecondLook.objects.exclude(status="waiting").values_list("pk", flat=True).first() or 0,
        user=User.objects.order_by("pk").values_list("pk", flat=True).first() or 0,
        key=ApiKey.objects.values_list("pk", flat=True).first() or 0,
        entry=AuditEntry.objects.values_list("number", flat=True).first() or 0,
        report=ReportSubscription.objects.values_list("pk", flat=True).first() or 0,
        source=Source.objects.values_list("slug", flat=True).first() or "none",
    )


def readable_pages(shown: Shown) -> Iterator[tuple[str, str]]:
    """(name, address) of every named route outside Django's admin, filled with the rows `shown`.

    Raises LookupError for a route with an argument that `_arguments` does not have: add it there,
    or to `FORMS` if nobody reads it.
    """
    known = _arguments(shown)
    for pattern in patterns_of(get_resolver().url_patterns):
        name, needed = str(pattern.name), list(pattern.pattern.converters)
        if name not in FORMS:
            yield name, reverse(name, kwargs={what: _value(known, name, what) for what in needed})


def queue_addresses() -> list[tuple[str, str]]:
    """The queue as analysts ask for it: sorted, narrowed, searched, far down."""
    asked = {
        "queue by age": "sort=age",
        "queue by amount": "sort=amount",
        "queue by probability": "sort=score",
        "queue of one level": "level=HIGH",
        "queue of one detector": "detector=payments",
        "queue of mine": "owner=me",
        "queue of a text": "q=travel",
        "words of every alert": "q=amount",
        "words of a third of them": "q=card",
        "words of a twentieth": "q=crypto",
        "queue, page 200": "page=200",
    }
    return [(name, f"/?{query}") for name, query in asked.items()]


def dashboard_addresses() -> list[tuple[str, str]]:
    """Dashboards over the longest spans, and the rows behind their points."""
    year = f"from={date.today() - timedelta(days=364)}&to={date.today()}"
    return [
        ("dashboards of 90 days", "/dashboards/?days=90"),
        ("dashboards of a year", f"/dashboards/?{year}"),
        ("dashboards of one detector", "/dashboards/?days=90&detector=payments"),
        ("analysts of a year", f"/dashboards/analysts/?{year}"),
        ("agreement of a year", f"/second-looks/agreement/?{year}"),
        ("alerts behind a backlog", f"/dashboards/alerts/?waiting_on={date.today()}"),
        ("alerts closed in a year", f"/dashboards/alerts/?closed_from={date.today().year}-01-01"),
        ("alerts that wait", "/dashboards/alerts/?waited=24&level=HIGH"),
        ("fraud in a week", "/dashboards/events/?truth=fraud&day_from="
         f"{date.today() - timedelta(days=60)}&day_to={date.today() - timedelta(days=53)}"),
    ]  # fmt: skip


def patterns_of(entries: list[URLPattern | URLResolver]) -> Iterator[URLPattern]:
    for entry in entries:
        if isinstance(entry, URLPattern):
            if entry.name:
                yield entry
        elif entry.namespace != "admin":
            yield from patterns_of(entry.url_patterns)


def _arguments(shown: Shown) -> dict[str, dict[str, Any]]:
    """By the beginning of a route's name (the longest counts), the value of each argument."""
    event = {"pk": shown.prediction}
    version = {"pk": shown.version, "slug": shown.slug}
    return {
        "": {"slug": shown.slug},
        "alert": {"pk": shown.alert},
        "case": {"pk": shown.case, "form": "csv"},
        "queue_export": {"form": "csv"},
        "case_type": {"pk": shown.case_type},
        "work_queue": {"pk": shown.work_queue},
        "entity": {"slug": shown.slug, "token": shown.token},
        "prediction": event,
        "api_prediction": event,
        "api_explanation": event,
        "api_alert": {"pk": shown.alert},
        "api_case": {"pk": shown.case},
        "snooze": {"pk": shown.prediction, "code": shown.rule},
        "list_event_value": event,
        "rule": {"slug": shown.slug, "code": shown.rule},
        "backtest": {"slug": shown.slug, "pk": shown.backtest},
        "dataset": {"pk": shown.dataset},
        "model": version,
        "shadow": version,
        "api_model": version,
        "api_promote": version,
        "api_shadow": version,
        "job": {"job_id": shown.job},
        "notification": {"pk": shown.receipt},
        "notification_route": {"pk": shown.route},
        "notification_delivery": {"pk": shown.delivery},
        "dashboard": {"panel": "volume"},
        "dashboard_report": {"pk": shown.report},
        "second_look": {"pk": shown.look},
        "user": {"pk": shown.user},
        "key": {"pk": shown.key},
        "audit": {"number": shown.entry},
        "api_job": {"pk": shown.job},
        "source": {"slug": shown.source},
        "api_source": {"slug": "none"},
    }


def _value(known: dict[str, dict[str, Any]], name: str, argument: str) -> Any:
    for beginning in sorted(known, key=len, reverse=True):
        if name.startswith(beginning) and argument in known[beginning]:
            return known[beginning][argument]
    raise LookupError(f"Nothing is known for {argument} of {name}: see benchmarks/addresses.py.")
