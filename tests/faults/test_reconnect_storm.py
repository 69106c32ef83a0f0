"""A thousand clients that are refused, and come again and again, beside people who edit."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.clients.yclient import YClient
from tests.faults.aftermath import SETTINGS, all_is_well, warmed_up
from tests.faults.figures import figures
from tests.faults.harness import Server
from tests.faults.load import Load
from tests.faults.refused_clients import Storm
from tests.faults.rounds import FEWER_ROUNDS, seeds

pytestmark = pytest.mark.timeout(180 + 60 * FEWER_ROUNDS)

UPDATES_PER_S = 100
CLIENTS = 1_000
REFUSALS = 1_500
_ACKNOWLEDGED_WITHIN_S = 5.0


@pytest.fixture
async def pair(tmp_path: Path, database_url: str) -> AsyncIterator[tuple[Server, Server]]:
    async with AsyncExitStack() as stack:
        first, second = [
            await stack.enter_async_context(Server.started(tmp_path / name, SETTINGS, database_url))
            for name in ("first", "second")
        ]
        yield first, second
        print(first.log())


async def _in_the_bin(server: Server) -> str:
    graph = await server.create_graph()
    async with httpx.AsyncClient(base_url=server.base_url, timeout=30) as http:
        (await http.delete(f"/api/graphs/{graph}")).raise_for_status()
    return graph


async def _slowest_acknowledgement(load: Load, storm: Storm) -> float:
    """Until REFUSALS, wait again and again for all that was sent to be acknowledged; return the longest wait in s."""
    slowest_s = 0.0
    while storm.answers.total() < REFUSALS:
        started = time.monotonic()
        await load.acknowledged_beyond(load.sent)
        slowest_s = max(slowest_s, time.monotonic() - started)
    return slowest_s


async def test_FAULT_12_a_storm_of_refused_clients(pair: tuple[Server, Server]) -> None:
    """FAULT-12: at unknown graphs, at one in the bin, and at one that another server serves; editors go on."""
    server, other = pair
    await warmed_up(other)  # its connections are to the same database
    before = await warmed_up(server)
    with figures(f"{CLIENTS:,} refused clients that come again") as counted:
        for seed in seeds(FEWER_ROUNDS):
            graph, elsewhere = await server.create_graph(), await server.create_graph()
            doors = [str(uuid4()), await _in_the_bin(server), "not an id", elsewhere]
            async with (
                YClient(other.sync_url(elsewhere)),
                Load.running(server.sync_url(graph), UPDATES_PER_S, seed) as load,
            ):
                async with Storm.of(
                    [server.sync_url(door).replace(" ", "%20") for door in doors], CLIENTS, seed
                ) as storm:
                    slowest_s = await _slowest_acknowledgement(load, storm)
                print(f"answers {dict(storm.answers)}, slowest acknowledgement {slowest_s:.2f} s")
                assert storm.answers.keys() <= {404, 503}
                assert slowest_s < _ACKNOWLEDGED_WITHIN_S
                await load.acknowledged_beyond(load.sent)
            missing = await all_is_well(server, before, graph, [load])
            counted.add(strikes=storm.answers.total(), acknowledged=load.acknowledged, missing=missing)
