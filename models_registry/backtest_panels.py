"""A backtest's result in words, tables and a figure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone

from accounts import quantities
from accounts.quantities import fine_percent, half_up, in_percent, per_day
from models_registry.backtest_models import Backtest
from models_registry.core.audit import MINIMUM_AUDITED
from models_registry.core.live import NEARLY_ALL
from models_registry.figures import layout
from scoring.core.reasons import duration
from scoring.models import Prediction
from scoring.policy_models import RuleVersion
from scoring.rule_editing import RuleText
from scoring.rule_forms import WEIGHT, write_value
from scoring.rule_reports import changed_notes, changed_words

ARMS = ("then", "today", "proposed")
Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the comparison: decided then, today's, proposed, the difference to today."""

    name: str
    hint: str
    then: str
    today: str
    proposed: str
    change: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the matrix: its name, how many events, of them read, where its examples are."""

    key: str
    title: str
    count: str
    read: int
    url: str
    current: bool


def money(value: float, currency: str) -> str:
    """`€ 1,234`; cents below 100."""
    return quantities.money(value, currency).strip()


def count(value: float, *, about: bool) -> str:
    """A whole number, `about` where it was estimated from a sample."""
    return f"{'about ' if about else ''}{half_up(value):,.0f}"


def rate(value: Mapping[str, float] | None) -> str:
    """`62 % (48 to 74 %)`; a dash where there is none."""
    if value is None:
        return "–"  # noqa: RUF001 - how pages write that there is nothing
    ends = f"{fine_percent(value['low'])} to {in_percent(value['high'])}"
    return f"{in_percent(value['value'])} ({ends})"


def result_context(test: Backtest, truth: Mapping[str, str], cell: str) -> dict[str, Any]:
    """All that the result's page shows beside the backtest itself; {} while there is none."""
    result = test.result
    if not result:
        return {}
    about = bool(result["sampled"])
    cells = _cells(test, result, truth, cell)
    chosen = next((one for one in cells if one.current), cells[0])
    return {
        "about": about,
        "headlines": _headlines(test, result, truth),
        "cells": {one.key: one for one in cells},
        "cell": chosen,
        "examples": [_example(one) for one in result["examples"][chosen.key]],
        "rates": _rates(test, result),
        "lines": _lines(test, result),
        "honest": [*_sampling(result), *_labels(test, result, truth), *_bias(result, truth)],
        "as_then": _as_then(test),
        "figure_text": json.dumps(_figure(result)),
    }


def _headlines(test: Backtest, result: Result, truth: Mapping[str, str]) -> list[str]:
    about, matrix = bool(result["sampled"]), result["matrix"]
    found = sum(matrix[name] for name in ("tp", "fp", "unlabelled", "young"))
    what = "matches" if test.kind == Backtest.Kind.RULE else "would flag"
    lines = [
        f"It {what} {count(found, about=about)} of {result['events']:,} events: "
        f"{count(matrix['tp'], about=about)} known {truth['fraud']}, "
        f"{count(matrix['fp'], about=about)} known {truth['legitimate']}, "
        f"{count(matrix['unlabelled'] + matrix['young'], about=about)} not known yet."
    ]
    saved = result["saving"]
    if saved is not None:
        lines.append(_saving(saved, str(result["currency"])))
    arms = result["arms"]
    before, after = (arms[name]["flagged"] / result["days"] for name in ("today", "proposed"))
    lines.append(f"Flagged events a day: {per_day(after)}, today {per_day(before)}.")
    minutes = result.get("minutes")
    if minutes is not None:
        more = quantities.signed((after - before) * minutes, 0)
        lines.append(
            f"For people that is {more} minutes a day: a flagged event "
            f"takes {half_up(minutes):.1f} minutes, as measured."
        )
    return lines


def _saving(saved: Mapping[str, float], currency: str) -> str:
    span = f"95 %: {money(saved['low'], currency)} to {money(saved['high'], currency)}"
    if saved["low"] > 0:
        return f"On labelled events it saves {money(saved['value'], currency)} ({span})."
    if saved["high"] < 0:
        more = f"95 %: {money(-saved['high'], currency)} to {money(-saved['low'], currency)}"
        return f"On labelled events it costs {money(-saved['value'], currency)} more ({more})."
    if not saved["value"]:
        return "On labelled events it costs what today costs."
    word = "saves" if saved["value"] > 0 else "loses"
    amount = money(abs(saved["value"]), currency)
    return f"On labelled events it {word} {amount}, which may be chance ({span})."


def _cells(test: Backtest, result: Result, truth: Mapping[str, str], wanted: str) -> list[Cell]:
    about, matrix = bool(result["sampled"]), result["matrix"]
    hit, miss = ("matched", "not matched") if test.kind == "rule" else ("flagged", "let through")
    titles = {
        "tp": f"{truth['fraud'].capitalize()}, {hit}",
        "fp": f"{truth['legitimate'].capitalize()}, {hit}",
        "fn": f"{truth['fraud'].capitalize()}, {miss}",
        "tn": f"{truth['legitimate'].capitalize()}, {miss}",
        "unlabelled": f"Without a label, {hit}",
    }
    if wanted not in titles:
        read = matrix["read"]
        wanted = next((key for key in titles if read[key]), "tp")
    return [
        Cell(
            key,
            title,
            count(matrix[key], about=about),
            matrix["read"][key],
            f"{test.get_absolute_url()}?cell={key}",
            key == wanted,
        )
        for key, title in titles.items()
    ]


def without_entity(examples: Sequence[dict[str, Any]], entity: str) -> list[dict[str, Any]]:
    """The examples of a cell but those of an entity; its cell tells an event's label, which who is
    to judge the entity must not know. One query, none where it is empty."""
    if not entity:
        return list(examples)
    ids = [one["prediction"] for one in examples]
    rows = Prediction.objects.filter(pk__in=ids, entity=entity).values_list("pk", flat=True)
    hidden = {str(pk) for pk in rows}
    return [one for one in examples if str(one["prediction"]) not in hidden]


def _example(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **one,
        "url": reverse("prediction_detail", args=[one["prediction"]]),
        "at": datetime.fromisoformat(one["event_time"]),
        "decided": [one[name].capitalize() for name in ARMS],
    }


def _rates(test: Backtest, result: Result) -> list[tuple[str, str, str, str]]:
    """(name, hint, today, proposed) of the matrix."""
    now, before = result["matrix"], result["matrix_today"]
    rows = (
        ("precision", "Precision", "of the labelled ones it finds, how many are bad"),
        ("recall", "Recall", "of the bad ones that are known, how many it finds"),
        ("false_positive_rate", "False-positive rate", "of the good ones that are known"),
    )
    return [
        (title, hint, rate(before[name]) if before else "", rate(now[name]))
        for name, title, hint in rows
        # Without labels of events that it leaves alone this would be a share of alarms alone.
        if name != "false_positive_rate" or now[name] is not None
    ]


def _lines(test: Backtest, result: Result) -> list[Line]:
    about, arms, currency = bool(result["sampled"]), result["arms"], str(result["currency"])

    def numbers(name: str, hint: str, *path: str, cash: bool = False) -> Line:
        values = [_at(arms[arm], path) for arm in ARMS]
        show = [money(value, currency) if cash else count(value, about=about) for value in values]
        change = values[2] - values[1]
        told = money(change, currency) if cash else quantities.signed(change, 0)
        if cash and change > 0:
            told = f"+{told}"
        return Line(name, hint, show[0], show[1], show[2], told)

    def rates(name: str, hint: str, key: str) -> Line:
        return Line(name, hint, *(rate(arms[arm]["flagged_matrix"][key]) for arm in ARMS))

    return [
        numbers("Flagged events", "for people or blocked", "flagged"),
        numbers("Blocked events", "", "blocked"),
        rates("Precision of decisions", "bad among the labelled flagged events", "precision"),
        rates("Recall of decisions", "flagged among the events known as bad", "recall"),
        numbers("Cost on labelled events", "sum of the next three", "costs", "total", cash=True),
        numbers("Lost", "bad events that were let through", "costs", "lost", cash=True),
        numbers("Reviews", "of labelled events", "costs", "reviews", cash=True),
        numbers("Wrong blocks", "", "costs", "false_blocks", cash=True),
        numbers(
            "Reviews of events without a label", "cost the same whatever they are", "costs",
            "reviews_unlabelled", cash=True,
        ),
    ]  # fmt: skip


def _at(found: Any, path: Sequence[str]) -> float:
    for name in path:
        found = found[name]
    return float(found)


def _sampling(result: Result) -> list[str]:
    lines = []
    if result["cut"]:
        lines.append(
            f"These days have more events than are read: only those since "
            f"{result['cut'][:16].replace('T', ' ')} UTC count."
        )
    if result["sampled"]:
        drawn = [
            f"{kind['read']:,} of {kind['events']:,} {kind['kind']}"
            for kind in result["kinds"]
            if kind["read"] < kind["events"]
        ]
        lines.append(
            f"A sample: {result['read']:,} of {result['events']:,} events were read, the small "
            f"kinds whole, of the others {'; '.join(drawn)}. Each event drawn counts for as many "
            "as it stands for; what is estimated says about, and intervals are as wide as that "
            "makes them."
        )
    else:
        lines.append(f"All {result['events']:,} events of these days were read.")
    if result["unreadable"]:
        lines.append(
            f"{result['unreadable']:,} events could not be read again (their bundle is gone, or "
            "lacks what is asked) and count nowhere."
        )
    if result["lacking"]:
        lines.append(
            f"When {result['lacking']:,} of the events came, a feature that it reads was not"
            " computed yet: there it is unknown."
        )
    if result.get("other_currency"):
        lines.append(
            f"The amounts of {result['other_currency']:,} of the events read are in another "
            f"currency than {result['currency']}: nothing is converted, and money counts them as "
            "unknown."
        )
    return lines


def _labels(test: Backtest, result: Result, truth: Mapping[str, str]) -> list[str]:
    delay = duration(result["label_delay"])
    return [
        f"Labels as known at {test.known_at:%Y-%m-%d %H:%M} UTC. Only matured events count in the "
        f"matrix: {result['young']:,} are younger than {delay} and count nowhere in it.",
        f"{result['labelled']:,} matured events have a label. An event without one counts neither "
        f"as {truth['fraud']} nor as {truth['legitimate']}.",
    ]


def _bias(result: Result, truth: Mapping[str, str]) -> list[str]:
    bias = result["bias"]
    looked = bias["looked_at_known"] / bias["looked_at"] if bias["looked_at"] else None
    rest = bias["rest_known"] / bias["rest"] if bias["rest"] else None
    if rest is None or rest >= NEARLY_ALL:
        return ["Nearly every event has a label, flagged or not: the matrix leans to no side."]
    flagged = "no event" if looked is None else f"{in_percent(looked)} of the events"
    lines = [
        f"Labels exist mostly where people looked: {flagged} that were flagged then have one, "
        f"and {in_percent(rest)} of the others. What nobody looked at may hide {truth['fraud']} "
        "that a recall cannot count, and a new match there has nobody's word on it."
    ]
    corrected = bias["corrected"]
    if corrected and corrected.get("recall"):
        recall, precision = corrected["recall"], corrected["precision"]
        return [
            *lines,
            f"Corrected by {bias['audited']:,} random audits, each weighted by 1 / its chance: "
            f"recall {rate(recall)}, precision {rate(precision)}.",
        ]
    return [
        *lines,
        f"{bias['audited']:,} random audits with a label are too few to correct for that; it takes "
        f"{MINIMUM_AUDITED}, all read.",
    ]


def _as_then(test: Backtest) -> list[str]:
    if test.kind == Backtest.Kind.RULE:
        values = "What the rule reads: the event and its features as they were stored when it came."
    else:
        values = "The risk: today's champion on the feature vectors as they were stored."
    lines = [
        values,
        "Other rules, screening, allow and deny lists and snoozes: as they stood when each event "
        "came.",
        "The cost matrix, the rule's own lists and what is called today: as they are now.",
        "Nothing was changed: the database refused every write while history was read.",
    ]
    learnt = test.result["learnt_until"] if test.result else None
    if learnt and learnt[:10] >= test.first_day.isoformat():
        lines.append(
            f"The model learnt from events until {learnt[:10]}: there it looks better than it is."
        )
    return lines


def _figure(result: Result) -> dict[str, Any]:
    names = {"then": "As decided then", "today": "Today", "proposed": "Proposed"}
    looks: dict[str, dict[str, Any]] = {
        "then": {"color": "@low", "width": 1.5, "dash": "dot"},
        "today": {"color": "@ink", "width": 2},
        "proposed": {"color": "@accent", "width": 2},
    }
    days = [date.fromordinal(int(day["day"])).isoformat() for day in result["by_day"]]
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers" if len(days) < 3 else "lines",
            "name": names[arm],
            "x": days,
            "y": [round(day[arm], 1) for day in result["by_day"]],
            "line": looks[arm],
        }
        for arm in ARMS
    ]
    axes = layout("Day (UTC)", "Flagged events", percent=False)
    axes["yaxis"] |= {"rangemode": "tozero"}
    return {"data": data, "layout": axes}


def rule_fields(test: Backtest) -> list[tuple[str, Any]]:
    """The rule as the editor's fields, to save it or to go on editing."""
    asked = test.asked
    return [
        ("code", asked["code"]),
        ("text", asked["text"]),
        ("when", asked["when"]),
        (
            "parameters",
            "\n".join(f"{name} = {write_value(v)}" for name, v in asked["parameters"].items()),
        ),
        ("outcome", asked["outcome"] or WEIGHT),
        ("weight", asked["weight"] or ""),
        ("note", f"Backtest {test.pk}, {timezone.now():%Y-%m-%d}"),
        ("base", asked.get("base", 0)),
    ]


def rule_difference(test: Backtest) -> tuple[Sequence[tuple[str, str]], Sequence[str]]:
    """(words of the condition, notes): how the proposal differs from what is live."""
    now = _version(test.asked)
    before = _version(test.today) if test.today else None
    return changed_words(before.when if before else "", now.when), changed_notes(before, now)


def _version(said: Mapping[str, Any]) -> RuleVersion:
    text = RuleText(**{name: said[name] for name in RuleText.__dataclass_fields__})
    return RuleVersion(**{name: getattr(text, name) for name in RuleText.__dataclass_fields__})
