"""Graphs that have a base, on a server in this process, and what people do with them over HTTP and live."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import orjson
from pycrdt import Map

from auth.policy import OPERATOR
from persistence.database import Database
from persistence.document import Edge, GraphContent, Layer, Node, build_updates
from persistence.graphs import Graphs
from persistence.identifiers import new_id
from persistence.projects import Projects
from persistence.records import EVERYONE_GROUP_ID, Origin
from persistence.replay_records import GraphBase
from replay.operations import entity_json
from tests.clients.replicas import PycrdtReplica
from tests.clients.yclient import YClient
from tests.integration.served import Served, serving
from workspace.copying import digest

CONTENT = GraphContent(
    nodes=(Node("a", "Pier", layer="steel"), Node("b", "Deck"), Node("c", "Rail")),
    edges=(Edge("ab", "a", "b", "bears"), Edge("bc", "b", "c", "holds")),
    layers=(Layer("steel", "Steel"), Layer("wood", "Wood")),
)
SERVER_CLIENT_ID = 1

NEW_BASE = "UPDATE graph_bases SET content = $2, data_digest = $3, version = version + 1 WHERE graph_id = $1"


def base_of(content: GraphContent) -> GraphBase:
    """Return a base that a plan might make."""
    told = orjson.dumps(content)
    return GraphBase(told, digest(b"plan"), digest(told), "graph")


def with_node(content: GraphContent, node: Node) -> GraphContent:
    """Return the graph with a node, in the place of that of the same id if there is one."""
    nodes = {one.id: one for one in content.nodes} | {node.id: node}
    return replace(content, nodes=tuple(nodes[id_] for id_ in sorted(nodes)))


def without_node(content: GraphContent, id_: str) -> GraphContent:
    """Return the graph without a node and its edges."""
    edges = tuple(edge for edge in content.edges if id_ not in (edge.source, edge.target))
    return replace(content, nodes=tuple(node for node in content.nodes if node.id != id_), edges=edges)


async def new_computed_graph(database: Database, content: GraphContent = CONTENT) -> UUID:
    """Make a graph that a plan might have made, and return its id."""
    caller = OPERATOR.caller
    project = await Projects(database).create(caller, EVERYONE_GROUP_ID, f"Bridges {new_id()}", None)
    origin = Origin("graph.computed", base=base_of(content))
    updates = tuple(build_updates(content, SERVER_CLIENT_ID))
    return (await Graphs(database).create(caller, project.id, "Bridge", "computed", None, updates, origin)).id


@dataclass(frozen=True)
class Rebuilt:
    """A server, its database, and one person's HTTP."""

    served: Served
    http: httpx.AsyncClient
    database: Database
    owner: asyncpg.Connection

    async def computed(self, content: GraphContent = CONTENT) -> str:
        """Make a graph that a plan might have made, and return its id."""
        return str(await new_computed_graph(self.database, content))

    async def rebase(self, graph: str, content: GraphContent) -> None:
        """Let the graph be made of something else from the next replay on."""
        base = base_of(content)
        await self.owner.execute(NEW_BASE, UUID(graph), base.content, base.data_digest)

    async def rebuild(self, graph: str, content: GraphContent | None = None) -> dict[str, Any]:
        """Rebuild, of `content` if it is given."""
        if content is not None:
            await self.rebase(graph, content)
        return await self.post(f"/api/graphs/{graph}/replay")

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(path, json=body)
        assert answer.is_success, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def operate(self, graph: str, *operations: Mapping[str, Any]) -> dict[str, Any]:
        return await self.post(f"/api/graphs/{graph}/operations", operations=operations)

    async def get(self, path: str, **parameters: Any) -> dict[str, Any]:
        answer = await self.http.get(path, params=parameters)
        assert answer.is_success, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def edits(self, graph: str, **parameters: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.get(f"/api/graphs/{graph}/edits", **parameters))["items"]
        return items

    async def all_edits(self, graph: str, **parameters: Any) -> list[dict[str, Any]]:
        """Return the edits of all pages."""
        items: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = await self.get(f"/api/graphs/{graph}/edits", after=after, **parameters)
            items += page["items"]
            after = page["next_after"]
        return items

    async def shown(self, graph: str) -> dict[str, dict[str, Any]]:
        """Return the fields of every node, edge and layer that are there, by id."""
        content = await self.get(f"/api/graphs/{graph}")
        entities = (one for root in ("nodes", "edges", "layers") for one in content[root])
        return {one["id"]: {name: value for name, value in one.items() if value} for one in entities}

    async def labels(self, graph: str) -> dict[str, str]:
        """Return the labels of all nodes and edges."""
        return {id_: one["label"] for id_, one in (await self.shown(graph)).items() if "label" in one}

    async def set_rules(self, graph: str, **rules: Any) -> None:
        """Change the replay rules of the graph's project."""
        project = (await self.get(f"/api/graphs/{graph}"))["project_id"]
        (await self.http.patch(f"/api/projects/{project}/replay-rules", json=rules)).raise_for_status()


@asynccontextmanager
async def rebuilding(database: Database, database_url: str, **settings: Any) -> AsyncIterator[Rebuilt]:
    """Serve `database` until the block ends."""
    owner = await asyncpg.connect(database_url)
    try:
        async with serving(database, database_url, **settings) as served, served.http() as http:
            http.timeout = httpx.Timeout(60)
            yield Rebuilt(served, http, database, owner)
    finally:
        await owner.close()


async def change_live(client: YClient, change: Callable[[Any], None]) -> None:
    """Make a change of the document as a person's program would, in one transaction, and send it."""
    assert isinstance(client.replica, PycrdtReplica)
    doc = client.replica.doc
    for update in client.replica.recording(lambda: change(doc)):
        await client.send_update(update)


def put(root: str, id_: str, **fields: Any) -> Callable[[Any], None]:
    """Return a change that writes fields of an entity in place, which is made if it is not there; None removes one."""

    def change(doc: Any) -> None:
        entities = doc.get(root, type=Map)
        if id_ not in entities:
            entities[id_] = Map(fields)
            return
        for name, value in fields.items():
            entities[id_][name] = value

    return change


def drop(root: str, id_: str) -> Callable[[Any], None]:
    """Return a change that deletes an entity."""

    def change(doc: Any) -> None:
        del doc.get(root, type=Map)[id_]

    return change


def seen(client: YClient, root: str) -> dict[str, dict[str, Any]]:
    """Return what a live client sees of a root map."""
    assert isinstance(client.replica, PycrdtReplica)
    read: dict[str, dict[str, Any]] = client.replica.doc.get(root, type=Map).to_py() or {}
    return read


def told(entity: Node | Edge | Layer) -> dict[str, Any]:
    """Return an entity as operations tell it."""
    return entity_json(entity)
