"""A server whose people are known by the ids of their sessions, at the database that it is given."""

import asyncio
from uuid import UUID

from auth.policy import Credential, Principal
from bench.processes import asked_for, say_ready_and_wait
from collab.doorkeeper import Visitor
from persistence.database import Database
from server.app import bind, running
from server.door import UnauthenticatedError
from server.logs import configure_logs
from server.settings import Settings

LOOK_UP = """
    SELECT s.id, s.user_id, s.access_expires_at FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.id = $1 AND NOT s.revoked AND u.is_active AND s.access_expires_at > now()
"""


async def serve(database_url: str, port: int) -> None:
    """Serve until standard input ends."""
    database = await Database.open(database_url, pool_size=8, timeout_s=10)

    async def by_session(_visitor: Visitor, token: str | None) -> Principal:
        async with database.service() as connection:
            row = await connection.fetchrow(LOOK_UP, UUID(token or ""))
        if row is None:
            raise UnauthenticatedError
        return Principal(
            row["user_id"], "somebody", "person", Credential("session", row["id"], row["access_expires_at"])
        )

    with bind("127.0.0.1", port) as bound:
        async with running(Settings(), database, by_session, bound):
            await asyncio.to_thread(say_ready_and_wait)
    await database.close()


if __name__ == "__main__":
    configure_logs("json")
    arguments = asked_for()
    asyncio.run(serve(arguments["database_url"], arguments["port"]))
