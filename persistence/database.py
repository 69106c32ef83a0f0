"""The connections to PostgreSQL, each in the role its work needs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from uuid import UUID

import asyncpg
import orjson

from persistence.records import Caller
from persistence.translation import connecting, translate

_REQUEST_ROLE = "layercake_app"
_SERVICE_ROLE = "layercake_log"
_QUESTIONS_AT_ONCE = 2
_JSONB_VERSION = b"\x01"  # jsonb_send in src/backend/utils/adt/jsonb.c

# PostgreSQL's settings, in ms and s; over a unix socket those of TCP mean nothing and do no harm.
_NOTICE_A_LOST_CLIENT = {
    "client_connection_check_interval": "1000",
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
}

# A connection keeps the plan of a statement: one made while a table was small would read all of it for ever.
_FIND_BY_KEYS = {"enable_seqscan": "off"}

SET_CALLER = """
    SELECT set_config('app.user_id', $1, true), set_config('app.grant', $2, true),
        set_config('app.everywhere', $3, true), set_config('app.graph_id', $4, true)
"""
SET_GRAPH = "SELECT set_config('app.graph_id', $1, true)"
PING = "SELECT 1"


class Database:
    """Two pools of at most `pool_size` connections each: one for requests, one for the server's own work.

    A small third one is for questions of many at a time (`persistence.gathering`), which wait for nothing else.
    Every wait (for a connection, for an answer) ends after `timeout_s` with StoreUnavailableError,
    and so does every call after `close`. Errors of the driver arrive as StoreError.
    """

    def __init__(
        self, url: str, requests: asyncpg.Pool, services: asyncpg.Pool, questions: asyncpg.Pool, *, timeout_s: float
    ) -> None:
        self.url = url
        self._requests = requests
        self._services = services
        self._questions = questions
        self._timeout_s = timeout_s

    @classmethod
    async def open(cls, url: str, *, pool_size: int, timeout_s: float) -> "Database":
        """Connect in both roles; afterwards the database has answered once in each.

        Raises StoreError or StoreUnavailableError with one sentence about what to correct.
        """
        questions = min(pool_size, _QUESTIONS_AT_ONCE)
        pools: list[asyncpg.Pool] = []
        try:
            pools.append(await _pool(url, _session(_REQUEST_ROLE), pool_size=pool_size, timeout_s=timeout_s))
            pools.append(await _pool(url, _session(_SERVICE_ROLE), pool_size=pool_size, timeout_s=timeout_s))
            finding = _session(_SERVICE_ROLE) | _FIND_BY_KEYS
            pools.append(await _pool(url, finding, pool_size=questions, least=questions, timeout_s=timeout_s))
        except BaseException:
            for pool in pools:
                pool.terminate()
            raise
        return cls(url, *pools, timeout_s=timeout_s)

    @asynccontextmanager
    async def request(self, caller: Caller, graph_id: UUID | None = None) -> AsyncIterator[asyncpg.Connection]:
        """One transaction under row level security on behalf of `caller`.

        With a `graph_id` it is about that graph: rows of others are not seen (`set_graph`), and only so are
        operations added. Committed at the end of the block; rolled back when it raises or is cancelled.
        """
        grant = "" if caller.grant is None else f"{caller.grant.graph_id}:{caller.grant.role}"
        everywhere = "on" if caller.is_everywhere else ""
        async with self._transaction(self._requests) as connection:
            await connection.execute(SET_CALLER, str(caller.user_id), grant, everywhere, str(graph_id or ""))
            yield connection

    @asynccontextmanager
    async def service(self) -> AsyncIterator[asyncpg.Connection]:
        """One transaction of the server itself, whose rows were authorised at the door.

        Committed at the end of the block; rolled back when it raises or is cancelled.
        """
        async with self._transaction(self._services) as connection:
            yield connection

    async def look_up(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Return what one statement of the server itself reads by keys: one round trip, no transaction around it."""
        with translate():
            async with self._questions.acquire(timeout=self._timeout_s) as connection:
                rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
                return rows

    async def connect_log(self) -> asyncpg.Connection:
        """Open a connection outside the pools, as `service`; the caller owns and closes it.

        What it locks is free a second after this process died, and some seconds after its machine did.
        """
        with connecting(self.url):
            connection = await asyncpg.connect(
                self.url,
                timeout=self._timeout_s,
                command_timeout=self._timeout_s,
                server_settings=_session(_SERVICE_ROLE) | _NOTICE_A_LOST_CLIENT,
            )
            await _speak_json(connection)
            return connection

    async def ping(self) -> None:
        """Return once the database has answered; raise StoreUnavailableError within `timeout_s` if it does not."""
        with translate():
            async with asyncio.timeout(self._timeout_s):
                await self._services.fetchval(PING)

    async def close(self, *, timeout_s: float | None = None) -> None:
        """Close all connections; those not closed after `timeout_s`, by default that of `open`, are cut. Idempotent."""
        pools = (self._requests, self._services, self._questions)
        try:
            async with asyncio.timeout(self._timeout_s if timeout_s is None else timeout_s):
                await asyncio.gather(*(pool.close() for pool in pools))
        except TimeoutError:
            for pool in pools:
                pool.terminate()

    @asynccontextmanager
    async def _transaction(self, pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
        with translate():
            async with pool.acquire(timeout=self._timeout_s) as connection, connection.transaction():
                yield cast("asyncpg.Connection", connection)


async def set_graph(connection: asyncpg.Connection, graph_id: UUID) -> None:
    """Make the rest of a request about this graph."""
    await connection.execute(SET_GRAPH, str(graph_id))


async def _pool(url: str, session: dict[str, str], *, pool_size: int, timeout_s: float, least: int = 1) -> asyncpg.Pool:
    with connecting(url):
        return await asyncpg.create_pool(
            url,
            min_size=least,
            max_size=pool_size,
            timeout=timeout_s,
            command_timeout=timeout_s,
            server_settings=session,
            init=_speak_json,
            reset=_leave,
        )


async def _leave(_connection: asyncpg.Connection) -> None:
    """Leave a connection as it is: whatever is set, locked or opened on one here ends with its transaction."""


def _session(role: str) -> dict[str, str]:
    return {"role": role, "application_name": "layercake"}


async def _speak_json(connection: asyncpg.Connection) -> None:
    """Take and give jsonb as Python values, also in COPY, which knows binary codecs only."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: _JSONB_VERSION + orjson.dumps(value),
        decoder=lambda data: orjson.loads(data[1:]),
    )
