"""Which graphs this node serves: one session advisory lock for each, all on the log writer's connection.

Whoever writes a graph's operations therefore holds its lease while it does: if the connection is lost, the
leases and the flush under way are lost with it, and nothing more is written before the leases are had again.
Each node leaves its id beside a lease that it takes: a lease that is had again is the same one only if the id
is still there, since what another node wrote meanwhile is not in the rooms of this one.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from persistence.errors import GraphServedElsewhereError, StoreUnavailableError
from persistence.locks import LockKind, graph_lock

# Not waiting for the disk: the log is flushed in order, so what a node commits under a lease is never there without it.
# A lease that a crash of PostgreSQL takes back counts as lost, and its graph is loaded again.
TAKE = """
    WITH got AS MATERIALIZED (
        SELECT graph_id FROM unnest($1::uuid[], $2::bigint[]) AS wanted (graph_id, key) WHERE pg_try_advisory_lock(key)
    ), at_once AS MATERIALIZED (
        SELECT set_config('synchronous_commit', 'off', true)
    )
    INSERT INTO graph_leases (graph_id, node_id) SELECT graph_id, $3 FROM at_once CROSS JOIN got
    ON CONFLICT (graph_id) DO UPDATE SET node_id = excluded.node_id, taken_at = excluded.taken_at
    RETURNING graph_id
"""
TAKE_AGAIN = """
    SELECT graph_id FROM unnest($1::uuid[], $2::bigint[]) AS wanted (graph_id, key) WHERE pg_try_advisory_lock(key)
"""
STILL_OURS = "SELECT graph_id FROM graph_leases WHERE graph_id = ANY($1::uuid[]) AND node_id = $2"
FORGET = "DELETE FROM graph_leases WHERE graph_id = ANY($1::uuid[]) AND node_id = $2"
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

    def __init__(
        self,
        node_id: UUID,
        on_request: Callable[[], None],
        settings: LeaseSettings = LeaseSettings(),  # noqa: B008 - an immutable tuple
    ) -> None:
        self.held: set[UUID] = set()
        self._node_id = node_id
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
            await connection.execute(FORGET, released, self._node_id, timeout=timeout_s)
            await connection.execute(UNLOCK, _keys(released), timeout=timeout_s)
            self._unwanted -= released
        if self._wanted:
            await self._try(connection, timeout_s)

    async def regain(self, connection: asyncpg.Connection, *, timeout_s: float) -> None:
        """On a new connection, take all held leases again.

        Those that another node has, or had meanwhile, are lost: `when_lost` tells of each.
        """
        self._unwanted.clear()  # they went with the old connection
        held = list(self.held)
        got = [row["graph_id"] for row in await connection.fetch(TAKE_AGAIN, held, _keys(held), timeout=timeout_s)]
        rows = await connection.fetch(STILL_OURS, got, self._node_id, timeout=timeout_s)
        kept = {row["graph_id"] for row in rows}
        self._unwanted |= set(got) - kept
        if self._unwanted:
            self._on_request()
        for graph_id in set(held) - kept:
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
            got = await self._take(connection, list(asked), timeout_s)
        except asyncpg.OutOfMemoryError:
            reason = "it has no room for a further lock; raise max_locks_per_transaction in its configuration"
            for answer in self._answers(asked):
                answer.set_exception(StoreUnavailableError(reason))
            self._unwanted |= asked  # the statement failed, but keeps the locks it took
            self._on_request()
            return
        self.held |= got
        for graph_id in asked:
            answers = list(self._answers((graph_id,)))
            for answer in answers:
                answer.set_result(graph_id in got)
            if not answers:
                self.release(graph_id)  # whoever asked has given up

    async def _take(self, connection: asyncpg.Connection, graph_ids: Sequence[UUID], timeout_s: float) -> set[UUID]:
        rows = await connection.fetch(TAKE, graph_ids, _keys(graph_ids), self._node_id, timeout=timeout_s)
        return {row["graph_id"] for row in rows}

    def _answers(self, graph_ids: Iterable[UUID]) -> Iterable[asyncio.Future[bool]]:
        for graph_id in graph_ids:
            yield from (answer for answer in self._wanted.pop(graph_id) if not answer.done())


def _keys(graph_ids: Iterable[UUID]) -> list[int]:
    return [graph_lock(graph_id, LockKind.LEASE) for graph_id in graph_ids]
