"""Two servers on one database: one serves a graph, and the other takes over when it dies."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.clients.eventually import eventually
from tests.clients.yclient import YClient
from tests.faults.figures import figures
from tests.faults.harness import Server
from tests.faults.load import Load
from tests.faults.rounds import ROUNDS, seeds

pytestmark = pytest.mark.timeout(120 + 60 * ROUNDS)
_TAKEN_OVER_WITHIN_S = 2.0
_UPDATES_PER_S = 200


@pytest.fixture
async def pair(tmp_path: Path, database_url: str) -> AsyncIterator[tuple[Server, Server]]:
    """Two ready servers on one database."""
    servers = [Server(tmp_path / name, {"LAYERCAKE_IDLE_UNLOAD_S": "0"}, database_url) for name in ("first", "second")]
    async with AsyncExitStack() as stack:
        for server in servers:
            stack.push_async_callback(server.destroy)
            await server.start()
        yield servers[0], servers[1]
        for server in servers:
            print(server.log())  # shown when the test fails


async def refused_with(url: str) -> InvalidStatus | None:
    """Return how a join is refused, None if it is not."""
    try:
        async with asyncio.timeout(30), connect(url, compression=None):
            return None
    except InvalidStatus as refusal:
        return refusal


async def test_LEASE_1_the_other_server_answers_503_until_the_graph_is_free(pair: tuple[Server, Server]) -> None:
    """LEASE-1, HUB-8; reading over HTTP goes on from both, writing into the live graph from the one that serves it."""
    first, second = pair
    graph = await first.create_graph()
    async with YClient(first.sync_url(graph)) as person:
        refusal = await refused_with(second.sync_url(graph))
        assert refusal is not None
        assert (refusal.response.status_code, refusal.response.headers["Retry-After"]) == (503, "1")
        assert b"another server" in (refusal.response.body or b"")
        await person.edit(["map.set", "a", 1])
        await person.saved()
        async with httpx.AsyncClient(base_url=second.base_url) as http:
            assert (await http.get(f"/api/graphs/{graph}")).status_code == 200
    first.terminate()
    assert await first.exit_code() == 0
    assert set((await second.content(graph)).map) == {"a"}


async def take_over(server: Server, graph: str) -> float:
    """Join `graph` there as soon as it lets us; return how long that took, in seconds."""
    started = time.monotonic()

    async def refusal() -> InvalidStatus | None:
        return await refused_with(server.sync_url(graph))

    await eventually(refusal, lambda status: status is None)
    return time.monotonic() - started


async def test_LEASE_8_either_server_killed_again_and_again_loses_nothing_acknowledged(
    pair: tuple[Server, Server],
) -> None:
    """LEASE-8: the clients of the one that dies go to the other; what all of them were ever told is saved is there."""
    graph = await pair[0].create_graph()
    loads: list[Load] = []
    with figures("kill one of two servers, the other takes over") as counted:
        for seed in (number + twice for number in seeds() for twice in (0, 1)):
            chance = random.Random(seed)
            victim, heir = chance.sample(pair, 2)
            await take_over(victim, graph)  # whoever served it last lets go when nobody is there
            async with Load.running(victim.sync_url(graph), _UPDATES_PER_S, seed, f"{len(loads)}w") as load:
                loads.append(load)
                await load.acknowledged_beyond(_UPDATES_PER_S // 10)
                await asyncio.sleep(chance.uniform(0, 0.5))  # the random moment
                await victim.kill()
                took_s = await take_over(heir, graph)
            print(f"taken over after {took_s:.2f} s")
            assert took_s <= _TAKEN_OVER_WITHIN_S
            content = await heir.content(graph)
            missing = [loss for one in loads for loss in one.missing(content)]
            counted.add(strikes=1, acknowledged=load.acknowledged, missing=missing)
            await victim.start()
