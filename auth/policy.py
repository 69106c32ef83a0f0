"""The one decision every door asks for: may this principal do this here?

Pure: who someone is, and which role they hold in what they want, is found out before, by the door.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from persistence.records import ANONYMOUS_USER_ID, Caller, Grant


class Role(StrEnum):
    """What a person is in a group or graph, from most to least."""

    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


class Action(StrEnum):
    """What a door is about to do. They are also the scopes of a token: what may be done with it, at most."""

    READ = "read"
    EDIT = "edit"
    MANAGE = "manage"


class Kind(StrEnum):
    """What it is about to be done to."""

    GRAPH = "graph"
    PROJECT = "project"
    GROUP = "group"
    ACCOUNT = "account"
    """The principal's own account, with its sessions and tokens."""
    INSTALLATION = "installation"
    """Accounts, groups and the audit log of the whole server."""


@dataclass(frozen=True, slots=True)
class Resource:
    """What the principal wants; `role` is what they are there, None if nothing. The last two kinds have none."""

    kind: Kind
    role: Role | None = None

    @classmethod
    def of(cls, kind: Kind, role: str | None) -> "Resource":
        """Return the same of a role as the store has it."""
        return cls(kind, None if role is None else Role(role))


OWN_ACCOUNT = Resource(Kind.ACCOUNT)
INSTALLATION = Resource(Kind.INSTALLATION)


@dataclass(frozen=True, slots=True)
class Credential:
    """By what the principal is known: `id` is the row of a session, token or share link, None for what has none.

    It stops working at `expires_at`, and before if that row is revoked.
    """

    kind: Literal["open", "session", "token", "share", "backend"]
    id: UUID | None = None
    expires_at: datetime | None = None


OPEN = Credential("open")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who stands at the door. With a `grant` no role counts but the one it gives in its graph."""

    id: UUID
    name: str
    kind: Literal["person", "agent"]
    credential: Credential
    is_admin: bool = False
    """Whether they look after the whole installation."""
    grant: Grant | None = None
    scopes: frozenset[Action] = frozenset(Action)

    @property
    def caller(self) -> Caller:
        """On whose behalf the store reads and writes."""
        return Caller(self.id, self.grant, is_everywhere=self.credential.kind == "open")


OPERATOR = Principal(ANONYMOUS_USER_ID, "anonymous", "person", OPEN, is_admin=True)
"""Whoever uses a server that is open, and whoever runs commands on the machine of the database."""


_ALLOWED = {
    Role.ADMIN: frozenset(Action),
    Role.MEMBER: frozenset({Action.READ, Action.EDIT}),
    Role.VIEWER: frozenset({Action.READ}),
}


def may(principal: Principal, action: Action, resource: Resource) -> bool:
    """Return whether `principal` may do `action` to `resource`: what nothing allows is not allowed."""
    if action not in principal.scopes:
        return False
    if principal.grant is not None and resource.kind is not Kind.GRAPH:
        return False
    if resource.kind is Kind.ACCOUNT:
        return principal.credential.kind != "open"
    if resource.kind is Kind.INSTALLATION:
        return principal.is_admin
    return resource.role is not None and action in _ALLOWED[resource.role]
