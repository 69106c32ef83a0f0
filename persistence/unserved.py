"""Graphs that no server has open: changed in the store alone."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from persistence.database import Database
from persistence.document import DocumentUpdate
from persistence.errors import GraphServedElsewhereError
from persistence.graphs import IMPORT_SESSION_ID, Graphs
from persistence.locks import LockKind, graph_lock

TRY_LEASE = "SELECT pg_try_advisory_xact_lock($1)"
SHARE_FLUSH = "SELECT pg_advisory_xact_lock_shared($1)"

Append = Callable[[Sequence[DocumentUpdate]], Awaitable[None]]


@asynccontextmanager
async def hold_unserved(database: Database, user_id: UUID, graph_id: UUID) -> AsyncIterator[Append]:
    """Keep servers from opening a graph for the length of the block, in one transaction.

    Gives the function that adds operations to its log, stored when the block ends and not if it raises.
    Raises GraphServedElsewhereError if a server has it open.
    """
    async with database.request(user_id) as connection:
        if not await connection.fetchval(TRY_LEASE, graph_lock(graph_id, LockKind.LEASE)):
            raise GraphServedElsewhereError(graph_id)

        async def append(updates: Sequence[DocumentUpdate]) -> None:
            await connection.execute(SHARE_FLUSH, graph_lock(graph_id, LockKind.FLUSH))
            operations = [
                (graph_id, update.data, update.vector_clock, user_id, IMPORT_SESSION_ID, str(update.client_id))
                for update in updates
            ]
            await connection.executemany(Graphs.INSERT_OPERATION, operations)

        yield append
