"""`make bench-replay`: data change under as many manual edits as nodes, and what the rebuild costs everybody."""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from tests.clients.eventually import eventually
from tests.clients.yclient import YClient
from tests.faults.harness import Server

SIZES = (1_000, 10_000, 50_000)
WITHIN_S = {10_000: 6.0}
PAUSE_WITHIN_S = 0.05

_OPERATIONS = 1_000
_PROBE_EVERY_S = 0.005
_GIVE_UP_AFTER_S = 300.0
_PLAN = {
    "nodes": [
        {"id": "table", "type": "InputNode", "config": {"inputType": "CSVNodesFromFile", "source": "nodes.csv"}},
        {"id": "graph", "type": "GraphNode", "config": {}},
    ],
    "edges": [{"id": "table-graph", "source": "table", "target": "graph"}],
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What one size took: seconds, and how many edits were applied."""

    nodes: int
    posted_s: float
    rebuilt_s: float
    idle_pause_s: float
    pause_s: float
    applied: int

    @property
    def is_missed(self) -> bool:
        is_slow = self.rebuilt_s > WITHIN_S.get(self.nodes, float("inf"))
        return is_slow or self.applied != self.nodes or self.pause_s > self.idle_pause_s + PAUSE_WITHIN_S


def table(nodes: int, weight: int) -> bytes:
    """Return the data: each node has a weight, which differs from one upload to the next."""
    return "\n".join(["id,label,weight", *(f"n{number:05},Node {number},{weight}" for number in range(nodes))]).encode()


def operations(nodes: int) -> Iterator[list[dict[str, Any]]]:
    """Yield one edit of every node, in as many as a request may have."""
    for start in range(0, nodes, _OPERATIONS):
        yield [
            {"type": "node_update", "node_id": f"n{number:05}", "new_values": {"comment": f"seen {number}"}}
            for number in range(start, min(start + _OPERATIONS, nodes))
        ]


class Probe:
    """Asks the server for a sign of life all the time; `worst_s` is how long it took at most."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.worst_s = 0.0

    async def run(self) -> None:
        while True:
            began_s = time.perf_counter()
            (await self._http.get("/healthz")).raise_for_status()
            self.worst_s = max(self.worst_s, time.perf_counter() - began_s)
            await asyncio.sleep(_PROBE_EVERY_S)


@asynccontextmanager
async def probing(server: Server) -> AsyncIterator[Probe]:
    async with httpx.AsyncClient(base_url=server.base_url, timeout=60) as http:
        probe = Probe(http)
        task = asyncio.create_task(probe.run())
        yield probe
        task.cancel()
        await asyncio.wait((task,))


async def measure(server: Server, nodes: int) -> Figures:
    """Compute a graph, edit every node of it, and rebuild it of data in which every node is another."""
    async with httpx.AsyncClient(base_url=server.base_url, timeout=_GIVE_UP_AFTER_S) as http:
        project = (await http.post("/api/projects", json={"name": f"{nodes} nodes"})).raise_for_status().json()
        path = f"/api/projects/{project['id']}"
        (await http.patch(f"{path}/replay-rules", json={"automatic": False})).raise_for_status()
        (await http.put(f"{path}/inputs/nodes.csv", content=table(nodes, 1))).raise_for_status()
        (await http.put(f"{path}/plan", json=_PLAN)).raise_for_status()
        graph = (await run(http, path))["graphs"]["graph"]
        async with YClient(server.sync_url(graph)):
            posted_s = await post(http, graph, nodes)
            (await http.put(f"{path}/inputs/nodes.csv", content=table(nodes, 2))).raise_for_status()
            async with probing(server) as idle:
                await asyncio.sleep(2)
            async with probing(server) as busy:
                execution = await run(http, path)
    made = next(node for node in execution["nodes"] if node["id"] == "graph")
    return Figures(nodes, posted_s, made["ms"] / 1000, idle.worst_s, busy.worst_s, made["replay"]["applied"])


async def post(http: httpx.AsyncClient, graph: str, nodes: int) -> float:
    began_s = time.perf_counter()
    for some in operations(nodes):
        (await http.post(f"/api/graphs/{graph}/operations", json={"operations": some})).raise_for_status()
    return time.perf_counter() - began_s


async def run(http: httpx.AsyncClient, path: str) -> dict[str, Any]:
    """Run the plan and return the run when it has ended."""
    begun = (await http.post(f"{path}/executions", json={})).raise_for_status().json()

    async def look() -> dict[str, Any]:
        state: dict[str, Any] = (await http.get(f"/api/executions/{begun['id']}")).raise_for_status().json()
        return state

    ended = await eventually(look, lambda one: one["status"] != "running", _GIVE_UP_AFTER_S)
    assert ended["status"] == "completed", ended["error"]
    return ended


def show(figures: list[Figures]) -> None:
    """Print what was measured."""
    shown = Table("nodes = edits", "edits posted", "rebuild", "slowest answer idle", "during it", "applied")
    for one in figures:
        pauses = f"{one.idle_pause_s * 1000:.0f} ms", f"{one.pause_s * 1000:.0f} ms"
        shown.add_row(f"{one.nodes}", f"{one.posted_s:.1f} s", f"{one.rebuilt_s:.1f} s", *pauses, f"{one.applied}")
    Console().print(shown)


async def _main() -> list[Figures]:
    with tempfile.TemporaryDirectory(prefix="layercake-") as folder:
        async with Server.started(Path(folder)) as server:
            return [await measure(server, nodes) for nodes in SIZES]


def main() -> None:
    """Measure and print; exit code 1 if a bound is missed."""
    figures = asyncio.run(_main())
    show(figures)
    sys.exit(any(one.is_missed for one in figures))


if __name__ == "__main__":
    main()
