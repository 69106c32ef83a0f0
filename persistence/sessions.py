"""Rows of `sessions` and `spent_refresh_tokens`: a session is one device somebody is signed in on."""

from datetime import datetime, timedelta

import asyncpg

from persistence.audit import append_audit
from persistence.database import Database
from persistence.errors import NotFoundError
from persistence.people_records import AuditEntry, NewSession, Rotation, Session, SessionKey
from persistence.records import Caller

MAX_SESSIONS = 200
"""Of one person; those that were ended, then those used longest ago, are forgotten when another one begins."""

MAX_SPENT = 1_000
"""Refresh tokens of one session that are known to be spent; those that were spent longest ago are forgotten."""

KEPT_AFTER_END = timedelta(days=90)
"""How long an expired session is kept: the addresses of a person's sessions are those they are known at."""


class Sessions:
    """The sessions of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    START = """
        INSERT INTO sessions (id, user_id, refresh_token_hash, device_info, ip_address, user_agent,
            created_at, last_used_at, expires_at, access_expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9)
    """
    NOTE_SIGN_IN = "UPDATE users SET last_login_at = $2 WHERE id = $1"
    FORGET = """
        DELETE FROM sessions WHERE user_id = $1 AND (expires_at < $2 OR id IN (
            SELECT id FROM sessions WHERE user_id = $1 ORDER BY revoked, last_used_at DESC, id DESC OFFSET $3
        ))
    """

    async def start(self, new: NewSession, entry: AuditEntry) -> None:
        """Begin a session, with `entry`; the person's oldest ones are forgotten."""
        device = None if new.device is None else {"name": new.device}
        async with self._database.service() as connection:
            await connection.execute(
                self.START,
                *(new.id, new.user_id, new.refresh_token_hash, device, new.address, new.user_agent),
                *(new.started_at, new.expires_at, new.access_expires_at),
            )
            await connection.execute(self.NOTE_SIGN_IN, new.user_id, new.started_at)
            await connection.execute(self.FORGET, new.user_id, new.started_at - KEPT_AFTER_END, MAX_SESSIONS)
            await append_audit(connection, entry)

    # Of two that present the same token the second waits here for the first, and then finds another hash.
    ROTATE = """
        UPDATE sessions s SET refresh_token_hash = $2, last_used_at = $3, expires_at = $4, access_expires_at = $5
        FROM users u
        WHERE s.refresh_token_hash = $1 AND NOT s.revoked AND s.expires_at > $3 AND u.id = s.user_id AND u.is_active
        RETURNING s.id, s.user_id
    """
    SPEND = "INSERT INTO spent_refresh_tokens (token_hash, session_id, spent_at) VALUES ($1, $2, $3)"
    FORGET_SPENT = """
        DELETE FROM spent_refresh_tokens WHERE session_id = $1 AND (spent_at < $2 OR token_hash IN (
            SELECT token_hash FROM spent_refresh_tokens WHERE session_id = $1
            ORDER BY spent_at DESC, token_hash OFFSET $3
        ))
    """

    async def rotate(self, rotation: Rotation) -> SessionKey | None:
        """Exchange a refresh token; return its session, None if it opens none (any more). One of many wins."""
        lifetime = rotation.expires_at - rotation.now
        async with self._database.service() as connection:
            row = await connection.fetchrow(
                self.ROTATE,
                *(rotation.spent_hash, rotation.new_hash, rotation.now),
                *(rotation.expires_at, rotation.access_expires_at),
            )
            if row is None:
                return None
            await connection.execute(self.SPEND, rotation.spent_hash, row["id"], rotation.now)
            await connection.execute(self.FORGET_SPENT, row["id"], rotation.now - lifetime, MAX_SPENT)
        return SessionKey(**row)

    REVOKE_FAMILY = """
        UPDATE sessions s SET revoked = true FROM spent_refresh_tokens spent
        WHERE spent.token_hash = $1 AND s.id = spent.session_id AND NOT s.revoked RETURNING s.id, s.user_id
    """

    async def end_if_spent(self, token_hash: bytes, address: str | None, user_agent: str | None) -> SessionKey | None:
        """End the session whose refresh token this was before; return it, None if there is none."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.REVOKE_FAMILY, token_hash)
            if row is None:
                return None
            entry = AuditEntry(
                action="session.reuse_detected",
                outcome="refused",
                user_id=row["user_id"],
                reason="spent_refresh_token",
                details={"session_id": str(row["id"])},
                address=address,
                user_agent=user_agent,
            )
            await append_audit(connection, entry)
        return SessionKey(**row)

    FIND = "SELECT id, user_id FROM sessions WHERE refresh_token_hash = $1 AND NOT revoked"

    async def by_refresh_token(self, token_hash: bytes) -> SessionKey | None:
        """Return the session that a refresh token, the current one, belongs to."""
        async with self._database.service() as connection:
            row = await connection.fetchrow(self.FIND, token_hash)
        return None if row is None else SessionKey(**row)

    REVOKE = "UPDATE sessions SET revoked = true WHERE id = $1 AND user_id = $2 AND NOT revoked RETURNING id"

    async def end(self, session: SessionKey, entry: AuditEntry) -> None:
        """End a session of its person, with `entry`. Raises NotFoundError for one that has ended, or is another's."""
        async with self._database.request(Caller(session.user_id)) as connection:
            if await connection.fetchval(self.REVOKE, session.id, session.user_id) is None:
                raise NotFoundError("session", session.id)
            await append_audit(connection, entry)

    REVOKE_OTHERS = "UPDATE sessions SET revoked = true WHERE user_id = $1 AND id <> $2 AND NOT revoked"

    async def end_others(self, session: SessionKey, entry: AuditEntry) -> None:
        """End all sessions of a person but this one, with `entry`."""
        async with self._database.request(Caller(session.user_id)) as connection:
            await end_others(connection, session)
            await append_audit(connection, entry)

    LIST = """
        SELECT id, device_info, ip_address, user_agent, created_at, last_used_at, expires_at
        FROM sessions WHERE user_id = $1 AND NOT revoked AND expires_at > $2 ORDER BY id
    """

    async def of_user(self, caller: Caller, now: datetime) -> tuple[Session, ...]:
        """Return the caller's sessions that go on, oldest first."""
        async with self._database.request(caller) as connection:
            rows = await connection.fetch(self.LIST, caller.user_id, now)
        return tuple(map(_session, rows))


async def end_others(connection: asyncpg.Connection, session: SessionKey) -> None:
    """End all sessions of a person but this one, within a transaction."""
    await connection.execute(Sessions.REVOKE_OTHERS, session.user_id, session.id)


def _session(row: asyncpg.Record) -> Session:
    return Session(
        id=row["id"],
        device=(row["device_info"] or {}).get("name"),
        address=None if row["ip_address"] is None else str(row["ip_address"]),
        user_agent=row["user_agent"],
        created_at=row["created_at"],
        last_used_at=row["last_used_at"],
        expires_at=row["expires_at"],
    )
