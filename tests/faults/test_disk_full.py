"""The disk under PostgreSQL is full for a while."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

import pytest

from tests.clients.eventually import eventually
from tests.clients.yclient import YClient
from tests.faults.aftermath import SETTINGS, all_is_well, warmed_up
from tests.faults.figures import figures
from tests.faults.harness import Server
from tests.faults.load import Load
from tests.faults.rounds import FEWER_ROUNDS, seeds
from tests.faults.small_disk import can_mount, full, mounted, no_large_files

pytestmark = pytest.mark.timeout(180 + 120 * FEWER_ROUNDS)

UPDATES_PER_S = 100
BUFFER_BYTES = 500_000
FILLERS = 100
FILLER_BYTES = 16_000
_SLACK_BYTES = 500_000  # what was read of each socket before reading stopped
_BACK_WITHIN_S = 90
_UNCOMMITTED = "layercake_uncommitted_bytes"

Fault = Callable[[Server], AbstractAsyncContextManager[None]]


def no_space(server: Server) -> AbstractAsyncContextManager[None]:
    return full(server.data_dir)


@pytest.fixture(params=[no_space, no_large_files])
async def fault(request: pytest.FixtureRequest) -> Fault:
    return request.param


@pytest.fixture
async def server(tmp_path: Path, fault: Fault) -> AsyncIterator[Server]:
    if fault is no_large_files and FEWER_ROUNDS == 1 and can_mount():
        pytest.skip("one way of filling the disk is enough for a short run; `make soak` has both")
    settings = {**SETTINGS, "LAYERCAKE_LOG_BUFFER_BYTES": str(BUFFER_BYTES), "LAYERCAKE_LOG_BEHIND_S": "0.5"}
    with mounted(tmp_path / "data") if fault is no_space else nullcontext():
        async with Server.started(tmp_path, settings) as server:
            yield server
            print(server.log())


async def _is_behind(server: Server) -> bool:
    return not await server.is_ready()


async def _fill(client: YClient) -> None:
    for number in range(FILLERS):
        await client.edit(["map.set", f"filler {number}", "x" * FILLER_BYTES])


async def test_FAULT_9_a_full_disk_is_waited_for(server: Server, fault: Fault) -> None:
    """FAULT-9, LOG-5: edits are taken up to the bound and none is called saved; with space again all are."""
    before = await warmed_up(server)
    with figures(f"full disk: {fault.__name__.replace('_', ' ')}") as counted:
        for seed in seeds(FEWER_ROUNDS):
            graph = await server.create_graph()
            filler = YClient(server.sync_url(graph))
            await filler.connect()
            async with Load.running(server.sync_url(graph), UPDATES_PER_S, seed) as load:
                await load.acknowledged_beyond(UPDATES_PER_S // 2)
                async with fault(server):
                    filling = asyncio.create_task(_fill(filler))
                    await eventually(lambda: _is_behind(server), bool)
                    acknowledged = load.acknowledged
                    seen = await eventually(server.metrics, lambda seen: seen[_UNCOMMITTED] >= BUFFER_BYTES)
                    assert seen[_UNCOMMITTED] <= BUFFER_BYTES + _SLACK_BYTES
                    assert load.acknowledged == acknowledged
                    assert not await server.is_ready()
                await load.acknowledged_beyond(load.sent, _BACK_WITHIN_S)
                await filling
                await filler.saved()
            await filler.disconnect()
            missing = await all_is_well(server, before, graph, [load])
            assert {f"filler {number}" for number in range(FILLERS)} <= (await server.content(graph)).map.keys()
            counted.add(strikes=1, acknowledged=load.acknowledged, missing=missing)
