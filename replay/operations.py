"""The nine operations of manual edits: create, update and delete of a node, an edge, a layer.

Pure. As JSON, in the store and at the doors:
`{"type": "node_create", "node": {"id": …, …}}`,
`{"type": "node_update", "node_id": …, "old_values": {…}, "new_values": {…}}`,
`{"type": "node_delete", "node_id": …, "node": {…}, "edges": [{…}, …], "children": [id, …]}`,
and the same of `edge` and `layer`, which have no edges and children. A value that is null is one that is absent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from persistence.document import ABSENT, Edge, Layer, Node, read_edge, read_layer, read_node, written_fields
from persistence.document_edits import Entity

UNEDITED_FIELDS = frozenset({"position", "content"})
"""Layout, and text that people type in place: never part of an edit, and never touched by a replay."""

KINDS: Mapping[str, type[Entity]] = {"layer": Layer, "node": Node, "edge": Edge}
"""The entities of a graph by their name in operations, in the order in which they can be made."""

ROOTS: Mapping[str, str] = {kind: f"{kind}s" for kind in KINDS}
"""The root map of the document that each kind is in."""

EDITED_FIELDS: Mapping[str, tuple[str, ...]] = {
    kind: tuple(name for name in ABSENT[entity] if name not in UNEDITED_FIELDS) for kind, entity in KINDS.items()
}


class Act(StrEnum):
    """What an operation does to its entity."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class EditOperation:
    """What somebody did to one entity.

    A creation has the `entity` that came, a deletion the one that went and, of a node, the `edges` that were incident
    and the ids of its `children` (the nodes that belonged to it). An update has the fields it changed, with what they
    were and what they became, as `value_of` tells it.
    """

    kind: str
    act: Act
    entity_id: str
    entity: Entity | None = None
    old_values: Mapping[str, Any] = field(default_factory=dict)
    new_values: Mapping[str, Any] = field(default_factory=dict)
    edges: tuple[Edge, ...] = ()
    children: tuple[str, ...] = ()

    @property
    def type(self) -> str:
        """Return one of the nine types, such as `node_create`."""
        return f"{self.kind}_{self.act}"

    def to_json(self) -> dict[str, Any]:
        """Return the operation as JSON."""
        told: dict[str, Any] = {"type": self.type}
        if self.act is not Act.CREATE:
            told[f"{self.kind}_id"] = self.entity_id
        if self.act is Act.UPDATE:
            return told | {"old_values": dict(self.old_values), "new_values": dict(self.new_values)}
        told[self.kind] = None if self.entity is None else entity_json(self.entity)
        if self.kind == "node" and self.act is Act.DELETE:
            told |= {"edges": [entity_json(edge) for edge in self.edges], "children": list(self.children)}
        return told


def value_of(entity: Entity, name: str) -> Any:
    """Return a field as operations tell it: plain JSON, null where it is what an absent one reads as."""
    value = getattr(entity, name)
    if value == ABSENT[type(entity)][name]:
        return None
    return str(value) if isinstance(value, UUID) else value


def entity_json(entity: Entity) -> dict[str, Any]:
    """Return an entity as operations tell it: its id and the fields that it has."""
    return {"id": entity.id, **written_fields(entity)}


def read_entity(kind: str, graph_id: UUID, told: Mapping[str, Any]) -> Entity:
    """Return the entity that `entity_json` told; a lineage that is absent is that of `graph_id`."""
    if kind == "node":
        return read_node(graph_id, told["id"], told)
    return read_edge(graph_id, told["id"], told) if kind == "edge" else read_layer(told["id"], told)


def read_operation(graph_id: UUID, told: Mapping[str, Any]) -> EditOperation:
    """Return the operation that `EditOperation.to_json` told. What comes through a door is checked there first."""
    kind, _, act = str(told["type"]).partition("_")
    entity = None if told.get(kind) is None else read_entity(kind, graph_id, told[kind])
    edges = (read_edge(graph_id, edge["id"], edge) for edge in told.get("edges", ()))
    return EditOperation(
        kind=kind,
        act=Act(act),
        entity_id=told[f"{kind}_id"] if entity is None or f"{kind}_id" in told else entity.id,
        entity=entity,
        old_values=told.get("old_values", {}),
        new_values=told.get("new_values", {}),
        edges=tuple(edges),
        children=tuple(told.get("children", ())),
    )
