"""Which graphs this node serves: one session advisory lock for each, all on the log writer's connection.

Whoever writes a graph's operations therefore holds its lease while it does: if the connection is lost, the
leases and the flush under way are lost with it, and nothing more is written before the leases are had again.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple
from uuid import UUID

import asyncpg

from persistence.errors import GraphServedElsewhereError, StoreUnavailableError
from persistence.locks import LockKind, graph_lock

TRY_LOCKS = "SELECT key FROM unnest($1::bigint[]) AS key WHERE pg_try_advisory_lock(key)"
UNLOCK = "SELECT pg_advisory_unlock(key) FROM unnest($1::bigint[]) AS key"


class LeaseSettings(NamedTuple):
    """What bounds the wait for a lease."""

    wait_s: float = 1.0
    """How long to wait for a graph that another node holds: it may be dying, or letting go."""
    poll_s: float = 0.1


class Leases:
    """The `persistence.ports.GraphLeases` of one node. `on_request` is called when `serve` has work.

    `serve` and `regain` belong to the owner of the connection, and are never called at the same time.
    """

    def __init__(self, on_request: Callable[[], None], settings: LeaseSettings = LeaseSettings()) -> None:  # noqa: B008 - an immutable tuple
        self.held: set[UUID] = set()
        self._on_request = on_request
        self._on_lost: list[Callable[[UUID], None]] = []
        self._settings = settings
        self._wanted: dict[UUID, list[asyncio.Future[bool]]] = {}
        self._unwanted: set[UUID] = set()

    async def acquire(self, graph_id: UUID) -> None:
        """Return once this node holds the graph's lease.

        Raises GraphServedElsewhereError if another node still holds it after `wait_s`, and
        StoreUnavailableError if PostgreSQL has no room for a further lock.
        """
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._settings.wait_s
        while not await self._ask(graph_id):
            if clock() >= deadline:
                raise GraphServedElsewhereError(graph_id)
            await asyncio.sleep(self._settings.poll_s)

    def release(self, graph_id: UUID) -> None:
        """Let other nodes have the graph, soon. Idempotent."""
        if graph_id in self.held:
            self.held.discard(graph_id)
            self._unwanted.add(graph_id)
            self._on_request()

    def holds(self, graph_id: UUID) -> bool:
        """Return whether this node may serve the graph."""
        return graph_id in self.held

    def when_lost(self, callback: Callable[[UUID], None]) -> None:
        """Call back with every graph whose lease another node has taken from now on."""
        self._on_lost.append(callback)

    @property
    def has_requests(self) -> bool:
        """Whether `serve` has something to do."""
        return bool(self._wanted or self._unwanted)

    async def serve(self, connection: asyncpg.Connection, *, timeout_s: float) -> None:
        """Give back what was released and try for what is asked for, once; a failed connection leaves both to do."""
        if self._unwanted:
            released = set(self._unwanted)
            await connection.execute(UNLOCK, _keys(released), timeout=timeout_s)
            self._unwanted -= released
        if self._wanted:
            await self._try(connection, timeout_s)

    async def regain(self, connection: asyncpg.Connection, *, timeout_s: float) -> None:
        """On a new connection, take all held leases again; whoever was told to hears of those that were lost."""
        self._unwanted.clear()  # they went with the old connection
        held = set(self.held)
        got = await _try_locks(connection, held, timeout_s)
        for graph_id in held - got:
            self.held.discard(graph_id)
            for callback in self._on_lost:
                callback(graph_id)

    async def _ask(self, graph_id: UUID) -> bool:
        if graph_id in self.held:
            return True
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._wanted.setdefault(graph_id, []).append(answer)
        self._on_request()
        return await answer

    async def _try(self, connection: asyncpg.Connection, timeout_s: float) -> None:
        asked = set(self._wanted)
        try:
            got = await _try_locks(connection, asked, timeout_s)
        except asyncpg.OutOfMemoryError:
            reason = "it has no room for a further lock; raise max_locks_per_transaction in its configuration"
            for answer in self._answers(asked):
                answer.set_exception(StoreUnavailableError(reason))
            self._unwanted |= asked  # the statement failed, but keeps the locks it took
            return
        self.held |= got
        for graph_id in asked:
            answers = list(self._answers((graph_id,)))
            for answer in answers:
                answer.set_result(graph_id in got)
            if not answers:
                self.release(graph_id)  # whoever asked has given up

    def _answers(self, graph_ids: Iterable[UUID]) -> Iterable[asyncio.Future[bool]]:
        for graph_id in graph_ids:
            yield from (answer for answer in self._wanted.pop(graph_id) if not answer.done())


async def _try_locks(connection: asyncpg.Connection, graph_ids: set[UUID], timeout_s: float) -> set[UUID]:
    by_key = {graph_lock(graph_id, LockKind.LEASE): graph_id for graph_id in graph_ids}
    rows = await connection.fetch(TRY_LOCKS, list(by_key), timeout=timeout_s)
    return {by_key[row["key"]] for row in rows}


def _keys(graph_ids: Iterable[UUID]) -> list[int]:
    return [graph_lock(graph_id, LockKind.LEASE) for graph_id in graph_ids]
