"""A server in this process that knows people by their accounts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
from argon2 import PasswordHasher

from auth.passwords import Passwords
from auth.policy import Role
from persistence.database import Database
from persistence.identifiers import new_id
from persistence.records import EVERYONE_GROUP_ID
from server.app import bind, running
from server.authentication import Authentication
from server.settings import Settings
from tests.integration.served import Served

PASSWORD, WRONG = "correct horse battery", "incorrect horse battery"
HOME, ATTACKER = "127.0.0.1", "127.0.0.66"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""What servers of these tests hash with, where nothing else is said."""

_STORED = CHEAP.hash(PASSWORD)
ADD_USER = "INSERT INTO users (id, username, password_hash, role) VALUES ($1, $2, $3, $4)"
ADD_MEMBER = "INSERT INTO group_memberships (group_id, user_id, role) VALUES ($1, $2, $3)"


@dataclass(frozen=True)
class Town(Served):
    """A running server with accounts; `owner` is its database's owner."""

    owner: asyncpg.Connection

    async def add(self, username: str, role: Role | None = Role.MEMBER, *, is_admin: bool = False) -> UUID:
        """Add a person whose password is PASSWORD, to the built-in group as `role`."""
        user_id = new_id()
        await self.owner.execute(ADD_USER, user_id, username, _STORED, "admin" if is_admin else "user")
        if role is not None:
            await self.owner.execute(ADD_MEMBER, EVERYONE_GROUP_ID, user_id, role.value)
        return user_id

    def client(self, token: str | None = None, address: str = HOME) -> httpx.AsyncClient:
        """A program at an address of this machine (127.0.0.0/8), signed in with a token or not."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
            headers=headers,
            timeout=20,
            transport=httpx.AsyncHTTPTransport(verify=False, local_address=address),  # which is quicker to make
        )

    async def login(self, username: str, password: str = PASSWORD, address: str = HOME) -> httpx.Response:
        """Try to sign in with a new client."""
        async with self.client(address=address) as client:
            return await client.post("/api/auth/login", json={"username": username, "password": password})

    async def guess(self, number: int, address: str = ATTACKER, username: str = "Ada") -> list[httpx.Response]:
        """Try so many wrong passwords, one after the other."""
        return [await self.login(username, WRONG, address) for _ in range(number)]

    async def me(self, token: str | None) -> httpx.Response:
        """Ask who a token is."""
        async with self.client(token) as client:
            return await client.get("/api/auth/me")

    async def tokens(self, username: str) -> dict[str, Any]:
        """Sign in and return the tokens."""
        body: dict[str, Any] = (await self.login(username)).raise_for_status().json()
        return body

    async def shift(self, **by: float) -> None:
        """Let so much time pass for what counts failures."""
        await self.owner.execute("UPDATE sign_in_throttles SET updated_at = updated_at - $1::interval", timedelta(**by))

    async def empty(self) -> None:
        """Begin anew: nobody is called as before, nothing is counted or written down."""
        await self.owner.execute("UPDATE users SET username = id::text WHERE password_hash IS NOT NULL")
        await self.owner.execute("TRUNCATE sign_in_throttles, audit_log")

    async def audited(self) -> list[tuple[str, str | None]]:
        """What was written down in the act, in order: action and reason.

        Refusals at the doors of graphs are written up to half a second later, also those of the test before.
        """
        rows = await self.owner.fetch("SELECT action, reason FROM audit_log WHERE action <> 'graph.read' ORDER BY id")
        return [(row["action"], row["reason"]) for row in rows]


@asynccontextmanager
async def town_at(database_url: str) -> AsyncIterator[Town]:
    """Open a database and serve it, with accounts, until the block ends."""
    database = await Database.open(database_url, pool_size=4, timeout_s=10.0)
    try:
        async with town(database, database_url) as served:
            yield served
    finally:
        await database.close()


@asynccontextmanager
async def town(
    database: Database, database_url: str, hasher: PasswordHasher = CHEAP, **settings: Any
) -> AsyncIterator[Town]:
    """Serve `database`, with accounts, until the block ends."""
    owner = await asyncpg.connect(database_url)
    try:
        with pytest.MonkeyPatch.context() as patched, bind("127.0.0.1", 0) as bound:
            patched.setattr("server.accounts.Passwords", partial(Passwords, hasher=hasher))
            async with running(Settings(**settings), database, Authentication(database), bound) as listener:
                yield Town(listener.port, owner)
    finally:
        await owner.close()


def moment(text: str) -> datetime:
    """Return a time as HTTP bodies have it."""
    return datetime.fromisoformat(text)
