"""What files say of nodes, edges and layers, whatever format they have."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from persistence.document import ABSENT, Edge, Layer, Node
from workspace.issues import Issues
from workspace.tables import TableKind

Entity = Node | Edge | Layer

ENTITY_TYPES: Mapping[TableKind, type[Entity]] = {
    TableKind.NODES: Node,
    TableKind.EDGES: Edge,
    TableKind.LAYERS: Layer,
}

NOTHING: Mapping[TableKind, Mapping[str, Any]] = {kind: ABSENT[entity] for kind, entity in ENTITY_TYPES.items()}
"""What each field of a kind reads as where a document has nothing."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a file says of one entity.

    `fields` are those the file has, None where it says that there is nothing; a field that is not in it
    is one the file does not speak of. `extra` are single properties, likewise. `line` is where the row
    starts in its file, `path` where the entity is in a JSON document (a JSON Pointer, RFC 6901), else empty.
    """

    id: str
    line: int | None
    path: str
    fields: Mapping[str, Any]
    extra: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Statements:
    """All that one file, or one part of it, says of the entities of a kind.

    `headers` are what it calls each field. `broken_ids` are those of entities that are left out because
    an issue is about their shape.
    """

    file: str
    kind: TableKind
    headers: Mapping[str, str]
    all: tuple[Statement, ...]
    broken_ids: frozenset[str] = frozenset()

    def note(self, issues: Issues, statement: Statement, field: str, message: str) -> None:
        """Note what is wrong with a field of one of them."""
        issues.add(self.file, statement.line, statement.path + self.headers.get(field, field), message)


def entity_after(kind: TableKind, statement: Statement, before: Entity | None) -> Entity:
    """Return what an entity is once what a file says of it is so."""
    nothing = NOTHING[kind]
    values = dict(nothing) if before is None else {name: getattr(before, name) for name in nothing}
    values |= {name: nothing[name] if value is None else value for name, value in statement.fields.items()}
    if statement.extra:
        properties = {**values["properties"], **statement.extra}
        values["properties"] = {name: value for name, value in properties.items() if value is not None}
    return ENTITY_TYPES[kind](id=statement.id, **values)
