"""Many graphs come and go, and nothing of them stays behind."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.footprint import footprint, settled
from tests.faults.harness import Server
from tests.faults.visitors import create_graphs, leave_all, open_all, visit_all

GRAPHS = 200
VISITS = 500
IDLE_UNLOAD_S = "0.2"


@pytest.mark.timeout(180)
async def test_what_graphs_took_comes_back(tmp_path: Path) -> None:
    """MANY-1: 200 graphs open at once, then 500 visits; rooms, tasks, files and connections are as they were."""
    async with Server.started(tmp_path, {"LAYERCAKE_IDLE_UNLOAD_S": IDLE_UNLOAD_S}) as server:
        urls = await create_graphs(server, GRAPHS)
        await leave_all(await open_all(urls[:50]))  # the pools have all their connections from here on
        base = (await settled(server)).holdings
        assert (base.rooms, base.sessions, base.connections) == (0, 0, 0)

        clients = await open_all(urls)
        crowded = (await footprint(server)).holdings
        await leave_all(clients)
        await visit_all(urls[number % GRAPHS] for number in range(VISITS))

        assert (crowded.rooms, crowded.sessions, crowded.connections) == (GRAPHS, GRAPHS, GRAPHS)
        assert crowded.files >= base.files + GRAPHS
        left = (await settled(server)).holdings
        assert left.database_connections <= base.database_connections
        assert replace(left, database_connections=base.database_connections) == base
