"""A server on a database of two groups with the same names of everything, that knows their people by tokens."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from auth.policy import Action, Credential, Principal
from collab.doorkeeper import Visitor
from persistence.database import Database
from persistence.records import ANONYMOUS_USER_ID, Grant
from server.app import bind, running
from server.door import UnauthenticatedError
from server.settings import Settings
from tests.contract.two_groups import PEOPLE, Group, TwoGroups, fill

# What stays as it was until somebody edits: the follower has nothing to do.
PROJECTED = """
    UPDATE graphs SET projected_through = (SELECT max(id) FROM crdt_operations);
    UPDATE graph_bases SET edits_through = (SELECT max(id) FROM crdt_operations)
"""


def principals(group: Group) -> dict[str, Principal]:
    """Return who can come from a group, by name."""
    people = {
        name: Principal(group.people[name], name, "person", Credential("session", row_id(group, "sessions", number)))
        for number, name in enumerate(PEOPLE)
    }
    share, backend = Credential("share", row_id(group, "share_links")), Credential("backend")
    token = Credential("token", row_id(group, "personal_access_tokens"))
    owner = group.people["admin"]
    return people | {
        "guest": Principal(ANONYMOUS_USER_ID, "Guest", "person", share, grant=Grant(group.graph, "viewer")),
        "guest-member": Principal(ANONYMOUS_USER_ID, "Guest", "person", share, grant=Grant(group.graph, "member")),
        "backend": Principal(group.people["backend"], "b", "person", backend, grant=Grant(group.graph, "admin")),
        "reader": Principal(owner, "script", "agent", token, scopes=frozenset({Action.READ})),
    }


def row_id(group: Group, table: str, number: int = 0) -> UUID:
    """Return the id of a group's row."""
    return UUID(list(group.rows[table])[number])


@dataclass(frozen=True)
class Tenants:
    """The server, and what is in its database. Tokens are `mine:admin`, `theirs:viewer` and so on; None for nobody."""

    groups: TwoGroups
    port: int
    database_url: str

    def http(self, token: str | None) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", headers=headers, timeout=20)

    def sync_url(self, name: object, token: str | None) -> str:
        return f"ws://127.0.0.1:{self.port}/sync/{name}" + (f"?token={token}" if token else "")

    @property
    def hocuspocus_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/hocuspocus"


@asynccontextmanager
async def two_tenants(database: Database, database_url: str, **settings: Any) -> AsyncIterator[Tenants]:
    """Fill `database` and serve it until the block ends."""
    groups = await fill(database_url)
    owner = await asyncpg.connect(database_url)
    await owner.execute(PROJECTED)
    await owner.close()
    known = {f"mine:{name}": one for name, one in principals(groups.mine).items()}
    known |= {f"theirs:{name}": one for name, one in principals(groups.theirs).items()}
    known["chief"] = Principal(groups.chief, "chief", "person", Credential("session"), is_admin=True)

    async def by_token(visitor: Visitor, token: str | None) -> Principal:
        if token not in known:
            raise UnauthenticatedError
        return known[token]

    with bind("127.0.0.1", 0) as bound:
        async with running(Settings(**settings), database, by_token, bound) as listener:
            await asyncio.sleep(0)
            yield Tenants(groups, listener.port, database_url)
