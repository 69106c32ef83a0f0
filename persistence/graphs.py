"""Rows of `graphs`, and the first operations of a graph that does not start empty."""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from persistence.database import Database
from persistence.document import DocumentUpdate
from persistence.errors import NotFoundError
from persistence.events import append_event, retitle_events
from persistence.identifiers import new_id
from persistence.records import Caller, Graph, GraphType, NewEvent, Origin, Retitle
from persistence.replay_records import REPLAY_SESSION_ID, GraphBase

IMPORT_SESSION_ID = "import"
"""Stands where the session would be for operations that no connection brought."""


class Graphs:
    """Graphs, as the groups of their projects may see them. One in the bin, or whose project is, counts as absent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    CREATE = """
        INSERT INTO graphs (id, project_id, name, description, graph_type, parent_graph_id)
        SELECT $1, id, $3, $4, $5, $6 FROM projects WHERE id = $2 AND deleted_at IS NULL
        RETURNING id, project_id, name, description, graph_type, parent_graph_id, created_at, updated_at,
            role_in_project(project_id) AS role
    """
    INSERT_OPERATION = """
        INSERT INTO crdt_operations
            (graph_id, operation_data, vector_clock, user_id, session_id, client_id, created_at, applied_at)
        VALUES ($1, $2, $3, $4, $5, $6, now(), now())
    """

    INSERT_BASE = """
        INSERT INTO graph_bases (graph_id, content, dag_state_hash, data_digest, plan_node_id)
        VALUES ($1, $2, $3, $4, $5)
    """

    async def create(
        self,
        caller: Caller,
        project_id: UUID,
        name: str,
        graph_type: GraphType,
        description: str | None,
        updates: Sequence[DocumentUpdate] = (),
        origin: Origin = Origin(),  # noqa: B008 - immutable
    ) -> Graph:
        """Store a new graph with its first operations and its first event, all or nothing, and return it.

        Raises NotFoundError if there is no such project, InvalidValueError for a bad name or type, and for a parent
        that is gone.
        """
        graph_id = new_id()
        session_id = IMPORT_SESSION_ID if origin.base is None else REPLAY_SESSION_ID
        operations = [
            (graph_id, update.data, update.vector_clock, caller.user_id, session_id, str(update.client_id))
            for update in updates
        ]
        async with self._database.request(caller, graph_id) as connection:
            row = await connection.fetchrow(
                self.CREATE, graph_id, project_id, name, description, graph_type, origin.parent_graph_id
            )
            if row is None:
                raise NotFoundError("project", project_id)
            await connection.executemany(self.INSERT_OPERATION, operations)
            if origin.base is not None:
                await connection.execute(self.INSERT_BASE, graph_id, *_base_row(origin.base))
            payload = {"name": name, "description": description, "graph_type": graph_type, **origin.details}
            await append_event(connection, NewEvent(graph_id, origin.event_type, payload, caller.user_id, project_id))
        return _graph(row)

    LIST = """
        SELECT g.id, g.project_id, g.name, g.description, g.graph_type, g.parent_graph_id, g.created_at, g.updated_at,
            r.role
        FROM graphs g JOIN projects p ON p.id = g.project_id JOIN caller_roles_in_project($1) r ON r.graph_id = g.id
        WHERE g.project_id = $1 AND g.deleted_at IS NULL AND p.deleted_at IS NULL
        ORDER BY g.created_at, g.id
    """

    async def of_project(self, caller: Caller, project_id: UUID) -> tuple[Graph, ...]:
        """Return the graphs of a project, oldest first."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.LIST, project_id)
        return tuple(map(_graph, rows))

    # Projects are those that the caller sees.
    SHARED = """
        SELECT g.id, g.project_id, g.name, g.description, g.graph_type, g.parent_graph_id, g.created_at, g.updated_at,
            role_in_graph(g.id) AS role
        FROM graphs g
        WHERE g.id IN (SELECT caller_shared_graphs('viewer')) AND graph_is_there(g.id)
            AND NOT EXISTS (SELECT FROM projects p WHERE p.id = g.project_id)
        ORDER BY g.created_at, g.id
    """

    async def shared(self, caller: Caller) -> tuple[Graph, ...]:
        """Return the graphs of others' groups that are open to the caller all the same, oldest first."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.SHARED)
        return tuple(map(_graph, rows))

    READ = """
        SELECT g.id, g.project_id, g.name, g.description, g.graph_type, g.parent_graph_id, g.created_at, g.updated_at,
            role_in_graph(g.id) AS role
        FROM graphs g WHERE g.id = $1 AND graph_is_there($1)
    """

    async def read(self, caller: Caller, graph_id: UUID) -> Graph:
        """Return a graph. Raises NotFoundError."""
        async with self._database.request(caller) as connection:
            row = await connection.fetchrow(self.READ, graph_id)
        return _found(row, graph_id)

    CHANGE = """
        WITH old AS (
            SELECT id, name, description FROM graphs WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE
        )
        UPDATE graphs g SET
            name = coalesce($2, g.name),
            description = CASE WHEN $4 THEN g.description ELSE $3 END
        FROM old WHERE g.id = old.id
        RETURNING g.id, g.project_id, g.name, g.description, g.graph_type, g.parent_graph_id, g.created_at,
            g.updated_at, role_in_graph(g.id) AS role, old.name AS old_name, old.description AS old_description
    """

    async def change(self, caller: Caller, graph_id: UUID, new: Retitle) -> Graph:
        """Rename and describe a graph. Raises NotFoundError, InvalidValueError."""
        async with self._database.request(caller) as connection:
            row = await connection.fetchrow(self.CHANGE, graph_id, new.name, new.description, new.keep_description)
            if row is None:
                raise NotFoundError("graph", graph_id)
            graph = _graph(row)
            for event in retitle_events(caller.user_id, graph, row):
                await append_event(connection, event)
        return graph

    DELETE = """
        UPDATE graphs SET deleted_at = now() WHERE id = $1 AND deleted_at IS NULL RETURNING project_id, name
    """

    async def delete(self, caller: Caller, graph_id: UUID) -> None:
        """Put a graph in the bin: the log behind it is kept. Raises NotFoundError."""
        async with self._database.request(caller) as connection:
            row = await connection.fetchrow(self.DELETE, graph_id)
            if row is None:
                raise NotFoundError("graph", graph_id)
            event = NewEvent(graph_id, "graph.binned", {"name": row["name"]}, caller.user_id, row["project_id"])
            await append_event(connection, event)

    GROUP = "SELECT p.group_id FROM graphs g JOIN projects p ON p.id = g.project_id WHERE g.id = $1"

    async def group_of(self, graph_id: UUID) -> UUID | None:
        """Return whose a graph is, in the bin or not; None if there is no such graph."""
        async with self._database.service() as connection:
            group_id: UUID | None = await connection.fetchval(self.GROUP, graph_id)
        return group_id

    ROLE = "SELECT role_in_graph($1) WHERE graph_is_there($1)"

    async def role_in_graph(self, caller: Caller, graph_id: UUID) -> str | None:
        """Return what the caller is in the graph; None if nothing, or there is no such graph."""
        async with self._database.request(caller) as connection:
            role: str | None = await connection.fetchval(self.ROLE, graph_id)
        return role


def _base_row(base: GraphBase) -> tuple[object, ...]:
    return base.content, base.dag_state_hash, base.data_digest, base.plan_node_id


def _found(row: asyncpg.Record | None, graph_id: UUID) -> Graph:
    if row is None:
        raise NotFoundError("graph", graph_id)
    return _graph(row)


def _graph(row: asyncpg.Record) -> Graph:
    return Graph(**{name: row[name] for name in Graph.__slots__})
