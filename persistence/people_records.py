"""Rows about people as frozen objects: accounts, sessions, tokens, and what is written down about them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from persistence.records import RoleName

ScopeName = Literal["read", "edit", "manage"]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret that access tokens are signed with."""

    id: UUID
    secret: bytes


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who may try to sign in, from a network that they have signed in from before, or not.

    `password_hash` is None where no password opens the account.
    """

    id: UUID
    username: str
    password_hash: str | None
    is_active: bool
    is_known_here: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """What people see of their own account."""

    id: UUID
    username: str
    name: str
    groups: tuple["Membership", ...]


@dataclass(frozen=True, slots=True)
class Membership:
    """What somebody is in a group."""

    id: UUID
    name: str
    role: RoleName


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that begins: for whom, from where, and until when without a refresh."""

    id: UUID
    user_id: UUID
    refresh_token_hash: bytes
    device: str | None
    address: str | None
    user_agent: str | None
    started_at: datetime
    expires_at: datetime
    access_expires_at: datetime


@dataclass(frozen=True, slots=True)
class Rotation:
    """The exchange of a refresh token for the next one."""

    spent_hash: bytes
    new_hash: bytes
    now: datetime
    expires_at: datetime
    access_expires_at: datetime


@dataclass(frozen=True, slots=True)
class SessionKey:
    """A session, and whose it is."""

    id: UUID
    user_id: UUID


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its person sees it."""

    id: UUID
    device: str | None
    address: str | None
    user_agent: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewToken:
    """A personal access token on its way into the store."""

    id: UUID
    user_id: UUID
    name: str
    token_hash: bytes
    scopes: tuple[ScopeName, ...]
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class PersonalAccessToken:
    """A personal access token as its person sees it."""

    id: UUID
    name: str
    scopes: tuple[ScopeName, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """Somebody active whose credential is in force."""

    id: UUID
    name: str
    is_admin: bool


@dataclass(frozen=True, slots=True)
class KnownByToken:
    """Somebody active, and the personal access token that says so."""

    person: KnownPerson
    token_id: UUID
    scopes: tuple[ScopeName, ...]
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class KnownByLink:
    """A share link in force, and what it gives in which graph."""

    link_id: UUID
    graph_id: UUID
    role: RoleName
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """A leaky bucket of failed attempts: it holds `capacity`, and loses `leak_per_s`."""

    key: bytes
    capacity: float
    leak_per_s: float


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """What was done or refused, on its way into `audit_log`; `reason` says why it was refused."""

    action: str
    outcome: Literal["done", "refused"]
    user_id: UUID
    reason: str | None = None
    group_id: UUID | None = None
    graph_id: UUID | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    address: str | None = None
    user_agent: str | None = None
