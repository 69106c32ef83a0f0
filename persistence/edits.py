"""Manual edits as the follower reads and writes them (`persistence.replays` tells who else does, and in what order)."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import asyncpg

from persistence.errors import EditsChangedError
from persistence.replay_records import Author, CapturedEdit, EditStep, StoredEdits

KEPT_UNSEEN_OPERATIONS = 1_000
"""How many operations that changed nothing are kept for a graph's next summary; the newest win."""

EDITS_PER_STATEMENT = 2_000
"""How many edits one statement writes: each takes far less than the timeout of a statement."""

READ_BASE = """
    SELECT version, edits_through, dag_state_hash, content,
        coalesce((SELECT max(number) FROM manual_edits e WHERE e.graph_id = b.graph_id), 0) AS last_number
    FROM graph_bases b WHERE graph_id = $1
"""
READ_ACTIVE = """
    SELECT id, number, operation_type, entity_id, operation_data, context_data, dag_state_hash,
        applicability_signature, is_open_conflict, first_operation_id, last_operation_id, created_by, created_at
    FROM manual_edits WHERE graph_id = $1 AND is_active ORDER BY number
"""
READ_CLIENTS = "SELECT client_id, user_id FROM graph_clients WHERE graph_id = $1"
READ_AUTHORS = """
    SELECT id, user_id, session_id, client_id, created_at FROM crdt_operations
    WHERE graph_id = $1 AND id = ANY($2::bigint[])
"""
LOCK_BASE = "SELECT version FROM graph_bases WHERE graph_id = $1 FOR NO KEY UPDATE"
ADVANCE_BASE = "UPDATE graph_bases SET edits_through = $2 WHERE graph_id = $1 AND edits_through < $2"
NOTE_UNSEEN = """
    UPDATE graph_bases SET unseen_operations = jsonb_path_query_array(
        unseen_operations || $2::jsonb, '$[last - $older to last]', jsonb_build_object('older', $3::integer - 1)
    ) WHERE graph_id = $1
"""
WRITE_CLIENTS = """
    INSERT INTO graph_clients (graph_id, client_id, user_id) SELECT $1, * FROM unnest($2::text[], $3::uuid[])
    ON CONFLICT DO NOTHING
"""
INSERT_EDITS = """
    INSERT INTO manual_edits (
        graph_id, id, number, operation_type, entity_id, operation_data, context_data, dag_state_hash,
        applicability_signature, is_active, first_operation_id, last_operation_id, deactivated_at,
        deactivation_reason, created_by, created_at
    )
    SELECT $1, e.id, e.number, e.operation_type, e.entity_id, e.operation_data, e.context_data, e.dag_state_hash,
        e.signature, e.reason IS NULL, e.first_operation_id, e.last_operation_id,
        CASE WHEN e.reason IS NOT NULL THEN now() END, e.reason, e.created_by, e.created_at
    FROM unnest(
        $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::jsonb[], $7::jsonb[], $8::text[], $9::text[],
        $10::bigint[], $11::bigint[], $12::text[], $13::uuid[], $14::timestamptz[]
    ) AS e (
        id, number, operation_type, entity_id, operation_data, context_data, dag_state_hash, signature,
        first_operation_id, last_operation_id, reason, created_by, created_at
    )
"""
CHANGE_EDITS = """
    UPDATE manual_edits SET
        operation_data = e.operation_data, context_data = e.context_data, applicability_signature = e.signature,
        last_operation_id = e.last_operation_id, is_active = e.reason IS NULL,
        is_open_conflict = manual_edits.is_open_conflict AND e.reason IS NULL,
        deactivated_at = CASE WHEN e.reason IS NOT NULL THEN now() END, deactivation_reason = e.reason
    FROM unnest($2::uuid[], $3::jsonb[], $4::jsonb[], $5::text[], $6::bigint[], $7::text[])
        AS e (id, operation_data, context_data, signature, last_operation_id, reason)
    WHERE manual_edits.id = e.id AND manual_edits.graph_id = $1
"""


async def read_edits(connection: asyncpg.Connection, graph_id: UUID) -> StoredEdits | None:
    """Read what the edits of a graph are captured from (`persistence.ports.ProjectionStore`), from one snapshot."""
    base = await connection.fetchrow(READ_BASE, graph_id)
    if base is None:
        return None
    edits = [CapturedEdit(**row) for row in await connection.fetch(READ_ACTIVE, graph_id)]
    clients = {row["client_id"]: row["user_id"] for row in await connection.fetch(READ_CLIENTS, graph_id)}
    return StoredEdits(
        base["version"],
        base["edits_through"],
        base["dag_state_hash"],
        base["content"],
        base["last_number"],
        edits,
        clients,
    )


async def read_authors(
    connection: asyncpg.Connection, graph_id: UUID, operation_ids: Sequence[int]
) -> Mapping[int, Author]:
    """Read who brought operations into the log (`persistence.ports.ProjectionStore`)."""
    rows = await connection.fetch(READ_AUTHORS, graph_id, operation_ids)
    return {row["id"]: Author(row["user_id"], row["session_id"], row["client_id"], row["created_at"]) for row in rows}


async def lock_edits(connection: asyncpg.Connection, graph_id: UUID, version: int) -> None:
    """Keep everybody else from changing the edits of a graph until the caller's transaction ends.

    Raises EditsChangedError if they are not of that version.
    """
    if await connection.fetchval(LOCK_BASE, graph_id) != version:
        raise EditsChangedError(graph_id)


async def write_edits(connection: asyncpg.Connection, graph_id: UUID, through: int, step: EditStep) -> None:
    """Write what became of a graph's edits by the operations up to `through`. Part of the caller's transaction."""
    await connection.execute(ADVANCE_BASE, graph_id, through)
    if step.clients:
        await connection.execute(WRITE_CLIENTS, graph_id, list(step.clients), list(step.clients.values()))
    if step.unseen:
        await connection.execute(NOTE_UNSEEN, graph_id, step.unseen, KEPT_UNSEEN_OPERATIONS)
    for start in range(0, len(step.inserted), EDITS_PER_STATEMENT):
        await _write(connection, INSERT_EDITS, graph_id, _INSERTED, step.inserted[start : start + EDITS_PER_STATEMENT])
    for start in range(0, len(step.changed), EDITS_PER_STATEMENT):
        await _write(connection, CHANGE_EDITS, graph_id, _CHANGED, step.changed[start : start + EDITS_PER_STATEMENT])


_INSERTED = (
    *("id", "number", "operation_type", "entity_id", "operation_data", "context_data", "dag_state_hash"),
    *("applicability_signature", "first_operation_id", "last_operation_id", "reason", "created_by", "created_at"),
)
_CHANGED = ("id", "operation_data", "context_data", "applicability_signature", "last_operation_id", "reason")


async def _write(
    connection: asyncpg.Connection,
    statement: str,
    graph_id: UUID,
    columns: Sequence[str],
    edits: Sequence[CapturedEdit],
) -> None:
    await connection.execute(statement, graph_id, *([getattr(edit, name) for edit in edits] for name in columns))
