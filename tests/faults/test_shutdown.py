"""SIGTERM while people type."""

import asyncio

from tests.clients.eventually import eventually
from tests.clients.replicas import Content
from tests.clients.yclient import YClient
from tests.faults.harness import Server
from tests.faults.load import Load, tokens_of
from tests.faults.rounds import seeds

UPDATES_PER_S = 500
_RESTARTING = 1012
EMPTY_STATE_VECTOR = b"\x00"


async def test_everything_read_before_sigterm_is_there_afterwards(server: Server) -> None:
    """SAVED-4: the process ends with 0, clients hear 1012, and what anybody was sent is stored."""
    (seed, *_) = seeds()
    graph = await server.create_graph()
    watcher = YClient(server.sync_url(graph))
    await watcher.connect()
    async with Load.running(server.sync_url(graph), UPDATES_PER_S, seed) as load:
        await load.acknowledged_beyond(UPDATES_PER_S)
        server.terminate()
        codes = [await client.closed() for client in (watcher, *(writer.client for writer in load.writers))]
    assert await server.exit_code() == 0, server.log()
    assert codes == [_RESTARTING] * len(codes)

    await server.start()
    stored = await server.replica(graph)
    before = stored.content()
    assert load.missing(before) == []
    stored.apply(watcher.replica.missing_to(EMPTY_STATE_VECTOR))
    assert stored.content() == before, "the watcher was sent something that is not stored"
    await _everyone_returns_and_agrees(load, watcher)


async def _everyone_returns_and_agrees(load: Load, watcher: YClient) -> None:
    clients = [watcher, *(writer.client for writer in load.writers)]
    for client in clients:
        await client.connect()

    async def contents() -> list[Content]:
        return await asyncio.gather(*(client.content() for client in clients))

    everything = {token for writer in load.writers for token, _ in writer.ledger.updates}
    agreed = await eventually(contents, lambda seen: all(content == seen[0] for content in seen))
    deleted = {token for writer in load.writers for token, present in writer.ledger.updates if not present}
    assert tokens_of(agreed[0]) == everything - deleted
    for client in clients:
        await client.disconnect()
