"""The servers that are compared, each started as its users start it, and killed as nobody wants it."""

import asyncio
import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from bench.dialects import Address, Dialect
from tests.clients.eventually import eventually
from tests.faults.harness import Server, free_port
from tests.faults.visitors import create_graphs

NPM = Path(__file__).with_name("npm")
_MODULES = NPM / "node_modules"
_LISTENS_WITHIN_S = 30


class Acknowledgement(StrEnum):
    """What clients of a server can take for "saved"."""

    ECHO = "the echo of message 102"
    STATUS = "SyncStatus"
    RELAY = "none; counted once another client received the update"


class NotInstallableError(Exception):
    """A server cannot be had on this machine."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} {reason}")
        self.name, self.reason = name, reason


class Peer(ABC):
    """A server across its deaths. What it stores stays in its folder."""

    name: str
    store: str
    acknowledgement = Acknowledgement.RELAY
    dialect = Dialect.Y_WEBSOCKET

    @abstractmethod
    async def start(self) -> None:
        """Start and wait until it listens."""

    @abstractmethod
    async def kill(self) -> None:
        """Kill -9 the server, and wait for its end."""

    @abstractmethod
    async def new_document(self) -> Address:
        """Return where a document is that nobody has touched."""

    async def new_documents(self, count: int) -> list[Address]:
        """Return where `count` of them are."""
        return [await self.new_document() for _ in range(count)]

    @abstractmethod
    def server(self) -> list[psutil.Process]:
        """Its processes, without those of its database."""

    def database(self) -> list[psutil.Process]:
        """The processes of its database, if that is not part of the server."""
        return []


class Layercake(Peer):
    """Layercake with its own PostgreSQL: every update is committed, and fsync is on."""

    name = "Layercake"
    store = "PostgreSQL, embedded"

    def __init__(self, server: Server, dialect: Dialect) -> None:
        self._server, self.dialect = server, dialect
        is_ours = dialect == Dialect.Y_WEBSOCKET
        self.acknowledgement = Acknowledgement.ECHO if is_ours else Acknowledgement.STATUS

    @property
    def running(self) -> Server:
        """The server itself, for what no other one has."""
        return self._server

    async def start(self) -> None:
        await self._server.start()

    async def kill(self) -> None:
        await self._server.kill()

    async def kill_all(self) -> None:
        """Kill -9 the database, then the server."""
        self._server.kill_postgres()
        await self._server.kill()

    async def new_document(self) -> Address:
        graph = await self._server.create_graph()
        door = f"ws://127.0.0.1:{self._server.port}/hocuspocus"
        url = door if self.dialect == Dialect.HOCUSPOCUS else self._server.sync_url(graph)
        return Address(url, graph, self.dialect)

    async def new_documents(self, count: int) -> list[Address]:
        urls = await create_graphs(self._server, count)
        graphs = [url.rpartition("/")[2] for url in urls]
        door = f"ws://127.0.0.1:{self._server.port}/hocuspocus"
        doors = urls if self.dialect == Dialect.Y_WEBSOCKET else [door] * count
        return [Address(url, graph, self.dialect) for url, graph in zip(doors, graphs, strict=True)]

    def server(self) -> list[psutil.Process]:
        process = psutil.Process(self._server.pid)
        database = self._server.postgres()
        return [one for one in (process, *process.children(recursive=True)) if one not in database]

    def database(self) -> list[psutil.Process]:
        return self._server.postgres()


class Program(Peer):
    """A server of one process, given by its command line."""

    def __init__(
        self, name: str, store: str, command: Callable[[int], list[str]], environment: dict[str, str] | None = None
    ) -> None:
        self.name, self.store = name, store
        self._port = free_port()
        self._command = command(self._port)
        self._environment = {**os.environ, **(environment or {}), "PORT": str(self._port), "HOST": "127.0.0.1"}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        await eventually(self._listens, bool, _LISTENS_WITHIN_S)

    async def kill(self) -> None:
        assert self._process is not None, "start first"
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def new_document(self) -> Address:
        document = os.urandom(8).hex()
        path = "" if self.dialect == Dialect.HOCUSPOCUS else f"/{document}"
        return Address(f"ws://127.0.0.1:{self._port}{path}", document, self.dialect)

    def server(self) -> list[psutil.Process]:
        assert self._process is not None, "start first"
        return [psutil.Process(self._process.pid)]

    async def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, f"{self.name} ended at its start"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except ConnectionRefusedError:
            return False
        writer.close()
        await writer.wait_closed()
        return True


@asynccontextmanager
async def layercake(folder: Path, dialect: Dialect = Dialect.Y_WEBSOCKET) -> AsyncIterator[Layercake]:
    """Layercake, running, and spoken to in one of its dialects."""
    async with Server.started(folder) as server:
        yield Layercake(server, dialect)


def y_websocket(folder: Path | None = None) -> Program:
    """The server that y-websocket 2.1.0 ships; it keeps documents in memory, or in LevelDB in `folder`."""
    return Program(
        "y-websocket 2.1.0",
        "none" if folder is None else "LevelDB",
        lambda _: ["node", _installed("y-websocket/bin/server.cjs")],
        {} if folder is None else {"YPERSISTENCE": str(folder / "leveldb")},
    )


def hocuspocus(folder: Path | None = None) -> Program:
    """Hocuspocus 4.7.0; it keeps documents in memory, or, with its SQLite extension, in `folder`."""
    peer = Program(
        "Hocuspocus 4.7.0",
        "none" if folder is None else "SQLite",
        lambda port: [
            *(_installed("node/bin/node"), str(NPM / "hocuspocus.mjs"), str(port)),
            *([] if folder is None else [str(folder / "hocuspocus.sqlite")]),
        ],
    )
    peer.dialect, peer.acknowledgement = Dialect.HOCUSPOCUS, Acknowledgement.STATUS
    return peer


def pycrdt_websocket(folder: Path | None = None) -> Program:
    """pycrdt-websocket; it keeps documents in memory, or, with pycrdt-store, in SQLite in `folder`."""
    return Program(
        f"pycrdt-websocket {version('pycrdt-websocket')}",
        "none" if folder is None else f"SQLite, by pycrdt-store {version('pycrdt-store')}",
        lambda port: [
            *(sys.executable, "-m", "bench.pycrdt_server", str(port)),
            *([] if folder is None else [str(folder / "pycrdt.sqlite")]),
        ],
    )


def ypy_websocket() -> Program:
    """ypy-websocket 0.12, documents in memory. Raises NotInstallableError where there is none for this Python."""
    try:
        name = f"ypy-websocket {version('ypy-websocket')}"
    except PackageNotFoundError:
        reason = "is left out: y-py, on which it is built, cannot be installed for this Python"
        raise NotInstallableError("ypy-websocket", reason) from None
    return Program(name, "none", lambda port: [sys.executable, "-m", "bench.ypy_server", str(port)])


def in_memory(program: Callable[[], Program]) -> Callable[[Path], AbstractAsyncContextManager[Peer]]:
    """How a scenario starts a server that keeps nothing."""
    return lambda _: running(program())


@asynccontextmanager
async def running(peer: Program) -> AsyncIterator[Program]:
    """`peer` started, and killed at the end."""
    await peer.start()
    try:
        yield peer
    finally:
        await peer.kill()


def cpu_s(processes: list[psutil.Process]) -> float:
    """Seconds of CPU that `processes`, and children of theirs that have ended, have used."""
    used_s = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # its parent has it now
            used_s += sum(process.cpu_times()[:4])
    return used_s


class Usage:
    """The CPU that a server takes from now on."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._since_s, self._server_s, self._database_s = self._now()

    def shares(self) -> tuple[float, float]:
        """Shares of one core, of the server and of its database."""
        now_s, server_s, database_s = self._now()
        wall_s = now_s - self._since_s
        return (server_s - self._server_s) / wall_s, (database_s - self._database_s) / wall_s

    def _now(self) -> tuple[float, float, float]:
        return time.monotonic(), cpu_s(self._peer.server()), cpu_s(self._peer.database())


def rss_bytes(processes: list[psutil.Process]) -> int:
    """Resident memory of `processes` together."""
    used = 0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            used += process.memory_info().rss
    return used


def _installed(path: str) -> str:
    """The path of a file of an npm package; the packages are installed by make."""
    found = _MODULES / path
    if not found.exists():
        sys.exit(f"{found} is missing: run bench/npm/install.sh, or make bench")
    return str(found)
