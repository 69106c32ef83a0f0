"""What a node of a plan has to do, from bytes to bytes: a server runs it in a worker process.

Pure. Contents are JSON `{nodes, edges, layers}`; a lineage that is null is derived where a graph is made of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

import orjson
from pycrdt import Doc

from persistence.document import (
    DocumentUpdate,
    Edge,
    GraphContent,
    Node,
    build_updates,
    read_content,
    read_edge,
    read_layer,
    read_node,
)
from replay.computing import check_graph, compute
from replay.execution_ports import ReadInput, Render
from replay.node_configs import InputConfig
from replay.plan import PlanNode

FIRST_CLIENT_ID = 1
"""The Yjs client that writes a graph that is made, which nobody else has written to yet."""

_NOWHERE = UUID(int=0)
_Entity = TypeVar("_Entity", Node, Edge)


class GraphNow(NamedTuple):
    """What a graph holds, people's edits included, and the SHA-256 of that, 64 hex digits."""

    content: bytes
    digest: str


class NodeFailedError(Exception):
    """A node that cannot do what it is told; the message says what to do."""


def read_input_of(read: ReadInput, name: str, config: InputConfig, file: bytes, digest: str | None) -> bytes:
    """Return the content of an input's file, which has this SHA-256 unless that is None.

    Raises NodeFailedError if it has another, and what `read` raises.
    """
    if digest is not None and sha256(file).hexdigest() != digest:
        raise NodeFailedError(f"the input {name!r} was uploaded again while this ran; run it again")
    return read(name, config, file)


def computed(node: PlanNode, inputs: Sequence[bytes], is_graph: bool) -> bytes:
    """Return what a node makes of its inputs; of what `is_graph` the integrity is checked. Raises ComputationError."""
    content = compute(node, tuple(map(read_contents, inputs)))
    if is_graph:
        check_graph(node.id, content)
    return orjson.dumps(content)


def rendered(render: Render, node: PlanNode, content: bytes, name: str) -> bytes:
    """Return the file that an output node writes. Raises ComputationError."""
    return render(node, read_contents(content), name)


def first_updates(content: bytes) -> tuple[DocumentUpdate, ...]:
    """Return the updates that make the document of a new graph."""
    return tuple(build_updates(read_contents(content), FIRST_CLIENT_ID))


def graph_now(graph_id: UUID, document: bytes) -> GraphNow:
    """Return what a document holds, the lineage of everything said in it."""
    doc: Doc[Any] = Doc()
    doc.apply_update(document)
    content = orjson.dumps(read_content(doc, graph_id))
    return GraphNow(content, sha256(content).hexdigest())


def read_contents(told: bytes) -> GraphContent:
    """Return the content that JSON tells; each part is sorted by id, as it was."""
    parts = orjson.loads(told)
    return GraphContent(
        nodes=tuple(_as_told(read_node(_NOWHERE, one["id"], one), one) for one in parts["nodes"]),
        edges=tuple(_as_told(read_edge(_NOWHERE, one["id"], one), one) for one in parts["edges"]),
        layers=tuple(read_layer(one["id"], one) for one in parts["layers"]),
    )


def _as_told(entity: _Entity, told: Mapping[str, Any]) -> _Entity:
    return entity if told["lineage_id"] else replace(entity, lineage_id=None)
