"""Rows of `projects`: a group's folders of graphs."""

from uuid import UUID

import asyncpg

from persistence.database import Database
from persistence.errors import NotFoundError
from persistence.events import append_event, retitle_events
from persistence.identifiers import new_id
from persistence.records import Caller, NewEvent, Project, Retitle


class Projects:
    """Projects, as their groups may see them. A deleted one lies in the bin and counts as absent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    CREATE = """
        INSERT INTO projects (id, name, description, group_id, created_by) VALUES ($1, $2, $3, $4, $5)
        RETURNING id, name, description, group_id, created_at, updated_at, role_in_group(group_id) AS role
    """

    async def create(self, caller: Caller, group_id: UUID, name: str, description: str | None) -> Project:
        """Store a new project of a group and return it. Raises InvalidValueError for a bad name."""
        project_id = new_id()
        payload = {"name": name, "description": description}
        async with self._database.request(caller) as connection:
            row = await connection.fetchrow(self.CREATE, project_id, name, description, group_id, caller.user_id)
            await append_event(connection, NewEvent(project_id, "project.created", payload, caller.user_id, project_id))
        assert row is not None
        return _project(row)

    LIST = """
        SELECT id, name, description, group_id, created_at, updated_at, role_in_group(group_id) AS role FROM projects
        WHERE group_id IN (SELECT caller_groups('viewer')) AND deleted_at IS NULL ORDER BY created_at, id
    """

    async def of_user(self, caller: Caller) -> tuple[Project, ...]:
        """Return the projects of the caller's groups, oldest first."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.LIST)
        return tuple(map(_project, rows))

    READ = """
        SELECT id, name, description, group_id, created_at, updated_at, role_in_group(group_id) AS role
        FROM projects WHERE id = $1 AND deleted_at IS NULL
    """

    async def read(self, caller: Caller, project_id: UUID) -> Project:
        """Return a project. Raises NotFoundError."""
        async with self._database.request(caller) as connection:
            row = await connection.fetchrow(self.READ, project_id)
        return _found(row, project_id)

    CHANGE = """
        WITH old AS (
            SELECT id, name, description FROM projects WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE
        )
        UPDATE projects p SET
            name = coalesce($2, p.name),
            description = CASE WHEN $4 THEN p.description ELSE $3 END
        FROM old WHERE p.id = old.id
        RETURNING p.id, p.name, p.description, p.group_id, p.created_at, p.updated_at,
            role_in_group(p.group_id) AS role, old.name AS old_name, old.description AS old_description
    """

    async def change(self, caller: Caller, project_id: UUID, new: Retitle) -> Project:
        """Rename and describe a project. Raises NotFoundError, InvalidValueError."""
        async with self._database.request(caller) as connection:
            row = await connection.fetchrow(self.CHANGE, project_id, new.name, new.description, new.keep_description)
            if row is None:
                raise NotFoundError("project", project_id)
            project = _project(row)
            for event in retitle_events(caller.user_id, project, row):
                await append_event(connection, event)
        return project

    DELETE = "UPDATE projects SET deleted_at = now() WHERE id = $1 AND deleted_at IS NULL RETURNING name"

    async def delete(self, caller: Caller, project_id: UUID) -> None:
        """Put a project and all its graphs in the bin: the log behind them is kept. Raises NotFoundError."""
        async with self._database.request(caller) as connection:
            name = await connection.fetchval(self.DELETE, project_id)
            if name is None:
                raise NotFoundError("project", project_id)
            event = NewEvent(project_id, "project.binned", {"name": name}, caller.user_id, project_id)
            await append_event(connection, event)

    ROLE = "SELECT role_in_group(group_id) FROM projects WHERE id = $1 AND deleted_at IS NULL"

    async def role_in_project(self, caller: Caller, project_id: UUID) -> str | None:
        """Return what the caller is in the project's group; None if nothing, or there is no such project."""
        async with self._database.request(caller) as connection:
            role: str | None = await connection.fetchval(self.ROLE, project_id)
        return role

    GROUP_ROLE = "SELECT role_in_group(id) FROM groups WHERE id = $1"

    async def role_in_group(self, caller: Caller, group_id: UUID) -> str | None:
        """Return what the caller is in a group; None if nothing, or there is no such group."""
        async with self._database.request(caller) as connection:
            role: str | None = await connection.fetchval(self.GROUP_ROLE, group_id)
        return role

    GROUPS = "SELECT group_id, role FROM group_memberships WHERE user_id = $1 ORDER BY id"

    async def groups_of(self, caller: Caller) -> tuple[tuple[UUID, str], ...]:
        """Return the caller's groups and what they are there, in the order they joined."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.GROUPS, caller.user_id)
        return tuple((row["group_id"], row["role"]) for row in rows)


def _found(row: asyncpg.Record | None, project_id: UUID) -> Project:
    if row is None:
        raise NotFoundError("project", project_id)
    return _project(row)


def _project(row: asyncpg.Record) -> Project:
    return Project(**{name: row[name] for name in Project.__slots__})
