"""The maintenance process of a real server: it follows, compacts, comes back, and never outlives its server."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest
from pycrdt import Map

from tests.clients.eventually import eventually
from tests.clients.replicas import PycrdtReplica
from tests.clients.yclient import YClient
from tests.faults.harness import COMMAND, STOP_WITHIN_S, Server
from tests.faults.load import Load
from tests.faults.rounds import seeds

UPDATES_PER_S = 500
OFTEN = {"LAYERCAKE_COMPACTION_OPERATIONS": "20"}
BEHIND = """
    SELECT count(*) FROM crdt_operations o JOIN graphs g ON g.id = o.graph_id
    WHERE g.id = $1 AND o.id > g.projected_through
"""
LABELS = "SELECT node_id, label FROM nodes WHERE graph_id = $1"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with Server.started(tmp_path, OFTEN) as server:
        yield server
        print(server.log())


async def caught_up(connection: asyncpg.Connection, graph: str) -> None:
    async def behind() -> int:
        return int(await connection.fetchval(BEHIND, graph))

    await eventually(behind, lambda count: count == 0)


async def label(client: YClient, **labels: str) -> None:
    """Set the labels of nodes, each in an update of its own."""
    replica = client.replica
    assert isinstance(replica, PycrdtReplica)
    nodes = replica.doc.get("nodes", type=Map)
    for id_, text in labels.items():
        for update in replica.recording(lambda id_=id_, text=text: nodes.__setitem__(id_, Map({"label": text}))):
            await client.send_update(update)


def run(server: Server, *arguments: str) -> str:
    done = subprocess.run(
        [COMMAND, *arguments, "--data-dir", str(server.data_dir)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def command(server: Server, *arguments: str) -> str:
    return await asyncio.to_thread(run, server, *arguments)


async def test_an_edit_is_in_the_tables_soon(server: Server) -> None:
    """FOLLOW-8, FOLLOW-12."""
    graph = await server.create_graph()
    async with server.database() as connection, YClient(server.sync_url(graph)) as client:
        await label(client, a="first")
        await client.saved()

        async def labels() -> dict[str, str]:
            return {row["node_id"]: row["label"] for row in await connection.fetch(LABELS, graph)}

        await eventually(labels, lambda found: found == {"a": "first"}, 5)
        await label(client, a="second", b="2")
        await eventually(labels, lambda found: found == {"a": "second", "b": "2"}, 5)
        operations = "layercake_maintenance_operations_total"
        seen = await eventually(server.metrics, lambda seen: seen[operations] == 3)
        assert seen["layercake_projection_lag_seconds"] < 2
        assert seen["layercake_projection_warnings"] == 0


async def test_nothing_is_lost_by_compaction_while_two_people_type(server: Server) -> None:
    """COMPACT-1: not live, nor after a restart from the compacted state."""
    (seed, *_) = seeds()
    graph = await server.create_graph()
    async with server.database() as connection:
        async with Load.running(server.sync_url(graph), UPDATES_PER_S, seed) as load:
            await load.acknowledged_beyond(UPDATES_PER_S * 2)
            await eventually(server.metrics, lambda seen: seen["layercake_maintenance_compactions_total"] > 2)
        await caught_up(connection, graph)
        before = await server.content(graph)
        assert load.missing(before) == []
    await server.restart()
    async with server.database() as connection:
        assert await connection.fetchval("SELECT crdt_through > 0 FROM graphs WHERE id = $1", graph)
    assert await server.content(graph) == before


async def test_a_stale_client_returns_after_compaction_and_restart(server: Server) -> None:
    """COMPACT-7: nothing is doubled, nothing wiped, and what it did meanwhile is there."""
    graph = await server.create_graph()
    stale = YClient(server.sync_url(graph))
    async with server.database() as connection, YClient(server.sync_url(graph)) as other:
        await stale.connect()
        await stale.edit(["text.insert", 0, "shared "], ["map.set", "kept", 1], ["map.set", "gone", 1])
        await stale.saved()
        await eventually(other.content, lambda content: content.text == "shared ")
        await stale.disconnect()
        await stale.edit(["text.insert", 7, "offline"], ["map.set", "offline", 2])
        await other.edit(["map.delete", "gone"])
        for number in range(60):
            await other.edit(["array.insert", number, [number]])
        await other.saved()
        compacted = "SELECT crdt_through > 0 FROM graphs WHERE id = $1"
        await eventually(lambda: connection.fetchval(compacted, graph), bool)
        await caught_up(connection, graph)
    await command(server, "log", "prune", "--older-than", "0")
    await server.restart()
    await stale.connect()
    await stale.saved()
    content = await server.content(graph)
    assert content.text == "shared offline"
    assert content.map == {"kept": 1, "offline": 2}
    assert content.array == list(range(60))
    assert await stale.content() == content
    await stale.disconnect()


async def test_it_comes_back_after_kill_9_under_load(server: Server) -> None:
    """FOLLOW-9, FOLLOW-2: the tables catch up, and its end is counted."""
    (seed, *_) = seeds()
    graph = await server.create_graph()
    async with server.database() as connection:
        async with Load.running(server.sync_url(graph), UPDATES_PER_S, seed) as load:
            for times in range(1, 4):
                await eventually(server.metrics, lambda seen: seen["layercake_maintenance_operations_total"] > 0)
                (process,) = await eventually(_found(server), bool)
                process.kill()
                restarts = "layercake_maintenance_restarts_total"
                await eventually(server.metrics, lambda seen: seen[restarts] == times)  # noqa: B023
            await load.acknowledged_beyond(load.sent)
        await caught_up(connection, graph)
        assert load.missing(await server.content(graph)) == []
    await server.restart()
    assert load.missing(await server.content(graph)) == []


def _found(server: Server) -> Any:
    async def found() -> list[psutil.Process]:
        return server.maintenance()

    return found


async def test_it_holds_nothing_of_the_servers(server: Server) -> None:
    """FOLLOW-9: no socket that clients connect to or are connected with, and no signal of the terminal."""
    graph = await server.create_graph()
    async with YClient(server.sync_url(graph)):
        (process,) = await eventually(_found(server), bool)
        await eventually(server.metrics, lambda seen: seen["layercake_projection_lag_seconds"] == 0)
        process = psutil.Process(process.pid)
        assert process.net_connections("inet") == []
        assert process.pid == psutil.os.getsid(process.pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_it_ends_with_its_server(server: Server, number: signal.Signals) -> None:
    """FOLLOW-9: told to, or because its standard input ends."""
    (seed, *_) = seeds()
    graph = await server.create_graph()
    async with Load.running(server.sync_url(graph), UPDATES_PER_S, seed) as load:
        await load.acknowledged_beyond(UPDATES_PER_S)
        processes = await eventually(_found(server), bool)
        psutil.Process(server.pid).send_signal(number)
        code = await server.exit_code()
    assert code == (0 if number is signal.SIGTERM else -number)
    _, alive = await asyncio.to_thread(psutil.wait_procs, processes, STOP_WITHIN_S)
    assert alive == []
    assert "Traceback" not in server.log()


async def test_tables_are_rebuilt_while_a_server_runs(server: Server) -> None:
    """FOLLOW-6."""
    graph = await server.create_graph()
    async with server.database() as connection, YClient(server.sync_url(graph)) as client:
        await label(client, a="1", b="2")
        await client.saved()
        await caught_up(connection, graph)
        keys = [row["id"] for row in await connection.fetch("SELECT id FROM nodes ORDER BY id")]
        await connection.execute("UPDATE nodes SET label = 'damaged'")
        await connection.execute(
            "INSERT INTO edges (graph_id, edge_id, source_node_id, target_node_id, lineage_id)"
            " VALUES ($1, 'e', 'a', 'b', gen_random_uuid())",
            graph,
        )
        said = await command(server, "project", "rebuild", graph)
        assert "rebuilt 1 graph(s): 2 nodes, 0 edges, 0 layers; 0 warning(s)" in said
        assert {row["label"] for row in await connection.fetch("SELECT label FROM nodes")} == {"1", "2"}
        assert [row["id"] for row in await connection.fetch("SELECT id FROM nodes ORDER BY id")] == keys
        assert await connection.fetchval("SELECT count(*) FROM edges") == 0
        await label(client, c="3")
        await client.saved()
        await caught_up(connection, graph)
        assert await connection.fetchval("SELECT node_count FROM graphs WHERE id = $1", graph) == 3


async def test_old_history_is_pruned_by_command(server: Server) -> None:
    """COMPACT-8: says what, deletes nothing in a dry run, and what loads afterwards is the same."""
    graph = await server.create_graph()
    async with server.database() as connection, YClient(server.sync_url(graph)) as client:
        for number in range(30):
            await client.edit(["map.set", f"k{number % 7}", number])
        await client.saved()
        await eventually(lambda: connection.fetchval("SELECT crdt_through FROM graphs WHERE id = $1", graph), bool)
        await caught_up(connection, graph)
        said = await command(server, "log", "prune", "--older-than", "0", "--dry-run")
        assert await connection.fetchval("SELECT count(*) FROM crdt_operations") == 30
        assert await command(server, "log", "prune", "--older-than", "0") == said.replace("would delete", "deleted")
        assert await connection.fetchval("SELECT count(*) FROM crdt_operations") < 30
        before = await client.content()
    await server.restart()
    assert await server.content(graph) == before
    assert "would delete 0 operation(s)" in await command(server, "log", "prune", "--older-than", "1", "--dry-run")
