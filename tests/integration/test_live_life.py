"""The life of graphs that people have open, through a real server: LIFE-2, LIFE-4 and LIFE-7 of SPEC.md."""

import asyncio
from datetime import UTC, datetime

from persistence.bin import BinnedRows
from persistence.database import Database
from persistence.graphs import Graphs
from persistence.identifiers import new_id
from persistence.log_writer import LogWriter
from persistence.ports import Refusal
from persistence.projects import Projects
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, Caller, Operation
from tests.clients.yclient import YClient
from tests.integration.served import serving

ME = Caller(ANONYMOUS_USER_ID)
WAIT_S = 20


async def test_an_open_graph_is_copied_binned_and_restored(database: Database, database_url: str) -> None:
    """LIFE-2, LIFE-7: the copy and the restored graph have what was typed; the bin closes whoever has it open."""
    async with serving(database, database_url) as served, served.http() as http:
        graph_id = await served.create_graph()
        async with YClient(served.url(graph_id)) as client:
            await client.edit(("text.insert", 0, "To be"))
            await client.saved()
            copy = (await http.post(f"/api/graphs/{graph_id}/copy")).raise_for_status().json()
            (await http.delete(f"/api/graphs/{graph_id}")).raise_for_status()
            assert await client.closed() == 4404
        (await http.post(f"/api/graphs/{graph_id}/restore")).raise_for_status()
        for there in (graph_id, copy["id"]):
            async with YClient(served.url(there)) as client:
                assert (await client.content()).text == "To be"


class Refusals:
    """Hears what becomes of operations."""

    def __init__(self) -> None:
        self.refusal = asyncio.Event()
        self.reason: Refusal | None = None

    def committed(self, operations: int) -> None:
        raise AssertionError("an operation of a purged graph was stored")

    def refused(self, operations: int, reason: Refusal) -> None:
        self.reason = reason
        self.refusal.set()


async def test_an_operation_under_way_does_not_bring_a_purged_graph_back(database: Database) -> None:
    """LIFE-4, LOG-6."""
    project = await Projects(database).create(ME, EVERYONE_GROUP_ID, "Bridge", None)
    graph = await Graphs(database).create(ME, project.id, "Deck", "data", None)
    await Graphs(database).delete(ME, graph.id)
    await BinnedRows(database).purge_graph(ME, graph.id)
    log, heard, now = LogWriter(database, new_id), Refusals(), datetime.now(UTC)
    writing = asyncio.create_task(log.run())
    await asyncio.wait_for(log.leases.acquire(graph.id), WAIT_S)
    log.append(Operation(graph.id, b"\x00\x00", "{}", ME.user_id, "s", "1", now, now), heard)
    async with asyncio.timeout(WAIT_S):
        await heard.refusal.wait()
    assert heard.reason is Refusal.GONE
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
