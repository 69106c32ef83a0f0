"""The graph inside a Yjs document: root maps `nodes`, `edges` and `layers`, each id -> map of fields.

Pure. A field that is absent means none; a field of a wrong kind reads as its default, so every
document can be read, whatever its authors put in it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any, Protocol, TypeVar
from uuid import UUID, uuid5

import orjson
from pycrdt import Decoder, Doc, Map, Text, TransactionEvent

MAX_UPDATE_BYTES = 64 * 1024
"""No update made here is larger, as long as no single entity is."""

MAX_KEY_BYTES = 1_024
"""Of the id of an entity, and of the ends of an edge: a longer one cannot be indexed (SCHEMA-18)."""

MAX_VALUE_DEPTH = 64
"""How deep lists and objects may lie in each other in the value of a field (WIRE-3)."""

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


ABSENT: Mapping[type, Mapping[str, Any]] = {
    entity: {one.name: {} if one.name == "properties" else one.default for one in fields(entity) if one.name != "id"}
    for entity in (Node, Edge, Layer)
}
"""What each field reads as where a document has nothing."""


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


_Entity = TypeVar("_Entity", bound=_Identified)
_T = TypeVar("_T")


def build_updates(content: GraphContent, client_id: int) -> Iterator[DocumentUpdate]:
    """Make updates that, applied in order to an empty document, give `content`.

    `client_id` writes them all: below 2^16 for the server, so that in a true conflict the concurrent
    edit of a person wins. Each is one transaction of at most MAX_UPDATE_BYTES, unless one entity is larger.
    """
    doc: Doc[Any] = Doc(client_id=client_id)
    for root, entities in (("layers", content.layers), ("nodes", content.nodes), ("edges", content.edges)):
        yield from write_entities(doc, doc.get(root, type=Map), entities)


def write_entities(doc: Doc[Any], root: Map[Any], entities: Iterable[Node | Edge | Layer]) -> Iterator[DocumentUpdate]:
    """Write entities that `root` lacks, in updates of at most MAX_UPDATE_BYTES, unless one entity is larger."""

    def write(item: tuple[str, dict[str, Any]]) -> None:
        root[item[0]] = Map(_shared(item[1]))

    written = ((entity.id, written_fields(entity)) for entity in entities)
    for batch in batches(written, lambda item: fields_size_bytes(*item)):
        yield transact(doc, batch, write)


def transact(doc: Doc[Any], batch: Sequence[_T], change: Callable[[_T], None]) -> DocumentUpdate:
    """Do `change` to each of `batch` in one transaction of the document's own client, and return its update."""
    before = _clock(doc)
    events: list[TransactionEvent] = []
    subscription = doc.observe(events.append)
    with doc.transaction():
        for one in batch:
            change(one)
    doc.unobserve(subscription)
    after = _clock(doc)
    vector_clock = {str(doc.client_id): after} if after > before else {}  # nothing but deletions moves no clock
    return DocumentUpdate(events[0].update, doc.client_id, orjson.dumps(vector_clock).decode(), len(batch))


def _clock(doc: Doc[Any]) -> int:
    """Return the clock of the document's own client."""
    return clocks(doc.get_state()).get(doc.client_id, 0)


def clocks(state: bytes) -> dict[int, int]:
    """Return the clock of each client in an encoded state vector (yjs/src/utils/encoding.js)."""
    decoder = Decoder(state)
    return {decoder.read_var_uint(): decoder.read_var_uint() for _ in range(decoder.read_var_uint())}


def batches(items: Iterable[_T], size_bytes: Callable[[_T], int]) -> Iterator[list[_T]]:
    """Yield the items in lists of at most MAX_UPDATE_BYTES, unless one item is larger."""
    batch: list[_T] = []
    batch_bytes = 0
    for item in items:
        item_bytes = size_bytes(item)
        if batch and batch_bytes + item_bytes > MAX_UPDATE_BYTES:
            yield batch
            batch, batch_bytes = [], 0
        batch.append(item)
        batch_bytes += item_bytes
    if batch:
        yield batch


def fields_size_bytes(id_: str, fields: Mapping[str, Any]) -> int:
    """Return no less than fields of an entity take in the v1 encoding; text is never longer there than in JSON."""
    return len(orjson.dumps((id_, fields))) + _ITEM_OVERHEAD_BYTES * (2 + len(fields))


def written_fields(entity: Node | Edge | Layer) -> dict[str, Any]:
    """Return the fields of an entity as they are written: those that are not what an absent one reads as."""
    values = ((name, getattr(entity, name), absent) for name, absent in ABSENT[type(entity)].items())
    return {name: written_value(value) for name, value, absent in values if value != absent}


def written_value(value: Any) -> Any:
    """Return the value of a field as it is written."""
    return str(value) if isinstance(value, UUID) else value


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
        lineage_id=effective_lineage(graph_id, id_, fields.get("lineage_id")),
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
        lineage_id=effective_lineage(graph_id, id_, fields.get("lineage_id")),
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


def effective_lineage(graph_id: UUID, id_: str, value: object) -> UUID:
    """Return what a node or edge whose field `lineage_id` is `value` is the same as in copies of its graph."""
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
