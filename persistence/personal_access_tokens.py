"""Rows of `personal_access_tokens`: what people made for scripts and agents that act in their name."""

from datetime import datetime
from uuid import UUID

import asyncpg

from persistence.audit import append_audit
from persistence.database import Database
from persistence.errors import NotFoundError
from persistence.people_records import AuditEntry, NewToken, PersonalAccessToken
from persistence.records import Caller


class PersonalAccessTokens:
    """The tokens of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # One after the other, so that two at once do not both find room for the last one.
    LOCK_PERSON = "SELECT id FROM users WHERE id = $1 FOR NO KEY UPDATE"
    COUNT = """
        SELECT count(*) FROM personal_access_tokens
        WHERE user_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
    """
    FORGET = """
        DELETE FROM personal_access_tokens WHERE user_id = $1 AND (revoked_at IS NOT NULL OR expires_at <= $2)
    """
    ADD = """
        INSERT INTO personal_access_tokens (id, user_id, name, token_hash, scopes, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
    """

    async def add(self, new: NewToken, limit: int, entry: AuditEntry) -> bool:
        """Store a personal access token, with `entry`; return False if the person has `limit` that work.

        Those that have ended are forgotten.
        """
        async with self._database.service() as connection:
            await connection.execute(self.LOCK_PERSON, new.user_id)
            await connection.execute(self.FORGET, new.user_id, new.created_at)
            if await connection.fetchval(self.COUNT, new.user_id, new.created_at) >= limit:
                return False
            await connection.execute(
                self.ADD,
                *(new.id, new.user_id, new.name, new.token_hash, new.scopes, new.created_at, new.expires_at),
            )
            await append_audit(connection, entry)
        return True

    LIST = """
        SELECT id, name, scopes, created_at, expires_at, last_used_at FROM personal_access_tokens
        WHERE user_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2) ORDER BY id
    """

    async def of_user(self, caller: Caller, now: datetime) -> tuple[PersonalAccessToken, ...]:
        """Return the caller's tokens that work, oldest first."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.LIST, caller.user_id, now)
        return tuple(map(_token, rows))

    REVOKE = """
        UPDATE personal_access_tokens SET revoked_at = $3 WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL
        RETURNING id
    """

    async def revoke(self, caller: Caller, token_id: UUID, now: datetime, entry: AuditEntry) -> None:
        """End a token of the caller's, with `entry`. Raises NotFoundError for one that has ended, or is another's."""
        async with self._database.request(caller) as connection:
            if await connection.fetchval(self.REVOKE, token_id, caller.user_id, now) is None:
                raise NotFoundError("token", token_id)
            await append_audit(connection, entry)


def _token(row: asyncpg.Record) -> PersonalAccessToken:
    return PersonalAccessToken(**{**row, "scopes": tuple(row["scopes"])})
