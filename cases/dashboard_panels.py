"""The charts of a dashboard: what each says, its figure, and its numbers."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from cases.agreement import Share, share_of
from cases.dashboard_asking import FIRST, LAST, Asked, Panel
from cases.dashboard_figures import Points, Series, bars, lines, shares
from cases.dashboard_filters import Bin
from cases.dashboard_rows import DECIDED as WAS_DECIDED
from cases.dashboard_rows import FLAGGED, NO_LABEL, NOT_FRAUD, AlertsAsked
from cases.dashboards import DECIDED, EventCell, Money, legitimate, matured, money_of
from cases.durations import quantile
from cases.tallying import FRAUD, LEGITIMATE, UNLABELLED, WAITING_HOURS
from cases.workflow import AlertStatus, Disposition
from scoring.core.types import RISK_LEVELS

LEVEL_COLOURS: Final = ("@low", "@medium", "@high", "@critical")
HOUR, DAY = 3600.0, 86400.0


def _by_level(
    asked: Asked, count: Callable[[Bin, int], int | None], url: Callable[[str], str]
) -> tuple[list[Series], list[tuple[Any, ...]]]:
    """(series from LOW up, rows of the table)."""
    bins = asked.sums.bins
    series = [
        Series(
            level.capitalize(),
            [count(at, i) for at in bins],
            LEVEL_COLOURS[i],
            url(level),
        )
        for i, level in enumerate(RISK_LEVELS)
    ]
    rows = [(at.words, *(one.values[i] for one in series)) for i, at in enumerate(bins)]
    return series, rows


LEVELS = tuple(level.capitalize() for level in RISK_LEVELS)


def volume(asked: Asked) -> Panel:
    """Events by level."""
    series, rows = _by_level(
        asked,
        lambda at, level: asked.sums.volume.get((at, level), 0),
        lambda level: asked.events_url(level=level),
    )
    figure = bars(asked.points, series, axis="Events") if asked.sums.volume else None
    return Panel(
        "volume", "Events by level", "on the day when they happened",
        "Events a day by level", ("day", *LEVELS), rows, figure,
    )  # fmt: skip


def alerts(asked: Asked) -> Panel:
    """Alerts opened, by level."""
    found: Counter[tuple[Bin, int]] = Counter()
    for (at, _, level, _), n in asked.sums.opened.items():
        found[at, level] += n
    series, rows = _by_level(
        asked,
        lambda at, level: found[at, level],
        lambda level: asked.opened_url(level=level),
    )
    figure = bars(asked.points, series, axis="Alerts") if found else None
    return Panel(
        "alerts", "Alerts opened by level", "on the day when they were opened",
        "Alerts opened a day by level", ("day", *LEVELS), rows, figure,
    )  # fmt: skip


def outcomes(asked: Asked) -> dict[Bin, Counter[str]]:
    """How the alerts opened in each bin stand now."""
    found: dict[Bin, Counter[str]] = defaultdict(Counter)
    for (at, _, _, outcome), n in asked.sums.opened.items():
        found[at][outcome] += n
    return found


def alert_precision(counts: Mapping[str, int]) -> Share:
    """Fraud among the alerts that were decided either way."""
    return share_of(counts[Disposition.FRAUD], sum(counts[disposition] for disposition in DECIDED))


def precision(asked: Asked) -> Panel:
    """How many alerts were right, by what analysts found and by what labels say."""
    bins, stand = asked.sums.bins, outcomes(asked)
    flagged = _by_bin([cell for cell in asked.sums.events if cell.flagged])
    alerts_right = [alert_precision(stand[at]) for at in bins]
    events_right = [_event_precision(flagged[at]) for at in bins]
    undecided = [stand[at][AlertStatus.OPEN] + stand[at][AlertStatus.IN_CASE] for at in bins]
    rows = [
        (
            at.words, a.hits, a.total, a.value, a.low, a.high,
            stand[at][Disposition.INCONCLUSIVE], waiting, e.hits, e.total, e.value, e.low, e.high,
        )
        for at, a, e, waiting in zip(bins, alerts_right, events_right, undecided, strict=True)
    ]  # fmt: skip
    some = any(one.total for one in [*alerts_right, *events_right])
    figure = shares(
        asked.points,
        [
            ("Alerts decided", alerts_right, "@ink", asked.opened_url(outcome=WAS_DECIDED)),
            (
                "Flagged events labelled",
                events_right,
                "@accent",
                asked.events_url(decision=FLAGGED),
            ),
        ],
        axis="Precision",
        open_at=[n > 0 for n in undecided],
    )
    return Panel(
        "precision", "Precision", "hollow: some alerts of that day are not decided yet",
        "Share of alerts and flagged events that were fraud, with 95 % intervals",
        (
            "day", "alerts_fraud", "alerts_decided", "precision", "low", "high", "inconclusive",
            "not_decided", "events_fraud", "events_labelled", "event_precision", "event_low",
            "event_high",
        ),
        rows, figure if some else None,
        "No alert of these days was decided, and no flagged event has a label yet.",
    )  # fmt: skip


def _by_bin(cells: Sequence[EventCell]) -> dict[Bin, list[EventCell]]:
    found: dict[Bin, list[EventCell]] = defaultdict(list)
    for cell in cells:
        found[cell.at].append(cell)
    return found


def _event_precision(cells: Sequence[EventCell]) -> Share:
    hits = sum(cell.count for cell in cells if cell.truth == FRAUD)
    return share_of(hits, sum(cell.count for cell in cells if cell.truth != UNLABELLED))


UNTOLD: Final = share_of(0, 0)


def false_positives(asked: Asked) -> Panel:
    """How many legitimate events were flagged."""
    bins, cells = asked.sums.bins, _by_bin(asked.sums.events)
    found, young = [], []
    for at in bins:
        good = [one for one in cells[at] if legitimate(one, asked.scope, asked.now)]
        flagged = sum(one.count for one in good if one.flagged)
        grown = _matured(asked, at)
        # Of young events those are labelled that were flagged: a rate would say nothing.
        found.append(share_of(flagged, sum(one.count for one in good)) if grown else UNTOLD)
        young.append(not grown)
    rows = [
        (at.words, one.hits, one.total, one.value, one.low, one.high, "no" if open_ else "yes")
        for at, one, open_ in zip(bins, found, young, strict=True)
    ]
    url = asked.events_url(decision=FLAGGED, truth=NOT_FRAUD)
    figure = shares(
        asked.points, [("False-positive rate", found, "@ink", url)],
        axis="Of legitimate events", open_at=young,
    )  # fmt: skip
    return Panel(
        "false_positives", "False-positive rate", "of days whose labels have all had their time",
        "Share of legitimate events that were flagged, with 95 % intervals",
        ("day", "flagged", "legitimate", "rate", "low", "high", "matured"), rows,
        figure if any(one.total for one in found) else None,
        "The labels of these days may still come. Choose earlier days.",
    )  # fmt: skip


def _matured(asked: Asked, at: Bin) -> bool:
    """Whether the labels of all detectors shown have had their time."""
    return all(matured(at, asked.scope.delay(pk), asked.now) for pk in asked.scope.ids)


def maturity(asked: Asked) -> Panel:
    """Of the flagged events: what is known, what may still come, what never came."""
    bins, cells = asked.sums.bins, _by_bin([one for one in asked.sums.events if one.flagged])
    words = ("Fraud", "Legitimate", "Label may still come", "No label came")
    found: dict[tuple[Bin, str], int] = defaultdict(int)
    for at in bins:
        for cell in cells[at]:
            word = {FRAUD: words[0], LEGITIMATE: words[1]}.get(cell.truth)
            if word is None:
                grown = matured(at, asked.scope.delay(cell.detector), asked.now)
                word = words[3] if grown else words[2]
            found[at, word] += cell.count
    truths = (FRAUD, LEGITIMATE, NO_LABEL, NO_LABEL)
    colours = ("@critical", "@low", "@line", "@ink")
    series = [
        Series(
            word,
            [found[at, word] for at in bins],
            colour,
            asked.events_url(decision=FLAGGED, truth=truth),
        )
        for word, truth, colour in zip(words, truths, colours, strict=True)
    ]
    rows = [(at.words, *(found[at, word] for word in words)) for at in bins]
    figure = bars(asked.points, series, axis="Flagged events") if any(found.values()) else None
    return Panel(
        "maturity", "Label maturity", "flagged events by what their newest label says",
        "Flagged events a day by whether their label is known", ("day", *words), rows, figure,
    )  # fmt: skip


def moneys(asked: Asked) -> dict[Bin, Money]:
    """Money of each bin."""
    cells = _by_bin(asked.sums.events)
    return {
        at: money_of(cells[at], asked.scope, asked.currency, asked.now) for at in asked.sums.bins
    }


NO_MONEY = "None of these detectors watches money: there is no amount to add up."
FORMULA = (
    "Saved = loss share \u00d7 amount of fraud flagged \u2212 review cost \u00d7 events reviewed"
    " \u2212 false block cost \u00d7 legitimate events blocked, at each detector's own costs."
)
NO_FRAUD = "No event of these days is labelled as fraud yet."


def value(asked: Asked) -> Panel:
    """Amounts of fraud that was flagged, and that got through."""
    bins, found = asked.sums.bins, moneys(asked)
    stories = (
        ("Detected", [float(found[at].detected) for at in bins], "@accent", FLAGGED),
        ("Lost", [float(found[at].lost) for at in bins], "@critical", "APPROVE"),
    )
    series = [
        Series(
            name, values, colour,
            asked.events_url(decision=decision, truth=FRAUD, currency=asked.currency),
        )
        for name, values, colour, decision in stories
    ]  # fmt: skip
    rows = [(at.words, found[at].detected, found[at].lost, asked.currency) for at in bins]
    some = any(one.detected or one.lost for one in found.values())
    figure = bars(asked.points, series, axis=f"{asked.currency}") if some else None
    return Panel(
        "value", "Value detected and lost", "amounts of events labelled fraud: flagged, approved",
        f"Amount of fraud detected and lost a day in {asked.currency or 'money'}",
        ("day", "detected", "lost", "currency"), rows, figure,
        NO_FRAUD if asked.currency else NO_MONEY,
    )  # fmt: skip


def saved(asked: Asked) -> Panel:
    """What the platform saved against approving everything."""
    bins, found = asked.sums.bins, moneys(asked)
    one = Series(
        "Saved", [round(found[at].saved, 2) for at in bins], "@accent",
        asked.events_url(decision=FLAGGED, currency=asked.currency),
    )  # fmt: skip
    rows = [
        (at.words, round(found[at].saved, 2), found[at].detected, found[at].reviewed,
         found[at].wrongly_blocked, asked.currency)
        for at in bins
    ]  # fmt: skip
    some = any(money.saved for money in found.values())
    return Panel(
        "saved", "Cost saved", "against approving every event",
        f"Cost saved a day against approving every event, in {asked.currency or 'money'}",
        ("day", "saved", "detected", "reviewed", "legitimate_blocked", "currency"), rows,
        bars(asked.points, [one], axis=asked.currency) if some else None,
        NO_FRAUD if asked.currency else NO_MONEY,
        FORMULA,
    )  # fmt: skip


def unit_of(longest: float) -> tuple[str, float]:
    """The unit in which durations up to `longest` seconds read well, and its seconds."""
    if longest < 2 * HOUR:
        return "minutes", 60.0
    return ("hours", HOUR) if longest < 4 * DAY else ("days", DAY)


def disposition_time(asked: Asked) -> Panel:
    """From opening an alert to closing it."""
    bins = asked.sums.bins
    spent: dict[Bin, Counter[int]] = defaultdict(Counter)
    for (at, _, bucket), n in asked.sums.closed.items():
        spent[at][bucket] += n
    half = [quantile(spent[at], 0.5) for at in bins]
    most = [quantile(spent[at], 0.9) for at in bins]
    unit, size = unit_of(max([one for one in most if one is not None], default=0.0))
    url = AlertsAsked(closed_from=FIRST, closed_to=LAST, detector=asked.filters.detector).url()
    series = [
        Series(name, [None if one is None else one / size for one in values], colour, url)
        for name, values, colour in (("Median", half, "@ink"), ("90th percentile", most, "@accent"))
    ]
    rows = [
        (at.words, sum(spent[at].values()), *(one.values[i] for one in series), unit)
        for i, at in enumerate(bins)
    ]
    figure = lines(asked.points, series, axis=unit.capitalize(), suffix=f" {unit}")
    return Panel(
        "disposition_time", "Time to disposition", "of alerts closed that day, to within 5 %",
        f"Median and 90th percentile of the {unit} from opening an alert to closing it",
        ("day", "closed", "median", "p90", "unit"), rows,
        figure if asked.sums.closed else None,
        "No alert was closed on these days.",
    )  # fmt: skip


def backlog(asked: Asked) -> Panel:
    """Alerts not closed at the end of each bin; a gap where no day of it is counted."""
    found: Counter[tuple[Bin, int]] = Counter()
    for (at, _, level), n in asked.sums.backlog.items():
        found[at, level] += n
    series, rows = _by_level(
        asked,
        lambda at, level: None if asked.sums.counted_day(at) is None else found[at, level],
        lambda level: AlertsAsked(
            waiting_on=LAST, level=level, detector=asked.filters.detector
        ).url(),
    )
    figure = bars(asked.points, series, axis="Alerts not closed") if found else None
    return Panel(
        "backlog", "Backlog", "alerts not closed when the day ended, in the queue or in a case",
        "Alerts not closed at the end of each day by level", ("day", *LEVELS), rows, figure,
        "Nothing waited on these days.",
    )  # fmt: skip


def waiting(asked: Asked) -> Panel:
    """How long open alerts wait, now."""
    names = [_hours(hours) for hours in WAITING_HOURS]
    series = [
        Series(
            level.capitalize(),
            [asked.sums.waiting.get((hours, i), 0) for hours in WAITING_HOURS],
            LEVEL_COLOURS[i],
            AlertsAsked(waited=FIRST, level=level, detector=asked.filters.detector).url(),
        )
        for i, level in enumerate(RISK_LEVELS)
    ]
    rows = [(name, *(one.values[i] for one in series)) for i, name in enumerate(names)]
    some = any(asked.sums.waiting.values())
    hours = [f"{hours}" for hours in WAITING_HOURS]
    points = Points(names, hours, hours, "Waiting for at least")
    return Panel(
        "waiting", "Age of open alerts", "now, whatever the days above",
        "Open alerts by how long they have waited at least", ("waiting", *LEVELS), rows,
        bars(points, series, axis="Open alerts") if some else None,
        "No alert is open. Well done.",
    )  # fmt: skip


def _hours(hours: int) -> str:
    if hours == 0:
        return "any time"
    if hours % 24:
        return f"{hours} h"
    return f"{hours // 24} d"


PANELS: Final[dict[str, Callable[[Asked], Panel]]] = {
    maker.__name__: maker
    for maker in (
        *(volume, alerts, precision, false_positives, value, saved),
        *(disposition_time, backlog, waiting, maturity),
    )
}
"""By name, in the order of the page."""
