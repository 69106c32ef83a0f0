"""QUAR-1 to QUAR-7, QUAR-11, FOLLOW-7, COMPACT-6: rows of an older version that would kill the server, by black box."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from persistence.embedded import attach
from persistence.records import ANONYMOUS_USER_ID
from tests.clients.eventually import eventually
from tests.clients.yclient import YClient
from tests.faults.harness import COMMAND, Server
from tests.unit.documents import KILLERS, SETS_FREE

INSERT = """
    INSERT INTO crdt_operations (graph_id, operation_data, vector_clock, user_id, session_id, client_id, applied_at)
    VALUES ($1, $2, '{}', $3, 'of old', '6', now()) RETURNING id
"""
MARKED = "SELECT operation_id FROM quarantined_operations ORDER BY operation_id"
EVENTS = """
    SELECT (payload->>'operation_id')::bigint FROM events
    WHERE event_type = 'graph.operation_quarantined' AND payload->>'session_id' = 'of old' AND stream_id = $1
    ORDER BY 1
"""
CURSORS = """
    SELECT crdt_through, projected_through, (SELECT max(id) FROM crdt_operations WHERE graph_id = g.id) AS highest
    FROM graphs g WHERE id = $1
"""


@asynccontextmanager
async def database_of(server: Server) -> AsyncIterator[asyncpg.Connection]:
    url = await attach(server.data_dir)
    assert url is not None
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def poison(server: Server, graph: str, *updates: bytes) -> list[int]:
    async with database_of(server) as connection:
        return [await connection.fetchval(INSERT, graph, update, ANONYMOUS_USER_ID) for update in updates]


async def marked(server: Server) -> list[int]:
    async with database_of(server) as connection:
        return [row["operation_id"] for row in await connection.fetch(MARKED)]


async def quarantined_events(server: Server, graph: str) -> list[int]:
    async with database_of(server) as connection:
        return [row[0] for row in await connection.fetch(EVENTS, graph)]


async def metric(server: Server, name: str) -> float:
    async with httpx.AsyncClient(base_url=server.base_url) as http:
        lines = (await http.get("/metrics")).text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"layercake_{name} "))


async def command(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [COMMAND, "quarantine", *arguments, "--data-dir", str(server.data_dir)],
        capture_output=True,
        text=True,
        timeout=60,
    )


async def edit(server: Server, graph: str, key: str) -> None:
    async with YClient(server.sync_url(graph)) as client:
        await client.edit(["map.set", key, key])
        await client.saved()


async def shown(server: Server, graph: str) -> dict[str, Any]:
    return (await server.content(graph)).map


async def test_a_graph_with_every_killer_among_its_rows_heals(tmp_path: Path) -> None:
    async with Server.started(tmp_path, {"LAYERCAKE_COMPACTION_OPERATIONS": "1"}) as server:
        graph = await server.create_graph()
        await edit(server, graph, "first")
        bad = (await poison(server, graph, *KILLERS.values(), SETS_FREE))[:-1]
        await edit(server, graph, "second")
        await server.kill()
        await server.start()
        await edit(server, graph, "third")
        assert await shown(server, graph) == {"first": "first", "second": "second", "third": "third"}
        assert await eventually(lambda: marked(server), lambda ids: len(ids) >= len(bad)) == bad
        assert await quarantined_events(server, graph) == bad
        await eventually(lambda: metric(server, "quarantined_operations"), lambda count: count == len(bad))
        await followed(server, graph, compacted_beyond=bad[-1] + 1)
        assert await metric(server, "maintenance_restarts_total") == 0
        await server.restart()
        assert await shown(server, graph) == {"first": "first", "second": "second", "third": "third"}
        assert await marked(server) == bad


async def followed(server: Server, graph: str, *, compacted_beyond: int = 0) -> None:
    """Wait until the tables have every edit, and the compacted state those up to some operation."""

    async def cursors() -> tuple[int, ...]:
        async with database_of(server) as connection:
            return tuple(await connection.fetchrow(CURSORS, graph))

    await eventually(cursors, lambda found: found[0] >= compacted_beyond and found[1] == found[2])


async def test_what_is_released_and_still_is_bad_comes_back_and_what_is_sound_does_not(tmp_path: Path) -> None:
    """QUAR-6, QUAR-7: by the commands, beside a running server whose clients stay, and without one."""
    often = {"LAYERCAKE_COMPACTION_OPERATIONS": "1", "LAYERCAKE_IDLE_UNLOAD_S": "0.1"}
    async with Server.started(tmp_path, often) as server:
        graph = await server.create_graph()
        await edit(server, graph, "good")
        (bad,) = await poison(server, graph, KILLERS["bomb"])
        await eventually(lambda: marked(server), lambda ids: ids == [bad])
        sound = await quarantine_a_sound_one(server, graph)
        async with YClient(server.sync_url(graph)) as client:
            listed = (await command(server, "list", "--graph", graph)).stdout.splitlines()
            assert [line.split()[0] for line in listed] == [str(sound), str(bad)]
            out = tmp_path / "bomb"
            told = await command(server, "show", str(bad), "--out", str(out))
            assert "nested more than 32 deep" in told.stdout
            assert out.read_bytes() == KILLERS["bomb"]
            assert (await client.content()).map == {"good": "good"}
            again = await command(server, "release", str(bad))
            assert (again.returncode, "left out again" in again.stderr) == (1, True), again
            assert client.is_connected
            released = await command(server, "release", str(sound))
            assert released.returncode == 0, released.stderr
            await eventually(lambda: names(client), lambda found: "lost" in found)
            assert client.is_connected
        assert await marked(server) == [bad]
        await followed(server, graph)
        assert await shown(server, graph) == {"good": "good", "lost": "lost"}
        server.terminate()
        assert await server.exit_code() == 0
        again = await command(server, "release", str(bad))
        assert (again.returncode, "left out again" in again.stderr) == (1, True), again


async def names(client: YClient) -> set[str]:
    return set((await client.content()).map)


async def quarantine_a_sound_one(server: Server, graph: str) -> int:
    """Store an edit, have it marked as an older guard might have, and have that state compacted."""
    await edit(server, graph, "lost")
    await followed(server, graph)
    await eventually(lambda: metric(server, "rooms"), lambda rooms: rooms == 0)
    async with database_of(server) as connection:
        id_ = int(await connection.fetchval("SELECT max(id) FROM crdt_operations"))
        await connection.execute("INSERT INTO quarantined_operations VALUES ($1, $2, 'by a test')", id_, graph)
        await connection.execute(
            "UPDATE graphs SET crdt_state = NULL, crdt_vector = NULL, crdt_through = 0, projected_through = 0"
        )
    await followed(server, graph)
    return id_
