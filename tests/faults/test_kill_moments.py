"""Kill -9 in the middle of what a server does beside taking edits: loading, compacting, unloading, shutting down."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from websockets.exceptions import InvalidHandshake

from tests.clients.eventually import eventually
from tests.clients.replicas import Content
from tests.faults.aftermath import SETTINGS, all_converge, lost, nothing_is_left_over, warmed_up
from tests.faults.figures import figures
from tests.faults.footprint import Holdings, settled
from tests.faults.harness import Server
from tests.faults.load import Load
from tests.faults.rounds import FEWER_ROUNDS, seeds

pytestmark = [pytest.mark.timeout(120 + 30 * FEWER_ROUNDS), pytest.mark.asyncio(loop_scope="module")]

UPDATES_PER_S = 200
VISITORS = 20
_COMPACTIONS = "layercake_maintenance_compactions_total"
_UNLOADS = "layercake_room_unloads_total"

Scene = Callable[[Server, str, int], Awaitable[Load]]
"""Works at a graph until the server is killed at a moment drawn from the seed; returns what was promised."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_server(
    tmp_path_factory: pytest.TempPathFactory, module_database_url: str
) -> AsyncIterator[tuple[Server, Holdings]]:
    """A server, and what it holds when nobody is there."""
    settings = {**SETTINGS, "LAYERCAKE_COMPACTION_OPERATIONS": "20", "LAYERCAKE_IDLE_UNLOAD_S": "0.05"}
    async with Server.started(tmp_path_factory.mktemp("server"), settings, module_database_url) as server:
        yield server, await warmed_up(server)


async def _seen(server: Server, graph: str) -> Content | None:
    try:
        return await server.content(graph)
    except (OSError, InvalidHandshake):
        return None


async def loading(server: Server, graph: str, seed: int) -> Load:
    async with Load.running(server.sync_url(graph), UPDATES_PER_S, seed) as load:
        await load.acknowledged_beyond(UPDATES_PER_S // 2)
    await settled(server)
    visits = [asyncio.create_task(_seen(server, graph)) for _ in range(VISITORS)]
    await asyncio.sleep(random.Random(seed).uniform(0, 0.15))
    await server.kill()
    seen = await asyncio.gather(*visits)
    assert [load.missing(content) for content in seen if content is not None and load.missing(content)] == []
    return load


async def compacting(server: Server, graph: str, seed: int) -> Load:
    async with Load.running(server.sync_url(graph), UPDATES_PER_S, seed) as load:
        await eventually(server.metrics, lambda seen: seen[_COMPACTIONS] > 0)
        await asyncio.sleep(random.Random(seed).uniform(0, 0.5))
        await server.kill()
    return load


async def following(server: Server, graph: str, seed: int) -> Load:
    chance = random.Random(seed)
    async with Load.running(server.sync_url(graph), UPDATES_PER_S, seed) as load:
        await load.acknowledged_beyond(UPDATES_PER_S // 2)
        await asyncio.sleep(chance.uniform(0, 0.5))
        for process in server.maintenance():
            process.kill()
        await asyncio.sleep(chance.uniform(0, 1.5))  # it is started again after half a second
        await server.kill()
    return load


async def unloading(server: Server, graph: str, seed: int) -> Load:
    unloads = (await server.metrics())[_UNLOADS]
    async with Load.coming_and_going(server.sync_url(graph), UPDATES_PER_S, seed) as load:
        await eventually(server.metrics, lambda seen: seen[_UNLOADS] > unloads)
        await asyncio.sleep(random.Random(seed).uniform(0, 1))
        await server.kill()
    return load


async def shutting_down(server: Server, graph: str, seed: int) -> Load:
    async with Load.running(server.sync_url(graph), UPDATES_PER_S, seed) as load:
        await load.acknowledged_beyond(UPDATES_PER_S // 2)
        server.terminate()
        await asyncio.sleep(random.Random(seed).uniform(0, 0.3))
        await server.kill()
    return load


_OF_SOAK = pytest.param(
    following, marks=pytest.mark.skipif(FEWER_ROUNDS == 1, reason="test_maintenance.py has it in a short run")
)


@pytest.mark.parametrize("scene", [loading, compacting, _OF_SOAK, unloading, shutting_down])
async def test_FAULT_8_kill_9_at_any_moment(module_server: tuple[Server, Holdings], scene: Scene) -> None:
    """FAULT-8, FAULT-1: nothing called saved is missing, all who were there converge, and nothing is left over."""
    server, before = module_server
    with figures(f"kill -9 while {scene.__name__.replace('_', ' ')}") as counted:
        for seed in seeds(FEWER_ROUNDS):
            graph = await server.create_graph()
            load = await scene(server, graph, seed)
            await server.start()
            counted.add(strikes=1, acknowledged=load.acknowledged, missing=await lost(server, graph, [load]))
            await all_converge(server, graph, [load])
            await nothing_is_left_over(server, before)
    print(server.log())
