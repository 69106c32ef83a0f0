"""The wall clock of the server jumps by an hour while people edit."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.clients.eventually import eventually
from tests.clients.present_client import PresentClient
from tests.clients.yclient import YClient
from tests.faults.aftermath import SETTINGS, all_is_well, warmed_up
from tests.faults.figures import figures
from tests.faults.harness import COMMAND, Server
from tests.faults.load import Load
from tests.faults.rounds import FEWER_ROUNDS, seeds

pytestmark = [pytest.mark.timeout(120 + 60 * FEWER_ROUNDS), pytest.mark.asyncio(loop_scope="module")]

UPDATES_PER_S = 200
HOUR_S = 3600
JUMPS_S = [HOUR_S, 0, -HOUR_S, 0]
RETENTION = 1.5 / 24  # days: half an hour longer than the longest jump
_LONGEST_AGE_S = 10
_WATCHED_S = 1.2
_LAG = "layercake_projection_lag_seconds"
_AGE = "layercake_oldest_unsaved_edit_age_seconds"
_COMPACTIONS = "layercake_maintenance_compactions_total"
_SHIMS = Path(__file__).parent / "shifted_clock"
OLD_STAMPS = "SELECT count(*) FROM crdt_operations WHERE graph_id = $1 AND created_at < now() - interval '50 min'"


class Clock:
    """Moves the wall clock of a server whose environment it made."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump_to(0)
        path = os.pathsep.join(filter(None, (str(_SHIMS), os.environ.get("PYTHONPATH"))))
        self.environment = {"PYTHONPATH": path, "CLOCK_SHIFT_FILE": str(file)}

    def jump_to(self, shift_s: int) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(str(shift_s))
        new.rename(self._file)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return Clock(tmp_path_factory.mktemp("clock") / "shift_s")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_server(
    tmp_path_factory: pytest.TempPathFactory, clock: Clock, module_database_url: str
) -> AsyncIterator[Server]:
    settings = {
        **SETTINGS,
        **clock.environment,
        "LAYERCAKE_COMPACTION_OPERATIONS": "20",
        "LAYERCAKE_LOG_BEHIND_S": "1",
    }
    async with Server.started(tmp_path_factory.mktemp("server"), settings, module_database_url) as server:
        yield server


@pytest.fixture
def server(module_server: Server, clock: Clock) -> Iterator[Server]:
    yield module_server
    clock.jump_to(0)
    print(module_server.log())


async def _is_calm(server: Server) -> bool:
    """Return whether no age is that of a jump; none may ever be negative."""
    seen = await server.metrics()
    assert min(seen[_AGE], seen[_LAG]) >= 0
    return max(seen[_AGE], seen[_LAG]) < _LONGEST_AGE_S and await server.is_ready()


async def _stays_calm(server: Server) -> None:
    """Wait until it is calm; then look on for as long as the tables' lag takes to be reported a few times."""
    await eventually(lambda: _is_calm(server), bool)
    until = time.monotonic() + _WATCHED_S
    while time.monotonic() < until:
        assert await _is_calm(server)


async def test_FAULT_10_the_wall_clock_jumps(server: Server, clock: Clock, module_database_url: str) -> None:
    """FAULT-10: an hour forwards, back, an hour backwards and forth again, while people edit and one looks on."""
    before = await warmed_up(server)
    with figures("jump of the wall clock by an hour") as counted:
        for seed in seeds(FEWER_ROUNDS):
            graphs = [await server.create_graph()]
            (graph,) = graphs
            async with (
                Load.running(server.sync_url(graph), UPDATES_PER_S, seed) as load,
                PresentClient(server.sync_url(graph), "somebody") as person,
                PresentClient(server.sync_url(graph), "observer") as observer,
            ):
                for shift_s in JUMPS_S:
                    await load.acknowledged_beyond(load.sent)
                    clock.jump_to(shift_s)
                    await load.acknowledged_beyond(load.sent)
                    graphs.append(await server.create_graph())
                    await _stays_calm(server)
                    assert observer.sees(person.client_id)
                compactions = (await server.metrics())[_COMPACTIONS]
                await eventually(server.metrics, lambda seen: seen[_COMPACTIONS] > compactions)  # noqa: B023
            async with server.database() as connection:
                assert await connection.fetchval(OLD_STAMPS, graph) > 0, "the clock of the server did not jump"
            assert "deleted 0 operation(s)" in await _prune(module_database_url)
            assert len(set(graphs)) == 1 + len(JUMPS_S)
            missing = await all_is_well(server, before, graph, [load])
            counted.add(strikes=len(JUMPS_S), acknowledged=load.acknowledged, missing=missing)


async def _prune(database_url: str) -> str:
    options = ("--older-than", str(RETENTION), "--database-url", database_url)
    process = await asyncio.create_subprocess_exec(COMMAND, "log", "prune", *options, stdout=asyncio.subprocess.PIPE)
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    return said.decode()


async def _unsaved_age_s(server: Server) -> float:
    return (await server.metrics())[_AGE]


async def test_FAULT_10_an_alarm_does_not_jump(server: Server, clock: Clock) -> None:
    """FAULT-10: while nothing can be stored the age of the oldest edit grows by the second, whatever the clock says."""
    graph = await server.create_graph()
    async with YClient(server.sync_url(graph)) as person, server.database() as blocker:
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE crdt_operations IN EXCLUSIVE MODE")
            await person.edit(["map.set", "key", 1])
            await eventually(server.is_ready, lambda ready: not ready)
            for shift_s in JUMPS_S:
                before_s = await _unsaved_age_s(server)
                clock.jump_to(shift_s)
                assert before_s <= await _unsaved_age_s(server) < HOUR_S / 2
                assert not await server.is_ready()
        await person.saved()
    assert await server.is_ready()
