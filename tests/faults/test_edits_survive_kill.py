"""REBUILD: manual edits and a server that is killed right after it acknowledged them."""

from pathlib import Path
from uuid import UUID

import httpx

from persistence.database import Database
from persistence.document import Node
from tests.clients.yclient import YClient
from tests.faults.harness import Server
from tests.integration.rebuilt import CONTENT, NEW_BASE, base_of, change_live, new_computed_graph, put, with_node

UPSTREAM = with_node(with_node(CONTENT, Node("a", "Pier", comment="upstream")), Node("x", "new"))


async def labels(http: httpx.AsyncClient, graph: UUID) -> dict[str, str]:
    nodes = (await http.get(f"/api/graphs/{graph}")).raise_for_status().json()["nodes"]
    return {node["id"]: node["label"] for node in nodes}


async def test_REBUILD_12_an_acknowledged_edit_is_rebuilt_after_a_kill(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    """REBUILD-12: live and over HTTP, and what a client had not yet sent comes again with it."""
    graph = await new_computed_graph(database)
    async with Server.started(tmp_path / "one", database_url=database_url) as server:
        async with (
            httpx.AsyncClient(base_url=server.base_url, timeout=30) as http,
            YClient(f"{server.ws_url}/{graph}") as person,
        ):
            await change_live(person, put("nodes", "a", label="Pylon"))
            await person.saved()
            operation = {"type": "node_update", "node_id": "b", "new_values": {"label": "Roadway"}}
            (await http.post(f"/api/graphs/{graph}/operations", json=operation)).raise_for_status()
            await server.kill()
        async with database.service() as connection:
            await connection.execute(NEW_BASE, graph, base_of(UPSTREAM).content, base_of(UPSTREAM).data_digest)
        await server.start()
        async with httpx.AsyncClient(base_url=server.base_url, timeout=30) as http:
            replayed = (await http.post(f"/api/graphs/{graph}/replay")).raise_for_status().json()
            assert replayed["counts"]["applied"] == 2
            assert await labels(http, graph) == {"a": "Pylon", "b": "Roadway", "c": "Rail", "x": "new"}
