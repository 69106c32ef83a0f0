"""Rows of groups and accounts as their admins see them: members, invitations, what is shared, the audit log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from persistence.records import RoleName

UserRole = Literal["user", "admin"]
GraphRoleName = Literal["admin", "member", "viewer", "none"]


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An entry of the audit log; `username` is None for those whom the reader may not see."""

    id: int
    action: str
    outcome: str
    reason: str | None
    user_id: UUID
    username: str | None
    group_id: UUID | None
    graph_id: UUID | None
    details: Mapping[str, Any]
    address: str | None
    user_agent: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Group:
    """Who works together; `role` is what the caller is there, None if only an admin of the installation."""

    id: UUID
    name: str
    description: str | None
    role: RoleName | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """A person in a group; one who is not active has a disabled account."""

    user_id: UUID
    username: str
    name: str
    role: RoleName
    joined_at: datetime
    is_active: bool


@dataclass(frozen=True, slots=True)
class User:
    """An account; `role` is the one in the whole installation. An external one is known by the team's own backend."""

    id: UUID
    username: str
    name: str
    role: UserRole
    is_active: bool
    created_at: datetime
    last_login_at: datetime | None
    is_external: bool


@dataclass(frozen=True, slots=True)
class NewUser:
    """An account to add; without a `password_hash` no password opens it yet."""

    id: UUID
    username: str
    full_name: str | None
    role: UserRole = "user"
    password_hash: str | None = None


@dataclass(frozen=True, slots=True)
class GroupRole:
    """A role in a group, to be given."""

    group_id: UUID
    role: RoleName


@dataclass(frozen=True, slots=True)
class NewInvitation:
    """An invitation to make: to a group in a role, or to choose the password of `user_id`.

    Of its token only the SHA-256 is stored.
    """

    id: UUID
    token_hash: bytes
    expires_at: datetime
    group_id: UUID | None = None
    role: RoleName | None = None
    user_id: UUID | None = None
    makes_admin: bool = False


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation to a group that can still be accepted."""

    id: UUID
    role: RoleName
    created_at: datetime
    expires_at: datetime
    created_by: UUID


@dataclass(frozen=True, slots=True)
class OpenInvitation:
    """What a token opens: a group in a role, or the password of the account `user_id`."""

    id: UUID
    group_id: UUID | None
    group_name: str | None
    role: RoleName | None
    user_id: UUID | None
    username: str | None
    makes_admin: bool
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class GraphAccess:
    """What a person is in a graph: by its group, or by a role of their own in the graph."""

    user_id: UUID
    username: str
    name: str
    role: GraphRoleName
    source: Literal["group", "graph"]


@dataclass(frozen=True, slots=True)
class ShareLink:
    """A link into one graph for anybody who has it; without an end if `expires_at` is None."""

    id: UUID
    role: RoleName
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewShareLink:
    """A link to make. Of its token only the SHA-256 is stored."""

    id: UUID
    graph_id: UUID
    role: RoleName
    token_hash: bytes
    expires_at: datetime | None
