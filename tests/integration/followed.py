"""A graph's log in a real database, what loads of it, its rows, and a database that fails at a statement."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from math import isfinite
from typing import Any, cast
from uuid import UUID, uuid5

import asyncpg
from pycrdt import Map

from collab.arrivals import Arrivals
from collab.document import LiveDocument
from collab.follower import Follower
from collab.loading import Loading
from persistence.database import Database
from persistence.document import Edge, GraphContent, Layer, Node, read_content
from persistence.errors import StoreUnavailableError
from persistence.graphs import Graphs
from persistence.identifiers import new_id
from persistence.operations import StoredDocuments, write_flush
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, Caller, Operation
from replay.capture import Capture
from tests.property.test_convergence import everything
from tests.unit.documents import recorded

WAITING_BYTES = 4 * 1024 * 1024

BEGIN_CAPTURE = partial(Capture.begin, new_id)

NODES = """
    SELECT node_id, label, layer_id, is_partition, belongs_to, weight, comment, properties, lineage_id, "position",
        content
    FROM nodes WHERE graph_id = $1 ORDER BY node_id COLLATE "C"
"""
EDGES = """
    SELECT edge_id, source_node_id, target_node_id, label, layer_id, weight, comment, properties, lineage_id
    FROM edges WHERE graph_id = $1 ORDER BY edge_id COLLATE "C"
"""
LAYERS = """
    SELECT layer_id, name, background_color, text_color, border_color, properties, lineage_id
    FROM layers WHERE graph_id = $1 ORDER BY layer_id COLLATE "C"
"""
LABELS = "SELECT node_id, label FROM nodes WHERE graph_id = $1 ORDER BY node_id"
CURSORS = """
    SELECT crdt_through, projected_through, projection_warnings, node_count, edge_count, layer_count, crdt_state,
        crdt_vector, crdt_pending_ids
    FROM graphs WHERE id = $1
"""


async def new_graph(database: Database, parent_id: UUID | None = None) -> UUID:
    project = await Projects(database).create(Caller(ANONYMOUS_USER_ID), EVERYONE_GROUP_ID, f"p {new_id()}", None)
    graph = await Graphs(database).create(Caller(ANONYMOUS_USER_ID), project.id, "g", "data", None)
    if parent_id is not None:
        async with database.request(Caller(ANONYMOUS_USER_ID)) as connection:
            await connection.execute("UPDATE graphs SET parent_graph_id = $2 WHERE id = $1", graph.id, parent_id)
    return graph.id


async def store(database: Database, graph_id: UUID, operations: Sequence[Operation]) -> None:
    """Commit `operations` to the graph's log as the log writer does."""
    connection = await database.connect_log()
    mine = [operation._replace(graph_id=graph_id, user_id=ANONYMOUS_USER_ID) for operation in operations]
    await write_flush(connection, new_id(), mine, [], forget_old=False, timeout_s=10)
    await connection.close()


@dataclass(frozen=True)
class Loaded:
    """All that there is to a document that was loaded."""

    content: GraphContent
    everything: dict[str, Any]
    meta: object
    state_vector: dict[int, int]
    deletions: bytes
    waiting: frozenset[bytes]

    @staticmethod
    def of(graph_id: UUID, document: LiveDocument, arrivals: Arrivals) -> "Loaded":
        return Loaded(
            read_content(document.doc, graph_id),
            everything(document.doc),
            document.doc.get("meta", type=Map).to_py(),
            dict(document.state_vector),
            document.doc.get_update(document.encoded_state_vector()),
            frozenset(arrivals._waiting),
        )


async def load(database: Database, graph_id: UUID) -> Loaded:
    """Load the document as a room does."""
    loading = Loading(WAITING_BYTES)
    async with StoredDocuments(database).open(graph_id) as chunks:
        async for chunk in chunks:
            loading.take_chunk(chunk)
    return Loaded.of(graph_id, loading.document, loading.arrivals)


def made_of(graph_id: UUID, operations: Sequence[Operation]) -> Loaded:
    """Make the document of the log alone, every operation taken in its turn."""
    loading = Loading(WAITING_BYTES)
    for number, operation in enumerate(operations, 1):
        loading.take(number, operation.update)
    return Loaded.of(graph_id, loading.document, loading.arrivals)


async def rows(connection: asyncpg.Connection, graph_id: UUID) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of a graph as tuples, sorted by key."""
    statements = {"nodes": NODES, "edges": EDGES, "layers": LAYERS}
    return {table: [tuple(row) for row in await connection.fetch(sql, graph_id)] for table, sql in statements.items()}


def rows_of(graph_id: UUID, content: GraphContent) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows that show `content`: what it says, but for what PostgreSQL cannot hold."""
    return {
        "nodes": [_node(node) for node in content.nodes if _is_key(node.id)],
        "edges": [_edge(edge) for edge in content.edges if _is_key(edge.id)],
        "layers": [_layer(graph_id, layer) for layer in content.layers if _is_key(layer.id)],
    }


def _node(node: Node) -> tuple[Any, ...]:
    texts = _text(node.label) or "", _text(node.layer), node.is_partition, _text(node.belongs_to)
    rest = _json(node.properties) or {}, node.lineage_id, _json(node.position), _text(node.content)
    return (node.id, *texts, _weight(node.weight), _text(node.comment), *rest)


def _edge(edge: Edge) -> tuple[Any, ...]:
    ends = (end if _is_key(end) else "" for end in (edge.source, edge.target))
    texts = _text(edge.label) or "", _text(edge.layer), _weight(edge.weight), _text(edge.comment)
    return (edge.id, *ends, *texts, _json(edge.properties) or {}, edge.lineage_id)


def _layer(graph_id: UUID, layer: Layer) -> tuple[Any, ...]:
    colors = _text(layer.background_color), _text(layer.text_color), _text(layer.border_color)
    return (layer.id, _text(layer.name) or "", *colors, _json(layer.properties) or {}, uuid5(graph_id, layer.id))


def _is_key(key: str) -> bool:
    return "\0" not in key and len(key.encode()) <= 1_024


def _text(value: str | None) -> str | None:
    return None if value is None or "\0" in value else value


def _json(value: object) -> object:
    return None if "\\x00" in repr(value).replace("\\\\", "") else value


def _weight(value: float | None) -> float:
    return 1.0 if value is None or not isfinite(value) else float(value)


class CutError(StoreUnavailableError):
    """What a statement of a `CrashingDatabase` fails with."""

    def __init__(self) -> None:
        super().__init__("the connection was cut")


class CrashingDatabase:
    """A database that fails once, when `statements_left` more were made; a commit counts as one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.statements_left: int | None = None

    @asynccontextmanager
    async def service(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._database.service() as connection:
            yield cast("asyncpg.Connection", _Counted(self, connection))
            await self.count()  # before the commit

    async def look_up(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        await self.count()
        return await self._database.look_up(statement, *arguments)

    async def connect_log(self) -> asyncpg.Connection:
        return await self._database.connect_log()

    async def count(self) -> None:
        if self.statements_left is None:
            return
        if not self.statements_left:
            self.statements_left = None
            raise CutError
        self.statements_left -= 1


class _Counted:
    def __init__(self, database: CrashingDatabase, connection: asyncpg.Connection) -> None:
        self._database = database
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._connection, name)

        async def counted(*arguments: Any) -> Any:
            await self._database.count()
            return await method(*arguments)

        return counted


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def nodes(*labels: str, client: int = 7) -> list[Operation]:
    """One operation for each label: node n0 has the first, n1 the second."""
    doc, updates = recorded(client)
    for number, label in enumerate(labels):
        doc.get("nodes", type=Map)[f"n{number}"] = Map({"label": label})
    now = datetime.now(UTC)
    return [Operation(UUID(int=0), update, "{}", ANONYMOUS_USER_ID, "s", str(client), now, now) for update in updates]


async def labels(owner: asyncpg.Connection, graph_id: UUID) -> dict[str, str]:
    return {row["node_id"]: row["label"] for row in await owner.fetch(LABELS, graph_id)}


async def caught_up(follower: Follower, stop: asyncio.Event | None = None) -> None:
    await follower.look()
    while await follower.work(stop or asyncio.Event()):
        pass
