"""The plan in a project's row."""

import asyncpg

from persistence.replay_records import PlanRecord

WRITE_PLAN = """
    UPDATE projects SET plan_dag = convert_from($2, 'UTF8')::jsonb, plan_dag_version = $3 WHERE id = $1
"""


async def write_plan(connection: asyncpg.Connection, plan: PlanRecord) -> None:
    """Make `plan` that of its project, which a project that is gone does not mind. Part of the caller's transaction."""
    await connection.execute(WRITE_PLAN, plan.project_id, plan.plan_dag, plan.plan_dag_version)
