"""Having all rows of a graph made anew: the cursor goes back to 0, and whoever follows the graph does the rest."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from persistence.database import Database
from persistence.errors import NotFoundError


class Projected(NamedTuple):
    """What the rows of a graph show."""

    through: int
    nodes: int
    edges: int
    layers: int
    warnings: int


class Rebuilding:
    """Graphs whose rows are remade. The rows are as they were until all new ones are there."""

    def __init__(self, database: Database) -> None:
        self._database = database

    GRAPHS = "SELECT id FROM graphs ORDER BY id"

    async def graphs(self) -> Sequence[UUID]:
        """Return all graphs, those in the bin too."""
        async with self._database.service() as connection:
            return [row["id"] for row in await connection.fetch(self.GRAPHS)]

    RESET = """
        UPDATE graphs SET projected_through = 0 WHERE id = $1
        RETURNING greatest(crdt_through, (SELECT max(id) FROM crdt_operations WHERE graph_id = $1), 0)
    """

    async def reset(self, graph_id: UUID) -> int:
        """Put the cursor to 0; return where it will be when all rows are remade. Raises NotFoundError."""
        async with self._database.service() as connection:
            through: int | None = await connection.fetchval(self.RESET, graph_id)
        if through is None:
            raise NotFoundError("graph", graph_id)
        return through

    READ = """
        SELECT projected_through, node_count, edge_count, layer_count, projection_warnings FROM graphs WHERE id = $1
    """

    async def read(self, graph_id: UUID) -> Projected:
        """Return what the rows show. Raises NotFoundError."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.READ, graph_id)
        if row is None:
            raise NotFoundError("graph", graph_id)
        return Projected(*row)
