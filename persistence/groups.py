"""Rows of `groups` and `group_memberships`: who works together, and as what."""

from uuid import UUID

import asyncpg

from persistence.audit import append_audit
from persistence.database import Database
from persistence.errors import LastAdminError, NotFoundError
from persistence.group_records import Group, Member
from persistence.people_records import AuditEntry
from persistence.records import ANONYMOUS_USER_ID, SYSTEM_USER_ID, Caller, Retitle, RoleName

BUILT_IN_USERS = (SYSTEM_USER_ID, ANONYMOUS_USER_ID)
"""Are no persons: they are listed nowhere, and count for nothing."""


class Groups:
    """Groups, as their members and the admins of the installation see them; others have none of them.

    Every change takes the entry of the audit log that tells of it. The last active admin of a group stays one:
    who changes roles waits for others who do in that group.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    LIST = """
        SELECT g.id, g.name, g.description, role_in_group(g.id) AS role, g.created_at FROM groups g
        ORDER BY g.created_at, g.id
    """

    async def list(self, caller: Caller) -> tuple[Group, ...]:
        """Return the groups the caller may see, oldest first."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.LIST)
        return tuple(Group(**row) for row in rows)

    READ = """
        SELECT g.id, g.name, g.description, role_in_group(g.id) AS role, g.created_at FROM groups g WHERE g.id = $1
    """

    async def read(self, caller: Caller, group_id: UUID) -> Group:
        """Return a group. Raises NotFoundError."""
        async with self._database.request(caller) as connection:
            row = await connection.fetchrow(self.READ, group_id)
        return _found(row, group_id)

    OF_PROJECT = "SELECT group_id FROM projects WHERE id = $1"

    async def of_project(self, project_id: UUID) -> UUID | None:
        """Return the group of a project, in the bin or not; None if there is no such project."""
        async with self._database.service() as connection:
            group_id: UUID | None = await connection.fetchval(self.OF_PROJECT, project_id)
        return group_id

    CREATE = "INSERT INTO groups (id, name, description) VALUES ($1, $2, $3)"
    JOIN = "INSERT INTO group_memberships (group_id, user_id, role) SELECT $1, id, $3 FROM users WHERE id = $2"

    async def create(
        self, caller: Caller, entry: AuditEntry, name: str, description: str | None, admin_id: UUID | None
    ) -> Group:
        """Store the new group `entry.group_id`, with a first admin if one is named, and return it."""
        assert entry.group_id is not None
        async with self._database.request(caller) as connection:
            await connection.execute(self.CREATE, entry.group_id, name, description)
            if admin_id is not None:
                await connection.execute(self.JOIN, entry.group_id, admin_id, "admin")
            await append_audit(connection, entry)
            row = await connection.fetchrow(self.READ, entry.group_id)
        return _found(row, entry.group_id)

    CHANGE = """
        UPDATE groups g SET
            name = coalesce($2, g.name),
            description = CASE WHEN $4 THEN g.description ELSE $3 END
        WHERE g.id = $1
    """

    async def change(self, caller: Caller, entry: AuditEntry, new: Retitle) -> Group:
        """Rename and describe the group `entry.group_id`. Raises NotFoundError, InvalidValueError."""
        assert entry.group_id is not None
        async with self._database.request(caller) as connection:
            await connection.execute(self.CHANGE, entry.group_id, new.name, new.description, new.keep_description)
            await append_audit(connection, entry)
            row = await connection.fetchrow(self.READ, entry.group_id)
        return _found(row, entry.group_id)

    MEMBERS = """
        SELECT m.user_id, u.username, coalesce(u.full_name, u.username) AS name, m.role, m.joined_at, u.is_active
        FROM group_memberships m JOIN users u ON u.id = m.user_id
        WHERE m.group_id = $1 AND m.user_id <> ALL($2::uuid[]) ORDER BY m.joined_at, m.id
    """

    async def members(self, caller: Caller, group_id: UUID) -> tuple[Member, ...]:
        """Return the people in a group, in the order they joined."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.MEMBERS, group_id, BUILT_IN_USERS)
        return tuple(Member(**row) for row in rows)

    LOCK = "SELECT id FROM groups WHERE id = $1 FOR NO KEY UPDATE"
    IS_ONLY_ADMIN = """
        SELECT coalesce(bool_and(m.user_id = $2), FALSE) FROM group_memberships m JOIN users u ON u.id = m.user_id
        WHERE m.group_id = $1 AND m.role = 'admin' AND u.is_active AND u.external_subject IS NULL
            AND u.id <> ALL($3::uuid[])
    """
    SET_ROLE = """
        UPDATE group_memberships SET role = $3 WHERE group_id = $1 AND user_id = $2 AND user_id <> ALL($4::uuid[])
        RETURNING user_id
    """

    async def set_role(
        self, caller: Caller, entry: AuditEntry, user_id: UUID, role: RoleName, *, may_add: bool
    ) -> None:
        """Make a member of the group `entry.group_id` one of that role, or with `may_add` anybody.

        Raises NotFoundError if there is no such member or person, LastAdminError.
        """
        assert entry.group_id is not None
        async with self._database.request(caller) as connection:
            await connection.execute(self.LOCK, entry.group_id)
            if role != "admin":
                await self._check_others(connection, entry.group_id, user_id)
            named = (entry.group_id, user_id, role)
            changed = await connection.fetchval(self.SET_ROLE, *named, BUILT_IN_USERS)
            if changed is None:
                is_added = may_add and user_id not in BUILT_IN_USERS and await connection.execute(self.JOIN, *named)
                if is_added != "INSERT 0 1":
                    raise NotFoundError("member", user_id)
            await append_audit(connection, entry)

    REMOVE = """
        DELETE FROM group_memberships WHERE group_id = $1 AND user_id = $2 AND user_id <> ALL($3::uuid[])
        RETURNING user_id
    """
    REMOVE_FROM_GRAPHS = """
        DELETE FROM graph_roles r USING graphs g, projects p
        WHERE r.graph_id = g.id AND g.project_id = p.id AND p.group_id = $1 AND r.user_id = $2
            AND r.role IN ('admin', 'member')
    """
    # What was kept from a member is not open to them when they come back.
    HIDE_GRAPHS = """
        UPDATE graph_roles r SET role = 'none' FROM graphs g, projects p
        WHERE r.graph_id = g.id AND g.project_id = p.id AND p.group_id = $1 AND r.user_id = $2 AND r.role = 'viewer'
    """

    async def remove(self, entry: AuditEntry, user_id: UUID) -> None:
        """Take a member out of the group `entry.group_id` and of its graphs; links they made into these end.

        As the server itself, since one who leaves may not lock the group; whoever asked was authorised before.
        Raises NotFoundError, LastAdminError.
        """
        assert entry.group_id is not None
        async with self._database.service() as connection:
            await connection.execute(self.LOCK, entry.group_id)
            await self._check_others(connection, entry.group_id, user_id)
            if await connection.fetchval(self.REMOVE, entry.group_id, user_id, BUILT_IN_USERS) is None:
                raise NotFoundError("member", user_id)
            await connection.execute(self.REMOVE_FROM_GRAPHS, entry.group_id, user_id)
            await connection.execute(self.HIDE_GRAPHS, entry.group_id, user_id)
            await append_audit(connection, entry)

    async def _check_others(self, connection: asyncpg.Connection, group_id: UUID, user_id: UUID) -> None:
        """Raise LastAdminError if nobody else is an admin of the group, whose row is locked."""
        if await connection.fetchval(self.IS_ONLY_ADMIN, group_id, user_id, BUILT_IN_USERS):
            raise LastAdminError("group")


def _found(row: asyncpg.Record | None, group_id: UUID) -> Group:
    if row is None:
        raise NotFoundError("group", group_id)
    return Group(**row)
