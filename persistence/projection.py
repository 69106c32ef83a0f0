"""The store of the follower: what it reads of the log, and cursors that move only with what they stand for."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from persistence.database import Database
from persistence.edits import lock_edits, read_authors, read_edits, write_edits
from persistence.entity_rows import EDGES, LAYERS, NODES
from persistence.errors import NotFoundError, StoreUnavailableError
from persistence.locks import LockKind, graph_lock
from persistence.operations import READ_PENDING
from persistence.ports import Backlog, Compaction, GraphCursor, Position, ProjectionStep, StoredOperation, Survey
from persistence.quarantine import Quarantine
from persistence.replay_records import Author, StoredEdits
from persistence.translation import translate

PAGE_OPERATIONS = 1_000
"""How many operations are read at once."""

PAGE_BYTES = 4 * 1024 * 1024
"""How many bytes of operations are read at once, the last one not counted."""

SURVEY_GRAPHS = 1_000
"""How many graphs one survey names: those that are furthest behind."""

LOCK_TIMEOUT = "100ms"
"""How long to wait for a flush. Flushes that come meanwhile wait as long."""


class Projection:
    """The `persistence.ports.ProjectionStore` on PostgreSQL.

    Claims are advisory locks of one connection of its own, so they end with the process, however it ends.
    Ages are measured by `now`, the clock of this machine, as operations are stamped: PostgreSQL's may differ.
    """

    def __init__(self, database: Database, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._now = now
        self._quarantine = Quarantine(database)
        self._claims: asyncpg.Connection | None = None
        self._seen = -1
        self._seen_before = -1

    SURVEY = """
        SELECT id, is_reset, behind_s, uncompacted_s FROM (
            SELECT g.id, g.projected_through < g.crdt_through AS is_reset,
                (SELECT extract(epoch FROM $3::timestamptz - o.created_at)::float8 FROM crdt_operations o
                 WHERE o.graph_id = g.id AND o.id > g.projected_through ORDER BY o.id LIMIT 1) AS behind_s,
                (SELECT extract(epoch FROM $3::timestamptz - o.created_at)::float8 FROM crdt_operations o
                 WHERE o.graph_id = g.id AND o.id > g.crdt_through
                    AND NOT EXISTS (SELECT FROM quarantined_operations q WHERE q.operation_id = o.id)
                 ORDER BY o.id LIMIT 1) AS uncompacted_s
            FROM graphs g
        ) AS looked_at
        WHERE is_reset OR behind_s IS NOT NULL OR uncompacted_s > $1
        ORDER BY behind_s DESC NULLS LAST LIMIT $2
    """
    WARNINGS = "SELECT coalesce(sum(projection_warnings), 0) FROM graphs"

    async def survey(self, compaction_age_s: float) -> Survey:
        """Look at every graph (`persistence.ports.ProjectionStore`)."""
        async with self._database.service() as connection:
            rows = await connection.fetch(self.SURVEY, compaction_age_s, SURVEY_GRAPHS, self._now())
            warnings = await connection.fetchval(self.WARNINGS)
        behind = [row for row in rows if row["is_reset"] or row["behind_s"] is not None]
        aged = [row["id"] for row in rows if (row["uncompacted_s"] or 0) > compaction_age_s]
        return Survey([Backlog(row["id"], max(row["behind_s"] or 0, 0)) for row in behind], aged, warnings)

    NEWS = """
        SELECT g.id, max(o.id) AS highest,
            extract(
                epoch FROM $2::timestamptz - min(o.created_at) FILTER (WHERE o.id > g.projected_through)
            )::float8 AS behind_s
        FROM crdt_operations o JOIN graphs g ON g.id = o.graph_id WHERE o.id > $1 GROUP BY g.id
    """
    LAST = "SELECT coalesce(max(id), 0) FROM crdt_operations"
    WERE_RESET = "SELECT id FROM graphs WHERE id = ANY($1::uuid[]) AND projected_through = 0"

    async def news(self, projected: Sequence[UUID]) -> Sequence[Backlog]:
        """Look at the operations that came since the last call but one: what committed out of order is among them.

        The first call finds none (`persistence.ports.ProjectionStore`).
        """
        async with self._database.service() as connection:
            if self._seen < 0:
                self._seen = self._seen_before = await connection.fetchval(self.LAST)
            rows = await connection.fetch(self.NEWS, self._seen_before, self._now())
            reset = await connection.fetch(self.WERE_RESET, projected) if projected else []
        self._seen_before, self._seen = self._seen, max([self._seen, *(row["highest"] for row in rows)])
        found = [Backlog(row["id"], max(row["behind_s"], 0)) for row in rows if row["behind_s"] is not None]
        return [*found, *(Backlog(row["id"], 0) for row in reset)]

    CLAIM = "SELECT pg_try_advisory_lock($1)"
    RELEASE = "SELECT pg_advisory_unlock($1)"

    async def claim(self, graph_id: UUID) -> bool:
        """Take the graph's FOLLOWER lock (`persistence.ports.ProjectionStore`)."""
        if self._claims is None:
            self._claims = await self._database.connect_log()
        with translate():
            return bool(await self._claims.fetchval(self.CLAIM, graph_lock(graph_id, LockKind.FOLLOWER)))

    async def release(self, graph_id: UUID) -> None:
        """Give the graph's FOLLOWER lock back, or all of them by ending their connection."""
        if self._claims is None:
            return
        try:
            with translate():
                await self._claims.fetchval(self.RELEASE, graph_lock(graph_id, LockKind.FOLLOWER))
        except BaseException as error:
            self._claims.terminate()
            if not isinstance(error, StoreUnavailableError):
                raise

    def has_lost_claims(self) -> bool:
        """Return whether the connection of the claims ended; the next claim opens another one."""
        is_lost = self._claims is not None and self._claims.is_closed()
        if is_lost:
            self._claims = None
        return is_lost

    async def close(self) -> None:
        """End all claims."""
        if self._claims is not None:
            with suppress(Exception):
                await self._claims.close()

    READ_CURSOR = """
        SELECT projected_through, crdt_through, crdt_state, crdt_pending_ids FROM graphs WHERE id = $1
    """
    READ_PAGE = """
        SELECT id, operation_data FROM (
            SELECT id, operation_data,
                sum(octet_length(operation_data)) OVER (ORDER BY id) - octet_length(operation_data) AS before_bytes
            FROM crdt_operations
            WHERE graph_id = $1 AND id > $2 AND id <= $3
                AND NOT EXISTS (SELECT FROM quarantined_operations q WHERE q.operation_id = crdt_operations.id)
            ORDER BY id LIMIT $4
        ) AS page
        WHERE before_bytes < $5 ORDER BY id
    """

    @asynccontextmanager
    async def read(self, graph_id: UUID) -> AsyncIterator[tuple[GraphCursor, AsyncIterator[Sequence[StoredOperation]]]]:
        """Read a graph as of its cursor (`persistence.ports.ProjectionStore`)."""
        async with self._database.service() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            row = await connection.fetchrow(self.READ_CURSOR, graph_id)
            if row is None:
                raise NotFoundError("graph", graph_id)
            cursor = GraphCursor(row["projected_through"], row["crdt_through"], row["crdt_state"])
            yield cursor, self._pages(connection, graph_id, cursor, row["crdt_pending_ids"])

    async def _pages(
        self, connection: asyncpg.Connection, graph_id: UUID, cursor: GraphCursor, pending_ids: Sequence[int]
    ) -> AsyncIterator[Sequence[StoredOperation]]:
        waiting = await connection.fetch(READ_PENDING, graph_id, pending_ids)
        if waiting:
            yield _operations(waiting)
        after = cursor.compacted_through
        while page := await self._page(connection, graph_id, after, cursor.through):
            yield page
            after = page[-1].id

    async def _page(
        self, connection: asyncpg.Connection, graph_id: UUID, after: int, through: int
    ) -> Sequence[StoredOperation]:
        return _operations(
            await connection.fetch(self.READ_PAGE, graph_id, after, through, PAGE_OPERATIONS, PAGE_BYTES)
        )

    LOCK_FLUSHES = "SELECT set_config('lock_timeout', $2, true), pg_advisory_xact_lock($1)"
    # A statement of its own: it must see what was committed before the lock was got.
    READ_POSITION = """
        SELECT coalesce((SELECT max(id) FROM crdt_operations WHERE graph_id = $1), 0), projected_through, crdt_through
        FROM graphs WHERE id = $1
    """

    async def position(self, graph_id: UUID) -> Position | None:
        """Read the highest id while no flush of the graph is under way (`persistence.ports.ProjectionStore`)."""
        try:
            async with self._database.service() as connection:
                await connection.execute(self.LOCK_FLUSHES, graph_lock(graph_id, LockKind.FLUSH), LOCK_TIMEOUT)
                row = await connection.fetchrow(self.READ_POSITION, graph_id)
        except StoreUnavailableError as error:
            if isinstance(error.__cause__, asyncpg.LockNotAvailableError):
                return None
            raise
        if row is None:
            raise NotFoundError("graph", graph_id)
        return Position(*row)

    async def operations(self, graph_id: UUID, after: int, through: int) -> Sequence[StoredOperation]:
        """Return the next page of operations (`persistence.ports.ProjectionStore`)."""
        rows = await self._database.look_up(self.READ_PAGE, graph_id, after, through, PAGE_OPERATIONS, PAGE_BYTES)
        return _operations(rows)

    async def quarantine(self, graph_id: UUID, reasons: Mapping[int, str]) -> Sequence[str]:
        """Leave operations out from now on (`persistence.ports.ProjectionStore`)."""
        return await self._quarantine.quarantine(graph_id, reasons)

    async def quarantined(self) -> int:
        """Return how many operations are quarantined (`persistence.ports.ProjectionStore`)."""
        return await self._quarantine.count()

    async def edits(self, graph_id: UUID) -> StoredEdits | None:
        """Read from one snapshot what edits are captured from (`persistence.ports.ProjectionStore`)."""
        async with self._database.service() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return await read_edits(connection, graph_id)

    async def authors(self, graph_id: UUID, operation_ids: Sequence[int]) -> Mapping[int, Author]:
        """Read who brought operations into the log (`persistence.ports.ProjectionStore`)."""
        async with self._database.service() as connection:
            return await read_authors(connection, graph_id, operation_ids)

    ADVANCE = """
        UPDATE graphs SET projected_through = $3, node_count = $4, edge_count = $5, layer_count = $6,
            projection_warnings = $7
        WHERE id = $1 AND projected_through = $2 RETURNING id
    """

    async def project(self, step: ProjectionStep) -> bool:
        """Write a step with its cursors, in one transaction (`persistence.ports.ProjectionStore`)."""
        counts = step.nodes.count, step.edges.count, step.layers.count
        async with self._database.service() as connection:
            if step.edits is not None:
                await lock_edits(connection, step.graph_id, step.edits.version)
            moved = await connection.fetchval(
                self.ADVANCE, step.graph_id, step.since, step.through, *counts, step.warnings
            )
            if moved is None:
                return False
            await NODES.store(connection, step.graph_id, step.nodes, is_whole=step.is_whole)
            await EDGES.store(connection, step.graph_id, step.edges, is_whole=step.is_whole)
            await LAYERS.store(connection, step.graph_id, step.layers, is_whole=step.is_whole)
            if step.edits is not None:
                await write_edits(connection, step.graph_id, step.through, step.edits)
        return True

    # Never a state that the rows have not come to, nor one made from another than the last.
    COMPACT = """
        UPDATE graphs SET crdt_state = $4, crdt_vector = $5, crdt_through = $3, crdt_pending_ids = $6
        WHERE id = $1 AND crdt_through = $2 AND projected_through = $3 RETURNING id
    """

    async def compact(self, compaction: Compaction) -> bool:
        """Write a compacted state in one statement (`persistence.ports.ProjectionStore`)."""
        async with self._database.service() as connection:
            stored = await connection.fetchval(
                self.COMPACT,
                compaction.graph_id,
                compaction.since,
                compaction.through,
                compaction.state,
                compaction.vector,
                compaction.pending_ids,
            )
        return stored is not None


def _operations(rows: Sequence[asyncpg.Record]) -> list[StoredOperation]:
    return [StoredOperation(row["id"], row["operation_data"]) for row in rows]
