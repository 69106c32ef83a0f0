"""People edit a plan together, and what is stored of it follows (SPEC.md, PLANS)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from pycrdt import Map

from persistence.database import Database
from server import plan_projection
from tests.clients.eventually import eventually
from tests.clients.replicas import PycrdtReplica
from tests.clients.yclient import YClient
from tests.faults.harness import Server
from tests.integration.planned import BRIDGE, NODES, Planned, planning

IS_LOOKED_AT = """
    SELECT p.plan_through = (SELECT max(id) FROM crdt_operations WHERE graph_id = $1)
    FROM projects p JOIN graphs g ON g.project_id = p.id WHERE g.id = $1
"""


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_projection, "QUIET_S", 0.1)


@pytest.fixture
async def planned(database: Database, database_url: str) -> AsyncIterator[Planned]:
    async with planning(database, database_url) as planned:
        (await planned.http.put(plan_path(planned), json=BRIDGE)).raise_for_status()
        yield planned


def plan_path(planned: Planned) -> str:
    return f"/api/projects/{planned.project_id}/plan"


async def read(planned: Planned) -> dict[str, Any]:
    body: dict[str, Any] = (await planned.http.get(plan_path(planned))).raise_for_status().json()
    return body


@asynccontextmanager
async def person(planned: Planned) -> AsyncIterator[YClient]:
    """Have somebody open the plan."""
    graph_id = (await read(planned))["plan_graph_id"]
    async with YClient(planned.served.url(graph_id)) as client:
        yield client


async def looked_at(planned: Planned, graph_id: str) -> None:
    """Wait until the server has looked at all that is committed of a plan's document."""
    owner = await asyncpg.connect(planned.database_url)
    try:
        await eventually(lambda: owner.fetchval(IS_LOOKED_AT, UUID(graph_id)), bool)
    finally:
        await owner.close()


def said(client: YClient, node_id: str) -> Any:
    """Return a node as somebody sees it."""
    assert isinstance(client.replica, PycrdtReplica)
    return client.replica.doc.get("nodes", type=Map)[node_id]


def is_as_all_said(client: YClient) -> bool:
    config = said(client, "dot")["config"]
    return (config["renderTarget"], config.get("outputPath")) == ("JSON", "deck.json")


async def set_member(client: YClient, value: Any, *path: str) -> None:
    """Set one member of a node as a person would, in place."""
    assert isinstance(client.replica, PycrdtReplica)
    at, (node_id, *way, last) = client.replica.doc.get("nodes", type=Map), path

    def change() -> None:
        entity = at[node_id]
        for key in way:
            entity = entity[key]
        entity[last] = value

    for update in client.replica.recording(change):
        await client.send_update(update)
    await client.saved()


def config(plan: dict[str, Any], node_id: str) -> Any:
    return next(node["config"] for node in plan["plan_dag"]["nodes"] if node["id"] == node_id)


async def test_PLANS_9_what_two_people_edit_at_once_becomes_the_plan(planned: Planned) -> None:
    """PLANS-9 and PLANS-11: with what comes over HTTP meanwhile, which both see."""
    before = await read(planned)
    async with person(planned) as one, person(planned) as two:
        await asyncio.gather(
            set_member(one, "JSON", "dot", "config", "renderTarget"),
            set_member(two, {"nodeLabelMaxLength": 5}, "short", "config", "transformConfig"),
            planned.http.patch(
                plan_path(planned), json={"nodes": [{"id": "dot", "config": {"outputPath": "deck.json"}}]}
            ),
        )
        after = await eventually(lambda: read(planned), lambda plan: plan["hashes"]["dot"] != before["hashes"]["dot"])
        after = await eventually(lambda: read(planned), lambda plan: config(plan, "dot")["renderTarget"] == "JSON")
        assert (config(after, "dot")["outputPath"], after["problems"]) == ("deck.json", [])
        assert config(after, "short") == {"transformConfig": {"nodeLabelMaxLength": 5}}
        changed = {node_id for node_id, hash_ in after["hashes"].items() if hash_ != before["hashes"][node_id]}
        assert changed == {"short", "labels", "dot"}
        for client in (one, two):
            while not is_as_all_said(client):
                await client.arrival()


async def test_PLANS_9_a_plan_that_is_not_sound_stays_as_it_was_until_it_is(planned: Planned) -> None:
    """PLANS-9."""
    before = await read(planned)
    async with person(planned) as client:
        await set_member(client, "PDF", "dot", "config", "renderTarget")
        await set_member(client, 4, "short", "config", "transformConfig")
        broken = await read(planned)
        assert {(problem["node_id"], problem["field"]) for problem in broken["problems"]} == {
            ("dot", "config.renderTarget"),
            ("short", "config.transformConfig"),
        }
        refused = await planned.http.patch(plan_path(planned), json={"metadata": {"by": "Ada"}})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid_plan")
        await looked_at(planned, broken["plan_graph_id"])
        assert (await read(planned))["plan_dag"] == before["plan_dag"]

        await set_member(client, "DOT", "dot", "config", "renderTarget")
        await set_member(client, {"nodeLabelMaxLength": 4}, "short", "config", "transformConfig")
        after = await eventually(lambda: read(planned), lambda plan: plan["plan_dag"] != before["plan_dag"])
    assert config(after, "short") == {"transformConfig": {"nodeLabelMaxLength": 4}}
    assert after["problems"] == []


async def test_PLANS_13_a_run_follows_what_somebody_edited_live(planned: Planned) -> None:
    """PLANS-13."""
    await planned.run()
    async with person(planned) as client:
        await set_member(client, {"nodeLabelMaxLength": 2}, "short", "config", "transformConfig")
    newest = await eventually(lambda: newest_run(planned), lambda run: run["execution_type"] == "automatic")
    assert newest["targets"] == ["dot", "labels"]


async def newest_run(planned: Planned) -> dict[str, Any]:
    run: dict[str, Any] = (await planned.http.get(planned.path)).raise_for_status().json()["items"][0]
    return run


async def test_PLANS_9_what_was_saved_right_before_a_kill_becomes_the_plan(database_url: str, tmp_path: Path) -> None:
    """PLANS-9 and PLANS-12: an upload that the kill broke off changed nothing."""
    async with Server.started(tmp_path / "one", database_url=database_url) as server:
        async with httpx.AsyncClient(base_url=server.base_url, timeout=20) as http:
            project = (await http.post("/api/projects", json={"name": "River"})).raise_for_status().json()
            path = f"/api/projects/{project['id']}"
            (await http.put(f"{path}/inputs/nodes.csv", content=NODES)).raise_for_status()
            plan = (await http.put(f"{path}/plan", json=BRIDGE)).raise_for_status().json()
            client = YClient(server.sync_url(plan["plan_graph_id"]))
            await client.connect()
            await set_member(client, "JSON", "dot", "config", "renderTarget")
            is_taken = asyncio.Event()
            upload = asyncio.create_task(http.put(f"{path}/inputs/nodes.csv", content=endless(is_taken)))
            await is_taken.wait()
            await server.kill()
            with pytest.raises(httpx.TransportError):
                await upload
        await server.start()
        async with httpx.AsyncClient(base_url=server.base_url, timeout=20) as http:

            async def again() -> dict[str, Any]:
                body: dict[str, Any] = (await http.get(f"{path}/plan")).raise_for_status().json()
                return body

            await eventually(again, lambda plan: config(plan, "dot")["renderTarget"] == "JSON")
            assert (await http.get(f"{path}/inputs/nodes.csv")).content == NODES


async def endless(is_taken: asyncio.Event) -> AsyncIterator[bytes]:
    """Send rows for ever, few enough at a time that there is no end of them; `is_taken` is set once some went out."""
    yield b"id,label\n"
    while True:
        yield b"n,Pier\n" * 100
        is_taken.set()
        await asyncio.sleep(0.01)


async def test_PLANS_12_an_upload_that_breaks_off_changes_nothing(
    database: Database, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """PLANS-12: and the server takes others at once."""
    async with planning(database, database_url, input_bytes=10_000) as planned:
        path = f"/api/projects/{planned.project_id}/inputs"
        _, writer = await asyncio.open_connection("127.0.0.1", planned.served.port)
        head = (
            f"PUT {path}/nodes.csv HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer admin\r\n"
            "Content-Length: 5000\r\n\r\nid,label\n"
        )
        writer.write(head.encode())
        await writer.drain()
        writer.transport.abort()
        assert (await planned.http.get(f"{path}/nodes.csv")).content == NODES
        large = await planned.http.put(f"{path}/nodes.csv", content=b"x" * 10_001)
        assert (large.status_code, large.json()["code"]) == (413, "too_large")
        (await planned.http.put(f"{path}/more.csv", content=NODES)).raise_for_status()
        assert {one["name"] for one in (await planned.http.get(path)).json()["items"]} >= {"more.csv", "nodes.csv"}
    assert "request failed" not in capsys.readouterr().out
