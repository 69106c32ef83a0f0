"""Small documents, which most graphs that are opened have: read for many graphs in one statement."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from persistence.database import Database
from persistence.gathering import Gathered
from persistence.ports import DocumentChunk

SMALL_BYTES = 64 * 1024
"""Up to so many bytes of state, and as many of rows, a document is read together with others."""

SMALL_ROWS = 100
"""The most rows of such a document."""


class Look(NamedTuple):
    """What one look at a graph found: whether it is there, and its document if that is small."""

    is_there: bool
    chunks: Sequence[DocumentChunk] | None


_ABSENT = Look(is_there=False, chunks=None)


class SmallDocuments:
    """Reads what `persistence.operations.StoredDocuments` reads, each from one snapshot too, of small documents."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looks = Gathered(self._look)

    # The counts first: rows of a large document are neither read nor held.
    READ_SMALL = """
        SELECT g.id, s.is_small, CASE WHEN s.is_small THEN g.crdt_state END AS state, o.ids, o.updates
        FROM graphs g JOIN projects p ON p.id = g.project_id AND p.deleted_at IS NULL
        CROSS JOIN LATERAL (
            SELECT count(*) AS rows, coalesce(sum(octet_length(r.operation_data)), 0) AS size_bytes FROM (
                SELECT operation_data FROM crdt_operations WHERE graph_id = g.id AND id > g.crdt_through
                LIMIT $2 + 1
            ) r
        ) n
        CROSS JOIN LATERAL (
            SELECT n.rows <= $2 AND n.size_bytes <= $3 AND g.crdt_pending_ids = '{}'
                AND coalesce(octet_length(g.crdt_state), 0) <= $3 AS is_small
        ) s
        CROSS JOIN LATERAL (
            SELECT array_agg(r.id ORDER BY r.id) AS ids, array_agg(r.operation_data ORDER BY r.id) AS updates
            FROM crdt_operations r
            WHERE s.is_small AND r.graph_id = g.id AND r.id > g.crdt_through
                AND NOT EXISTS (SELECT FROM quarantined_operations q WHERE q.operation_id = r.id)
        ) o
        WHERE g.id = ANY($1::uuid[]) AND g.deleted_at IS NULL
    """

    async def look(self, graph_id: UUID) -> Look:
        """Return what is stored of a graph now. Raises StoreError."""
        return await self._looks.ask(graph_id)

    async def _look(self, graph_ids: Sequence[UUID]) -> Sequence[Look]:
        rows = await self._database.look_up(self.READ_SMALL, graph_ids, SMALL_ROWS, SMALL_BYTES)
        found = {
            row["id"]: Look(True, _chunks(row["state"], row["ids"], row["updates"]) if row["is_small"] else None)
            for row in rows
        }
        return [found.get(graph_id, _ABSENT) for graph_id in graph_ids]


def _chunks(state: bytes | None, ids: Sequence[int] | None, updates: Sequence[bytes] | None) -> Sequence[DocumentChunk]:
    chunks = [] if state is None else [DocumentChunk((state,))]
    if ids and updates:
        chunks.append(DocumentChunk(tuple(updates), tuple(ids)))
    return chunks
