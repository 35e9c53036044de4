"""The link graph as boxes and lines with words, ready to be drawn on the server."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse

from cases.graph_layout import Box, lay_out
from cases.link_graph import (
    EntityNode,
    LinkGraph,
    Standing,
    ValueNode,
    link_graph,
    values_of_event,
)
from cases.linking import links_known_until
from cases.selectors import newest_of_entity
from scoring.core.reasons import name_and_unit
from scoring.core.spec import DetectorSpec
from scoring.models import Detector, Prediction

LONGEST = 17
NEAR = 2
"""The column of the first hop's entities."""
HUB_LONGEST = 14


@dataclass(frozen=True, slots=True)
class Drawn:
    """One box: two lines of words, where it leads, and how to open more of it (empty: no way)."""

    box: Box
    name: str
    detail: str
    title: str
    level: str
    href: str
    open_url: str
    kind: str


@dataclass(frozen=True, slots=True)
class LinkedRow:
    """A linked entity as a line of the table. `by` names the shared values."""

    node: EntityNode
    href: str
    by: str
    said: str


@dataclass(frozen=True, slots=True)
class LinkPanel:
    """The drawing, the same as rows, and what is not in it."""

    boxes: Sequence[Drawn]
    curves: Sequence[str]
    width: int
    height: int
    rows: Sequence[LinkedRow]
    notes: Sequence[str]
    fields: Sequence[str]
    known_until: datetime | None
    linked: int
    opened: bool
    url: str


def field_words(field: str) -> str:
    """A link field as people say it: `device`."""
    return name_and_unit("", field)[0]


def link_panel(
    detector: Detector,
    entity: str,
    shown: str,
    spec: DetectorSpec,
    *,
    opened: Collection[str],
    row: Prediction | None = None,
    untold: str = "",
) -> LinkPanel:
    """The graph around an entity; `row` is an event of it that the index may not know yet.

    Of the entity `untold` no label is told: somebody is to judge it without.
    """
    newest = row or newest_of_entity(detector.pk, entity)
    own = values_of_event(newest, spec) if newest is not None else []
    graph = link_graph(detector.pk, entity, shown, own=own, opened=opened, untold=untold)
    url = reverse("entity_links", args=[detector.slug, entity])
    layout = lay_out([[node.key for node in column] for column in graph.columns], graph.edges)
    telling = _Telling(detector, spec, url, list(opened))
    boxes = [
        telling.drawn(node, layout.boxes[node.key], depth)
        for depth, column in enumerate(graph.columns)
        for node in column
    ]
    return LinkPanel(
        boxes=boxes,
        curves=layout.curves,
        width=layout.width,
        height=layout.height,
        rows=_rows(graph, telling),
        notes=_notes(graph, spec.entity_word),
        fields=[field_words(name) for name in spec.link_fields],
        known_until=links_known_until(),
        linked=graph.linked,
        opened=bool(opened),
        url=url,
    )


class _Telling:
    """Words and addresses for nodes."""

    def __init__(
        self, detector: Detector, spec: DetectorSpec, url: str, opened: Sequence[str]
    ) -> None:
        self.detector, self.spec, self.url, self.opened = detector, spec, url, opened

    def drawn(self, node: EntityNode | ValueNode, box: Box, depth: int) -> Drawn:
        """A node of a column; behind the last one nothing can be opened."""
        first = depth == 0
        if isinstance(node, ValueNode):
            return self._value(node, box)
        said = "this one" if first else told(node.standing)
        return Drawn(
            box=box,
            name=_short(node.shown, LONGEST if not first else HUB_LONGEST - 2),
            detail=_short(said, 24),
            title=f"{self.spec.entity_word} {node.shown}: {told(node.standing)}",
            level=node.standing.level,
            href=self.entity_url(node.entity),
            open_url=self._open(node.key) if depth == NEAR and not node.opened else "",
            kind="here" if first else "entity",
        )

    def _value(self, node: ValueNode, box: Box) -> Drawn:
        word, who = field_words(node.field), self.spec.entity_word
        few = f"{word}, {node.entities} {who}s"
        detail = f"{node.entities - 1:,} others" if node.hub else few
        title = f"{word} {node.shown}, shared by {node.entities:,} {who}s"
        if node.events:
            title += f", {node.events} event{'' if node.events == 1 else 's'} of this {who}"
        return Drawn(
            box=box,
            name=_short(node.shown, HUB_LONGEST),
            detail=_short(detail, 20),
            title=title,
            level="",
            href="",
            open_url=self._open(node.key) if node.hub and not node.opened else "",
            kind="hub" if node.hub else "value",
        )

    def _open(self, key: str) -> str:
        return f"{self.url}?{urlencode([('open', one) for one in (*self.opened, key)])}"

    def entity_url(self, entity: str) -> str:
        """The page of an entity."""
        return reverse("entity_detail", args=[self.detector.slug, entity])


def told(standing: Standing) -> str:
    """`High, 2 alerts, 1 fraud`; what is known of an entity, the risk in words first."""
    parts = [standing.level.capitalize()] if standing.level else []
    if standing.alerts:
        parts.append(f"{standing.alerts} alert{'' if standing.alerts == 1 else 's'}")
    if standing.frauds:
        parts.append(f"{standing.frauds} bad event{'' if standing.frauds == 1 else 's'}")
    return ", ".join(parts) or "no alert"


def _rows(graph: LinkGraph, telling: _Telling) -> list[LinkedRow]:
    values: dict[str, ValueNode] = {
        node.key: node for column in graph.columns for node in column if isinstance(node, ValueNode)
    }
    shared: dict[str, list[str]] = {}
    for entity, value in graph.edges:
        shared.setdefault(entity, []).append(value)
    return [
        LinkedRow(
            node=node,
            href=telling.entity_url(node.entity),
            by=_by(shared.get(node.key, []), values),
            said=told(node.standing),
        )
        for node in graph.entities
    ]


def _by(keys: Sequence[str], values: Mapping[str, ValueNode]) -> str:
    found = [values[key] for key in keys if key in values]
    return ", ".join(f"{field_words(one.field)} {one.shown}" for one in found[:3])


def _notes(graph: LinkGraph, who: str) -> list[str]:
    notes = [
        f"{count:,} {field_words(field)} value{'' if count == 1 else 's'} of this {who} alone"
        for field, count in graph.alone.items()
    ]
    if graph.left_out:
        notes.append(f"{graph.left_out:,} more left out")
    return notes


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
