"""Rows of `invitations`: links that open once, into a group or to the choice of a password."""

from uuid import UUID

import asyncpg

from persistence.audit import append_audit
from persistence.database import Database
from persistence.errors import NotFoundError
from persistence.group_records import GroupRole, Invitation, NewInvitation, NewUser, OpenInvitation
from persistence.people_records import AuditEntry
from persistence.records import EVERYONE_GROUP_ID, Caller
from persistence.users import MAKE_ADMIN, add_user, join_group, set_password

# Whoever made it may still invite: somebody who was taken out does not come back by a link they kept.
_STANDS = """
    i.accepted_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > now() AND (
        i.created_by IN ('00000000-0000-7000-8000-000000000001', '00000000-0000-7000-8000-000000000002')
        OR EXISTS (
            SELECT FROM users c LEFT JOIN group_memberships m ON m.group_id = i.group_id AND m.user_id = c.id
            WHERE c.id = i.created_by AND c.is_active AND (c.role = 'admin' OR m.role = 'admin')
        )
    )
"""
CREATE = """
    INSERT INTO invitations (id, token_hash, expires_at, group_id, role, user_id, makes_admin, created_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING created_at
"""


class UnknownInvitationError(NotFoundError):
    """No invitation that could be accepted: used, expired, revoked, or there never was one. Nobody is told which."""

    def __init__(self) -> None:
        super().__init__("invitation", 0)

    def __str__(self) -> str:
        return "this link is not valid, or not any more; ask whoever gave it to you for a new one"


class Invitations:
    """Invitations. Each is accepted once, however many try at the same time.

    Every change takes the entry of the audit log that tells of it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    LIST = f"""
        SELECT i.id, i.role, i.created_at, i.expires_at, i.created_by FROM invitations i
        WHERE i.group_id = $1 AND {_STANDS} ORDER BY i.created_at, i.id
    """  # noqa: S608 - a condition of ours

    async def of_group(self, caller: Caller, group_id: UUID) -> tuple[Invitation, ...]:
        """Return the invitations to a group that can still be accepted, oldest first."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.LIST, group_id)
        return tuple(Invitation(**row) for row in rows)

    async def invite(self, caller: Caller, entry: AuditEntry, new: NewInvitation) -> Invitation:
        """Store an invitation to a group and return it."""
        assert new.role is not None
        async with self._database.request(caller) as connection:
            created_at = await connection.fetchval(CREATE, *_values(new), caller.user_id)
            await append_audit(connection, entry)
        return Invitation(new.id, new.role, created_at, new.expires_at, caller.user_id)

    GROUP = "SELECT group_id FROM invitations WHERE id = $1 AND group_id IS NOT NULL"

    async def group_of(self, caller: Caller, invitation_id: UUID) -> UUID:
        """Return the group that an invitation is to. Raises NotFoundError."""
        async with self._database.request(caller) as connection:
            group_id: UUID | None = await connection.fetchval(self.GROUP, invitation_id)
        if group_id is None:
            raise NotFoundError("invitation", invitation_id)
        return group_id

    REVOKE = """
        UPDATE invitations SET revoked_at = now()
        WHERE id = $1 AND accepted_at IS NULL AND revoked_at IS NULL RETURNING id
    """

    async def revoke(self, caller: Caller, entry: AuditEntry, invitation_id: UUID) -> None:
        """Let an invitation be accepted no more. Raises NotFoundError if it could not be."""
        async with self._database.request(caller) as connection:
            if await connection.fetchval(self.REVOKE, invitation_id) is None:
                raise NotFoundError("invitation", invitation_id)
            await append_audit(connection, entry)

    REVOKE_LINKS_OF_ACCOUNT = """
        UPDATE invitations SET revoked_at = now() WHERE user_id = $1 AND accepted_at IS NULL AND revoked_at IS NULL
    """

    async def link_to_password(self, entry: AuditEntry, new: NewInvitation) -> None:
        """Store an invitation to choose the password of an account; earlier ones are revoked.

        As the server itself: whoever asked was authorised before.
        """
        async with self._database.service() as connection:
            await connection.execute(self.REVOKE_LINKS_OF_ACCOUNT, new.user_id)
            await connection.fetchval(CREATE, *_values(new), entry.user_id)
            await append_audit(connection, entry)

    REVOKE_OWNERS_LINKS = """
        UPDATE invitations SET revoked_at = now() WHERE makes_admin AND accepted_at IS NULL AND revoked_at IS NULL
    """

    async def link_for_owner(self, entry: AuditEntry, new: NewInvitation) -> None:
        """Store an invitation that makes an admin of the installation; earlier ones are revoked."""
        async with self._database.service() as connection:
            await connection.execute(self.REVOKE_OWNERS_LINKS)
            await connection.fetchval(CREATE, *_values(new), entry.user_id)
            await append_audit(connection, entry)

    # The owner's link is for an installation that nobody looks after yet.
    FIND = f"""
        SELECT i.id, i.group_id, g.name AS group_name, i.role, i.user_id, u.username, i.makes_admin, i.expires_at
        FROM invitations i LEFT JOIN groups g ON g.id = i.group_id LEFT JOIN users u ON u.id = i.user_id
        WHERE i.token_hash = $1 AND coalesce(u.is_active, TRUE) AND {_STANDS}
            AND NOT (i.makes_admin AND EXISTS (
                SELECT FROM users WHERE role = 'admin' AND is_active AND password_hash IS NOT NULL
            ))
    """  # noqa: S608 - a condition of ours

    async def find(self, token_hash: bytes) -> OpenInvitation:
        """Return what a token opens. Raises UnknownInvitationError."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.FIND, token_hash)
        if row is None:
            raise UnknownInvitationError
        return OpenInvitation(**row)

    # Whoever waits here for another one who accepts finds none afterwards. All owners' links wait for one row.
    LOCK = f"{FIND} FOR UPDATE OF i"
    LOCK_EVERYONE = "SELECT id FROM groups WHERE id = $1 FOR NO KEY UPDATE"
    ACCEPT = "UPDATE invitations SET accepted_at = now(), accepted_by = $2 WHERE id = $1"

    async def accept_as_new(self, token_hash: bytes, entry: AuditEntry, new: NewUser) -> OpenInvitation:
        """Make an account and let it into the group.

        Raises UnknownInvitationError, ConflictError if the name is taken: then the invitation stays open.
        """
        async with self._database.service() as connection:
            found = await self._locked(connection, token_hash)
            await add_user(connection, new)
            return await self._join(connection, found, entry)

    async def accept(self, token_hash: bytes, entry: AuditEntry) -> OpenInvitation:
        """Let the account `entry.user_id` into the group; who is more there already stays that.

        Raises UnknownInvitationError.
        """
        async with self._database.service() as connection:
            return await self._join(connection, await self._locked(connection, token_hash), entry)

    async def accept_password(self, token_hash: bytes, entry: AuditEntry, password_hash: str) -> OpenInvitation:
        """Let this password open the account, and no session of before. Raises UnknownInvitationError."""
        async with self._database.service() as connection:
            found = await self._locked(connection, token_hash)
            if found.user_id is None:
                raise UnknownInvitationError
            await set_password(connection, found.user_id, password_hash)
            await self._spend(connection, found, entry)
        return found

    async def _locked(self, connection: asyncpg.Connection, token_hash: bytes) -> OpenInvitation:
        await connection.execute(self.LOCK_EVERYONE, EVERYONE_GROUP_ID)
        row = await connection.fetchrow(self.LOCK, token_hash)
        if row is None:
            raise UnknownInvitationError
        return OpenInvitation(**row)

    async def _join(self, connection: asyncpg.Connection, found: OpenInvitation, entry: AuditEntry) -> OpenInvitation:
        if found.group_id is None or found.role is None:
            raise UnknownInvitationError
        await join_group(connection, entry.user_id, GroupRole(found.group_id, found.role))
        if found.makes_admin:
            await connection.execute(MAKE_ADMIN, entry.user_id)
        await self._spend(connection, found, entry)
        return found

    async def _spend(self, connection: asyncpg.Connection, found: OpenInvitation, entry: AuditEntry) -> None:
        await connection.execute(self.ACCEPT, found.id, entry.user_id)
        await append_audit(connection, entry)


def _values(new: NewInvitation) -> tuple[object, ...]:
    purpose = (new.group_id, new.role, new.user_id, new.makes_admin)
    return (new.id, new.token_hash, new.expires_at, *purpose)
