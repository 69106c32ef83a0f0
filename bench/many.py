"""`make bench-many`: thousands of graphs come and go, and what of them stays behind in the server."""

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from bench.peers import cpu_s
from tests.faults.footprint import Footprint, footprint, settled
from tests.faults.harness import Server
from tests.faults.visitors import create_graphs, leave_all, open_all, visit_all

OPEN_AT_ONCE = 2_000
VISITS = 10_000
VISITED_GRAPHS = 500
WARM_UP_GRAPHS = 50
FIRST_ROUND = "all closed"
IDLE_UNLOAD_S = 1.0
BUSY_GENERATOR_SHARE = 0.9
MEMORY_SHARE = 0.15
MEMORY_BYTES = 20 * 1024 * 1024
"""How much more memory may be left at the end than after the first round, the larger of the two.

Not than before it: the allocators of Python and C keep the pages of their busiest moment for the next one.
"""

_SETTLED_WITHIN_S = 60
_FILES_BESIDE = 1_000


@dataclass(slots=True)
class Stage:
    """Something that was done: how long it took, how busy both sides were, and what the server held afterwards."""

    name: str
    wall_s: float = 0.0
    generator_share: float = 0.0
    server_share: float = 0.0
    after: Footprint | None = None


async def measure(folder: Path) -> list[Stage]:
    """Run all stages on a new server. What it holds has to come back to the first, its memory to the first round's."""
    stages: list[Stage] = []
    async with Server.started(folder, {"LAYERCAKE_IDLE_UNLOAD_S": str(IDLE_UNLOAD_S)}) as server:
        urls = await create_graphs(server, OPEN_AT_ONCE)
        await leave_all(await open_all(urls[:WARM_UP_GRAPHS]))  # the pools have all their connections from here on
        async with _stage(stages, server, "at first") as stage:
            stage.after = await settled(server, _SETTLED_WITHIN_S)
        for name in (FIRST_ROUND, "closed again"):
            async with _stage(stages, server, f"{OPEN_AT_ONCE} graphs open"):
                clients = await open_all(urls)
            async with _stage(stages, server, name) as stage:
                await leave_all(clients)
                stage.after = await settled(server, _SETTLED_WITHIN_S)
        async with _stage(stages, server, f"{VISITS} visits") as stage:
            await visit_all(urls[number % VISITED_GRAPHS] for number in range(VISITS))
        async with _stage(stages, server, "at rest") as stage:
            stage.after = await settled(server, _SETTLED_WITHIN_S)
    return stages


@asynccontextmanager
async def _stage(stages: list[Stage], server: Server, name: str) -> AsyncIterator[Stage]:
    """Measure the block, and look at the server after it unless the block did."""
    stage = Stage(name)
    process = [psutil.Process(server.pid)]
    began_s, own_s, server_s = time.monotonic(), time.process_time(), cpu_s(process)
    yield stage
    stage.wall_s = time.monotonic() - began_s
    stage.generator_share = (time.process_time() - own_s) / stage.wall_s
    stage.server_share = (cpu_s(process) - server_s) / stage.wall_s
    stage.after = stage.after or await footprint(server)
    stages.append(stage)


def table(stages: list[Stage]) -> Table:
    """One column per stage."""
    shown = Table(title=f"what the server holds after each stage; the visits are of {VISITED_GRAPHS} graphs")
    shown.add_column("")
    for stage in stages:
        shown.add_column(stage.name, justify="right")
    seen = [stage.after for stage in stages if stage.after is not None]
    shown.add_row("memory, MB", *(_mb(one.memory_bytes) for one in seen))
    for name in asdict(seen[0].holdings):
        shown.add_row(name.replace("_", " "), *(str(getattr(one.holdings, name)) for one in seen))
    shown.add_row("took, s", *(f"{stage.wall_s:.1f}" for stage in stages))
    shown.add_row("server CPU share, %", *(f"{100 * stage.server_share:.0f}" for stage in stages))
    shown.add_row("load generator CPU share, %", *(f"{100 * stage.generator_share:.0f}" for stage in stages))
    return shown


def missed(stages: list[Stage]) -> list[str]:
    """Return, in words, what did not come back, and what makes the figures worth nothing."""
    seen = {stage.name: stage.after for stage in stages if stage.after is not None}
    base, first, end = seen["at first"], seen[FIRST_ROUND], seen["at rest"]
    complaints = [
        f"{name} went from {before} to {after}"
        for (name, before), after in zip(asdict(base.holdings).items(), asdict(end.holdings).values(), strict=True)
        if after > before  # pools close connections that nobody used for a while
    ]
    if end.memory_bytes > first.memory_bytes + max(MEMORY_BYTES, MEMORY_SHARE * first.memory_bytes):
        complaints.append(f"memory went from {_mb(first.memory_bytes)} to {_mb(end.memory_bytes)} MB after one round")
    if any(stage.generator_share > BUSY_GENERATOR_SHARE for stage in stages):
        complaints.append("the load generator was too busy: the times are its own")
    return complaints


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1024**2:.1f}"


def main() -> None:
    """Print the table; exit with 1 if anything stayed behind."""
    files = 2 * OPEN_AT_ONCE + _FILES_BESIDE
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, most), most))
    with tempfile.TemporaryDirectory() as folder:
        stages = asyncio.run(measure(Path(folder)))
    Console(width=160).print(table(stages))
    complaints = missed(stages)
    if complaints:
        sys.exit("; ".join(complaints))


if __name__ == "__main__":
    main()
