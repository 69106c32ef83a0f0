"""SIGTERM and Ctrl-C: while people type, during the start, twice, and while the database hangs."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.clients.eventually import eventually
from tests.clients.replicas import Content
from tests.clients.yclient import YClient
from tests.faults.harness import COMMAND, STOP_WITHIN_S, Server, free_port
from tests.faults.load import Load, tokens_of
from tests.faults.rounds import seeds

UPDATES_PER_S = 500
_RESTARTING = 1012
EMPTY_STATE_VECTOR = b"\x00"
SIGNALS = [signal.SIGTERM, signal.SIGINT]
SHUTDOWN_TIMEOUT_S = 4
SOME_SECONDS_S = 5


async def test_everything_read_before_sigterm_is_there_afterwards(server: Server) -> None:
    """SAVED-4: the process ends with 0, clients hear 1012, and what anybody was sent is stored."""
    (seed, *_) = seeds()
    graph = await server.create_graph()
    watcher = YClient(server.sync_url(graph))
    await watcher.connect()
    async with Load.running(server.sync_url(graph), UPDATES_PER_S, seed) as load:
        await load.acknowledged_beyond(UPDATES_PER_S)
        server.terminate()
        codes = [await client.closed() for client in (watcher, *(writer.client for writer in load.writers))]
    assert await server.exit_code() == 0, server.log()
    assert codes == [_RESTARTING] * len(codes)

    await server.start()
    stored = await server.replica(graph)
    before = stored.content()
    assert load.missing(before) == []
    stored.apply(watcher.replica.missing_to(EMPTY_STATE_VECTOR))
    assert stored.content() == before, "the watcher was sent something that is not stored"
    await _everyone_returns_and_agrees(load, watcher)


async def _everyone_returns_and_agrees(load: Load, watcher: YClient) -> None:
    clients = [watcher, *(writer.client for writer in load.writers)]
    for client in clients:
        await client.connect()

    async def contents() -> list[Content]:
        return await asyncio.gather(*(client.content() for client in clients))

    everything = {token for writer in load.writers for token, _ in writer.ledger.updates}
    agreed = await eventually(contents, lambda seen: all(content == seen[0] for content in seen))
    deleted = {token for writer in load.writers for token, present in writer.ledger.updates if not present}
    assert tokens_of(agreed[0]) == everything - deleted
    for client in clients:
        await client.disconnect()


def processes_of(folder: Path) -> list[psutil.Process]:
    """Every process but ours that was called with `folder` or something in it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess):
            if process.pid != os.getpid() and any(str(folder) in part for part in process.cmdline()):
                found.append(process)
    return found


async def stopped_during_start(data_dir: Path, number: signal.Signals, moment: Callable[[], bool]) -> str:
    """Start a server, signal it at `moment`, expect it to end in order before it was ready, and return its log."""
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *("serve", "--open", "--port", str(free_port()), "--data-dir", str(data_dir)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    async def has_come() -> bool:
        return moment()

    try:
        await eventually(has_come, bool)
        process.send_signal(number)
        said, log = await asyncio.wait_for(process.communicate(), STOP_WITHIN_S)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    assert process.returncode == 0, log.decode()
    assert said == b"", "it was ready before the signal came"
    return log.decode()


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("appears", ["lock", "postgres", "postgres.log", "postgres/postmaster.pid"])
async def test_HUB_5_a_signal_gives_the_first_start_up(tmp_path: Path, number: signal.Signals, appears: str) -> None:
    data_dir = tmp_path / "data"
    log = await stopped_during_start(data_dir, number, (data_dir / appears).exists)
    assert "Traceback" not in log
    assert processes_of(data_dir) == []


@pytest.mark.parametrize("number", SIGNALS)
async def test_HUB_5_a_signal_gives_recovery_up(server: Server, number: signal.Signals) -> None:
    graph = await server.create_graph()
    await server.kill()
    old = server.postgres()
    server.kill_postgres()
    await asyncio.to_thread(psutil.wait_procs, old)
    assert "Traceback" not in await stopped_during_start(server.data_dir, number, lambda: bool(server.postgres()))
    assert processes_of(server.data_dir) == []
    await server.start()
    assert (await server.content(graph)).map == {}


@asynccontextmanager
async def frozen(server: Server) -> AsyncIterator[None]:
    """Freeze the server's PostgreSQL; at the end nothing of it is left."""
    processes = server.postgres()
    server.freeze_postgres()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await asyncio.to_thread(psutil.wait_procs, processes, STOP_WITHIN_S)


@asynccontextmanager
async def requests_under_way(server: Server, *paths: str) -> AsyncIterator[None]:
    """Requests that the server works on and cannot answer."""
    writers = []
    for path in paths:
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        writers.append(writer)
    async with httpx.AsyncClient(base_url=server.base_url) as http:
        assert (await http.get("/healthz")).status_code == 200, "those before it have begun"
    yield
    for writer in writers:
        writer.close()


async def is_stopping(server: Server) -> bool:
    return "stopping" in server.log()


async def test_HUB_5_more_signals_change_nothing(server: Server) -> None:
    graph = await server.create_graph()
    client = YClient(server.sync_url(graph))
    await client.connect()
    async with frozen(server):
        await client.edit(["map.set", "key", 1])
        server.terminate()
        await eventually(lambda: is_stopping(server), bool)
        for number in [*SIGNALS, *SIGNALS]:
            os.kill(server.pid, number)
        server.thaw_postgres()
        assert await server.exit_code() == 0, server.log()
    assert "Traceback" not in server.log()
    await server.start()
    assert (await server.content(graph)).map == {"key": 1}


@pytest.mark.parametrize(("edits", "code"), [(1, 1), (0, 0)])
async def test_HUB_6_a_hanging_database_does_not_hold_a_stop_up(tmp_path: Path, edits: int, code: int) -> None:
    environment = {"LAYERCAKE_SHUTDOWN_TIMEOUT_S": str(SHUTDOWN_TIMEOUT_S)}
    async with Server.started(tmp_path, environment) as server:
        writer = YClient(server.sync_url(await server.create_graph()))
        watcher = YClient(writer.url)
        await asyncio.gather(writer.connect(), watcher.connect())
        async with frozen(server):
            for number in range(edits):
                await writer.edit(["map.set", f"key {number}", number])
                await eventually(watcher.content, lambda content: len(content.map) == edits)
            async with requests_under_way(server, "/readyz", "/api/projects", "/api/projects"):
                asked_at = time.monotonic()
                server.terminate()
                assert await server.exit_code() == code, server.log()
            assert time.monotonic() - asked_at < SHUTDOWN_TIMEOUT_S + SOME_SECONDS_S
        assert ("could not be committed" in server.log()) == bool(edits)
