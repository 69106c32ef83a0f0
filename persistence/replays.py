"""What replays read and write: bases, active edits, summaries.

Whoever changes edits locks the row of `graph_bases` first: the follower that captures them, replays, and people who
switch them on and off come one after the other.
"""

import asyncpg

from persistence.replay_records import ReplayRecord

KEPT_SUMMARIES = 100
"""How many summaries of a graph are kept, but for those with entities that could come again."""

CHANGE_BASE = """
    UPDATE graph_bases SET content = $2, dag_state_hash = $3, data_digest = $4, version = version + 1
    WHERE graph_id = $1
"""
DEACTIVATE = """
    UPDATE manual_edits e SET
        is_active = FALSE, is_open_conflict = FALSE, deactivated_at = now(), deactivation_reason = gone.reason
    FROM unnest($2::uuid[], $3::text[]) AS gone (id, reason)
    WHERE e.id = gone.id AND e.graph_id = $1 AND e.is_active AND e.last_operation_id <= $4
"""
# What has been edited on meanwhile keeps what it became, and is judged at the next replay.
REBASE = """
    UPDATE manual_edits e SET
        operation_data = new.operation_data, applicability_signature = new.signature, is_open_conflict = FALSE
    FROM jsonb_to_recordset(convert_from($2, 'UTF8')::jsonb) AS new (id uuid, operation_data jsonb, signature text)
    WHERE e.id = new.id AND e.graph_id = $1 AND e.last_operation_id <= $3
"""
OPEN_CONFLICTS = """
    UPDATE manual_edits e SET is_open_conflict = TRUE
    FROM jsonb_to_recordset(convert_from($2, 'UTF8')::jsonb -> 'conflicts') AS found (edit_id uuid, settled boolean)
    WHERE e.id = found.edit_id AND e.graph_id = $1 AND NOT found.settled AND e.is_active AND NOT e.is_open_conflict
"""
WRITE_SUMMARY = """
    WITH base AS (
        UPDATE graph_bases SET unseen_operations = '[]' FROM (
            SELECT graph_id, unseen_operations FROM graph_bases WHERE graph_id = $2
        ) AS old WHERE graph_bases.graph_id = old.graph_id RETURNING old.unseen_operations
    ), told AS (SELECT convert_from($6, 'UTF8')::jsonb AS outcomes)
    INSERT INTO edit_replay_summaries (
        id, graph_id, cause, execution_id, triggered_by, applied_edits, already_applied_edits, conflicts, failed_edits,
        inapplicable_edits, warnings, removed_entities, unseen_operations, dag_state_hash, data_digest
    )
    SELECT $1, $2, $3, (SELECT id FROM plan_executions WHERE id = $4), $5, outcomes -> 'applied',
        outcomes -> 'already_applied', outcomes -> 'conflicts', outcomes -> 'failed', outcomes -> 'inapplicable',
        outcomes -> 'warnings', convert_from($7, 'UTF8')::jsonb, base.unseen_operations, $8, $9
    FROM base, told
"""
FORGET_SUMMARIES = """
    DELETE FROM edit_replay_summaries WHERE graph_id = $1 AND removed_entities = '[]' AND id NOT IN (
        SELECT id FROM edit_replay_summaries WHERE graph_id = $1 ORDER BY replay_timestamp DESC, id DESC LIMIT $2
    )
"""


async def write_replay(connection: asyncpg.Connection, replay: ReplayRecord) -> None:
    """Store what a replay made: base, edits switched off or rebased, summary. Part of the caller's transaction.

    The graph got its first base when it was made (`persistence.graphs`).
    """
    graph_id, base, reasons = replay.graph_id, replay.base, replay.deactivated
    await connection.execute(CHANGE_BASE, graph_id, base.content, base.dag_state_hash, base.data_digest)
    await connection.execute(DEACTIVATE, graph_id, list(reasons), list(reasons.values()), replay.through)
    await connection.execute(REBASE, graph_id, replay.rebased, replay.through)
    await connection.execute(OPEN_CONFLICTS, graph_id, replay.outcomes)
    await connection.execute(
        WRITE_SUMMARY,
        replay.id,
        graph_id,
        replay.cause,
        replay.execution_id,
        replay.triggered_by,
        replay.outcomes,
        replay.removed,
        base.dag_state_hash,
        base.data_digest,
    )
    await connection.execute(FORGET_SUMMARIES, graph_id, KEPT_SUMMARIES)
