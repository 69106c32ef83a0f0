"""Kill -9 at random moments of a running load: what was acknowledged is there afterwards."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from tests.clients.yclient import YClient
from tests.faults.early_acknowledgement import lying_proxy
from tests.faults.figures import figures
from tests.faults.harness import Server
from tests.faults.load import Load
from tests.faults.rounds import ROUNDS, seeds
from tests.faults.visitors import create_graphs

pytestmark = pytest.mark.timeout(60 + 120 * ROUNDS)

Strike = Callable[[Server, Load], Awaitable[None]]
_FROZEN_S = 3
NEW_GRAPHS = 32
_DATABASE_BACK_WITHIN_S = 90  # a process that outlives its postmaster can hold up the next one for 60 s


async def kill_the_server(server: Server, load: Load) -> None:
    await server.kill()


async def kill_both(server: Server, load: Load) -> None:
    server.kill_postgres()
    await server.kill()


async def kill_postgres(server: Server, load: Load) -> None:
    """The server must bring its database back and go on; then it dies too, and so does its memory."""
    server.kill_postgres()
    await load.acknowledged_beyond(load.sent, _DATABASE_BACK_WITHIN_S)
    await server.kill()


async def freeze_postgres(server: Server, load: Load) -> None:
    server.freeze_postgres()
    sent = load.sent
    await asyncio.sleep(_FROZEN_S)
    assert load.acknowledged <= sent, "an update was acknowledged while the database could not commit it"
    server.thaw_postgres()
    await load.acknowledged_beyond(sent)
    await server.kill()


@pytest.mark.parametrize("updates_per_s", [200, 2000])
@pytest.mark.parametrize("strike", [kill_the_server, kill_postgres, kill_both, freeze_postgres])
async def test_no_acknowledged_update_is_missing(server: Server, strike: Strike, updates_per_s: int) -> None:
    """SAVED-1, SAVED-2: pure deletes included, with every client gone before the restart."""
    with figures(f"{strike.__name__.replace('_', ' ')} at {updates_per_s:,} updates/s") as counted:
        for seed in seeds():
            graph = await server.create_graph()
            async with Load.running(server.sync_url(graph), updates_per_s, seed) as load:
                await load.acknowledged_beyond(updates_per_s // 10)
                await asyncio.sleep(random.Random(seed).uniform(0, 1))  # the random moment
                await strike(server, load)
            assert load.acknowledged_deletes > 0, "the round proves nothing about deletes"
            await server.start()
            missing = load.missing(await server.content(graph))
            counted.add(strikes=1, acknowledged=load.acknowledged, missing=missing)


async def test_edits_of_graphs_that_were_opened_a_moment_before_are_there(server: Server) -> None:
    """SAVED-1, LEASE-5: taking a lease does not wait for the disk, what is stored under it does."""
    urls = await create_graphs(server, NEW_GRAPHS)

    async def visit(url: str) -> None:
        async with YClient(url) as client:
            await client.edit(["map.set", "seen", 1])
            await client.saved()

    await asyncio.gather(*map(visit, urls))
    server.kill_postgres()
    await server.kill()
    await server.start()
    found = [(await server.content(url.rpartition("/")[2])).map for url in urls]
    assert found == [{"seen": 1}] * NEW_GRAPHS


async def test_an_early_acknowledgement_is_found_out(server: Server) -> None:
    """SAVED-1, the control: the same check reports losses when "saved" is said before the commit."""
    (seed, *_) = seeds()
    graph = await server.create_graph()
    async with (
        lying_proxy(server.port) as port,
        Load.running(f"ws://127.0.0.1:{port}/sync/{graph}", 200, seed) as load,
    ):
        await load.acknowledged_beyond(20)
        server.freeze_postgres()
        # Far more lies than the losses asked for: a lost insert and the lost delete of the same token cancel out.
        await load.acknowledged_beyond(load.sent + 100)
        await kill_both(server, load)
    await server.start()
    assert len(load.missing(await server.content(graph))) >= 20
