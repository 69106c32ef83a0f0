"""A server in this process, on a database of the test's own, that knows people by their tokens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from auth.policy import Credential, Principal
from collab.doorkeeper import Visitor
from persistence.database import Database
from persistence.identifiers import new_id
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID
from server.app import bind, running
from server.door import UnauthenticatedError
from server.settings import Settings

PEOPLE = {"admin": ANONYMOUS_USER_ID, "viewer": new_id(), "stranger": new_id()}
"""Who is known, by token: an administrator and a viewer of the built-in group, and one who is in no group."""
ADD_USER = "INSERT INTO users (id, username) VALUES ($1, $2)"
ADD_VIEWER = "INSERT INTO group_memberships (group_id, user_id, role) VALUES ($1, $2, 'viewer')"


async def by_token(visitor: Visitor, token: str | None) -> Principal:
    if token not in PEOPLE:
        raise UnauthenticatedError
    return Principal(PEOPLE[token], token, "person", Credential("backend"))


@dataclass(frozen=True)
class Served:
    """A running server."""

    port: int

    def url(self, graph_id: UUID | str, token: str | None = "admin") -> str:
        return f"ws://127.0.0.1:{self.port}/sync/{graph_id}" + (f"?token={token}" if token else "")

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/sync"

    @property
    def hocuspocus_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/hocuspocus"

    def http(self, token: str | None = "admin") -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=20)

    async def create_graph(self) -> str:
        async with self.http() as http:
            project = (await http.post("/api/projects", json={"name": f"p {new_id()}"})).raise_for_status().json()
            graph = await http.post(f"/api/projects/{project['id']}/graphs", json={"name": "g"})
            return str(graph.raise_for_status().json()["id"])


@asynccontextmanager
async def serving(database: Database, database_url: str, **settings: Any) -> AsyncIterator[Served]:
    """Serve `database` with these settings until the block ends."""
    owner = await asyncpg.connect(database_url)
    for name in ("viewer", "stranger"):
        await owner.execute(ADD_USER, PEOPLE[name], name)
    await owner.execute(ADD_VIEWER, EVERYONE_GROUP_ID, PEOPLE["viewer"])
    await owner.close()
    with bind("127.0.0.1", 0) as bound:
        async with running(Settings(**settings), database, by_token, bound) as listener:
            await asyncio.sleep(0)
            yield Served(listener.port)
