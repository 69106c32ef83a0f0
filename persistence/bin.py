"""Projects and graphs in the bin: out of everybody's way, until they are restored or purged.

A graph lies in the bin of its project. One whose whole project is in the bin comes and goes with that.
"""

from uuid import UUID

from persistence.database import Database
from persistence.errors import NotFoundError
from persistence.events import append_event
from persistence.records import BinnedGraph, BinnedProject, Caller, Graph, NewEvent, Project

PURGE_TIMEOUT_S = 300.0
"""How long the rows and the log of what is purged may take to delete."""


class BinnedRows:
    """What is in the bin, as the groups of its projects may see it; what is not counts as absent here."""

    def __init__(self, database: Database) -> None:
        self._database = database

    GRAPHS = """
        SELECT id, project_id, name, description, graph_type, parent_graph_id, created_at, updated_at, deleted_at,
            role_in_graph(id) AS role
        FROM graphs WHERE project_id = $1 AND deleted_at IS NOT NULL ORDER BY deleted_at DESC, id DESC
    """

    async def graphs(self, caller: Caller, project_id: UUID) -> tuple[BinnedGraph, ...]:
        """Return the graphs in the bin of a project, last deleted first."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.GRAPHS, project_id)
        return tuple(BinnedGraph(**row) for row in rows)

    PROJECTS = """
        SELECT id, name, description, group_id, created_at, updated_at, deleted_at, role_in_group(group_id) AS role
        FROM projects WHERE group_id IN (SELECT caller_groups('viewer')) AND deleted_at IS NOT NULL
        ORDER BY deleted_at DESC, id DESC
    """

    async def projects(self, caller: Caller) -> tuple[BinnedProject, ...]:
        """Return the projects of the caller's groups that are in the bin, last deleted first."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.PROJECTS)
        return tuple(BinnedProject(**row) for row in rows)

    GRAPH_ROLE = (
        "SELECT role_in_graph(id) FROM graphs WHERE id = $1 AND deleted_at IS NOT NULL AND graph_has_project(id)"
    )

    async def role_in_graph(self, caller: Caller, graph_id: UUID) -> str | None:
        """Return what the caller is in the group of a graph in the bin; None if nothing, or it is not there."""
        async with self._database.request(caller) as connection:
            role: str | None = await connection.fetchval(self.GRAPH_ROLE, graph_id)
        return role

    PROJECT_ROLE = "SELECT role_in_group(group_id) FROM projects WHERE id = $1 AND deleted_at IS NOT NULL"

    async def role_in_project(self, caller: Caller, project_id: UUID) -> str | None:
        """Return what the caller is in the group of a project in the bin; None if nothing, or it is not there."""
        async with self._database.request(caller) as connection:
            role: str | None = await connection.fetchval(self.PROJECT_ROLE, project_id)
        return role

    RESTORE_GRAPH = """
        UPDATE graphs SET deleted_at = NULL WHERE id = $1 AND deleted_at IS NOT NULL
        RETURNING id, project_id, name, description, graph_type, parent_graph_id, created_at, updated_at,
            role_in_graph(id) AS role
    """

    async def restore_graph(self, caller: Caller, graph_id: UUID) -> Graph:
        """Take a graph out of the bin, as it was. Raises NotFoundError."""
        async with self._database.request(caller) as connection:
            row = await connection.fetchrow(self.RESTORE_GRAPH, graph_id)
            if row is None:
                raise NotFoundError("graph", graph_id)
            graph = Graph(**row)
            event = NewEvent(graph_id, "graph.restored", {"name": graph.name}, caller.user_id, graph.project_id)
            await append_event(connection, event)
        return graph

    RESTORE_PROJECT = """
        UPDATE projects SET deleted_at = NULL WHERE id = $1 AND deleted_at IS NOT NULL
        RETURNING id, name, description, group_id, created_at, updated_at, role_in_group(group_id) AS role
    """

    async def restore_project(self, caller: Caller, project_id: UUID) -> Project:
        """Take a project out of the bin, with the graphs that were not in the bin before it. Raises NotFoundError."""
        async with self._database.request(caller) as connection:
            row = await connection.fetchrow(self.RESTORE_PROJECT, project_id)
            if row is None:
                raise NotFoundError("project", project_id)
            project = Project(**row)
            event = NewEvent(project_id, "project.restored", {"name": project.name}, caller.user_id, project_id)
            await append_event(connection, event)
        return project

    PURGE_GRAPH = "SELECT project_id, name, description FROM purge_graph($1)"

    async def purge_graph(self, caller: Caller, graph_id: UUID) -> None:
        """Delete a graph that is in the bin for ever, with its log: only the event is left. Raises NotFoundError.

        As the server itself, since requests delete nothing that the log belongs to; `caller` was authorised before.
        """
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.PURGE_GRAPH, graph_id, timeout=PURGE_TIMEOUT_S)
            if row is None:
                raise NotFoundError("graph", graph_id)
            payload = {"name": row["name"], "description": row["description"]}
            await append_event(
                connection, NewEvent(graph_id, "graph.purged", payload, caller.user_id, row["project_id"])
            )

    PURGE_PROJECT = "SELECT name, description, graphs FROM purge_project($1)"

    async def purge_project(self, caller: Caller, project_id: UUID) -> None:
        """Delete a project that is in the bin for ever, with its graphs; otherwise as `purge_graph`."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.PURGE_PROJECT, project_id, timeout=PURGE_TIMEOUT_S)
            if row is None:
                raise NotFoundError("project", project_id)
            await append_event(
                connection, NewEvent(project_id, "project.purged", dict(row), caller.user_id, project_id)
            )
