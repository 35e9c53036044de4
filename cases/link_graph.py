"""Entities that share a device, a merchant or the like with one entity: two hops, capped.

A hop leads from an entity over a shared value to another entity. The rarer a value is shared, the
more it says: those come first. A value of more than HUB entities is a hub: it is shown with their
number and leads nowhere until somebody opens it. A fixed number of queries, each bounded, whatever
the number of predictions.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from django.db.models import Count, Max, Q

from accounts import vault
from cases.links_models import EntityLink, KnownEntity, SharedValue
from cases.models import Alert
from cases.workflow import AlertStatus, Disposition
from scoring.core.schema import key_text
from scoring.core.spec import DetectorSpec
from scoring.core.types import RISK_LEVELS
from scoring.feature_store.history import clear
from scoring.models import Prediction

HUB: Final = 25
LINKS_READ: Final = 400
VALUES: Final = 8
ENTITIES: Final = 12
FAR_VALUES: Final = 6
FAR_ENTITIES: Final = 8
OPENED_MORE: Final = 12
MOST_OPENED: Final = 6

Value = tuple[str, str]
"""(field, token)"""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of an entity: alerts and the worst level of them, events by label."""

    level: str = ""
    alerts: int = 0
    open_alerts: int = 0
    fraud_alerts: int = 0
    events: int = 0
    frauds: int = 0
    legitimate: int = 0


@dataclass(frozen=True, slots=True)
class EntityNode:
    """An entity with what is known of it. `opened`: more of what it shares was asked for."""

    key: str
    entity: str
    shown: str
    standing: Standing
    opened: bool = False


@dataclass(frozen=True, slots=True)
class ValueNode:
    """A shared value with the number of entities that have it. `hub`: too many to be drawn."""

    key: str
    field: str
    shown: str
    entities: int
    hub: bool
    opened: bool
    first_seen: datetime | None = None
    events: int = 0


@dataclass(slots=True)
class LinkGraph:
    """Columns of nodes from the entity outwards, edges by their keys, and what was left out."""

    columns: list[list[EntityNode | ValueNode]]
    edges: list[tuple[str, str]]
    alone: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0
    linked: int = 0

    @property
    def entities(self) -> list[EntityNode]:
        """All entities but the one in the middle."""
        nodes = [node for column in self.columns[1:] for node in column]
        return [node for node in nodes if isinstance(node, EntityNode)]


def entity_key(entity: str) -> str:
    """The key of an entity's node."""
    return f"e.{entity}"


def value_key(value: Value) -> str:
    """The key of a value's node."""
    return f"v.{value[0]}.{value[1]}"


def values_of_event(row: Prediction, spec: DetectorSpec) -> list[Value]:
    """What an event itself may be linked by: known before the index knows it."""
    found = [(name, clear(row.event.get(name), spec.type_of(name))) for name in spec.link_fields]
    return [
        (name, vault.token(name, key_text(value))) for name, value in found if value is not None
    ]


def link_graph(
    detector_id: int,
    entity: str,
    shown: str,
    *,
    own: Sequence[Value] = (),
    opened: Collection[str] = (),
    untold: str = "",
) -> LinkGraph:
    """The graph around an entity. `own`: values that it surely has; `opened`: keys of nodes of
    which more is wanted; `untold`: an entity of which no outcome and no label is told."""
    wanted = set(list(opened)[:MOST_OPENED])
    return _Builder(detector_id, entity, shown, wanted, untold).build(own)


class _Builder:
    """Reads and caps, hop by hop."""

    def __init__(
        self, detector_id: int, entity: str, shown: str, opened: set[str], untold: str
    ) -> None:
        self.detector_id, self.entity, self.shown, self.opened = detector_id, entity, shown, opened
        self.untold = untold
        self.edges: dict[tuple[str, str], None] = {}
        self.standing: dict[str, Standing] = {}
        self.names: dict[str, str] = {}
        self.left_out = 0

    def build(self, own: Sequence[Value]) -> LinkGraph:
        """Centre, values, entities, values, entities."""
        mine = {(link.field, link.token): link for link in self._links_of([self.entity])}
        held = self._shared([*mine, *own])
        alone = Counter(value.field for value in held.values() if value.entities < 2)
        near = self._choose(
            [value for value in held.values() if value.entities >= 2], VALUES, hubs=True
        )
        for value in near:
            self._edge(entity_key(self.entity), value_key(_of(value)))
        first = self._entities(near, {self.entity}, ENTITIES)
        second_values, second = self._beyond(near, first)
        self._stand([self.entity])
        columns: list[list[EntityNode | ValueNode]] = [
            [self._entity(self.entity)],
            [self._value(value, mine.get(_of(value))) for value in near],
            [self._entity(one) for one in first],
            [self._value(value, None) for value in second_values],
            [self._entity(one) for one in second],
        ]
        shown = {node.key for column in columns for node in column}
        edges = [edge for edge in self.edges if shown.issuperset(edge)]
        while len(columns) > 1 and not columns[-1]:
            columns.pop()
        linked = len(first) + len(second)
        return LinkGraph(columns, edges, dict(sorted(alone.items())), self.left_out, linked)

    # --- Reading -----------------------------------------------------------------------------

    def _links_of(self, entities: Collection[str]) -> list[EntityLink]:
        rows = EntityLink.objects.filter(entity__in=entities, detector=self.detector_id)
        return list(rows.order_by("-last_seen", "-pk")[:LINKS_READ])

    def _shared(self, values: Iterable[Value]) -> dict[Value, SharedValue]:
        tokens = {token for _, token in values}
        rows = SharedValue.objects.filter(token__in=tokens, detector=self.detector_id)
        wanted = set(values)
        return {_of(row): row for row in rows if _of(row) in wanted}

    def _links_to(self, values: Sequence[SharedValue]) -> list[EntityLink]:
        """Who has these values: all of each that is no hub, the newest of an opened hub."""
        few = [value.token for value in values if value.entities <= HUB]
        rows = EntityLink.objects.filter(token__in=few, detector=self.detector_id)
        found = list(rows.order_by("-last_seen", "-pk")[: HUB * len(few)]) if few else []
        for value in values:
            if value.entities > HUB and value_key(_of(value)) in self.opened:
                rows = EntityLink.objects.filter(token=value.token, detector=self.detector_id)
                found += rows.order_by("-last_seen", "-pk")[:OPENED_MORE]
        return found

    def _stand(self, entities: Collection[str]) -> None:
        """Read what is known of entities: their alerts, and their events by label."""
        wanted = {one for one in entities if one not in self.standing}
        if not wanted:
            return
        rows = Alert.objects.filter(detector=self.detector_id, entity__in=wanted).order_by()
        found = {one: Standing() for one in wanted}
        for row in rows.values("entity").annotate(
            worst=Max("level"),
            n=Count("pk"),
            live=Count("pk", filter=~Q(status=AlertStatus.CLOSED)),
            bad=Count("pk", filter=Q(disposition=Disposition.FRAUD)),
        ):
            found[row["entity"]] = Standing(
                level=str(RISK_LEVELS[row["worst"]]),
                alerts=row["n"],
                open_alerts=row["live"],
                fraud_alerts=row["bad"],
            )
        for known in KnownEntity.objects.filter(entity__in=wanted, detector=self.detector_id):
            self.names[known.entity] = known.shown
            found[known.entity] = replace(
                found[known.entity],
                events=known.events,
                frauds=known.frauds,
                legitimate=known.legitimate,
            )
        if self.untold in found:
            known_of = found[self.untold]
            found[self.untold] = replace(known_of, fraud_alerts=0, frauds=0, legitimate=0)
        self.standing |= found

    # --- Choosing ----------------------------------------------------------------------------

    def _choose(self, values: Sequence[SharedValue], most: int, *, hubs: bool) -> list[SharedValue]:
        """Rarely shared ones first; hubs last, if at all."""
        usable = [value for value in values if hubs or value.entities <= HUB]
        ranked = sorted(usable, key=lambda value: (value.entities, value.field, value.token))
        self.left_out += max(0, len(ranked) - most)
        return ranked[:most]

    def _entities(
        self, values: Sequence[SharedValue], known: Collection[str], most: int
    ) -> list[str]:
        """Those that share most, then the riskiest, then the newest; their edges are noted."""
        ties: dict[str, list[str]] = defaultdict(list)
        for link in self._links_to(values):
            self._edge(entity_key(link.entity), value_key((link.field, link.token)))
            if link.entity not in known:
                ties[link.entity].append(link.token)
        self._stand([self.entity, *ties])
        order = sorted(ties, key=lambda one: (len(ties[one]), *self._risk(one)), reverse=True)
        most += OPENED_MORE * sum(
            value.entities > HUB and value_key(_of(value)) in self.opened for value in values
        )
        self.left_out += max(0, len(order) - most)
        return order[:most]

    def _beyond(
        self, near: Sequence[SharedValue], first: Sequence[str]
    ) -> tuple[list[SharedValue], list[str]]:
        """The second hop: what the entities found so far share with others."""
        if not first:
            return [], []
        links = self._links_of(first)
        shown = {_of(value) for value in near}
        for link in links:
            if (link.field, link.token) in shown:
                self._edge(entity_key(link.entity), value_key((link.field, link.token)))
        new = self._shared({(link.field, link.token) for link in links} - shown)
        shared = [value for value in new.values() if value.entities >= 2]
        of_opened = {
            (link.field, link.token) for link in links if entity_key(link.entity) in self.opened
        }
        most = FAR_VALUES + (OPENED_MORE if of_opened else 0)
        wanted = [v for v in shared if _of(v) in of_opened] if of_opened else []
        rest = [v for v in shared if _of(v) not in of_opened]
        chosen = self._choose(wanted, OPENED_MORE, hubs=True)
        chosen += self._choose(rest, most - len(chosen), hubs=False)
        picked = {_of(value) for value in chosen}
        for link in links:
            if (link.field, link.token) in picked:
                self._edge(entity_key(link.entity), value_key((link.field, link.token)))
        more = OPENED_MORE if of_opened else 0
        return chosen, self._entities(chosen, {self.entity, *first}, FAR_ENTITIES + more)

    def _risk(self, entity: str) -> tuple[int, int, int]:
        return _rank(self.standing.get(entity, Standing()))

    def _edge(self, entity: str, value: str) -> None:
        self.edges[entity, value] = None

    # --- Nodes -------------------------------------------------------------------------------

    def _entity(self, entity: str) -> EntityNode:
        own = entity == self.entity
        return EntityNode(
            key=entity_key(entity),
            entity=entity,
            shown=self.shown if own else self.names.get(entity, vault.MASK),
            standing=self.standing.get(entity, Standing()),
            opened=entity_key(entity) in self.opened,
        )

    def _value(self, value: SharedValue, mine: EntityLink | None) -> ValueNode:
        key = value_key(_of(value))
        return ValueNode(
            key=key,
            field=value.field,
            shown=value.shown,
            entities=value.entities,
            hub=value.entities > HUB,
            opened=key in self.opened,
            first_seen=mine.first_seen if mine else None,
            events=mine.events if mine else 0,
        )


def _of(value: SharedValue) -> Value:
    return value.field, value.token


def _rank(stands: Standing) -> tuple[int, int, int]:
    """The riskier the higher: by the worst alert, then by what was found, then by alerts."""
    level = [str(one) for one in RISK_LEVELS].index(stands.level) + 1 if stands.level else 0
    return level, stands.frauds, stands.alerts
