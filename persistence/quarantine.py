"""Rows of `quarantined_operations`: operations that stay in the log and are left out of their graph.

Whoever loads a graph writes the marks; a person who may manage the graph takes them away again.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from persistence.database import Database
from persistence.errors import NotFoundError
from persistence.events import append_event
from persistence.records import SYSTEM_USER_ID, Caller, NewEvent, QuarantinedOperation


class Quarantine:
    """The marks of a database, and what they are on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # The lock makes two that find the same rows come one after the other, and a release wait for both.
    LOCK_GRAPH = "SELECT project_id FROM graphs WHERE id = $1 FOR NO KEY UPDATE"
    MARK = """
        WITH marked AS (
            INSERT INTO quarantined_operations (operation_id, graph_id, reason)
            SELECT o.id, o.graph_id, found.reason
            FROM unnest($2::bigint[], $3::text[]) AS found (id, reason) JOIN crdt_operations o ON o.id = found.id
            WHERE o.graph_id = $1
            ON CONFLICT (operation_id) DO NOTHING RETURNING operation_id, reason
        )
        SELECT o.id, o.user_id, o.session_id, marked.reason
        FROM marked JOIN crdt_operations o ON o.id = marked.operation_id ORDER BY o.id
    """
    # Rows that show one of them are remade without it.
    REMAKE_ROWS = "UPDATE graphs SET projected_through = 0 WHERE id = $1 AND projected_through >= $2"

    async def quarantine(self, graph_id: UUID, reasons: Mapping[int, str]) -> Sequence[str]:
        """Leave out operations of a graph, by id, from now on; return the sessions of those that were not yet.

        Each newly marked one has an event. Idempotent. Raises StoreError: then nothing is marked.
        """
        async with self._database.service() as connection:
            project_id = await connection.fetchval(self.LOCK_GRAPH, graph_id)
            rows = await connection.fetch(self.MARK, graph_id, list(reasons), list(reasons.values()))
            if rows:
                await connection.execute(self.REMAKE_ROWS, graph_id, min(row["id"] for row in rows))
            for row in rows:
                payload = {
                    "operation_id": row["id"],
                    "reason": row["reason"],
                    "user_id": str(row["user_id"]),
                    "session_id": row["session_id"],
                }
                event = NewEvent(graph_id, "graph.operation_quarantined", payload, SYSTEM_USER_ID, project_id)
                await append_event(connection, event)
        return [row["session_id"] for row in rows]

    LIST = """
        SELECT q.operation_id, q.graph_id, q.reason, q.quarantined_at, o.user_id, o.session_id, o.client_id,
            o.created_at, octet_length(o.operation_data) AS size_bytes, ''::bytea AS data,
            role_in_graph(q.graph_id) AS role
        FROM quarantined_operations q JOIN crdt_operations o ON o.id = q.operation_id
        WHERE ($1::uuid IS NULL OR q.graph_id = $1) AND graph_is_there(q.graph_id)
            AND role_in_graph(q.graph_id) IS NOT NULL
        ORDER BY q.operation_id DESC LIMIT $2
    """

    async def of_user(
        self, caller: Caller, graph_id: UUID | None, limit: int
    ) -> tuple[tuple[QuarantinedOperation, str], ...]:
        """Return the newest `limit` quarantined operations of one graph, or all of the caller's, with the role there.

        Without their bytes.
        """
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.LIST, graph_id, limit)
        return tuple((_operation(row), row["role"]) for row in rows)

    READ = """
        SELECT q.operation_id, q.graph_id, q.reason, q.quarantined_at, o.user_id, o.session_id, o.client_id,
            o.created_at, octet_length(o.operation_data) AS size_bytes, o.operation_data AS data
        FROM quarantined_operations q JOIN crdt_operations o ON o.id = q.operation_id WHERE q.operation_id = $1
    """

    async def find(self, caller: Caller, operation_id: int) -> QuarantinedOperation | None:
        """Return a quarantined operation, None if there is no such one; whose it is, the caller asks."""
        async with self._database.request(caller) as connection:
            row = await connection.fetchrow(self.READ, operation_id)
        return None if row is None else _operation(row)

    UNMARK = "DELETE FROM quarantined_operations WHERE operation_id = $1 AND graph_id = $2 RETURNING operation_id"
    # Below what is compacted it is loaded as one that waits for its turn; a copy of the follower's is read again.
    LOAD_AGAIN = """
        UPDATE graphs SET projected_through = 0, crdt_pending_ids =
            CASE WHEN $2 <= crdt_through THEN array_append(array_remove(crdt_pending_ids, $2), $2)
            ELSE crdt_pending_ids END
        WHERE id = $1
    """

    async def release(self, caller: Caller, graph_id: UUID, operation_id: int) -> None:
        """Have an operation loaded again from the next load on, as one that came late, with an event of `caller`.

        As the server itself, since requests do not write how a graph is loaded; `caller` was authorised before.
        Raises NotFoundError if it is not quarantined (any more).
        """
        async with self._database.service() as connection:
            project_id = await connection.fetchval(self.LOCK_GRAPH, graph_id)
            if await connection.fetchval(self.UNMARK, operation_id, graph_id) is None:
                raise NotFoundError("quarantined operation", operation_id)
            await connection.execute(self.LOAD_AGAIN, graph_id, operation_id)
            payload = {"operation_id": operation_id}
            event = NewEvent(graph_id, "graph.operation_released", payload, caller.user_id, project_id)
            await append_event(connection, event)

    COUNT = "SELECT count(*) FROM quarantined_operations"

    async def count(self) -> int:
        """Return how many operations are quarantined."""
        async with self._database.service() as connection:
            return int(await connection.fetchval(self.COUNT))


def _operation(row: asyncpg.Record) -> QuarantinedOperation:
    return QuarantinedOperation(**{name: row[name] for name in QuarantinedOperation.__slots__})
