"""The embedded PostgreSQL: one folder, one database, nothing to install.

DIR/lock            held by the server that uses DIR
DIR/postgres        the data (of a system user of PostgreSQL's own when we are root)
DIR/postgres.log    what PostgreSQL says
DIR/socket          where it listens; DIR/socket.link -> /tmp/… where that path would be too long
"""

import asyncio
import contextlib
from pathlib import Path

import structlog

from persistence.cluster import Binaries, Cluster
from persistence.data_directory import absolute, explained, held, is_held, socket_folder
from persistence.errors import EmbeddedServerError
from persistence.pid_file import PidFile
from persistence.postmaster import Postmaster, url_of
from persistence.system_account import account_for_root

_log = structlog.get_logger(__name__)

_FIRST_DELAY_S = 0.1
_LONGEST_DELAY_S = 5.0
_STABLE_S = 60.0
_LOG_CHECK_INTERVAL_S = 60.0

DATABASE_FOLDER = "postgres"
"""Where in a data directory the files of PostgreSQL are."""


class EmbeddedServer:
    """A PostgreSQL of our own in one folder, started again whenever it dies, until `stop`."""

    def __init__(self, postmaster: Postmaster, resources: contextlib.ExitStack, *, start_timeout_s: float) -> None:
        self.url = url_of(str(postmaster.socket_folder))
        """Superuser `layercake`, database `layercake`, over the unix socket; the same until `stop`."""
        self._postmaster = postmaster
        self._resources = resources
        self._start_timeout_s = start_timeout_s
        self._supervision = asyncio.create_task(self._supervise(), name="embedded PostgreSQL")

    @classmethod
    async def start(
        cls,
        directory: Path,
        *,
        start_timeout_s: float = 120.0,
        stop_timeout_s: float = 90.0,
        binaries: Path | None = None,
    ) -> "EmbeddedServer":
        """Start the PostgreSQL of `directory`, made first if there is none.

        Afterwards it answers at `url`, this process holds the directory until `stop`, and a
        PostgreSQL that a killed server left behind in it is gone. `start_timeout_s` bounds the
        start, recovery after a crash included, now and whenever it has to start again;
        `stop_timeout_s` bounds every stop, also that of a start which fails or is cancelled.
        `binaries` is the folder of the PostgreSQL programs, by default those of the wheel.
        On failure and on cancellation nothing is left running and the directory is free.

        Raises DataDirectoryBusyError at once if another server holds the directory, and
        EmbeddedServerError with one sentence about what to do for all else.
        """
        directory = absolute(directory)
        with contextlib.ExitStack() as resources, explained(directory):
            resources.enter_context(held(directory))
            account = await account_for_root()
            socket = resources.enter_context(socket_folder(directory, account))
            programs = await Binaries.at(binaries) if binaries else (await Binaries.of_wheel())[0]
            reached = (programs.folder / "postgres", directory, socket)
            prefix = account.command_prefix(reached) if account else ()
            cluster = Cluster(directory / DATABASE_FOLDER, programs, account, prefix)
            await cluster.make_ready()
            postmaster = Postmaster(cluster, socket, directory / "postgres.log", stop_timeout_s)
            await postmaster.start(start_timeout_s)
            return cls(postmaster, resources.pop_all(), start_timeout_s=start_timeout_s)

    async def stop(self) -> None:
        """Shut PostgreSQL down, its data flushed, and free the directory. Idempotent.

        Clients are cut. What has not stopped within most of `stop_timeout_s` is ended by force and, as
        when this is cancelled, recovered by the next start, without loss of anything committed.
        """
        self._supervision.cancel()
        await asyncio.wait([self._supervision])
        try:
            await self._postmaster.stop()
        finally:
            self._resources.close()

    async def _supervise(self) -> None:
        clock = asyncio.get_running_loop().time
        delay_s = _FIRST_DELAY_S
        while True:
            started_s = clock()
            code = await self._ended()
            if clock() - started_s > _STABLE_S:
                delay_s = _FIRST_DELAY_S
            _log.error("PostgreSQL ended, starting it again", exit_code=code)
            delay_s = await self._start_again(delay_s)

    async def _ended(self) -> int:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOG_CHECK_INTERVAL_S):
                    return await self._postmaster.ended()
            self._postmaster.trim_log()

    async def _start_again(self, delay_s: float) -> float:
        """Try until it answers; return how long to wait before the next try, should it die soon again."""
        while True:
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _LONGEST_DELAY_S)
            try:
                await self._postmaster.start(self._start_timeout_s)
            except (EmbeddedServerError, OSError) as error:
                _log.error("PostgreSQL does not start, trying again", error=str(error), wait_s=delay_s)
            else:
                return delay_s


async def attach(directory: Path) -> str | None:
    """Return the URL of the PostgreSQL that a running server keeps in `directory`, None if none does.

    An orphan of a killed server does not count: the next start ends it.
    Raises EmbeddedServerError if the directory may not be read.
    """
    directory = absolute(directory)
    with explained(directory):
        found = PidFile.read(directory / DATABASE_FOLDER)
        if found is None or not found.is_ready or not is_held(directory) or not await found.is_alive():
            return None
        return url_of(found.socket_folder)
