"""The plan in a project's row, which is a projection of the document of one graph, and what runs read of it.

The rows are those of the server's own work: whoever is shown them was authorised at the door.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from persistence.database import Database
from persistence.errors import NotFoundError
from persistence.records import SYSTEM_USER_ID
from persistence.replay_records import InputContent, PlanRecord, StoredInput, StoredPlan

CONTENT_TIMEOUT_S = 120.0
"""How long one input may take to read."""

WRITE_PLAN = """
    UPDATE projects SET plan_dag = convert_from($2, 'UTF8')::jsonb, plan_dag_version = $3 WHERE id = $1
"""


async def write_plan(connection: asyncpg.Connection, plan: PlanRecord) -> None:
    """Make `plan` that of its project, which a project that is gone does not mind. Part of the caller's transaction."""
    await connection.execute(WRITE_PLAN, plan.project_id, plan.plan_dag, plan.plan_dag_version)


@dataclass(frozen=True, slots=True)
class PlanPosition:
    """How far the document of a plan has come: through its operation `through`, the last one by `user_id`."""

    plan: StoredPlan
    through: int
    user_id: UUID


class Plans:
    """Plans of projects and their data. A project in the bin counts as absent, and so does a graph in it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    READ = """
        SELECT p.id AS project_id, p.plan_dag, p.plan_dag_version, (
            SELECT g.id FROM graphs g WHERE g.project_id = p.id AND g.graph_type = 'plan' AND g.deleted_at IS NULL
            ORDER BY g.created_at, g.id LIMIT 1
        ) AS plan_graph_id
        FROM projects p WHERE p.id = $1 AND p.deleted_at IS NULL
    """

    async def read(self, project_id: UUID) -> StoredPlan:
        """Return the plan of a project. Raises NotFoundError."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.READ, project_id)
        if row is None:
            raise NotFoundError("project", project_id)
        return StoredPlan(**row)

    HOLD = "SELECT id FROM projects WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE"

    @asynccontextmanager
    async def held(self, project_id: UUID) -> AsyncIterator[None]:
        """Let nobody else hold the project for the length of the block, on whichever node. Raises NotFoundError."""
        async with self._database.service() as connection:
            if await connection.fetchval(self.HOLD, project_id) is None:
                raise NotFoundError("project", project_id)
            yield

    INPUTS = """
        SELECT name, format, digest, row_count AS rows, octet_length(content) AS size_bytes, updated_at
        FROM project_inputs WHERE project_id = $1 ORDER BY name COLLATE "C"
    """

    async def inputs(self, project_id: UUID) -> tuple[StoredInput, ...]:
        """Return the inputs of a project without their content, sorted by name."""
        async with self._database.service() as connection:
            rows = await connection.fetch(self.INPUTS, project_id)
        return tuple(StoredInput(**row) for row in rows)

    CONTENT = """
        SELECT name, format, digest, row_count AS rows, content FROM project_inputs WHERE project_id = $1 AND name = $2
    """

    async def content(self, project_id: UUID, name: str) -> InputContent:
        """Return one input. Raises NotFoundError."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.CONTENT, project_id, name, timeout=CONTENT_TIMEOUT_S)
        if row is None:
            raise NotFoundError("input", name)
        return InputContent(**row)

    POSITION = """
        SELECT p.id AS project_id, p.plan_dag, p.plan_dag_version, g.id AS plan_graph_id, g.projected_through,
            (SELECT o.user_id FROM crdt_operations o WHERE o.graph_id = g.id AND o.id <= g.projected_through
             ORDER BY o.id DESC LIMIT 1) AS user_id
        FROM graphs g JOIN projects p ON p.id = g.project_id
        WHERE g.id = $1 AND p.deleted_at IS NULL AND g.id = (
            SELECT oldest.id FROM graphs oldest
            WHERE oldest.project_id = p.id AND oldest.graph_type = 'plan' AND oldest.deleted_at IS NULL
            ORDER BY oldest.created_at, oldest.id LIMIT 1
        )
    """

    async def position(self, plan_graph_id: UUID) -> PlanPosition | None:
        """Return how far a graph has come, and the plan that it is the document of; None if it is none of a plan's."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.POSITION, plan_graph_id)
        if row is None:
            return None
        plan = StoredPlan(**{name: row[name] for name in StoredPlan.__slots__})
        return PlanPosition(plan, row["projected_through"], row["user_id"] or SYSTEM_USER_ID)

    # Only what is still as it was read: a plan that somebody wrote meanwhile is newer.
    PROJECT = """
        UPDATE projects SET plan_dag = convert_from($3, 'UTF8')::jsonb, plan_dag_version = $4, plan_through = $5
        WHERE id = $1 AND plan_dag = $2 RETURNING id
    """

    async def project(self, position: PlanPosition, plan_dag: bytes, version: str) -> bool:
        """Make `plan_dag` the plan, unless it is not any more what `position` says; return whether it was made that."""
        old = position.plan
        values = (old.project_id, old.plan_dag, plan_dag, version, position.through)
        async with self._database.service() as connection:
            return await connection.fetchval(self.PROJECT, *values) is not None

    ADVANCE = "UPDATE projects SET plan_through = $2 WHERE id = $1 AND plan_through < $2"

    async def pass_to(self, position: PlanPosition) -> None:
        """Note that the plan was looked at as of `position`, which changes nothing in it."""
        async with self._database.service() as connection:
            await connection.execute(self.ADVANCE, position.plan.project_id, position.through)

    BEHIND = """
        SELECT g.id FROM graphs g JOIN projects p ON p.id = g.project_id
        WHERE g.graph_type = 'plan' AND g.deleted_at IS NULL AND p.deleted_at IS NULL
            AND g.projected_through > p.plan_through AND g.id = (
                SELECT oldest.id FROM graphs oldest
                WHERE oldest.project_id = p.id AND oldest.graph_type = 'plan' AND oldest.deleted_at IS NULL
                ORDER BY oldest.created_at, oldest.id LIMIT 1
            )
        ORDER BY g.projected_through LIMIT $1
    """

    async def behind(self, limit: int) -> tuple[UUID, ...]:
        """Return at most `limit` graphs whose document changed since their plan was last made of it."""
        async with self._database.service() as connection:
            rows = await connection.fetch(self.BEHIND, limit)
        return tuple(row["id"] for row in rows)
