"""The graph inside a Yjs document: root maps `nodes`, `edges` and `layers`, each id -> map of fields.

Pure. A field that is absent means none; a field of a wrong kind reads as its default, so every
document can be read, whatever its authors put in it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Protocol, TypeVar
from uuid import UUID, uuid5

import orjson
from pycrdt import Decoder, Doc, Map, Text, TransactionEvent

MAX_UPDATE_BYTES = 64 * 1024
"""No update made here is larger, as long as no single entity is."""

MAX_EXACT_INTEGER = 2**53
"""Yjs numbers are doubles: beyond this, not every integer is one."""

_ITEM_OVERHEAD_BYTES = 24
"""Ids, clocks, tags and lengths around one field in the v1 encoding; measured 11 to 19."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node as it is read and written; `lineage_id` None is derived when read."""

    id: str
    label: str = ""
    layer: str | None = None
    is_partition: bool = False
    belongs_to: str | None = None
    weight: int | float | None = None
    comment: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    lineage_id: UUID | None = None
    position: Mapping[str, Any] | None = None
    content: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge from `source` to `target`; parallel edges differ in their id."""

    id: str
    source: str = ""
    target: str = ""
    label: str = ""
    layer: str | None = None
    weight: int | float | None = None
    comment: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    lineage_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer: what its nodes and edges are called and look like."""

    id: str
    name: str = ""
    background_color: str | None = None
    text_color: str | None = None
    border_color: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GraphContent:
    """A whole graph; each tuple is sorted by id."""

    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()
    layers: tuple[Layer, ...] = ()

    @property
    def entities(self) -> int:
        """How many nodes, edges and layers there are."""
        return len(self.nodes) + len(self.edges) + len(self.layers)


@dataclass(frozen=True, slots=True)
class DocumentUpdate:
    """A Yjs v1 update, the JSON text `{client id: clock after}`, and how many entities it holds."""

    data: bytes
    client_id: int
    vector_clock: str
    entities: int


@dataclass(frozen=True, slots=True)
class ServerEdit:
    """A change that the server makes for somebody.

    `updates` are in order, each at most MAX_UPDATE_BYTES unless one entity is larger; none means that there is
    nothing to change. `summary`, a JSON object, goes into the event that tells of it, and back to whoever asked.
    """

    updates: tuple[DocumentUpdate, ...]
    summary: Mapping[str, Any]


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


_Entity = TypeVar("_Entity", bound=_Identified)


def build_updates(content: GraphContent, client_id: int) -> Iterator[DocumentUpdate]:
    """Make updates that, applied in order to an empty document, give `content`.

    `client_id` writes them all: below 2^16 for the server, so that in a true conflict the concurrent
    edit of a person wins. Each is one transaction of at most MAX_UPDATE_BYTES, unless one entity is larger.
    """
    doc: Doc[Any] = Doc(client_id=client_id)
    for root, entities in (("layers", content.layers), ("nodes", content.nodes), ("edges", content.edges)):
        target = doc.get(root, type=Map)
        for batch in _batches((entity.id, _written_fields(entity)) for entity in entities):
            yield _write(doc, target, batch)


def _write(doc: Doc[Any], target: Map[Any], batch: Mapping[str, Mapping[str, Any]]) -> DocumentUpdate:
    events: list[TransactionEvent] = []
    subscription = doc.observe(events.append)
    with doc.transaction():
        for id_, fields in batch.items():
            target[id_] = Map(_shared(fields))
    doc.unobserve(subscription)
    client_id, clock = _sole_clock(doc.get_state())
    vector_clock = orjson.dumps({str(client_id): clock}).decode()
    return DocumentUpdate(events[0].update, client_id, vector_clock, len(batch))


def _sole_clock(state: bytes) -> tuple[int, int]:
    """Return the client and its clock of a state vector that has one client."""
    decoder = Decoder(state)
    clients = decoder.read_var_uint()
    assert clients == 1
    return decoder.read_var_uint(), decoder.read_var_uint()


def _batches(entities: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[dict[str, dict[str, Any]]]:
    batch: dict[str, dict[str, Any]] = {}
    batch_bytes = 0
    for id_, fields in entities:
        size_bytes = _size_bytes(id_, fields)
        if batch and batch_bytes + size_bytes > MAX_UPDATE_BYTES:
            yield batch
            batch, batch_bytes = {}, 0
        batch[id_] = fields
        batch_bytes += size_bytes
    if batch:
        yield batch


def _size_bytes(id_: str, fields: Mapping[str, Any]) -> int:
    """Return no less than an entity takes in the v1 encoding; text is never longer there than in JSON."""
    return len(orjson.dumps((id_, fields))) + _ITEM_OVERHEAD_BYTES * (2 + len(fields))


def _written_fields(entity: Node | Edge | Layer) -> dict[str, Any]:
    values = ((name, getattr(entity, name)) for name in entity.__slots__ if name != "id")
    return {
        name: str(value) if isinstance(value, UUID) else value
        for name, value in values
        if value is not None and value is not False and value not in ("", {})
    }


def _shared(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return `fields` with the text of a document node as text that people can type in together."""
    return {name: Text(value) if name == "content" else value for name, value in fields.items()}


def read_content(doc: Doc[Any], graph_id: UUID) -> GraphContent:
    """Read the graph in `doc`; an entity that is no map is left out, and nothing makes it fail.

    Numbers without a fraction are integers. A missing lineage is UUIDv5 of `graph_id` and the id.
    """
    return GraphContent(
        nodes=_read_root(doc, "nodes", lambda id_, fields: read_node(graph_id, id_, fields)),
        edges=_read_root(doc, "edges", lambda id_, fields: read_edge(graph_id, id_, fields)),
        layers=_read_root(doc, "layers", read_layer),
    )


def _read_root(doc: Doc[Any], root: str, read: Callable[[str, Mapping[str, Any]], _Entity]) -> tuple[_Entity, ...]:
    with doc.transaction():
        entities = [
            read(id_, orjson.loads(str(value)))  # yrs writes JSON itself: 3 times as fast as to_py()
            for id_, value in doc.get(root, type=Map).items()
            if isinstance(value, Map)
        ]
    return tuple(sorted(entities, key=lambda entity: entity.id))


def read_node(graph_id: UUID, id_: str, fields: Mapping[str, Any]) -> Node:
    """Return the node that `fields` (plain JSON) describe."""
    return Node(
        id=id_,
        label=_text(fields.get("label")) or "",
        layer=_text(fields.get("layer")),
        is_partition=fields.get("is_partition") is True,
        belongs_to=_text(fields.get("belongs_to")),
        weight=_number(fields.get("weight")),
        comment=_text(fields.get("comment")),
        properties=_object(fields.get("properties")) or {},
        lineage_id=_lineage(graph_id, id_, fields.get("lineage_id")),
        position=_position(fields.get("position")),
        content=_text(fields.get("content")),
    )


def read_edge(graph_id: UUID, id_: str, fields: Mapping[str, Any]) -> Edge:
    """Return the edge that `fields` (plain JSON) describe."""
    return Edge(
        id=id_,
        source=_text(fields.get("source")) or "",
        target=_text(fields.get("target")) or "",
        label=_text(fields.get("label")) or "",
        layer=_text(fields.get("layer")),
        weight=_number(fields.get("weight")),
        comment=_text(fields.get("comment")),
        properties=_object(fields.get("properties")) or {},
        lineage_id=_lineage(graph_id, id_, fields.get("lineage_id")),
    )


def read_layer(id_: str, fields: Mapping[str, Any]) -> Layer:
    """Return the layer that `fields` (plain JSON) describe."""
    return Layer(
        id=id_,
        name=_text(fields.get("name")) or "",
        background_color=_text(fields.get("background_color")),
        text_color=_text(fields.get("text_color")),
        border_color=_text(fields.get("border_color")),
        properties=_object(fields.get("properties")) or {},
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) <= MAX_EXACT_INTEGER:
        return int(value)
    return value


def _object(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def _position(value: object) -> Mapping[str, Any] | None:
    position = _object(value)
    if position is None or _number(position.get("x")) is None or _number(position.get("y")) is None:
        return None
    return position


def _lineage(graph_id: UUID, id_: str, value: object) -> UUID:
    return _uuid(value) or uuid5(graph_id, id_)


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value if isinstance(value, str) else "")
    except ValueError:
        return None


def is_valid(name: str, value: object) -> bool:
    """Return whether `value`, which is not null, is one that the entity field `name` can have.

    Any other reads as the field's default, and so does a number that is not finite.
    """
    return _IS_VALID.get(name, _is_text)(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


_IS_VALID: Mapping[str, Callable[[object], bool]] = {
    "is_partition": lambda value: isinstance(value, bool),
    "weight": lambda value: isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value),
    "properties": lambda value: isinstance(value, dict),
    "position": lambda value: _position(value) is not None,
    "lineage_id": lambda value: _uuid(value) is not None,
}
