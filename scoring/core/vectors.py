"""Event + windows -> feature vector float64[n]: raw numbers, categories as codes, NaN = missing.

The vector is what is stored with a prediction and what training reads. It holds nothing that was
fitted, so vectors logged under one bundle train the next (`encoder` is the fitted part).
`build` serves one event, `build_many` columns of them; the two agree to 1e-9.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from scoring.core.features import EntityPlan, FeaturePlan, Windows, identity_of
from scoring.core.timelines import Timeline, aggregate_many
from scoring.core.types import Event, Floats
from scoring.core.windows import EntityWindow, packed

Rows = Sequence[list[float] | None]
"""Of one event: its state row for each of the plan's entities; None where it has no such entity."""


def state_rows(plan: FeaturePlan, event: Event) -> Rows:
    """What the event's windows would learn; `build` and `teach` both read it."""
    return [entity.values(event) if entity.key in event.keys else None for entity in plan.entities]


def build(plan: FeaturePlan, event: Event, windows: Windows, rows: Rows | None = None) -> Floats:
    """The feature vector of one event, float64[n]. `windows` is read, not taught."""
    vector = plan.start(event)
    for entity, row in zip(plan.entities, rows or state_rows(plan, event), strict=True):
        if row is None:
            continue
        window = windows[entity.key, event.keys[entity.key]]
        found = window.aggregate(entity.reading, event.time, row)
        for place, value in zip(entity.places, found, strict=False):
            vector[place] = value
        for place, cap in entity.since_last:
            vector[place] = _since(event.time, window.last_time(event.time), cap)
        for one in entity.against:
            value = row[one.column] if one.column else found[one.largest]
            minus = found[one.minus] if one.minus >= 0 else 0.0
            divisor = found[one.divisor]
            vector[one.place] = (value - minus) / divisor if divisor > 0.0 else math.nan
        for place, hours in entity.rates:
            vector[place] /= hours
    return np.array(vector, float)


def _since(now: float, last: float, cap: float) -> float:
    """Seconds since the last event, at most `cap`; an entity never seen counts as `cap`."""
    return cap if math.isnan(last) else min(now - last, cap)


def teach(
    plan: FeaturePlan,
    event: Event,
    windows: dict[tuple[str, str], EntityWindow],
    rows: Rows | None = None,
) -> None:
    """Let the event's windows learn it (in place: each is replaced by a longer one)."""
    for entity, row in zip(plan.entities, rows or state_rows(plan, event), strict=True):
        if row is not None:
            key = (entity.key, event.keys[entity.key])
            windows[key] = windows[key].learn(row, horizon=entity.horizon)


def teach_label(
    plan: FeaturePlan,
    keys: Iterable[tuple[str, str]],
    external_id: str,
    span: tuple[float, float],
    windows: dict[tuple[str, str], EntityWindow],
) -> None:
    """Let the windows of an event that was scored know its truth (in place); see `known_span`."""
    entities = {entity.key: entity for entity in plan.entities}
    for key in keys:
        column = entities[key[0]].risk_column
        if column:
            windows[key] = windows[key].mark(identity_of(external_id), column, *span)


def build_many(
    plan: FeaturePlan, events: Sequence[Event], windows: dict[tuple[str, str], EntityWindow]
) -> Floats:
    """float64[len(events), n] for events in event-time order; `windows` learn all of them.

    The same numbers as `build` and `teach` in turn, at the speed of columns.
    """
    vectors = np.array([plan.start(event) for event in events]).reshape(len(events), -1)
    for entity in plan.entities:
        own = [i for i, event in enumerate(events) if entity.key in event.keys]
        if own:
            _fill_entity(entity, [events[i] for i in own], np.array(own), vectors, windows)
    return vectors


def _fill_entity(
    entity: EntityPlan,
    events: Sequence[Event],
    own: NDArray[np.intp],
    vectors: Floats,
    windows: dict[tuple[str, str], EntityWindow],
) -> None:
    """Fill one entity key's positions for `events`, whose rows in `vectors` are `own`."""
    names = list(dict.fromkeys(event.keys[entity.key] for event in events))
    timeline, at = _timeline(entity, events, names, windows)
    rows, bounds = timeline.rows, timeline.bounds
    found = aggregate_many(timeline, at, entity.aggregates)
    vectors[own[:, None], list(entity.places)] = found[:, : len(entity.places)]
    for position, cap in entity.since_last:
        last = np.where(at > bounds[timeline.entity[at]], rows[np.maximum(at - 1, 0), 0], np.nan)
        since = np.minimum(rows[at, 0] - last, cap)
        vectors[own, position] = np.where(np.isnan(last), cap, since)
    for one in entity.against:
        values = rows[at, one.column] if one.column else found[:, one.largest]
        minus, divisor = found[:, one.minus] if one.minus >= 0 else 0.0, found[:, one.divisor]
        with np.errstate(invalid="ignore", divide="ignore"):
            vectors[own, one.place] = np.where(divisor > 0.0, (values - minus) / divisor, np.nan)
    for position, hours in entity.rates:
        vectors[own, position] /= hours
    _teach_many(entity, names, timeline, at, windows)


def _teach_many(
    entity: EntityPlan,
    names: Sequence[str],
    timeline: Timeline,
    at: NDArray[np.int64],
    windows: dict[tuple[str, str], EntityWindow],
) -> None:
    """Let the windows of `names` learn the rows `at` of a timeline that holds their others too."""
    rows, bounds = timeline.rows, timeline.bounds
    oldest = rows[bounds[1:] - 1, 0] - entity.horizon
    forgotten = rows[:, 0] < oldest[timeline.entity]
    first = (bounds[:-1] + np.add.reduceat(forgotten, bounds[:-1], dtype=np.int64)).tolist()
    is_new = np.zeros(len(rows), bool)
    is_new[at] = True
    learnt, size = packed(rows[is_new]), rows.itemsize * rows.shape[1]
    ends = (size * np.cumsum(is_new)[bounds[1:] - 1]).tolist()
    begin = 0
    for name, low, high, end in zip(names, first, bounds[1:].tolist(), ends, strict=True):
        key = (entity.key, name)
        windows[key] = windows[key].grown(rows[low:high], learnt[begin:end])
        begin = end


def _timeline(
    entity: EntityPlan,
    events: Sequence[Event],
    names: Sequence[str],
    windows: Windows,
) -> tuple[Timeline, NDArray[np.int64]]:
    """What the windows of `names` hold with `events` among it, and in which rows these stand."""
    number = {name: i for i, name in enumerate(names)}
    past = [windows[entity.key, name].rows for name in names]
    rows = np.concatenate((*past, np.array([entity.values(event) for event in events], float)))
    numbers = np.concatenate(
        (
            np.repeat(np.arange(len(names)), [len(p) for p in past]),
            np.array([number[event.keys[entity.key]] for event in events]),
        )
    )
    # Stable: at one instant, what was stored before comes first, then order of arrival.
    order = np.lexsort((rows[:, 0], numbers))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    numbers = numbers[order]
    bounds = np.searchsorted(numbers, np.arange(len(names) + 1))
    return Timeline(rows[order], numbers, bounds), place[len(order) - len(events) :]
