"""Rows of `users`, as people sign in to their own account and change it."""

from persistence.audit import append_audit
from persistence.database import Database
from persistence.people_records import (
    Account,
    AuditEntry,
    Membership,
    Profile,
    SessionKey,
)
from persistence.records import Caller
from persistence.sessions import end_others


class Accounts:
    """The accounts of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    BY_USERNAME = """
        SELECT u.id, u.username, u.password_hash, u.is_active, EXISTS (
            SELECT FROM sessions s WHERE s.user_id = u.id AND s.ip_address <<= $2::text::cidr
        ) AS is_known_here
        FROM users u WHERE lower(u.username) = lower($1)
    """

    async def by_username(self, username: str, network: str | None) -> Account | None:
        """Return the account of a name, written in any case, as it is seen from `network` (in CIDR's notation)."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.BY_USERNAME, username, network)
        return None if row is None else Account(**row)

    # Only over the hash that was checked: a password changed meanwhile is not changed back.
    REHASH = "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2"

    async def rehash(self, account: Account, password_hash: str) -> None:
        """Store the same password as hashed anew."""
        async with self._database.service() as connection:
            await connection.execute(self.REHASH, account.id, account.password_hash, password_hash)

    REPLACE_HASH = "UPDATE users SET password_hash = $2 WHERE id = $1"

    async def set_password(self, session: SessionKey, password_hash: str, entry: AuditEntry) -> None:
        """Store a new password and end all other sessions of the person, with `entry`."""
        async with self._database.service() as connection:
            await connection.execute(self.REPLACE_HASH, session.user_id, password_hash)
            await end_others(connection, session)
            await append_audit(connection, entry)

    PROFILE = "SELECT id, username, coalesce(full_name, username) AS name FROM users WHERE id = $1"
    GROUPS = """
        SELECT g.id, g.name, m.role FROM group_memberships m JOIN groups g ON g.id = m.group_id
        WHERE m.user_id = $1 ORDER BY m.id
    """

    async def profile(self, caller: Caller) -> Profile:
        """Return the caller's own account, with their groups in the order they joined."""
        async with self._database.request(caller) as connection:
            row = await connection.fetchrow(self.PROFILE, caller.user_id)
            groups = await connection.fetch(self.GROUPS, caller.user_id)
        assert row is not None, "who is known has a row"
        return Profile(**row, groups=tuple(Membership(**group) for group in groups))

    RENAME = "UPDATE users SET full_name = $2 WHERE id = $1"

    async def rename(self, caller: Caller, name: str) -> None:
        """Show the caller by another name."""
        async with self._database.request(caller) as connection:
            await connection.execute(self.RENAME, caller.user_id, name)
