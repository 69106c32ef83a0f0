"""What replays read and write: bases, active edits, summaries.

Whoever changes edits locks the row of `graph_bases` first: the follower that captures them, replays, and people who
switch them on and off come one after the other.
"""

from uuid import UUID

import asyncpg

from persistence.database import Database
from persistence.errors import NotFoundError
from persistence.records import Caller
from persistence.replay_records import CapturePosition, GraphBase, ReplayInputs, ReplayRecord, ReplaySummary

REMOVED_ENTITIES = 1_000
"""How many entities that replays removed whole can come back: the newest ones."""

PAGE_EDITS = 1_000
"""How many edits are marked as applied in one transaction."""

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
# One that upstream took back is open no more.
OPEN_CONFLICTS = """
    UPDATE manual_edits e SET is_open_conflict = NOT e.is_open_conflict
    WHERE e.graph_id = $1 AND e.is_active AND e.is_open_conflict <> (e.id IN (
        SELECT found.edit_id FROM jsonb_to_recordset(convert_from($2, 'UTF8')::jsonb -> 'conflicts')
            AS found (edit_id uuid, settled boolean)
        WHERE NOT found.settled
    ))
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


class Replays:
    """What graphs are rebuilt of, and what was told of that."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # One statement, so that all of it is as of one moment.
    INPUTS = """
        SELECT b.content, b.dag_state_hash, b.data_digest, b.plan_node_id, b.edits_through, g.parent_graph_id,
            coalesce(p.rules #>> '{replay,conflicts}', 'mine') AS policy,
            convert_to((
                SELECT coalesce(jsonb_agg(jsonb_build_object(
                    'id', e.id, 'number', e.number, 'operation_data', e.operation_data,
                    'applicability_signature', e.applicability_signature
                ) ORDER BY e.number), '[]') FROM manual_edits e
                WHERE e.graph_id = b.graph_id AND e.is_active AND e.last_operation_id <= b.edits_through
            )::text, 'UTF8') AS edits,
            convert_to((
                SELECT coalesce(jsonb_agg(gone.entity ORDER BY gone.replay_timestamp, gone.replay_id, gone.place), '[]')
                FROM (
                    SELECT s.replay_timestamp, s.id AS replay_id, removed.entity, removed.place
                    FROM edit_replay_summaries s,
                        jsonb_array_elements(s.removed_entities) WITH ORDINALITY AS removed (entity, place)
                    WHERE s.graph_id = b.graph_id AND s.removed_entities <> '[]'
                    ORDER BY s.replay_timestamp DESC, s.id DESC, removed.place DESC LIMIT $2
                ) AS gone
            )::text, 'UTF8') AS removed
        FROM graph_bases b JOIN graphs g ON g.id = b.graph_id JOIN projects p ON p.id = g.project_id
        WHERE b.graph_id = $1
    """

    async def inputs(self, graph_id: UUID) -> ReplayInputs | None:
        """Return what a graph is rebuilt of; None if it has no base."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.INPUTS, graph_id, REMOVED_ENTITIES)
        if row is None:
            return None
        base = GraphBase(row["content"], row["dag_state_hash"], row["data_digest"], row["plan_node_id"])
        return ReplayInputs(
            base, row["parent_graph_id"], row["edits_through"], row["edits"], row["removed"], row["policy"]
        )

    POSITION = """
        SELECT coalesce((SELECT max(id) FROM crdt_operations WHERE graph_id = $1), 0) AS committed,
            edits_through AS captured
        FROM graph_bases WHERE graph_id = $1
    """

    async def position(self, graph_id: UUID) -> CapturePosition | None:
        """Return how far a graph's edits are captured; None if it has no base."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.POSITION, graph_id)
        return None if row is None else CapturePosition(**row)

    CHILDREN = """
        SELECT g.id FROM graphs g JOIN graph_bases b ON b.graph_id = g.id JOIN projects p ON p.id = g.project_id
        WHERE g.parent_graph_id = $1 AND b.plan_node_id IS NULL AND graph_is_there(g.id)
            AND is_at_least(role_in_graph(g.id), 'member')
            AND p.rules #> '{replay,automatic}' IS DISTINCT FROM 'false'
        ORDER BY g.created_at, g.id
    """

    async def children(self, caller: Caller, graph_id: UUID) -> tuple[UUID, ...]:
        """Return the copies of a graph that follow it by themselves and that the caller may edit, oldest first."""
        async with self._database.request(caller) as connection:
            return tuple(row["id"] for row in await connection.fetch(self.CHILDREN, graph_id))

    # Those of conflicts too: of these only what is still active was applied.
    MARK_APPLIED = """
        WITH applied AS (
            SELECT found.id, found.place FROM edit_replay_summaries s,
                jsonb_array_elements_text(s.applied_edits || jsonb_path_query_array(s.conflicts, '$[*].edit_id'))
                    WITH ORDINALITY AS found (id, place)
            WHERE s.id = $1 AND found.place > $2 AND found.place <= $2 + $3
        ), marked AS (
            UPDATE manual_edits e SET last_applied_at = now() FROM applied WHERE e.id = applied.id::uuid AND e.is_active
        )
        SELECT count(*) FROM applied
    """

    async def mark_applied(self, replay_id: UUID) -> None:
        """Note when the edits that a replay applied were applied last; not all at once, so that nobody waits long."""
        done, page = 0, PAGE_EDITS
        while page == PAGE_EDITS:
            async with self._database.service() as connection:
                page = await connection.fetchval(self.MARK_APPLIED, replay_id, done, PAGE_EDITS)
            done += page

    PAGE = """
        SELECT id, cause, replay_timestamp, dag_state_hash, data_digest, triggered_by, execution_id, jsonb_build_object(
            'applied', jsonb_array_length(applied_edits),
            'already_applied', jsonb_array_length(already_applied_edits),
            'conflicts', jsonb_array_length(conflicts),
            'failed', jsonb_array_length(failed_edits),
            'inapplicable', jsonb_array_length(inapplicable_edits),
            'warnings', jsonb_array_length(warnings),
            'removed', jsonb_array_length(removed_entities)
        ) AS counts
        FROM edit_replay_summaries
        WHERE graph_id = $1 AND ($2::uuid IS NULL OR (replay_timestamp, id) < (
            SELECT replay_timestamp, id FROM edit_replay_summaries WHERE id = $2
        ))
        ORDER BY replay_timestamp DESC, id DESC LIMIT $3
    """

    async def page(self, caller: Caller, graph_id: UUID, before: UUID | None, limit: int) -> tuple[ReplaySummary, ...]:
        """Return the newest `limit` replays of a graph, of those older than the replay `before` if it is given."""
        async with self._database.request(caller, graph_id) as connection:
            rows = await connection.fetch(self.PAGE, graph_id, before, limit)
        return tuple(ReplaySummary(**row) for row in rows)

    READ = """
        SELECT convert_to(jsonb_build_object(
            'id', id, 'cause', cause, 'execution_id', execution_id, 'triggered_by', triggered_by,
            'replay_timestamp', replay_timestamp, 'dag_state_hash', left(dag_state_hash, 16),
            'data_digest', data_digest, 'applied_edits', applied_edits,
            'already_applied_edits', already_applied_edits, 'conflicts', conflicts, 'failed_edits', failed_edits,
            'inapplicable_edits', inapplicable_edits, 'warnings', warnings, 'removed_entities', removed_entities,
            'unseen_operations', unseen_operations
        )::text, 'UTF8')
        FROM edit_replay_summaries WHERE graph_id = $1 AND id = $2
    """

    async def read(self, caller: Caller, graph_id: UUID, replay_id: UUID) -> bytes:
        """Return a replay whole, as JSON. Raises NotFoundError."""
        async with self._database.request(caller, graph_id) as connection:
            told: bytes | None = await connection.fetchval(self.READ, graph_id, replay_id)
        if told is None:
            raise NotFoundError("replay", replay_id)
        return told

    ANSWER = """
        SELECT convert_to(jsonb_build_object(
            'replay_id', id, 'cause', cause, 'dag_state_hash', left(dag_state_hash, 16),
            'counts', convert_from($3, 'UTF8')::jsonb, 'conflicts', conflicts, 'failed', failed_edits,
            'inapplicable', inapplicable_edits, 'warnings', warnings
        )::text, 'UTF8')
        FROM edit_replay_summaries WHERE graph_id = $1 AND id = $2
    """

    async def answer(self, caller: Caller, graph_id: UUID, replay_id: UUID, counts: bytes) -> bytes:
        """Return what whoever asked for a replay hears of it, as JSON with `counts`. Raises NotFoundError."""
        async with self._database.request(caller, graph_id) as connection:
            told: bytes | None = await connection.fetchval(self.ANSWER, graph_id, replay_id, counts)
        if told is None:
            raise NotFoundError("replay", replay_id)
        return told
