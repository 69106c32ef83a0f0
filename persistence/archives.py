"""One project with all its graphs, read to be moved elsewhere and stored when it comes from there."""

from collections.abc import Iterable, Iterator
from uuid import UUID

import asyncpg

from persistence.database import Database, set_graph
from persistence.errors import NotFoundError
from persistence.events import append_event
from persistence.records import Caller, GraphRow, NewEvent, ProjectRow, UnpackedGraph

UNARCHIVE_SESSION_ID = "unarchive"
"""Stands where the session would be for operations that came in an archive."""

STORE_TIMEOUT_S = 300.0
"""How long the operations of one graph may take to store."""


class Archives:
    """Projects that come and go as a whole."""

    def __init__(self, database: Database) -> None:
        self._database = database

    READ_PROJECT = """
        SELECT id, name, description, plan_dag, plan_dag_version, rules
        FROM projects WHERE id = $1 AND deleted_at IS NULL
    """
    READ_GRAPHS = """
        SELECT id, name, description, graph_type, parent_graph_id, metadata
        FROM graphs WHERE project_id = $1 AND deleted_at IS NULL ORDER BY id
    """

    async def read(self, caller: Caller, project_id: UUID) -> tuple[ProjectRow, tuple[GraphRow, ...]]:
        """Return a project and its graphs, oldest first, without what is in the bin. Raises NotFoundError."""
        async with self._database.request(caller) as connection:
            project = await connection.fetchrow(self.READ_PROJECT, project_id)
            if project is None:
                raise NotFoundError("project", project_id)
            graphs = await connection.fetch(self.READ_GRAPHS, project_id)
        return ProjectRow(**project), tuple(GraphRow(**row) for row in graphs)

    CREATE_PROJECT = """
        INSERT INTO projects (id, name, description, plan_dag, plan_dag_version, rules, group_id, created_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    """
    CREATE_GRAPH = """
        INSERT INTO graphs (id, name, description, graph_type, metadata, project_id) VALUES ($1, $2, $3, $4, $5, $6)
    """
    SET_PARENT = "UPDATE graphs SET parent_graph_id = $2 WHERE id = $1"
    INSERT_OPERATION = """
        INSERT INTO crdt_operations
            (graph_id, operation_data, vector_clock, user_id, session_id, client_id, created_at, applied_at)
        VALUES ($1, $2, $3, $4, $5, $6, now(), CASE WHEN $7 THEN NULL ELSE now() END)
    """

    async def store(
        self, caller: Caller, group_id: UUID, project: ProjectRow, archived_id: UUID, graphs: Iterable[UnpackedGraph]
    ) -> None:
        """Store a project of a group with its graphs, all or nothing.

        `graphs` is walked within the transaction, one graph in memory at a time; what it raises undoes everything. A
        parent must be one of them. Raises InvalidValueError for what the schema refuses.
        """
        parents: list[tuple[UUID, UUID]] = []
        async with self._database.request(caller) as connection:
            await connection.execute(
                self.CREATE_PROJECT,
                *(project.id, project.name, project.description),
                *(project.plan_dag, project.plan_dag_version, project.rules, group_id, caller.user_id),
            )
            await append_event(connection, _event(caller.user_id, project.id, project, archived_id))
            for graph in graphs:
                await self._store_graph(connection, caller.user_id, project.id, graph)
                if graph.row.parent_graph_id is not None:
                    parents.append((graph.row.id, graph.row.parent_graph_id))
            await connection.executemany(self.SET_PARENT, parents)

    async def _store_graph(
        self, connection: asyncpg.Connection, user_id: UUID, project_id: UUID, graph: UnpackedGraph
    ) -> None:
        row = graph.row
        values = (row.id, row.name, row.description, row.graph_type, row.metadata, project_id)
        await connection.execute(self.CREATE_GRAPH, *values)
        await set_graph(connection, row.id)
        await connection.executemany(self.INSERT_OPERATION, list(_operations(user_id, graph)), timeout=STORE_TIMEOUT_S)
        await append_event(connection, _event(user_id, project_id, row, graph.archived_id))


def _operations(user_id: UUID, graph: UnpackedGraph) -> Iterator[tuple[object, ...]]:
    for updates, waits in ((graph.updates, False), (graph.pending, True)):
        for update in updates:
            whose = (user_id, UNARCHIVE_SESSION_ID, str(update.client_id))
            yield (graph.row.id, update.data, update.vector_clock, *whose, waits)


def _event(user_id: UUID, project_id: UUID, row: ProjectRow | GraphRow, archived_id: UUID) -> NewEvent:
    kind = "project" if isinstance(row, ProjectRow) else "graph"
    payload = {"name": row.name, "description": row.description, "archived_id": str(archived_id)}
    return NewEvent(row.id, f"{kind}.unarchived", payload, user_id, project_id)
