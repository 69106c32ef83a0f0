"""Sessions and accounts on a real PostgreSQL: what is kept of them, and for how long."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from persistence.accounts import Accounts
from persistence.database import Database
from persistence.identifiers import new_id
from persistence.people_records import AuditEntry, NewSession, Rotation, SessionKey
from persistence.records import Caller
from persistence.sessions import KEPT_AFTER_END, MAX_SESSIONS, Sessions

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOME = "192.0.2.1"


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def ada(owner: asyncpg.Connection) -> UUID:
    user_id = new_id()
    await owner.execute("INSERT INTO users (id, username, password_hash) VALUES ($1, 'Ada', 'old')", user_id)
    return user_id


async def begun(database: Database, user_id: UUID, number: int, now: datetime = NOW) -> SessionKey:
    """Start the session with the refresh token `number`."""
    session = NewSession(
        id=new_id(),
        user_id=user_id,
        refresh_token_hash=number.to_bytes(32),
        device=None,
        address=HOME,
        user_agent=None,
        started_at=now,
        expires_at=now + DAY,
        access_expires_at=now,
    )
    await Sessions(database).start(session, AuditEntry("session.signed_in", "done", user_id))
    return SessionKey(session.id, user_id)


def rotation(spent: int, new: int, now: datetime = NOW) -> Rotation:
    return Rotation(spent.to_bytes(32), new.to_bytes(32), now, now + DAY, now)


async def test_a_person_keeps_so_many_sessions_and_those_that_ended_go_first(
    database: Database, ada: UUID, owner: asyncpg.Connection
) -> None:
    ended, oldest, *others = [
        await begun(database, ada, number, NOW + timedelta(seconds=number)) for number in range(MAX_SESSIONS)
    ]
    await owner.execute("UPDATE sessions SET revoked = true, last_used_at = $2 WHERE id = $1", ended.id, NOW + DAY)

    newest = await begun(database, ada, 1_000, NOW + timedelta(seconds=1_000))
    kept = {row["id"] for row in await owner.fetch("SELECT id FROM sessions")}
    assert kept == {session.id for session in (oldest, *others, newest)}

    await begun(database, ada, 1_001, NOW + timedelta(seconds=1_001))
    assert await owner.fetchval("SELECT count(*) FROM sessions WHERE id = $1", oldest.id) == 0


async def test_a_person_is_known_where_they_signed_in_for_a_while_after(
    database: Database, ada: UUID, owner: asyncpg.Connection
) -> None:
    """AUTH-16."""

    async def is_known(network: str | None) -> bool:
        account = await Accounts(database).by_username("ADA", network)
        assert account is not None
        return account.is_known_here

    assert not await is_known(f"{HOME}/32")
    await begun(database, ada, 1)
    assert await is_known(f"{HOME}/32")
    assert not await is_known("192.0.2.2/32")
    assert not await is_known(None)
    await begun(database, ada, 2, NOW + KEPT_AFTER_END)
    assert await owner.fetchval("SELECT count(*) FROM sessions") == 2
    await begun(database, ada, 3, NOW + KEPT_AFTER_END + 2 * DAY)
    assert await owner.fetchval("SELECT count(*) FROM sessions") == 2, "the first expired too long ago"


async def test_AUTH_9_spent_tokens_are_kept_as_long_as_one_would_have_been_good(
    database: Database, ada: UUID, owner: asyncpg.Connection
) -> None:
    sessions = Sessions(database)
    await begun(database, ada, 1)
    for spent in range(1, 4):
        assert await sessions.rotate(rotation(spent, spent + 1)) is not None
    assert await owner.fetchval("SELECT count(*) FROM spent_refresh_tokens") == 3

    later = NOW + DAY - timedelta(seconds=1)
    assert await sessions.rotate(rotation(4, 5, later)) is not None
    assert await sessions.rotate(rotation(5, 6, later + DAY - timedelta(seconds=1))) is not None
    assert await owner.fetchval("SELECT count(*) FROM spent_refresh_tokens") == 2


async def test_AUTH_9_no_more_spent_tokens_of_a_session_are_kept_than_a_bound(
    database: Database, ada: UUID, owner: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persistence.sessions.MAX_SPENT", 3)
    sessions = Sessions(database)
    await begun(database, ada, 1)
    for spent in range(1, 6):
        assert await sessions.rotate(rotation(spent, spent + 1, NOW + timedelta(seconds=spent))) is not None

    kept = await owner.fetch("SELECT token_hash FROM spent_refresh_tokens ORDER BY token_hash")
    assert [int.from_bytes(row["token_hash"]) for row in kept] == [3, 4, 5]


async def test_AUTH_10_a_spent_token_ends_its_session_once(database: Database, ada: UUID) -> None:
    sessions = Sessions(database)
    session = await begun(database, ada, 1)
    await sessions.rotate(rotation(1, 2))

    assert await sessions.end_if_spent((9).to_bytes(32), None, None) is None
    assert await sessions.end_if_spent((1).to_bytes(32), HOME, "x" * 900) == session
    assert await sessions.end_if_spent((1).to_bytes(32), None, None) is None
    assert await sessions.rotate(rotation(2, 3)) is None
    assert await sessions.of_user(Caller(ada), NOW) == ()


async def test_AUTH_3_a_password_changed_meanwhile_is_not_changed_back(
    database: Database, ada: UUID, owner: asyncpg.Connection
) -> None:
    accounts = Accounts(database)
    account = await accounts.by_username("ada", None)
    assert account is not None
    await owner.execute("UPDATE users SET password_hash = 'changed' WHERE id = $1", ada)

    await accounts.rehash(account, "rehashed")

    assert await owner.fetchval("SELECT password_hash FROM users WHERE id = $1", ada) == "changed"
