"""What people are in graphs, looked up for all who come to the door at the same time."""

from collections.abc import Sequence
from uuid import UUID

from persistence.database import Database
from persistence.gathering import Gathered
from persistence.records import Caller

_NOT_HERE = ""


class RolesAtTheDoor:
    """Says what `persistence.graphs.Graphs.role_in_graph` says, for many in one statement of the server's own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._questions = Gathered(self._look_up)

    # A grant of '' is one in another graph: with it no group counts.
    ROLES = """
        SELECT CASE
            WHEN a.is_everywhere THEN 'admin'
            WHEN a.granted_role IS NOT NULL
                THEN (SELECT nullif(a.granted_role, '') FROM users u WHERE u.id = a.user_id AND u.is_active)
            ELSE role_of_user_in_graph(a.user_id, a.graph_id)
        END AS role, p.id IS NOT NULL AS is_there
        FROM unnest($1::uuid[], $2::uuid[], $3::boolean[], $4::text[]) WITH ORDINALITY
            AS a (user_id, graph_id, is_everywhere, granted_role, number)
        LEFT JOIN graphs g ON g.id = a.graph_id AND g.deleted_at IS NULL
        LEFT JOIN projects p ON p.id = g.project_id AND p.deleted_at IS NULL
        ORDER BY a.number
    """

    async def role_in_graph(self, caller: Caller, graph_id: UUID) -> str | None:
        """Return what the caller is in the graph; None if nothing, or there is no such graph. Raises StoreError."""
        return await self._questions.ask((caller, graph_id))

    async def _look_up(self, questions: Sequence[tuple[Caller, UUID]]) -> Sequence[str | None]:
        columns = zip(*(_row(caller, graph_id) for caller, graph_id in questions), strict=True)
        rows = await self._database.look_up(self.ROLES, *columns)
        return [row["role"] if row["is_there"] else None for row in rows]


def _row(caller: Caller, graph_id: UUID) -> tuple[object, ...]:
    grant = caller.grant
    granted_role = None if grant is None else grant.role if grant.graph_id == graph_id else _NOT_HERE
    return caller.user_id, graph_id, caller.is_everywhere, granted_role
