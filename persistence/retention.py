"""Deleting old operations that are part of their graph's compacted state: the history goes, what loads stays."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from persistence.database import Database

PAGE_OPERATIONS = 2_000
"""How many operations one transaction looks at, and deletes at most."""


class Pruned(NamedTuple):
    """Operations that were deleted, or would be."""

    operations: int
    bytes: int


class Retention:
    """The old end of `crdt_operations`.

    Operations above `crdt_through`, those that wait and those in quarantine are never old.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    GRAPHS = "SELECT id FROM graphs WHERE crdt_through > 0 ORDER BY id"
    COUNT = """
        SELECT count(*) AS operations, coalesce(sum(octet_length(o.operation_data)), 0)::bigint AS bytes
        FROM graphs g JOIN crdt_operations o ON o.graph_id = g.id
        WHERE g.id = $1 AND o.id <= g.crdt_through AND o.created_at < now() - $2::interval
            AND NOT o.id = ANY(g.crdt_pending_ids)
            AND NOT EXISTS (SELECT FROM quarantined_operations q WHERE q.operation_id = o.id)
    """
    DELETE = """
        WITH page AS (
            SELECT o.id, o.created_at < now() - $2::interval AND NOT o.id = ANY(g.crdt_pending_ids)
                AND NOT EXISTS (SELECT FROM quarantined_operations q WHERE q.operation_id = o.id) AS is_old
            FROM graphs g JOIN crdt_operations o ON o.graph_id = g.id
            WHERE g.id = $1 AND o.id > $3 AND o.id <= g.crdt_through ORDER BY o.id LIMIT $4
        ), deleted AS (
            DELETE FROM crdt_operations o USING page
            WHERE o.id = page.id AND page.is_old RETURNING octet_length(o.operation_data) AS bytes
        )
        SELECT (SELECT max(id) FROM page) AS last, count(*) AS operations, coalesce(sum(bytes), 0)::bigint AS bytes
        FROM deleted
    """

    async def graphs(self) -> list[UUID]:
        """Return the graphs that have a compacted state."""
        async with self._database.service() as connection:
            return [row["id"] for row in await connection.fetch(self.GRAPHS)]

    async def count(self, graph_id: UUID, older_than: timedelta) -> Pruned:
        """Return what `prune` would delete of a graph."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.COUNT, graph_id, older_than)
        assert row is not None
        return Pruned(row["operations"], row["bytes"])

    async def prune(self, graph_id: UUID, older_than: timedelta) -> AsyncGenerator[Pruned, None]:
        """Delete a graph's old operations page by page, each in a transaction of its own; yields what each deleted.

        Ids are in the order of time, or nearly: a page without anything old is the last.
        """
        after: int | None = 0
        while after is not None:
            async with self._database.service() as connection:
                row = await connection.fetchrow(self.DELETE, graph_id, older_than, after, PAGE_OPERATIONS)
            assert row is not None
            yield Pruned(row["operations"], row["bytes"])
            after = row["last"] if row["operations"] else None
