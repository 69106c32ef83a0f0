"""Rows of `crdt_operations`: one flush written in one transaction, one document read in one.

A flush takes its graphs' advisory locks shared, so that whoever takes one exclusively (to read
the highest id of a graph, for compaction) sees no id of that graph commit later than a higher one.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from persistence.database import Database
from persistence.errors import NotFoundError
from persistence.locks import LockKind, graph_lock
from persistence.ports import DocumentChunk
from persistence.quarantine import Quarantine
from persistence.record_rows import write_records
from persistence.records import Operation, Record
from persistence.small_documents import SmallDocuments

MARK_APPLIED = """
    UPDATE crdt_operations SET applied_at = now()
    WHERE graph_id = $1 AND applied_at IS NULL AND operation_data = ANY($2::bytea[])
"""
FORGET_OLD_FLUSHES = "DELETE FROM crdt_flushes WHERE flushed_at < now() - interval '1 hour'"
FLUSH_EXISTS = "SELECT EXISTS (SELECT FROM crdt_flushes WHERE flush_id = $1)"
GRAPHS_THAT_EXIST = "SELECT id FROM graphs WHERE id = ANY($1::uuid[])"
READ_STATE = """
    SELECT g.crdt_state, g.crdt_through, g.crdt_pending_ids FROM graphs g JOIN projects p ON p.id = g.project_id
    WHERE g.id = $1 AND g.deleted_at IS NULL AND p.deleted_at IS NULL
"""
GONE = """
    SELECT id FROM unnest($1::uuid[]) AS wanted (id) WHERE NOT EXISTS (
        SELECT FROM graphs g JOIN projects p ON p.id = g.project_id
        WHERE g.id = wanted.id AND g.deleted_at IS NULL AND p.deleted_at IS NULL
    )
"""
READ_OPERATIONS = """
    SELECT id, operation_data FROM crdt_operations
    WHERE graph_id = $1 AND id > $2
        AND NOT EXISTS (SELECT FROM quarantined_operations q WHERE q.operation_id = crdt_operations.id)
    ORDER BY id
"""
READ_PENDING = """
    SELECT id, operation_data FROM crdt_operations
    WHERE graph_id = $1 AND id = ANY($2::bigint[])
        AND NOT EXISTS (SELECT FROM quarantined_operations q WHERE q.operation_id = crdt_operations.id)
    ORDER BY id
"""
READ_VECTOR = """
    SELECT coalesce(g.crdt_vector, '\\x00') AS vector FROM graphs g JOIN projects p ON p.id = g.project_id
    WHERE g.id = $1 AND g.deleted_at IS NULL AND p.deleted_at IS NULL
"""
DROP_STATE = """
    UPDATE graphs SET crdt_state = NULL, crdt_vector = NULL, crdt_through = 0, crdt_pending_ids = '{}',
        projected_through = 0
    WHERE id = $1
"""

# One statement, and so one round trip with its commit. Not COPY, which PostgreSQL does not do under row level security
# (decisions/012). The locks are there before the first row has its id: each row is joined with the count of them.
WRITE_FLUSH = """
    WITH flush AS (INSERT INTO crdt_flushes (flush_id) VALUES ($1)), locked AS MATERIALIZED (
        SELECT count(pg_advisory_xact_lock_shared(key)) FROM unnest($2::bigint[]) AS key
    )
    INSERT INTO crdt_operations
        (graph_id, operation_data, vector_clock, user_id, session_id, client_id, created_at, applied_at)
    SELECT operation.* FROM locked CROSS JOIN unnest(
        $3::uuid[], $4::bytea[], $5::text[], $6::uuid[], $7::text[], $8::text[], $9::timestamptz[], $10::timestamptz[]
    ) AS operation
"""
_COLUMNS = 8
"""So many fields of an operation are columns, in their order; what it settles follows."""

FETCH_ROWS = 1_000
"""How many stored operations are held in memory at once while a document loads."""


async def write_flush(
    connection: asyncpg.Connection,
    flush_id: UUID,
    operations: Sequence[Operation],
    records: Sequence[Record],
    *,
    forget_old: bool,
    timeout_s: float,
) -> None:
    """Store `operations` and `records` in their order and commit, all or none.

    A second call with the same `flush_id` waits for the first and raises
    UniqueViolationError if that one was committed, so nothing is stored twice.
    """
    keys = sorted({graph_lock(graph_id, LockKind.FLUSH) for graph_id in {one.graph_id for one in operations}})
    columns = list(zip(*operations, strict=True))[:_COLUMNS]
    settling = [operation for operation in operations if operation.settles]
    if not (settling or records or forget_old):
        await connection.execute(WRITE_FLUSH, flush_id, keys, *columns, timeout=timeout_s)
        return
    async with connection.transaction():
        await connection.execute(WRITE_FLUSH, flush_id, keys, *columns, timeout=timeout_s)
        for operation in settling:
            await connection.execute(MARK_APPLIED, operation.graph_id, operation.settles, timeout=timeout_s)
        await write_records(connection, records)
        if forget_old:
            await connection.execute(FORGET_OLD_FLUSHES, timeout=timeout_s)


async def flush_exists(connection: asyncpg.Connection, flush_id: UUID, *, timeout_s: float) -> bool:
    """Return whether the flush with this id was committed."""
    return bool(await connection.fetchval(FLUSH_EXISTS, flush_id, timeout=timeout_s))


async def graphs_that_exist(
    connection: asyncpg.Connection, graph_ids: Iterable[UUID], *, timeout_s: float
) -> set[UUID]:
    """Return those of `graph_ids` that have a row."""
    rows = await connection.fetch(GRAPHS_THAT_EXIST, list(graph_ids), timeout=timeout_s)
    return {row["id"] for row in rows}


class StoredDocuments:
    """Documents as the store has them: compacted state, then the rows after it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._quarantine = Quarantine(database)
        self._small = SmallDocuments(database)

    async def gone(self, graph_ids: Sequence[UUID]) -> Sequence[UUID]:
        """Return those of `graph_ids` that nobody may open (`persistence.ports.DocumentStore`)."""
        if not graph_ids:
            return ()
        async with self._database.service() as connection:
            rows = await connection.fetch(GONE, graph_ids)
        return [row["id"] for row in rows]

    @asynccontextmanager
    async def open(self, graph_id: UUID) -> AsyncIterator[AsyncIterator[DocumentChunk]]:
        """Read one graph from one snapshot of the database (`persistence.ports.DocumentStore`)."""
        look = await self._small.look(graph_id)
        if not look.is_there:
            raise NotFoundError("graph", graph_id)
        if look.chunks is not None:
            yield _each(look.chunks)
            return
        async with self._snapshot() as connection:
            yield self._chunks(connection, graph_id)

    @asynccontextmanager
    async def open_rows(self, graph_id: UUID) -> AsyncIterator[tuple[bytes, AsyncIterator[DocumentChunk]]]:
        """Read all rows of one graph from one snapshot (`persistence.ports.DocumentStore`)."""
        async with self._snapshot() as connection:
            vector = await connection.fetchval(READ_VECTOR, graph_id)
            if vector is None:
                raise NotFoundError("graph", graph_id)
            yield vector, self._rows(connection, graph_id, after=0)

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._database.service() as connection:
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield connection

    async def _chunks(self, connection: asyncpg.Connection, graph_id: UUID) -> AsyncIterator[DocumentChunk]:
        graph = await connection.fetchrow(READ_STATE, graph_id)
        if graph is None:
            raise NotFoundError("graph", graph_id)
        if graph["crdt_state"] is not None:
            yield DocumentChunk((graph["crdt_state"],))
        waiting = await connection.fetch(READ_PENDING, graph_id, graph["crdt_pending_ids"])
        if waiting:
            yield _chunk(waiting)
        async for chunk in self._rows(connection, graph_id, graph["crdt_through"]):
            yield chunk

    async def _rows(self, connection: asyncpg.Connection, graph_id: UUID, after: int) -> AsyncIterator[DocumentChunk]:
        cursor = await connection.cursor(READ_OPERATIONS, graph_id, after)
        while rows := await cursor.fetch(FETCH_ROWS):
            yield _chunk(rows)

    async def drop_state(self, graph_id: UUID) -> None:
        """Forget a compacted state (`persistence.ports.DocumentStore`)."""
        async with self._database.service() as connection:
            await connection.execute(DROP_STATE, graph_id)

    async def quarantine(self, graph_id: UUID, reasons: Mapping[int, str]) -> Sequence[str]:
        """Leave rows out from now on (`persistence.ports.DocumentStore`)."""
        return await self._quarantine.quarantine(graph_id, reasons)


async def _each(chunks: Sequence[DocumentChunk]) -> AsyncIterator[DocumentChunk]:
    for chunk in chunks:
        yield chunk


def _chunk(rows: Sequence[asyncpg.Record]) -> DocumentChunk:
    return DocumentChunk(tuple(row["operation_data"] for row in rows), tuple(row["id"] for row in rows))
