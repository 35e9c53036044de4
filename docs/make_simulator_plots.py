"""Draw the pictures of docs/simulator.md: `python docs/make_simulator_plots.py`.

Plain SVG, written by hand, so that the documentation needs no plotting library and no browser.
"""

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scoring.simulation.cards import (  # noqa: E402 the repository must be on the path first
    CardHolders,
    build_card_holders,
    compromised_terminal,
    impossible_travel,
)
from scoring.simulation.stream import SimulatedEvent, history  # noqa: E402

OUT = ROOT / "docs" / "images" / "simulator"
START = datetime(2026, 3, 2, tzinfo=UTC)
SEED = 7
INK, MUTED, GRID, PAPER = "#1f2937", "#6b7280", "#e5e7eb", "#ffffff"
CALM, ALARM, FILL = "#94a3b8", "#d63939", "#4263eb"
COLOURS = {
    "": CALM,
    "card_testing": "#e8590c",
    "stolen_card": "#d6336c",
    "compromised_terminal": "#7048e8",
    "account_takeover": "#1971c2",
    "impossible_travel": "#0c8599",
    "structuring": "#2f9e44",
}
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class Canvas:
    """An SVG document: shapes are appended, `save` writes them."""

    def __init__(self, width: int, height: int, title: str, subtitle: str) -> None:
        self.size = (width, height)
        self.parts: list[str] = []
        self.text(28, 38, title, size=19, weight=600)
        self.text(28, 60, subtitle, size=13, fill=MUTED)

    def text(
        self, x: float, y: float, text: str, *, size: int = 12, fill: str = INK,
        anchor: str = "start", weight: int = 400,
    ) -> None:  # fmt: skip
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{fill}" '
            f'text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str = GRID) -> None:
        self.parts.append(
            f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{stroke}" fill="none"/>'
        )

    def rect(
        self, x: float, y: float, w: float, h: float, fill: str, opacity: float = 1.0, r: int = 0
    ) -> None:
        self.parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{r}" '
            f'fill="{fill}" fill-opacity="{opacity:.2f}"/>'
        )

    def curve(
        self, xs: Iterable[float], ys: Iterable[float], stroke: str,
        *, fill: str = "none", opacity: float = 0.25, width: float = 1.6,
    ) -> None:  # fmt: skip
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True))
        self.parts.append(
            f'<path d="M{path}" stroke="{stroke}" stroke-width="{width}" fill="{fill}" '
            f'fill-opacity="{opacity}" stroke-linejoin="round"/>'
        )

    def dots(
        self, xs: Iterable[float], ys: Iterable[float], fill: str, r: float, opacity: float = 1.0
    ) -> None:
        dots = "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}"/>' for x, y in zip(xs, ys, strict=True)
        )
        self.parts.append(f'<g fill="{fill}" fill-opacity="{opacity}">{dots}</g>')

    def save(self, name: str) -> None:
        width, height = self.size
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / name).write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="Inter, Helvetica, Arial, sans-serif">'
            f'<rect width="{width}" height="{height}" rx="10" fill="{PAPER}"/>'
            + "\n".join(self.parts)
            + "</svg>\n",
            encoding="utf-8",
        )


class Panel:
    """A rectangle of a canvas with a linear or logarithmic scale on each axis."""

    def __init__(
        self, canvas: Canvas, box: tuple[float, float, float, float],
        x: tuple[float, float], y: tuple[float, float], *, log_y: bool = False,
    ) -> None:  # fmt: skip
        self.canvas, self.box, self.x_range, self.log_y = canvas, box, x, log_y
        self.y_range = (np.log10(y[0]), np.log10(y[1])) if log_y else y

    def x(self, values: Any) -> Any:
        left, _, width, _ = self.box
        return left + (np.asarray(values) - self.x_range[0]) / np.ptp(self.x_range) * width

    def y(self, values: Any) -> Any:
        _, top, _, height = self.box
        values = np.log10(values) if self.log_y else np.asarray(values)
        return top + height - (values - self.y_range[0]) / np.ptp(self.y_range) * height

    def grid(self, ticks: Sequence[float], form: str = "{:g}") -> None:
        left, _, width, _ = self.box
        for tick in ticks:
            at = float(self.y(tick))
            self.canvas.line(left, at, left + width, at)
            label = form.format(tick)
            self.canvas.text(left - 7, at + 4, label, size=11, fill=MUTED, anchor="end")

    def x_labels(self, ticks: Sequence[float], labels: Sequence[str]) -> None:
        _, top, _, height = self.box
        for tick, label in zip(ticks, labels, strict=True):
            at = float(self.x(tick))
            self.canvas.text(at, top + height + 17, label, size=11, fill=MUTED, anchor="middle")

    def title(self, text: str, note: str = "", fill: str = INK) -> None:
        left, top, _, _ = self.box
        up = 24 if note else 10
        self.canvas.text(left, top - up, text, size=13, weight=600, fill=fill)
        self.canvas.text(left, top - 9, note, size=11, fill=MUTED)


def words(name: str) -> str:
    """`card_testing` -> `Card testing`."""
    return name.replace("_", " ").capitalize().replace("Cpu", "CPU") or "Legitimate"


def number(event: SimulatedEvent, field: str) -> float:
    """A numeric field of a payload."""
    return float(str(event.payload[field]))


def draw_amounts(events: Sequence[SimulatedEvent]) -> None:
    """Ridges: the density of the amounts of each scenario on a logarithmic axis."""
    canvas = Canvas(
        920, 520, "What is paid, by scenario",
        "Density of payment amounts in EUR, logarithmic; the scale is the same for all",
    )  # fmt: skip
    grid = np.linspace(np.log10(0.4), np.log10(25_000), 180)
    ticks = (1, 10, 100, 1_000, 10_000)
    left, width = 200, 680
    for tick in ticks:
        x = left + (np.log10(tick) - grid[0]) / np.ptp(grid) * width
        canvas.line(x, 92, x, 478)
        canvas.text(x, 498, f"{tick:,} €", size=11, fill=MUTED, anchor="middle")
    xs = left + (grid - grid[0]) / np.ptp(grid) * width
    for row, name in enumerate(COLOURS):
        amounts = [number(e, "amount") for e in events if e.scenario == name]
        logs = np.log10(np.array(amounts)[:6_000])
        width_kde = 0.11
        density = np.exp(-0.5 * ((grid[:, None] - logs) / width_kde) ** 2).mean(axis=1)
        base = 150 + row * 54
        height = 74 * density / max(density.max(), 0.42)
        closed = np.concatenate([base - height, [base, base]])
        canvas.curve(
            np.concatenate([xs, [xs[-1], xs[0]]]), closed, COLOURS[name],
            fill=COLOURS[name], opacity=0.28,
        )  # fmt: skip
        canvas.text(left - 16, base - 15, words(name), anchor="end", weight=600)
        note = f"median {np.median(amounts):,.0f} €"
        canvas.text(left - 16, base + 1, note, size=11, fill=MUTED, anchor="end")
    canvas.save("amounts.svg")


def draw_rhythm(events: Sequence[SimulatedEvent]) -> None:
    """A week of payments as a heat map in local time, and the days as curves."""
    counts = np.zeros((7, 24))
    for event in events:
        local = datetime.fromisoformat(str(event.payload["timestamp"]))
        counts[local.weekday(), local.hour] += 1
    counts /= counts.mean()
    canvas = Canvas(
        920, 420, "When people pay",
        "Payments by hour and weekday in the customer's local time; 1 = the average hour",
    )  # fmt: skip
    cell = 24
    for day in range(7):
        canvas.text(58, 117 + day * 30, DAYS[day], anchor="end", fill=MUTED)
        for hour in range(24):
            share = counts[day, hour] / counts.max()
            canvas.rect(66 + hour * cell, 98 + day * 30, cell - 2, 28, FILL, 0.04 + 0.9 * share, 3)
    for hour in range(0, 24, 3):
        canvas.text(66 + hour * cell + 11, 326, f"{hour:02d}", size=11, fill=MUTED, anchor="middle")
    canvas.text(66, 360, "quiet", size=11, fill=MUTED)
    for step in range(12):
        canvas.rect(102 + step * 14, 350, 13, 12, FILL, 0.04 + 0.9 * step / 11, 2)
    canvas.text(278, 360, f"{counts.max():.1f} times the average", size=11, fill=MUTED)
    panel = Panel(canvas, (700, 98, 190, 208), (0, 24), (0, float(counts.max())))
    panel.grid((0, 1, 2))
    panel.x_labels((0, 6, 12, 18, 24), ("0", "6", "12", "18", "24"))
    for days, colour, label, y in (
        (range(5), FILL, "Monday to Friday", 350),
        (range(5, 6), "#e8590c", "Saturday", 370),
        (range(6, 7), "#2f9e44", "Sunday", 390),
    ):
        mean = counts[list(days)].mean(axis=0)
        canvas.curve(panel.x(np.arange(24) + 0.5), panel.y(mean), colour, width=2.2)
        canvas.rect(700, y - 8, 16, 4, colour, 1, 2)
        canvas.text(724, y - 2, label, size=11, fill=MUTED)
    canvas.save("rhythm.svg")


NOTES = {
    "card_testing": "one customer: a burst of tiny payments",
    "stolen_card": "one customer: dearer than usual, for a day",
    "compromised_terminal": "one merchant: ordinary amounts, many cards",
    "account_takeover": "one customer: the account is emptied",
    "impossible_travel": "one customer: a continent away, within the hour",
    "structuring": "one customer: just below 10,000 or 3,000 €",
}


def draw_scenarios(events: Sequence[SimulatedEvent]) -> None:
    """One campaign of each kind among the ordinary events of the same entity."""
    canvas = Canvas(
        920, 720, "Six ways to defraud",
        "Amount in EUR over time: the fraud in colour, the same customer's or merchant's "
        "ordinary payments in grey",
    )  # fmt: skip
    for place, (name, note) in enumerate(NOTES.items()):
        field = "merchant_id" if name == "compromised_terminal" else "user_id"
        groups: dict[object, list[SimulatedEvent]] = {}
        for event in events:
            if event.scenario == name:
                groups.setdefault(event.payload[field], []).append(event)
        history_of = {
            key: [e for e in events if e.payload[field] == key]
            for key in sorted(groups, key=lambda k: len(groups[k]), reverse=True)[:8]
        }
        key = max(history_of, key=lambda k: min(len(history_of[k]) - len(groups[k]), 60))
        fraud, own = groups[key], history_of[key]
        middle = fraud[0].time + (fraud[-1].time - fraud[0].time) / 2
        box = (70 + place % 3 * 292, 128 + place // 3 * 305, 226, 215)
        panel = Panel(canvas, box, (-12, 12), (0.4, 20_000), log_y=True)
        panel.title(words(name), note, COLOURS[name])
        panel.grid((1, 10, 100, 1_000, 10_000), "{:,g}")
        panel.x_labels((-12, -6, 0, 6, 12), ("-12 d", "-6 d", "0", "+6 d", "+12 d"))
        near = [(e, (e.time - middle) / timedelta(days=1)) for e in own]
        for alarm, colour, size, opacity in (
            (False, CALM, 2.6, 0.75),
            (True, COLOURS[name], 3.4, 0.8),
        ):
            shown = [(e, x) for e, x in near if abs(x) <= 12 and (e.scenario == name) is alarm]
            ys = panel.y([number(e, "amount") for e, _ in shown])
            canvas.dots(panel.x([x for _, x in shown]), ys, colour, size, opacity)
    canvas.save("scenarios.svg")


def draw_map(scene: CardHolders) -> None:
    """Customers and terminals of the cards detector with two campaigns."""
    canvas = Canvas(
        920, 640, "The map of the cards detector",
        "Customers use the terminals around their home; 100 km from edge to edge",
    )  # fmt: skip
    panel = Panel(canvas, (28, 84, 530, 530), (0, 100), (0, 100))
    canvas.rect(*panel.box, "#f8fafc", 1, 8)
    people = scene.place[::3]
    canvas.dots(panel.x(people[:, 0]), panel.y(people[:, 1]), CALM, 1.6, 0.5)
    spots = scene.terminal_place[::2]
    canvas.dots(panel.x(spots[:, 0]), panel.y(spots[:, 1]), FILL, 1.8, 0.6)
    moment = int(START.timestamp() * 1000)
    table = compromised_terminal(scene, moment, np.random.default_rng(4))
    purple, teal = COLOURS["compromised_terminal"], COLOURS["impossible_travel"]
    here = scene.terminal_place[table["terminal"][0]]
    for victim in np.unique(table["who"]):
        home = scene.place[victim]
        xs, ys = panel.x([here[0], home[0]]), panel.y([here[1], home[1]])
        canvas.line(xs[0], ys[0], xs[1], ys[1], purple)
        canvas.dots(xs[1:], ys[1:], purple, 2.6)
    canvas.dots(panel.x(here[:1]), panel.y(here[1:]), purple, 6.5)
    travel = impossible_travel(scene, moment, np.random.default_rng(9))
    stops = scene.terminal_place[travel["terminal"]]
    canvas.curve(panel.x(stops[:, 0]), panel.y(stops[:, 1]), teal, width=1.5)
    canvas.dots(panel.x(stops[:, 0]), panel.y(stops[:, 1]), teal, 5)
    for (x, y), t in zip(stops[:2], travel["t"][:2], strict=True):
        minute = f"{(t - moment) / 60_000:.0f} min"
        canvas.text(float(panel.x(x)) + 9, float(panel.y(y)) + 4, minute, fill=teal, weight=600)
    for row, (colour, name, note) in enumerate(
        (
            (CALM, "Customers", "every third one is drawn"),
            (FILL, "Terminals", "every second one is drawn"),
            (purple, "Compromised terminal", "its lines lead to the homes of the victims"),
            (teal, "Impossible travel", "a payment near home, minutes later far away"),
        )
    ):
        y = 130 + row * 58
        canvas.dots([600], [y - 4], colour, 6)
        canvas.text(618, y, name, size=13, weight=600)
        canvas.text(618, y + 18, note, fill=MUTED)
    canvas.save("map.svg")


def draw_hosts() -> None:
    """A fortnight of three hosts, incidents shaded."""
    events = list(history("anomaly", start=START, end=START + timedelta(days=14), seed=SEED))
    canvas = Canvas(
        920, 560, "A fortnight of three hosts",
        "CPU in percent, every half hour: two daily peaks, quiet weekends, nightly backups of the "
        "database; incidents in red",
    )  # fmt: skip
    for place, host in enumerate(("web-01", "api-02", "db-01")):
        own = [event for event in events if event.payload["host"] == host]
        days = np.array([(event.time - START) / timedelta(days=1) for event in own])
        panel = Panel(canvas, (62, 110 + place * 160, 830, 104), (0, 14), (0, 100))
        panel.title(host)
        for weekend in (5, 12):
            left, right = panel.x([weekend, weekend + 2])
            canvas.rect(left, panel.box[1], right - left, 104, "#f1f5f9")
        panel.grid((0, 50, 100))
        for event, day in zip(own, days, strict=True):
            if event.is_fraud:
                canvas.rect(float(panel.x(day)) - 1, panel.box[1], 2.2, 104, ALARM, 0.3)
        cpu = np.array([number(event, "cpu_usage") for event in own])
        canvas.curve(panel.x(days[::6]), panel.y(cpu[::6]), FILL, width=1.2)
        panel.x_labels([d + 0.5 for d in range(14)], DAYS * 2)
    canvas.save("hosts.svg")


SHOWN = {
    "cpu_saturation": ("cpu_usage", "CPU %", 100.0),
    "memory_leak": ("memory_usage", "memory %", 100.0),
    "error_burst": ("error_rate", "error rate", 0.4),
    "latency_degradation": ("response_time", "response time, ms", 1_200.0),
    "traffic_spike": ("cpu_usage", "CPU %", 100.0),
    "quiet_failure": ("cpu_usage", "CPU %", 100.0),
}


def draw_incidents() -> None:
    """The most telling metric around one incident of each kind."""
    end = START + timedelta(days=40)
    size = 40 * 24 * 60 // 2 * 16 // 2
    events = list(history("anomaly", start=START, end=end, seed=SEED, events=size))
    canvas = Canvas(
        920, 640, "Six kinds of incident",
        "One metric of one host in the hours around an incident; the incident itself in red",
    )  # fmt: skip
    for place, (name, (field, label, top)) in enumerate(SHOWN.items()):
        struck = [event for event in events if event.scenario == name]
        middle = struck[len(struck) // 2]
        host = middle.payload["host"]
        own = [
            (event, (event.time - middle.time) / timedelta(hours=1))
            for event in events
            if event.payload["host"] == host and abs(event.time - middle.time) < timedelta(hours=8)
        ]
        box = (66 + place % 3 * 292, 128 + place // 3 * 265, 226, 175)
        panel = Panel(canvas, box, (-8, 8), (0, top))
        panel.title(words(name), f"{host}, {label}")
        panel.grid((0, top / 2, top))
        panel.x_labels((-8, -4, 0, 4, 8), ("-8 h", "-4 h", "0", "+4 h", "+8 h"))
        for alarm, colour, radius in ((False, CALM, 1.5), (True, ALARM, 2.1)):
            chosen = [(e, x) for e, x in own if e.is_fraud is alarm]
            ys = [min(number(e, field), top) for e, _ in chosen]
            canvas.dots(panel.x([x for _, x in chosen]), panel.y(ys), colour, radius, 0.85)
    canvas.save("incidents.svg")


def main() -> None:
    """Write all pictures."""
    end = START + timedelta(days=60)
    payments = list(history("payments", start=START, end=end, seed=SEED, events=120_000))
    draw_amounts(payments)
    draw_rhythm(payments)
    draw_scenarios(payments)
    draw_map(build_card_holders(SEED))
    draw_hosts()
    draw_incidents()


if __name__ == "__main__":
    main()
