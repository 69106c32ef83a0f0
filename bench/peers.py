"""The servers that are compared, each started as its users start it."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.clients.eventually import eventually
from tests.faults.harness import Server, free_port

NODE_PACKAGES = Path(__file__).parents[1] / "tests" / "clients" / "node_modules"


@dataclass(frozen=True, slots=True)
class Peer:
    """A running server. `new_document` returns the URL of a document that nobody has touched."""

    name: str
    new_document: Callable[[], Coroutine[Any, Any, str]]
    server: Callable[[], list[psutil.Process]]
    database: Callable[[], list[psutil.Process]]
    acknowledges: bool


def cpu_s(processes: list[psutil.Process]) -> float:
    """Seconds of CPU that `processes`, and children of theirs that have ended, have used."""
    used_s = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # its parent has it now
            used_s += sum(process.cpu_times()[:4])
    return used_s


@asynccontextmanager
async def layercake(folder: Path) -> AsyncIterator[Peer]:
    """Layercake with its own PostgreSQL in `folder`: every update is committed, and fsync is on."""
    async with Server.started(folder) as server:

        async def new_document() -> str:
            return server.sync_url(await server.create_graph())

        process = psutil.Process(server.pid)

        def all_but_the_database() -> list[psutil.Process]:
            database = server.postgres()
            return [one for one in (process, *process.children(recursive=True)) if one not in database]

        yield Peer("Layercake", new_document, all_but_the_database, server.postgres, acknowledges=True)


@asynccontextmanager
async def y_websocket() -> AsyncIterator[Peer]:
    """The server that y-websocket 2.1.0 ships, which keeps documents in memory only."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "node",
        str(NODE_PACKAGES / "y-websocket-2" / "bin" / "server.cjs"),
        env={**os.environ, "HOST": "127.0.0.1", "PORT": str(port)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        await eventually(lambda: _listens(port), bool)
        measured = psutil.Process(process.pid)

        async def new_document() -> str:
            return f"ws://127.0.0.1:{port}/{os.urandom(8).hex()}"

        yield Peer("y-websocket 2.1.0", new_document, lambda: [measured], list, acknowledges=False)
    finally:
        process.terminate()
        await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
