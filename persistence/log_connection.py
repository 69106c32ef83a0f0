"""The one connection on which a node holds its leases and writes its log: the two are lost together."""

from collections.abc import Callable

import asyncpg
import structlog

from persistence.database import Database
from persistence.leases import Leases

_log = structlog.get_logger("layercake.log")

WHO_AM_I = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
OWN_ROLE = "SET LOCAL ROLE NONE"
ARE_YOU_THERE = "SELECT 1"
END_PREDECESSOR = "SELECT pg_terminate_backend(pid, $3) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2"
_END_WITHIN_MS = 2_000


class LogConnection:
    """Opened when it is needed and again whenever it was lost. `on_lost` is called at once when that happens."""

    def __init__(self, database: Database, leases: Leases, on_lost: Callable[[], None], *, timeout_s: float) -> None:
        self._database = database
        self._leases = leases
        self._on_lost = on_lost
        self._timeout_s = timeout_s
        self._connection: asyncpg.Connection | None = None
        self._backend: asyncpg.Record | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as anybody has noticed."""
        return self._connection is not None and not self._connection.is_closed()

    async def ready(self) -> asyncpg.Connection:
        """Return the connection; on a new one, all leases that could be had again are held.

        Raises what the driver raises if there is none to be had; the next call tries again.
        """
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        self.drop()
        connection = self._connection = await self._database.connect_log()
        connection.add_termination_listener(lambda _: self._on_lost())
        await self._replace_backend(connection)
        await self._leases.regain(connection, timeout_s=self._timeout_s)
        return connection

    async def check(self, timeout_s: float) -> None:
        """Return if PostgreSQL answers on the open connection; else cut it. `on_lost` hears of that."""
        try:
            if self._connection is not None:
                await self._connection.execute(ARE_YOU_THERE, timeout=timeout_s)
        except Exception as error:  # noqa: BLE001 - whatever it is, the connection is of no use any more
            _log.warning(
                "the log's connection does not answer and is opened again", error=f"{type(error).__name__}: {error}"
            )
            self.drop()
            self._on_lost()

    def drop(self) -> None:
        """Cut the connection, if there is one; its leases are free as soon as PostgreSQL notices."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _replace_backend(self, connection: asyncpg.Connection) -> None:
        """End the backend of the connection before, which may not know yet that its client is gone.

        It would keep the leases, and could still commit what is about to be sent again.
        """
        async with connection.transaction():
            await connection.execute(OWN_ROLE, timeout=self._timeout_s)  # only whoever logged in sees and ends backends
            if self._backend is not None:
                await connection.execute(END_PREDECESSOR, *self._backend, _END_WITHIN_MS, timeout=self._timeout_s)
            self._backend = await connection.fetchrow(WHO_AM_I, timeout=self._timeout_s)
