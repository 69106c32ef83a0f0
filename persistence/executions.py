"""Rows of `plan_executions` and `export_operations`: runs of plans, and the files they wrote.

The server writes them, on behalf of whom it authorised before; requests read them under row level security.
"""

from collections.abc import Sequence
from dataclasses import asdict
from uuid import UUID

import asyncpg

from persistence.database import Database
from persistence.errors import NotFoundError
from persistence.execution_records import Execution, NewExecution, NewOutput, NodeRun, OutputFile
from persistence.identifiers import new_id
from persistence.locks import LockKind, graph_lock
from persistence.records import Caller

KEPT_EXECUTIONS = 100
"""How many executions of a project are kept."""

KEPT_OUTPUTS = 20
"""Of how many of them the files are kept, too."""

SERVER_STOPPED = "the server stopped while it ran; run it again"


class Executions:
    """Runs of plans."""

    def __init__(self, database: Database) -> None:
        self._database = database

    BEGIN = """
        INSERT INTO plan_executions (
            id, project_id, execution_type, plan_dag_snapshot, targets, status, node_runs, triggered_by
        ) VALUES ($1, $2, $3, $4, $5, 'running', $6, $7)
        RETURNING id, project_id, execution_type, targets, status, error_message, node_runs, generated_graphs,
            generated_files, triggered_by, started_at, completed_at
    """

    async def begin(self, new: NewExecution) -> Execution:
        """Store a run that begins. Whoever calls holds the project's turn (`persistence.project_turns`)."""
        nodes = [asdict(node) for node in new.nodes]
        arguments = (new.id, new.project_id, new.execution_type, new.plan_dag, list(new.targets), nodes)
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.BEGIN, *arguments, new.triggered_by)
        return _execution(row)

    PROGRESS = """
        UPDATE plan_executions SET node_runs = $2, generated_graphs = $3, generated_files = $4
        WHERE id = $1 AND status = 'running' RETURNING coalesce(error_message, '')
    """

    async def progress(self, execution: Execution) -> str | None:
        """Store how far a run is; return why it should stop, None if it should not."""
        arguments = (execution.id, execution.node_json(), dict(execution.graphs), execution.output_json())
        async with self._database.service() as connection:
            reason: str | None = await connection.fetchval(self.PROGRESS, *arguments)
        return SERVER_STOPPED if reason is None else reason or None

    STOP = """
        UPDATE plan_executions SET error_message = coalesce(error_message, $2)
        WHERE id = $1 AND status = 'running' RETURNING id
    """

    async def ask_to_stop(self, execution_id: UUID, reason: str) -> bool:
        """Have a run end before its next node, wherever it runs; return whether it is still running."""
        async with self._database.service() as connection:
            return await connection.fetchval(self.STOP, execution_id, reason) is not None

    END = """
        UPDATE plan_executions SET
            node_runs = $2, generated_graphs = $3, generated_files = $4, status = $5, error_message = $6,
            completed_at = now(),
            execution_time_ms = least(extract(epoch FROM now() - started_at) * 1000, 2147483647)::integer
        WHERE id = $1 AND status = 'running'
        RETURNING id, project_id, execution_type, targets, status, error_message, node_runs, generated_graphs,
            generated_files, triggered_by, started_at, completed_at
    """
    FORGET_OUTPUTS = """
        DELETE FROM export_operations WHERE execution_id IN (
            SELECT id FROM plan_executions WHERE project_id = $1 ORDER BY started_at DESC, id DESC OFFSET $2
        )
    """
    FORGET = """
        DELETE FROM plan_executions WHERE status <> 'running' AND id IN (
            SELECT id FROM plan_executions WHERE project_id = $1 ORDER BY started_at DESC, id DESC OFFSET $2
        )
    """

    async def end(self, execution: Execution) -> Execution:
        """Store how a run ended, and forget what is older than what is kept; return it as it is stored."""
        outcome = (execution.status, execution.error)
        arguments = (execution.id, execution.node_json(), dict(execution.graphs), execution.output_json(), *outcome)
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.END, *arguments)
            await connection.execute(self.FORGET_OUTPUTS, execution.project_id, KEPT_OUTPUTS)
            await connection.execute(self.FORGET, execution.project_id, KEPT_EXECUTIONS)
        return execution if row is None else _execution(row)

    RUNNING = "SELECT DISTINCT project_id FROM plan_executions WHERE status = 'running'"
    # The locks are given back when the transaction ends: who takes a turn meanwhile finds it taken, for a moment.
    RECONCILE = """
        WITH free AS MATERIALIZED (
            SELECT project_id FROM unnest($1::uuid[], $2::bigint[]) AS turn (project_id, key)
            WHERE pg_try_advisory_xact_lock(key)
        )
        UPDATE plan_executions SET status = 'failed', error_message = $3, completed_at = now()
        WHERE status = 'running' AND project_id IN (SELECT project_id FROM free) RETURNING id
    """

    async def reconcile(self) -> int:
        """Make every run that says it is running and whose turn nobody holds a failed one; return how many were."""
        async with self._database.service() as connection:
            project_ids = [row["project_id"] for row in await connection.fetch(self.RUNNING)]
            keys = [graph_lock(project_id, LockKind.EXECUTION) for project_id in project_ids]
            rows = await connection.fetch(self.RECONCILE, project_ids, keys, SERVER_STOPPED)
        return len(rows)

    RECONCILE_PROJECT = """
        UPDATE plan_executions SET status = 'failed', error_message = $2, completed_at = now()
        WHERE project_id = $1 AND status = 'running'
    """

    async def reconcile_project(self, project_id: UUID) -> None:
        """Do the same in a project whose turn the caller holds."""
        async with self._database.service() as connection:
            await connection.execute(self.RECONCILE_PROJECT, project_id, SERVER_STOPPED)

    RUNNING_IN = """
        SELECT id, project_id, execution_type, targets, status, error_message, node_runs, generated_graphs,
            generated_files, triggered_by, started_at, completed_at
        FROM plan_executions WHERE project_id = $1 AND status = 'running' ORDER BY started_at DESC LIMIT 1
    """

    async def running_in(self, project_id: UUID) -> Execution | None:
        """Return the run of a project that is under way, None if there is none."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.RUNNING_IN, project_id)
        return None if row is None else _execution(row)

    LIST = """
        SELECT id, project_id, execution_type, targets, status, error_message, node_runs, generated_graphs,
            generated_files, triggered_by, started_at, completed_at
        FROM plan_executions WHERE project_id = $1 ORDER BY started_at DESC, id DESC
    """

    async def of_project(self, caller: Caller, project_id: UUID) -> tuple[Execution, ...]:
        """Return the runs of a project that are kept, newest first."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.LIST, project_id)
        return tuple(map(_execution, rows))

    READ = """
        SELECT e.id, e.project_id, e.execution_type, e.targets, e.status, e.error_message, e.node_runs,
            e.generated_graphs, e.generated_files, e.triggered_by, e.started_at, e.completed_at
        FROM plan_executions e JOIN projects p ON p.id = e.project_id WHERE e.id = $1 AND p.deleted_at IS NULL
    """

    async def read(self, caller: Caller, execution_id: UUID) -> Execution:
        """Return a run. Raises NotFoundError."""
        async with self._database.request(caller) as connection:
            row = await connection.fetchrow(self.READ, execution_id)
        if row is None:
            raise NotFoundError("execution", execution_id)
        return _execution(row)

    # What was rendered is there already: a file is not sent to the database twice.
    WRITE_OUTPUT = """
        INSERT INTO export_operations (
            id, graph_id, execution_id, node_id, format, output_path, file_size, content, render_config, graph_config,
            status, started_at, completed_at, export_time_ms, triggered_by
        )
        SELECT $1, $2, $3, $4, $5, $6, octet_length(content), content, $7, $8, 'completed',
            now() - make_interval(secs => $9 / 1000.0), now(), $9::integer, $10
        FROM plan_results WHERE project_id = $11 AND node_id = $4 RETURNING file_size
    """

    async def write_output(self, project_id: UUID, output: NewOutput) -> int:
        """Store the file of an output node as the run's own; return its size in bytes."""
        file, config = output.file, output.config
        arguments = (new_id(), output.graph_id, output.execution_id, file.node_id, file.format, file.file_name)
        configs = (config.get("renderConfig", {}), config.get("graphConfig", {}))
        async with self._database.service() as connection:
            size_bytes: int = await connection.fetchval(
                self.WRITE_OUTPUT, *arguments, *configs, output.ms, output.triggered_by, project_id
            )
        return size_bytes

    VISIBLE_OUTPUTS = """
        SELECT execution_id, node_id FROM export_operations
        WHERE execution_id = ANY($1::uuid[]) AND status = 'completed'
    """

    async def visible_outputs(self, caller: Caller, execution_ids: Sequence[UUID]) -> frozenset[tuple[UUID, str]]:
        """Return the run and the node of the files of some runs that are kept, and that the caller may read."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.VISIBLE_OUTPUTS, execution_ids)
        return frozenset((row["execution_id"], row["node_id"]) for row in rows)

    OUTPUT = """
        SELECT content FROM export_operations WHERE execution_id = $1 AND node_id = $2 AND status = 'completed'
        ORDER BY started_at DESC LIMIT 1
    """

    async def output(self, caller: Caller, execution_id: UUID, node_id: str) -> bytes | None:
        """Return a file that a run wrote, None if it is not kept any more, or shows a graph the caller may not read."""
        async with self._database.request(caller) as connection:
            content: bytes | None = await connection.fetchval(self.OUTPUT, execution_id, node_id)
        return content


def _execution(row: asyncpg.Record | None) -> Execution:
    assert row is not None
    return Execution(
        id=row["id"],
        project_id=row["project_id"],
        execution_type=row["execution_type"],
        targets=tuple(row["targets"]),
        status=row["status"],
        error=row["error_message"],
        nodes=tuple(NodeRun(**node) for node in row["node_runs"]),
        graphs=row["generated_graphs"],
        outputs=tuple(OutputFile(**output) for output in row["generated_files"]),
        triggered_by=row["triggered_by"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
    )
