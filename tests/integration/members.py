"""People of one group, with sessions, tokens and share links as rows, and an authenticator that goes by them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg

from auth.policy import OPERATOR, Action, Credential, Principal
from collab.doorkeeper import Visitor
from persistence.database import Database
from persistence.identifiers import new_id
from persistence.records import ANONYMOUS_USER_ID, EVERYONE_GROUP_ID, Grant
from server.app import bind, running
from server.door import UnauthenticatedError
from server.settings import Settings
from tests.integration.served import ADD_USER, Served

ADD_MEMBER = "INSERT INTO group_memberships (group_id, user_id, role) VALUES ($1, $2, $3)"
ADD_SESSION = """
    INSERT INTO sessions (id, user_id, refresh_token_hash, expires_at, access_expires_at)
    VALUES ($1, $2, $3, now() + interval '30 days', $4)
"""
ADD_TOKEN = "INSERT INTO personal_access_tokens (id, user_id, name, token_hash, scopes) VALUES ($1, $2, 't', $3, $4)"
ADD_LINK = "INSERT INTO share_links (id, graph_id, role, token_hash, created_by) VALUES ($1, $2, $3, $4, $5)"
SOON = timedelta(minutes=10)


@dataclass(frozen=True)
class Member:
    """Somebody who is signed in by the token that is their name."""

    name: str
    principal: Principal

    @property
    def id(self) -> UUID:
        return self.principal.id

    @property
    def credential_id(self) -> UUID | None:
        return self.principal.credential.id


class Group:
    """The built-in group as its rows say; `owner` is the connection of the database's owner. An authenticator."""

    def __init__(self, owner: asyncpg.Connection) -> None:
        self.owner = owner
        self._known: dict[str, Principal] = {"admin": OPERATOR}

    async def __call__(self, visitor: Visitor, token: str | None) -> Principal:
        if token not in self._known:
            raise UnauthenticatedError
        return self._known[token]

    async def member(self, name: str, role: str = "member", lasts: timedelta = SOON) -> Member:
        """Somebody new with a session."""
        user_id, session_id, expires_at = new_id(), new_id(), datetime.now(UTC) + lasts
        await self.owner.execute(ADD_USER, user_id, name)
        await self.owner.execute(ADD_MEMBER, EVERYONE_GROUP_ID, user_id, role)
        await self.owner.execute(ADD_SESSION, session_id, user_id, _hash(session_id), expires_at)
        return self._know(name, Principal(user_id, name, "person", Credential("session", session_id, expires_at)))

    async def with_token(self, member: Member, *scopes: Action) -> Member:
        """The same person with a personal access token."""
        token_id = new_id()
        await self.owner.execute(ADD_TOKEN, token_id, member.id, _hash(token_id), list(scopes))
        principal = replace(member.principal, credential=Credential("token", token_id), scopes=frozenset(scopes))
        return self._know(f"token of {member.name}", principal)

    async def guest(self, graph: str, role: Any) -> Member:
        """Whoever comes by a share link."""
        link_id, graph_id = new_id(), UUID(graph)
        await self.owner.execute(ADD_LINK, link_id, graph_id, role, _hash(link_id), ANONYMOUS_USER_ID)
        credential, grant = Credential("share", link_id), Grant(graph_id, role)
        return self._know("guest", Principal(ANONYMOUS_USER_ID, "Guest", "person", credential, grant=grant))

    def refreshed(self, member: Member, name: str, lasts: timedelta = SOON) -> Member:
        """The same session with a newer access token, which is its newest one only once the row says so."""
        credential = replace(member.principal.credential, expires_at=datetime.now(UTC) + lasts)
        return self._know(name, replace(member.principal, credential=credential))

    def _know(self, token: str, principal: Principal) -> Member:
        self._known[token] = principal
        return Member(token, principal)


@dataclass(frozen=True)
class Pair:
    """Two servers on one database."""

    group: Group
    servers: tuple[Served, Served]


@asynccontextmanager
async def serving_group(database: Database, owner: asyncpg.Connection, **settings: Any) -> AsyncIterator[Pair]:
    """Serve `database` twice until the block ends."""
    group = Group(owner)
    async with AsyncExitStack() as stack:
        servers = []
        for _ in range(2):
            bound = stack.enter_context(bind("127.0.0.1", 0))
            listener = await stack.enter_async_context(running(Settings(**settings), database, group, bound))
            servers.append(Served(listener.port))
        yield Pair(group, (servers[0], servers[1]))


def _hash(secret: UUID) -> bytes:
    return sha256(secret.bytes).digest()
