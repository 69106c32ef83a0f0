"""What has to be true once a fault is over, whatever it was (FAULT-1)."""

import asyncio
from collections.abc import Sequence
from dataclasses import astuple, replace

from tests.clients.eventually import eventually
from tests.clients.replicas import Content
from tests.clients.yclient import YClient
from tests.faults.footprint import Holdings, footprint, settled
from tests.faults.harness import Server
from tests.faults.load import Load, tokens_of
from tests.faults.visitors import create_graphs, leave_all, open_all

SETTINGS = {"LAYERCAKE_IDLE_UNLOAD_S": "0.2", "LAYERCAKE_DATABASE_POOL_SIZE": "1"}
"""Rooms go soon, and all connections of the server's pools are there after a visit."""

_MAINTENANCE_GROWS_BY = 6
"""Connections to PostgreSQL that two maintenance processes open when they have more to do; their pools are bounded."""

_CALM_WITHIN_S = 60


async def warmed_up(server: Server) -> Holdings:
    """Let the server open all it keeps open, and return what it holds when nobody is there."""
    await leave_all(await open_all(await create_graphs(server, 2)))
    before = (await settled(server)).holdings
    assert (before.rooms, before.leases, before.sessions, before.connections) == (0, 0, 0, 0)
    return before


async def nothing_is_left_over(server: Server, before: Holdings) -> None:
    """Wait until the server is ready, nobody is there, and it holds no more than `before`."""
    await eventually(server.is_ready, bool, _CALM_WITHIN_S)

    async def held() -> Holdings:
        return (await footprint(server)).holdings

    print(f"before {before}")
    await eventually(held, lambda left: _is_within(left, before), _CALM_WITHIN_S)


def _is_within(left: Holdings, before: Holdings) -> bool:
    """There may be less than before: pools that lost connections open them again when they are needed."""
    most = replace(before, database_connections=before.database_connections + _MAINTENANCE_GROWS_BY)
    return all(now <= then for now, then in zip(astuple(left), astuple(most), strict=True))


async def lost(server: Server, graph: str, loads: Sequence[Load]) -> list[str]:
    """What `loads` were told is saved and a fresh client does not find."""
    content = await server.content(graph)
    return [loss for load in loads for loss in load.missing(content)]


async def all_converge(server: Server, graph: str, loads: Sequence[Load]) -> Content:
    """Let every writer come back with all it has; all and a fresh client see the same, made of every update."""
    writers = [writer for load in loads for writer in load.writers]
    clients = [writer.client for writer in writers]
    for client in clients:
        client.url = server.sync_url(graph)
        await client.connect()
    await asyncio.gather(*(client.saved() for client in clients))
    agreed = await eventually(lambda: _contents(clients), lambda seen: all(content == seen[0] for content in seen))
    updates = [update for writer in writers for update in writer.ledger.updates]
    deleted = {token for token, present in updates if not present}
    found = tokens_of(agreed[0])
    assert (found & deleted, {token for token, _ in updates} - deleted - found) == (set(), set())
    assert await server.content(graph) == agreed[0]
    await asyncio.gather(*(client.disconnect() for client in clients))
    return agreed[0]


async def all_is_well(server: Server, before: Holdings, graph: str, loads: Sequence[Load]) -> list[str]:
    """See that nothing is left over and that all converge, around a restart; return what is missing after it."""
    await nothing_is_left_over(server, before)
    await server.restart()
    missing = await lost(server, graph, loads)
    await all_converge(server, graph, loads)
    return missing


async def _contents(clients: Sequence[YClient]) -> list[Content]:
    return await asyncio.gather(*(client.content() for client in clients))
