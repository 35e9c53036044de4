"""Tables of cases and alerts: bounded, streamed, as CSV (accounts/csv_tables.py) and XLSX."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import IO, Any

from django.db.models import QuerySet

from accounts.csv_tables import Cell, safe
from cases.case_filters import CaseFilters
from cases.case_rows import totals_of
from cases.case_selectors import AlertSum, alert_sums, case_rows_query
from cases.filters import QueueFilters
from cases.models import Alert, Case
from cases.queue_counts import open_alerts
from cases.rows import alert_row
from cases.second_looks import hidden_look, hide_cases, untold_cases
from cases.selectors import alert_queue
from cases.workflow import Disposition
from scoring.core.types import RISK_LEVELS
from scoring.presenting import SpecCache

MOST = 50_000
"""Lines of one export."""
CHUNK = 500
CENT = Decimal("0.01")
CASE_HEAD = (
    *("Case", "Title", "Status", "Outcome", "Reason", "Priority", "Type", "Team queue", "Owner"),
    *("Tags", "Highest level", "Alerts", "Events", "At risk", "Currency", "Opened (UTC)"),
    *("Due (UTC)", "Closed (UTC)"),
)
QUEUE_HEAD = (
    *("Alert", "Detector", "Entity", "Level", "Probability", "At risk", "Currency", "Events"),
    *("Top reason", "Owner", "Team queue", "First event (UTC)", "Last event (UTC)"),
    *("Opened (UTC)", "Due (UTC)", "Snoozed until (UTC)"),
)
ALERT_HEAD = (
    *("Alert", "Detector", "Entity", "Level", "Probability", "At risk", "Currency", "Events"),
    *("Top reason", "Status", "Outcome", "Reason", "First event (UTC)", "Last event (UTC)"),
    *("Opened (UTC)", "Closed (UTC)"),
)


def case_lines(filters: CaseFilters, *, user: Any, now: datetime) -> Iterator[tuple[Cell, ...]]:
    """A line for each case that the filters let through and each of its currencies.

    How a case ended is left out that holds, or held, the alert at which the user has a second look.
    """
    hidden = untold_cases(hidden_look(user))
    rows = filters.apply(Case.objects.all(), user=user, now=now, hidden=hidden)
    pks, cut = _first_of(rows, "cases")
    for first in range(0, len(pks), CHUNK):
        part = pks[first : first + CHUNK]
        found = case_rows_query().select_related("case_type").in_bulk(part)
        sums = alert_sums(part)
        hide_cases([*found.values()], hidden)
        for pk in part:
            if pk in found:
                yield from _case_lines(found[pk], sums.get(pk, []))
    yield from cut


def _first_of(rows: QuerySet[Any], many: str) -> tuple[list[int], list[tuple[Cell, ...]]]:
    """The ids of the first `MOST` of these rows, and the line that ends a table that holds no
    more: nobody takes a part for the whole."""
    pks = list(rows.values_list("pk", flat=True)[: MOST + 1])
    if len(pks) <= MOST:
        return pks, []
    return pks[:MOST], [(f"Not all: the first {MOST:,} of {rows.count():,} {many}.",)]


def queue_lines(filters: QueueFilters, *, user: Any, now: datetime) -> Iterator[tuple[Cell, ...]]:
    """A line for each open alert that the filters of the queue let through, in their order;
    entities are masked as on the page."""
    rows = filters.narrow(open_alerts(), user=user, now=now).order_by(*filters.ordering)
    pks, cut = _first_of(rows, "alerts")
    specs = SpecCache()
    for first in range(0, len(pks), CHUNK):
        part = pks[first : first + CHUNK]
        found = alert_queue().select_related("work_queue").in_bulk(part)
        for pk in part:
            if pk in found:
                yield _queue_line(found[pk], specs)
    yield from cut


def _queue_line(alert: Alert, specs: SpecCache) -> tuple[Cell, ...]:
    return (
        *_seen(alert, specs),
        alert.owner.username if alert.owner else "",
        alert.work_queue.name if alert.work_queue else "",
        alert.first_event_at,
        alert.last_event_at,
        alert.opened_at,
        alert.due_at,
        alert.snoozed_until,
    )


def _case_lines(case: Case, sums: Sequence[AlertSum]) -> Iterator[tuple[Cell, ...]]:
    level = RISK_LEVELS[max(one.level for one in sums)].value if sums else ""
    counts = (sum(one.alerts for one in sums), sum(one.events for one in sums))
    totals: list[tuple[str, Decimal | None]] = [*totals_of(sums)]
    for currency, amount in totals or [("", None)]:
        yield (
            case.pk,
            case.title,
            case.get_status_display(),
            case.get_disposition_display() if case.disposition else "",
            case.reason_code,
            case.get_priority_display(),
            case.case_type.name if case.case_type else "",
            case.work_queue.name if case.work_queue else "",
            case.owner.username if case.owner else "",
            ", ".join(tag.name for tag in case.tags.all()),
            level,
            *counts,
            None if amount is None else amount.quantize(CENT),
            currency,
            case.opened_at,
            case.due_at,
            case.closed_at,
        )


def alert_lines(case: Case) -> Iterator[tuple[Cell, ...]]:
    """A line for each alert of a case; entities are masked as on the page."""
    specs = SpecCache()
    rows = case.alerts.select_related("detector", "top_prediction").order_by("pk")
    for alert in rows[:MOST].iterator(chunk_size=CHUNK):
        yield _alert_line(alert, specs)
    yield from _first_of(rows, "alerts")[1]


def _seen(alert: Alert, specs: SpecCache) -> tuple[Cell, ...]:
    """What every table says of an alert first."""
    row = alert_row(alert, specs)
    return (
        alert.pk,
        alert.detector.name,
        row.entity,
        alert.level_name,
        alert.risk,
        alert.exposure,
        alert.currency,
        alert.predictions_count,
        row.reason,
    )


def _alert_line(alert: Alert, specs: SpecCache) -> tuple[Cell, ...]:
    return (
        *_seen(alert, specs),
        alert.get_status_display(),
        Disposition(alert.disposition).replace("_", " ") if alert.disposition else "",
        alert.reason_code,
        alert.first_event_at,
        alert.last_event_at,
        alert.opened_at,
        alert.closed_at,
    )


def xlsx_file(head: Sequence[str], lines: Iterable[Sequence[Cell]], *, title: str) -> IO[bytes]:
    """The table as an open XLSX file, written line by line in bounded memory."""
    import xlsxwriter  # 5 MB that a web process need not hold until somebody exports

    out = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed by whoever sends it
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(out, {**options, "in_memory": False}) as book:
        sheet = book.add_worksheet(title[:31])
        bold = book.add_format({"bold": True})
        when = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(head) - 1, 16)
        sheet.write_row(0, 0, head, bold)
        for number, line in enumerate(lines, start=1):
            for column, cell in enumerate(line):
                _write(sheet, number, column, safe(cell), when)
    out.seek(0)
    return out


def _write(sheet: Any, row: int, column: int, cell: Cell, when: Any) -> None:
    if isinstance(cell, datetime):
        sheet.write_datetime(row, column, cell.astimezone(UTC).replace(tzinfo=None), when)
    elif isinstance(cell, str):
        sheet.write_string(row, column, cell)
    elif cell is not None:
        sheet.write_number(row, column, cell)
