"""Rows of `users`: people's accounts. Disabled and anonymised, never deleted, since the log refers to them.

All of it is the server's own work, for the admins of the installation who were authorised before: requests can change
no account but their caller's.
"""

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from persistence.audit import append_audit
from persistence.database import Database
from persistence.errors import LastAdminError, NotFoundError
from persistence.group_records import GroupRole, NewUser, User, UserRole
from persistence.groups import BUILT_IN_USERS
from persistence.people_records import AuditEntry

ADD = """
    INSERT INTO users (id, username, full_name, role, password_hash) VALUES ($1, $2, $3, $4, $5)
    RETURNING id, username, coalesce(full_name, username) AS name, role, is_active, created_at, last_login_at,
        external_subject IS NOT NULL AS is_external
"""
JOIN = """
    INSERT INTO group_memberships AS m (group_id, user_id, role) VALUES ($1, $2, $3)
    ON CONFLICT (group_id, user_id) DO UPDATE SET role = EXCLUDED.role
    WHERE is_at_least(EXCLUDED.role, m.role) AND EXCLUDED.role <> m.role
"""
PASSWORD = "UPDATE users SET password_hash = $2 WHERE id = $1 AND external_subject IS NULL RETURNING id"  # noqa: S105 - a statement
END_SESSIONS = "UPDATE sessions SET revoked = TRUE WHERE user_id = $1 AND NOT revoked"
FORGET = {
    table: f"DELETE FROM {table} WHERE user_id = $1"  # noqa: S608 - names of ours
    for table in ("sessions", "personal_access_tokens", "invitations", "graph_roles", "group_memberships")
}
FORGET_PLACES = "UPDATE audit_log SET address = NULL, user_agent = NULL WHERE user_id = $1"
MAKE_ADMIN = "UPDATE users SET role = 'admin' WHERE id = $1"


async def add_user(connection: asyncpg.Connection, new: NewUser) -> User:
    """Store an account and return it. Raises ConflictError if the name is taken, InvalidValueError if it is none."""
    row = await connection.fetchrow(ADD, new.id, new.username, new.full_name, new.role, new.password_hash)
    assert row is not None
    return User(**row)


async def join_group(connection: asyncpg.Connection, user_id: UUID, membership: GroupRole) -> None:
    """Make somebody a member of a group in a role; who is more there already stays that."""
    await connection.execute(JOIN, membership.group_id, user_id, membership.role)


async def set_password(connection: asyncpg.Connection, user_id: UUID, password_hash: str) -> None:
    """Let this password open the account, and no session of before. Raises NotFoundError if no password may."""
    if await connection.fetchval(PASSWORD, user_id, password_hash) is None:
        raise NotFoundError("account with a password", user_id)
    await connection.execute(END_SESSIONS, user_id)


class Users:
    """Accounts of people, without the built-in ones. Every change takes the entry of the audit log that tells of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    LIST = """
        SELECT id, username, coalesce(full_name, username) AS name, role, is_active, created_at, last_login_at,
            external_subject IS NOT NULL AS is_external
        FROM users WHERE id <> ALL($1::uuid[]) ORDER BY created_at, id
    """

    async def list(self) -> tuple[User, ...]:
        """Return all accounts, oldest first."""
        async with self._database.service() as connection:
            rows = await connection.fetch(self.LIST, BUILT_IN_USERS)
        return tuple(User(**row) for row in rows)

    READ = """
        SELECT id, username, coalesce(full_name, username) AS name, role, is_active, created_at, last_login_at,
            external_subject IS NOT NULL AS is_external
        FROM users WHERE id = $1 AND id <> ALL($2::uuid[])
    """

    async def read(self, user_id: UUID) -> User:
        """Return an account. Raises NotFoundError."""
        async with self._database.service() as connection:
            return await self._read(connection, user_id)

    FIND = """
        SELECT id, username, coalesce(full_name, username) AS name, role, is_active, created_at, last_login_at,
            external_subject IS NOT NULL AS is_external
        FROM users WHERE lower(username) = lower($1) AND id <> ALL($2::uuid[])
    """

    async def find(self, username: str) -> User | None:
        """Return the account of this name, whatever its capitals."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.FIND, username, BUILT_IN_USERS)
        return None if row is None else User(**row)

    HAS_ADMIN = "SELECT EXISTS (SELECT FROM users WHERE role = 'admin' AND is_active AND password_hash IS NOT NULL)"

    async def has_admin(self) -> bool:
        """Return whether an active admin, who has a password, looks after the installation."""
        async with self._database.service() as connection:
            return bool(await connection.fetchval(self.HAS_ADMIN))

    async def add(self, entry: AuditEntry, new: NewUser, membership: GroupRole | None = None) -> User:
        """Store an account, in a group if one is named, and return it. Raises ConflictError, InvalidValueError."""
        async with self._database.service() as connection:
            user = await add_user(connection, new)
            if membership is not None:
                await join_group(connection, user.id, membership)
            await append_audit(connection, entry)
        return user

    # Locked in one order; who waits here sees afterwards who still is an admin.
    LOCK_ADMINS = """
        SELECT id FROM users WHERE role = 'admin' AND is_active AND password_hash IS NOT NULL
        ORDER BY id FOR NO KEY UPDATE
    """
    CHANGE = """
        UPDATE users SET is_active = coalesce($2, is_active), role = coalesce($3, role)
        WHERE id = $1 AND id <> ALL($4::uuid[])
    """

    async def change(
        self, entries: Sequence[AuditEntry], user_id: UUID, is_active: bool | None, role: UserRole | None
    ) -> User:
        """Disable or enable an account, make it an admin's or not; None leaves it as it is.

        The sessions of one that is disabled end, and so do the links it made into graphs.

        Raises NotFoundError, LastAdminError.
        """
        async with self._database.service() as connection:
            if is_active is False or role == "user":
                await self._check_others(connection, user_id)
            await connection.execute(self.CHANGE, user_id, is_active, role, BUILT_IN_USERS)
            if is_active is False:
                await connection.execute(END_SESSIONS, user_id)
            for entry in entries:
                await append_audit(connection, entry)
            return await self._read(connection, user_id)

    async def set_password(self, entry: AuditEntry, user_id: UUID, password_hash: str) -> None:
        """Let this password open the account, and no session of before. Raises NotFoundError."""
        async with self._database.service() as connection:
            await set_password(connection, user_id, password_hash)
            await append_audit(connection, entry)

    # The name is one that nobody can have taken before.
    ANONYMISE = """
        UPDATE users SET username = 'deleted ' || gen_random_uuid(), full_name = NULL, email = NULL, avatar_url = NULL,
            password_hash = NULL, role = 'user', is_active = FALSE, external_subject = CASE
                WHEN external_subject LIKE 'anonymised:%' THEN external_subject
                ELSE 'anonymised:' || encode(sha256(convert_to(external_subject, 'UTF8')), 'hex')
            END,
            settings = '{}', metadata = '{}', verification_token_hash = NULL, verification_token_expires = NULL,
            last_login_at = NULL
        WHERE id = $1 AND id <> ALL($2::uuid[]) RETURNING id
    """

    async def anonymise(self, entry: AuditEntry, user_id: UUID) -> None:
        """Disable an account and forget who it was and where; what was done with it stays. Cannot be undone.

        Of a subject of the team's own backend a hash stays, by which it is refused from now on.

        Raises NotFoundError, LastAdminError.
        """
        async with self._database.service() as connection:
            await self._check_others(connection, user_id)
            if await connection.fetchval(self.ANONYMISE, user_id, BUILT_IN_USERS) is None:
                raise NotFoundError("account", user_id)
            await append_audit(connection, entry)  # first: it may be one's own
            for statement in (*FORGET.values(), FORGET_PLACES):
                await connection.execute(statement, user_id)

    async def _read(self, connection: asyncpg.Connection, user_id: UUID) -> User:
        row = await connection.fetchrow(self.READ, user_id, BUILT_IN_USERS)
        if row is None:
            raise NotFoundError("account", user_id)
        return User(**row)

    async def _check_others(self, connection: asyncpg.Connection, user_id: UUID) -> None:
        """Raise LastAdminError if nobody else is an active admin; until the transaction ends, none ceases to be."""
        admins = [row["id"] for row in await connection.fetch(self.LOCK_ADMINS)]
        if admins == [user_id]:
            raise LastAdminError("installation")
