"""One `postgres` process of ours: started, awaited, stopped."""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import asyncpg

from persistence.cluster import PROGRAM_ENV, USER, Cluster
from persistence.errors import EmbeddedServerError
from persistence.pid_file import PidFile, reap

_PORT = 5432
SOCKET_NAME = f".s.PGSQL.{_PORT}"

# Sized for one server on one machine. What is off here costs short statements more than it
# gives them (jit), or fills the log (checkpoints).
_SETTINGS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "max_locks_per_transaction": "512",  # leases: one lock for each graph that is open
    "shared_buffers": "128MB",
    "jit": "off",
    "logging_collector": "off",
    "log_checkpoints": "off",
    "log_timezone": "UTC",
    "timezone": "UTC",
}
_CONNECT_TIMEOUT_S = 5.0
_FIRST_POLL_S = 0.02
_LONGEST_POLL_S = 0.5
_RETRY_S = 0.2
_STOP_STEPS = ((signal.SIGINT, 0.7), (signal.SIGQUIT, 0.2), (signal.SIGKILL, 0.1))  # shares of the time to stop
_LOG_LIMIT_BYTES = 16 * 1024 * 1024

# What passes by itself: the children of a killed postmaster outlive it, mostly for a moment (a
# startup process that has lost its checkpointer gives up after 60 s), and a postmaster whose
# server was killed just after starting it writes its pid only now.
_PASSING = ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists')
_STARTING = "the database system is"  # starting up, in recovery mode: told to whoever asks too early
_NOT_YET = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,  # the driver's words for a connection lost between two steps,
    asyncpg.InternalClientError,  # and for one lost within a step
)

HAS_DATABASE = "SELECT true FROM pg_catalog.pg_database WHERE datname = $1"
CREATE_DATABASE = f"CREATE DATABASE {USER}"
SWITCHED_OFF = """
    SELECT name FROM pg_catalog.pg_settings
    WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off'
    ORDER BY name
"""


def url_of(socket_folder: str) -> str:
    """Return the URL of the database `layercake` behind the socket in that folder."""
    return f"postgresql://{USER}@/{USER}?host={quote(socket_folder)}&port={_PORT}"


@dataclass(slots=True)
class Postmaster:
    """The process over one cluster; `start` and `stop` may follow each other any number of times."""

    cluster: Cluster
    socket_folder: Path
    log: Path
    stop_timeout_s: float = 90.0
    _process: asyncio.subprocess.Process | None = field(default=None, init=False)

    async def start(self, timeout_s: float) -> None:
        """Start the process; afterwards its database `layercake` exists and answers.

        An orphan over the same data is stopped first. That, old backends that must vanish and
        recovery after a crash all count within `timeout_s`. On failure and on cancellation
        nothing is left running. Raises EmbeddedServerError.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._come_up()
        except TimeoutError as error:
            await self.stop()
            raise EmbeddedServerError(
                f"PostgreSQL in {self.cluster.data} did not answer within {timeout_s:g} s; read {self.log}, "
                "and raise the setting database_start_timeout_s if it is still recovering"
            ) from error
        except BaseException:
            await self.stop()
            raise

    async def ended(self) -> int:
        """Wait until the process ends and return its exit code (negative: the signal)."""
        assert self._process is not None
        return await self._process.wait()

    async def stop(self) -> None:
        """Stop the process: within `stop_timeout_s`: fast (clients are cut, data flushed), then at once. Idempotent."""
        for number, share in _STOP_STEPS:
            if self._process is None or self._process.returncode is not None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)  # send_signal would take the exit code from wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.stop_timeout_s * share):
                    await self._process.wait()

    def trim_log(self) -> None:
        """Keep the log within 16 MiB, and one older piece of it; a full disk keeps it as it is."""
        with contextlib.suppress(OSError):
            if self.log.stat().st_size > _LOG_LIMIT_BYTES:
                shutil.copyfile(self.log, self.log.with_suffix(".log.old"))
                os.truncate(self.log, 0)  # the process appends, so it goes on at the new end

    async def _come_up(self) -> None:
        while True:
            await reap(self.cluster.data)
            # nobody else can be in our private folder; its pid may be another program's by now
            (self.socket_folder / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)
            log_start = self.log.stat().st_size if self.log.exists() else 0
            await self._spawn_whole()
            if await self._answers():
                return
            said = self._said_since(log_start)
            if not any(reason in said for reason in _PASSING):
                raise EmbeddedServerError(self._explanation(said))
            await asyncio.sleep(_RETRY_S)

    async def _spawn_whole(self) -> None:
        """Spawn without being cut: a cancelled spawn kills a PostgreSQL that may be writing already."""
        spawning = asyncio.ensure_future(self._spawn())
        try:
            await asyncio.shield(spawning)
        finally:
            self._process = await spawning

    async def _spawn(self) -> asyncio.subprocess.Process:
        settings = {**_SETTINGS, "unix_socket_directories": str(self.socket_folder)}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        program = (str(self.cluster.binaries.folder / "postgres"), "-D", str(self.cluster.data))
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return await asyncio.create_subprocess_exec(
                *self.cluster.prefix,
                *program,
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**PROGRAM_ENV, **self._stale_pid()},
                cwd="/",
                start_new_session=True,  # Ctrl-C is for us: we stop it when its clients are done
            )
        finally:
            os.close(log)

    def _stale_pid(self) -> dict[str, str]:
        """Tell PostgreSQL that the pid in the file of a killed postmaster is nobody's, though it may be taken again.

        PostgreSQL takes any living process of that number for its rival, save its own ancestors;
        this is how pg_ctl names one of those (CreateLockFile in miscinit.c). The file itself
        stays, because the check for old backends reads it.
        """
        stale = PidFile.read(self.cluster.data)
        return {"PG_GRANDPARENT_PID": str(stale.pid)} if stale else {}

    async def _answers(self) -> bool:
        """Wait until it answers from its database `layercake`; False if the process ends before."""
        assert self._process is not None
        poll_s = _FIRST_POLL_S
        while self._process.returncode is None:
            try:
                await self._create_database()
                await self._refuse_unsafe_settings()
            except _NOT_YET:
                await asyncio.sleep(poll_s)
                poll_s = min(poll_s * 1.5, _LONGEST_POLL_S)  # each is a line in the log
            except asyncpg.PostgresError as error:
                raise EmbeddedServerError(
                    f"PostgreSQL in {self.cluster.data} does not let us in ({error}); "
                    "undo what was changed in pg_hba.conf or postgresql.conf there"
                ) from error
            else:
                return True
        return False

    @contextlib.asynccontextmanager
    async def _connection(self, database: str) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(
            host=str(self.socket_folder),
            port=_PORT,
            user=USER,
            database=database,
            timeout=_CONNECT_TIMEOUT_S,
        )
        try:
            yield connection
        finally:
            await connection.close(timeout=_CONNECT_TIMEOUT_S)

    async def _create_database(self) -> None:
        async with self._connection("postgres") as connection:
            if not await connection.fetchval(HAS_DATABASE, USER):
                await connection.execute(CREATE_DATABASE)

    async def _refuse_unsafe_settings(self) -> None:
        async with self._connection(USER) as connection:
            names = [row["name"] for row in await connection.fetch(SWITCHED_OFF)]
        if names:
            raise EmbeddedServerError(
                f"PostgreSQL in {self.cluster.data} has {', '.join(names)} switched off, which loses saved "
                "edits in a crash; remove that from postgresql.conf, postgresql.auto.conf or the database"
            )

    def _said_since(self, start_bytes: int) -> str:
        with self.log.open("rb") as log:
            log.seek(start_bytes)
            return log.read(_LOG_LIMIT_BYTES).decode(errors="replace")

    def _explanation(self, said: str) -> str:
        fatal = [line for line in said.splitlines() if "FATAL:" in line and _STARTING not in line]
        reasons = [line.partition("FATAL:")[2].strip() for line in fatal]
        last_line = (said.strip().splitlines() or ["it wrote nothing"])[-1]
        return (
            f"PostgreSQL does not start in {self.cluster.data}: {(reasons or [last_line])[0]}; "
            f"cure that and start again ({self.log} has the whole story)"
        )
