"""Rows of `manual_edits`, as people look at them, switch them on and off, and settle their conflicts.

Whoever changes one counts `graph_bases.version` up first: that locks the row, and has the follower read again.
"""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import asyncpg

from persistence.database import Database
from persistence.errors import NotFoundError
from persistence.records import Caller
from persistence.replay_records import ManualEdit, OpenConflict

NEW_VERSION = "UPDATE graph_bases SET version = version + 1 WHERE graph_id = $1"


class ManualEdits:
    """Manual edits of graphs, by number."""

    def __init__(self, database: Database) -> None:
        self._database = database

    PAGE = """
        SELECT id, graph_id, number, operation_type, entity_id, operation_data, context_data, dag_state_hash,
            applicability_signature, is_active, is_open_conflict, last_applied_at, deactivated_at, deactivation_reason,
            created_by, created_at
        FROM manual_edits
        WHERE graph_id = $1 AND number > $2 AND ($3::boolean IS NULL OR is_active = $3) ORDER BY number LIMIT $4
    """

    async def page(
        self, caller: Caller, graph_id: UUID, after: int, limit: int, *, is_active: bool | None
    ) -> tuple[ManualEdit, ...]:
        """Return the first `limit` edits after the number `after`: all, or those that are active or are not."""
        async with self._database.request(caller, graph_id) as connection:
            rows = await connection.fetch(self.PAGE, graph_id, after, is_active, limit)
        return tuple(map(_edit, rows))

    DEACTIVATE = """
        UPDATE manual_edits SET
            is_active = FALSE, is_open_conflict = FALSE, deactivated_at = now(), deactivation_reason = $3
        WHERE graph_id = $1 AND id = $2 AND is_active
    """
    REACTIVATE = """
        UPDATE manual_edits SET is_active = TRUE, deactivated_at = NULL, deactivation_reason = NULL
        WHERE graph_id = $1 AND id = $2 AND NOT is_active
    """
    READ = """
        SELECT id, graph_id, number, operation_type, entity_id, operation_data, context_data, dag_state_hash,
            applicability_signature, is_active, is_open_conflict, last_applied_at, deactivated_at, deactivation_reason,
            created_by, created_at
        FROM manual_edits WHERE graph_id = $1 AND id = $2
    """

    async def deactivate(self, caller: Caller, graph_id: UUID, edit_id: UUID, reason: str | None) -> ManualEdit:
        """Leave an edit out from now on, unless it is already, and return it. Raises NotFoundError."""
        async with self._database.request(caller, graph_id) as connection:
            await connection.execute(NEW_VERSION, graph_id)
            await connection.execute(self.DEACTIVATE, graph_id, edit_id, reason)
            return _found(await connection.fetchrow(self.READ, graph_id, edit_id), edit_id)

    async def reactivate(self, caller: Caller, graph_id: UUID, edit_id: UUID) -> ManualEdit:
        """Apply an edit again from now on, at its old place, and return it. Raises NotFoundError."""
        async with self._database.request(caller, graph_id) as connection:
            await connection.execute(NEW_VERSION, graph_id)
            await connection.execute(self.REACTIVATE, graph_id, edit_id)
            return _found(await connection.fetchrow(self.READ, graph_id, edit_id), edit_id)

    CONFLICTS = """
        SELECT e.id, e.graph_id, e.number, e.operation_type, e.entity_id, e.operation_data, e.context_data,
            e.dag_state_hash, e.applicability_signature, e.is_active, e.is_open_conflict, e.last_applied_at,
            e.deactivated_at, e.deactivation_reason, e.created_by, e.created_at,
            found.conflict ->> 'reason' AS reason, found.conflict ->> 'message' AS message,
            found.conflict -> 'fields' AS fields
        FROM (
            SELECT conflicts FROM edit_replay_summaries WHERE graph_id = $1
            ORDER BY replay_timestamp DESC, id DESC LIMIT 1
        ) AS newest, jsonb_array_elements(newest.conflicts) AS found (conflict), manual_edits e
        WHERE e.id = (found.conflict ->> 'edit_id')::uuid AND e.graph_id = $1 AND e.is_open_conflict
            AND e.number > $2 AND ($3::uuid IS NULL OR e.id = $3)
        ORDER BY e.number LIMIT $4
    """

    async def conflicts(self, caller: Caller, graph_id: UUID, after: int, limit: int) -> tuple[OpenConflict, ...]:
        """Return the first `limit` open conflicts of edits after the number `after`."""
        async with self._database.request(caller, graph_id) as connection:
            rows = await connection.fetch(self.CONFLICTS, graph_id, after, None, limit)
        return tuple(map(_conflict, rows))

    async def conflict(self, caller: Caller, graph_id: UUID, edit_id: UUID) -> OpenConflict:
        """Return the open conflict of an edit. Raises NotFoundError."""
        async with self._database.request(caller, graph_id) as connection:
            return await self._open(connection, graph_id, edit_id)

    KEEP = """
        UPDATE manual_edits SET is_open_conflict = FALSE, operation_data = $3
        WHERE graph_id = $1 AND id = $2
    """

    async def keep(
        self, caller: Caller, graph_id: UUID, edit_id: UUID, settle: Callable[[OpenConflict], Mapping[str, Any]]
    ) -> ManualEdit:
        """Settle a conflict: from now on the edit is the operation that `settle` makes of it. Raises NotFoundError.

        Nobody changes the edit in between.
        """
        async with self._database.request(caller, graph_id) as connection:
            await connection.execute(NEW_VERSION, graph_id)
            conflict = await self._open(connection, graph_id, edit_id)
            await connection.execute(self.KEEP, graph_id, edit_id, settle(conflict))
            return _found(await connection.fetchrow(self.READ, graph_id, edit_id), edit_id)

    async def _open(self, connection: asyncpg.Connection, graph_id: UUID, edit_id: UUID) -> OpenConflict:
        row = await connection.fetchrow(self.CONFLICTS, graph_id, 0, edit_id, 1)
        if row is None:
            raise NotFoundError("open conflict", edit_id)
        return _conflict(row)


def _found(row: asyncpg.Record | None, edit_id: UUID) -> ManualEdit:
    if row is None:
        raise NotFoundError("edit", edit_id)
    return _edit(row)


def _edit(row: asyncpg.Record) -> ManualEdit:
    return ManualEdit(**{name: row[name] for name in ManualEdit.__slots__})


def _conflict(row: asyncpg.Record) -> OpenConflict:
    return OpenConflict(_edit(row), row["reason"], row["message"], row["fields"])
