"""A real server in its own process, and the ways to hurt it and its database."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import httpx
import psutil

from persistence.embedded import attach
from tests.clients.eventually import eventually
from tests.clients.replicas import Content, PycrdtReplica
from tests.clients.yclient import YClient

COMMAND = str(Path(sys.executable).with_name("layercake"))
START_WITHIN_S = 60
STOP_WITHIN_S = 60
_LOG_CHARACTERS = 20_000


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """`layercake serve` on one folder and one port, across its deaths; on a database of its own unless one is named.

    Everything the processes wrote to standard error is in `log_path`, to standard output in `said_path`.
    """

    options: Sequence[str] = ("--open",)

    def __init__(
        self, folder: Path, environment: dict[str, str] | None = None, database_url: str | None = None
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.data_dir = folder / "data"
        self.log_path = folder / "server.log"
        self.said_path = folder / "server.out"
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.ws_url = f"ws://127.0.0.1:{self.port}/sync"
        self._environment = {**os.environ, **(environment or {})}
        self._database_url = database_url
        self._store = ["--database-url", database_url] if database_url else ["--data-dir", str(self.data_dir)]
        self._process: asyncio.subprocess.Process | None = None

    @staticmethod
    @asynccontextmanager
    async def started(
        folder: Path, environment: dict[str, str] | None = None, database_url: str | None = None
    ) -> AsyncIterator["Server"]:
        """A ready server, of which nothing is left behind."""
        server = Server(folder, environment, database_url)
        try:
            await server.start()
            yield server
        finally:
            await server.destroy()

    async def start(self) -> None:
        """Start the process and wait until it is ready."""
        with self.log_path.open("ab") as log, self.said_path.open("ab") as said:
            self._process = await asyncio.create_subprocess_exec(
                COMMAND,
                "serve",
                *self.options,
                *("--host", "127.0.0.1", "--port", str(self.port), *self._store),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=log,
            )
        await eventually(self.is_ready, bool, START_WITHIN_S)

    async def is_ready(self) -> bool:
        """Return whether /readyz says so."""
        assert self._process is not None
        assert self._process.returncode is None, f"the server ended: {self.log()}"
        try:
            async with httpx.AsyncClient() as http:
                return (await http.get(f"{self.base_url}/readyz")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    @asynccontextmanager
    async def database(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection to the server's database as its owner."""
        url = self._database_url or await attach(self.data_dir)
        assert url is not None, "PostgreSQL is not running"
        connection = await asyncpg.connect(url)
        try:
            yield connection
        finally:
            await connection.close()

    async def metrics(self) -> dict[str, float]:
        """What /metrics says, by name."""
        async with httpx.AsyncClient(base_url=self.base_url, timeout=30) as http:
            lines = (await http.get("/metrics")).raise_for_status().text.splitlines()
        return {name: float(value) for name, value in (line.split() for line in lines if not line.startswith("#"))}

    def log(self) -> str:
        """The end of what the server wrote to standard error."""
        return self.log_path.read_text()[-_LOG_CHARACTERS:]

    @property
    def pid(self) -> int:
        assert self._process is not None, "start first"
        return self._process.pid

    def terminate(self) -> None:
        """Ask for an orderly end: SIGTERM."""
        assert self._process is not None, "start first"
        self._process.terminate()

    async def kill(self) -> None:
        """Kill -9 the server alone, if it has not just ended; its PostgreSQL lives on as an orphan."""
        assert self._process is not None, "start first"
        with suppress(ProcessLookupError):
            self._process.kill()
        await self.exit_code()

    async def exit_code(self) -> int:
        """Wait for the end of the process."""
        assert self._process is not None, "start first"
        return await asyncio.wait_for(self._process.wait(), STOP_WITHIN_S)

    async def restart(self) -> None:
        """Stop in order, and start again."""
        self.terminate()
        code = await self.exit_code()
        assert code == 0, f"the server ended with {code}: {self.log()}"
        await self.start()

    def postgres(self) -> list[psutil.Process]:
        """The postmaster of the data folder, first, and its backends; none if it is not running."""
        pid_file = self.data_dir / "postgres" / "postmaster.pid"
        try:
            postmaster = psutil.Process(int(pid_file.read_text().splitlines()[0]))
            return [postmaster, *postmaster.children(recursive=True)]
        except (FileNotFoundError, IndexError, psutil.NoSuchProcess):
            return []

    def maintenance(self) -> list[psutil.Process]:
        """The maintenance process, if there is one now."""
        children = psutil.Process(self.pid).children()
        return [child for child in children if "server.maintenance" in child.cmdline()]

    def kill_postgres(self) -> None:
        """Kill -9 the postmaster and every backend."""
        self._signal_postgres(signal.SIGKILL)

    def freeze_postgres(self) -> None:
        """Stop every PostgreSQL process in its tracks; connections stay open and nothing answers."""
        self._signal_postgres(signal.SIGSTOP)

    def thaw_postgres(self) -> None:
        """Let frozen processes continue."""
        self._signal_postgres(signal.SIGCONT)

    def _signal_postgres(self, number: int) -> None:
        processes = self.postgres()
        assert processes, f"PostgreSQL is not running: {self.log()}"
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # a backend that ended by itself
                process.send_signal(number)

    async def create_graph(self) -> str:
        """Create a project with one graph, and return the graph's id."""
        async with httpx.AsyncClient(base_url=self.base_url, timeout=30) as http:
            project = await http.post("/api/projects", json={"name": f"project {os.urandom(4).hex()}"})
            graphs = f"/api/projects/{project.raise_for_status().json()['id']}/graphs"
            graph = await http.post(graphs, json={"name": "graph"})
            return str(graph.raise_for_status().json()["id"])

    def sync_url(self, graph: str) -> str:
        return f"{self.ws_url}/{graph}"

    async def replica(self, graph: str) -> PycrdtReplica:
        """What a fresh client of `graph` receives."""
        replica = PycrdtReplica()
        async with YClient(self.sync_url(graph), replica):
            return replica

    async def content(self, graph: str) -> Content:
        """What a fresh client of `graph` sees."""
        return (await self.replica(graph)).content()

    async def destroy(self) -> None:
        """Kill the server and its PostgreSQL, whatever state they are in."""
        if self._process is not None and self._process.returncode is None:
            await self.kill()
        processes = self.postgres()
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await asyncio.to_thread(psutil.wait_procs, processes, STOP_WITHIN_S)
