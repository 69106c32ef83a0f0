"""Who is behind a credential: what every request asks before anything else, in one statement each."""

from datetime import datetime
from uuid import UUID

import asyncpg

from persistence.database import Database
from persistence.people_records import KnownByLink, KnownByToken, KnownPerson


class Credentials:
    """Sessions, personal access tokens and share links, as the door checks them.

    What is revoked or expired, and what belongs to somebody who is disabled, is not found.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    OF_SESSION = """
        SELECT u.id, coalesce(u.full_name, u.username) AS name, u.role = 'admin' AS is_admin
        FROM sessions s JOIN users u ON u.id = s.user_id AND u.is_active
        WHERE s.id = $1 AND s.user_id = $2 AND NOT s.revoked AND s.expires_at > $3
    """

    async def of_session(self, session_id: UUID, user_id: UUID, now: datetime) -> KnownPerson | None:
        """Return whose session it is, if it is that of `user_id`."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.OF_SESSION, session_id, user_id, now)
        return None if row is None else _person(row)

    # The minute it was last used in is written by whoever comes first in it.
    OF_HASH = """
        WITH used AS (
            UPDATE personal_access_tokens SET last_used_at = date_trunc('minute', $2::timestamptz)
            WHERE token_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
                AND (last_used_at IS NULL OR last_used_at < date_trunc('minute', $2::timestamptz))
        )
        SELECT u.id, coalesce(u.full_name, u.username) AS name, u.role = 'admin' AS is_admin,
            t.id AS token_id, t.scopes, t.expires_at
        FROM personal_access_tokens t JOIN users u ON u.id = t.user_id AND u.is_active
        WHERE t.token_hash = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2)
    """

    async def of_token(self, token_hash: bytes, now: datetime) -> KnownByToken | None:
        """Return whose personal access token it is, and note that it is used."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.OF_HASH, token_hash, now)
        if row is None:
            return None
        return KnownByToken(_person(row), row["token_id"], tuple(row["scopes"]), row["expires_at"])

    OF_LINK = """
        SELECT id AS link_id, graph_id, role, expires_at FROM share_links
        WHERE token_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
    """

    async def of_link(self, token_hash: bytes, now: datetime) -> KnownByLink | None:
        """Return what a share link gives."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.OF_LINK, token_hash, now)
        return None if row is None else KnownByLink(**row)


def _person(row: asyncpg.Record) -> KnownPerson:
    return KnownPerson(row["id"], row["name"], row["is_admin"])
