"""Rows of `plan_results`, what each node of a plan computed last, and the graphs that nodes made."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from persistence.database import Database
from persistence.execution_records import PlanGraph


class PlanResults:
    """What the nodes of plans computed last, for the server itself."""

    def __init__(self, database: Database) -> None:
        self._database = database

    KEYS = "SELECT node_id, result_key FROM plan_results WHERE project_id = $1"

    async def keys(self, project_id: UUID) -> Mapping[str, str]:
        """Return the key of what each node of a project computed last, by node."""
        async with self._database.service() as connection:
            rows = await connection.fetch(self.KEYS, project_id)
        return {row["node_id"]: row["result_key"] for row in rows}

    CONTENT = "SELECT content FROM plan_results WHERE project_id = $1 AND node_id = $2"

    async def content(self, project_id: UUID, node_id: str) -> bytes:
        """Return what a node, which has a key, computed last."""
        async with self._database.service() as connection:
            content: bytes = await connection.fetchval(self.CONTENT, project_id, node_id)
        return content

    WRITE = """
        INSERT INTO plan_results (project_id, node_id, result_key, content) VALUES ($1, $2, $3, $4)
        ON CONFLICT (project_id, node_id) DO UPDATE SET
            result_key = EXCLUDED.result_key, content = EXCLUDED.content, updated_at = now()
    """

    async def write(self, project_id: UUID, node_id: str, key: str, content: bytes) -> None:
        """Store what a node computed. Nothing remains of what it computed before."""
        async with self._database.service() as connection:
            await connection.execute(self.WRITE, project_id, node_id, key, content)

    FORGET = "DELETE FROM plan_results WHERE project_id = $1 AND node_id <> ALL($2::text[])"

    async def forget_others(self, project_id: UUID, node_ids: Iterable[str]) -> None:
        """Delete what nodes computed that are not in the plan any more."""
        async with self._database.service() as connection:
            await connection.execute(self.FORGET, project_id, list(node_ids))

    GRAPHS = """
        SELECT DISTINCT ON (b.plan_node_id) b.graph_id, b.plan_node_id, b.dag_state_hash, b.data_digest
        FROM graph_bases b JOIN graphs g ON g.id = b.graph_id
        WHERE g.project_id = $1 AND g.deleted_at IS NULL AND b.plan_node_id IS NOT NULL
        ORDER BY b.plan_node_id, g.created_at DESC, g.id DESC
    """

    async def graphs(self, project_id: UUID) -> Mapping[str, PlanGraph]:
        """Return the graph that each node of a project makes, by node: the newest that is not in the bin."""
        async with self._database.service() as connection:
            rows = await connection.fetch(self.GRAPHS, project_id)
        return {
            row["plan_node_id"]: PlanGraph(
                row["graph_id"], row["plan_node_id"], row["dag_state_hash"], row["data_digest"]
            )
            for row in rows
        }
