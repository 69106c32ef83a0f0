"""What accounts, groups and what is shared ask of the store, as narrow protocols."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from persistence.group_records import (
    AuditRow,
    GraphAccess,
    GraphRoleName,
    Group,
    GroupRole,
    Invitation,
    Member,
    NewInvitation,
    NewShareLink,
    NewUser,
    OpenInvitation,
    ShareLink,
    User,
    UserRole,
)
from persistence.people_records import (
    Account,
    AuditEntry,
    Bucket,
    NewSession,
    NewToken,
    PersonalAccessToken,
    Profile,
    Rotation,
    Session,
    SessionKey,
    SigningKey,
)
from persistence.records import Caller, Retitle, RoleName

Clock = Callable[[], datetime]
"""Returns the time, with a time zone."""


class KeyStore(Protocol):
    """Where signing keys are."""

    async def all(self) -> Sequence[SigningKey]:
        """Return every key, at least one, the newest last."""


class PasswordStore(Protocol):
    """Where accounts are found by those who sign in."""

    async def by_username(self, username: str, network: str | None) -> Account | None:
        """Return the account of a name, written in any case, as it is seen from `network`."""

    async def rehash(self, account: Account, password_hash: str) -> None:
        """Store the same password as hashed anew."""


class ThrottleStore(Protocol):
    """Where failed attempts are counted."""

    async def pour(self, buckets: Sequence[Bucket], now: datetime) -> float:
        """Count one attempt in every bucket and return 0; in none if one is full, and return how many seconds it is."""

    async def absolve(self, emptied: Sequence[Bucket], taken_back: Sequence[Bucket]) -> None:
        """Count an attempt as none after all, and those before it neither in the buckets that are `emptied`."""

    async def forget(self, now: datetime) -> None:
        """Forget buckets that are empty by now, and those beyond what is kept."""

    async def tell_refusal(self, entry: AuditEntry, network: str | None) -> None:
        """Write `entry` down, unless the same happened to the account from `network` within the last minute."""


class SessionStore(Protocol):
    """Where sessions are."""

    async def start(self, new: NewSession, entry: AuditEntry) -> None:
        """Begin a session."""

    async def rotate(self, rotation: Rotation) -> SessionKey | None:
        """Exchange a refresh token; return its session, None if it opens none (any more). One of many wins."""

    async def end_if_spent(self, token_hash: bytes, address: str | None, user_agent: str | None) -> SessionKey | None:
        """End the session whose refresh token this was before; return it, None if there is none."""

    async def by_refresh_token(self, token_hash: bytes) -> SessionKey | None:
        """Return the session that a refresh token, the current one, belongs to."""

    async def end(self, session: SessionKey, entry: AuditEntry) -> None:
        """End a session. Raises NotFoundError."""

    async def end_others(self, session: SessionKey, entry: AuditEntry) -> None:
        """End all sessions of a person but this one."""

    async def of_user(self, caller: Caller, now: datetime) -> Sequence[Session]:
        """Return the caller's sessions that go on, oldest first."""


class AccountStore(Protocol):
    """Where people's own accounts are."""

    async def profile(self, caller: Caller) -> Profile:
        """Return the caller's own account."""

    async def rename(self, caller: Caller, name: str) -> None:
        """Show the caller by another name."""

    async def set_password(self, session: SessionKey, password_hash: str, entry: AuditEntry) -> None:
        """Store a new password and end all other sessions of the person."""


class TokenStore(Protocol):
    """Where personal access tokens are."""

    async def add(self, new: NewToken, limit: int, entry: AuditEntry) -> bool:
        """Store a token; return False if the person has `limit` that work."""

    async def of_user(self, caller: Caller, now: datetime) -> Sequence[PersonalAccessToken]:
        """Return the caller's tokens that work, oldest first."""

    async def revoke(self, caller: Caller, token_id: UUID, now: datetime, entry: AuditEntry) -> None:
        """End a token of the caller's. Raises NotFoundError."""


class PasswordHasher(Protocol):
    """Hashes passwords beside the event loop, such as `auth.passwords.Passwords`."""

    async def hash(self, password: str) -> str: ...


class GroupStore(Protocol):
    """Groups and members; `persistence.groups.Groups` says what each method promises."""

    async def list(self, caller: Caller) -> tuple[Group, ...]: ...
    async def read(self, caller: Caller, group_id: UUID) -> Group: ...
    async def of_project(self, project_id: UUID) -> UUID | None: ...
    async def create(
        self, caller: Caller, entry: AuditEntry, name: str, description: str | None, admin_id: UUID | None
    ) -> Group: ...
    async def change(self, caller: Caller, entry: AuditEntry, new: Retitle) -> Group: ...
    async def members(self, caller: Caller, group_id: UUID) -> tuple[Member, ...]: ...
    async def set_role(
        self, caller: Caller, entry: AuditEntry, user_id: UUID, role: RoleName, *, may_add: bool
    ) -> None: ...
    async def remove(self, entry: AuditEntry, user_id: UUID) -> None: ...


class UserStore(Protocol):
    """Accounts; `persistence.users.Users` says what each method promises."""

    async def list(self) -> tuple[User, ...]: ...
    async def read(self, user_id: UUID) -> User: ...
    async def find(self, username: str) -> User | None: ...
    async def has_admin(self) -> bool: ...
    async def add(self, entry: AuditEntry, new: NewUser, membership: GroupRole | None = None) -> User: ...
    async def change(
        self, entries: Sequence[AuditEntry], user_id: UUID, is_active: bool | None, role: UserRole | None
    ) -> User: ...
    async def set_password(self, entry: AuditEntry, user_id: UUID, password_hash: str) -> None: ...
    async def anonymise(self, entry: AuditEntry, user_id: UUID) -> None: ...


class InvitationStore(Protocol):
    """Invitations; `persistence.invitations.Invitations` says what each method promises."""

    async def of_group(self, caller: Caller, group_id: UUID) -> tuple[Invitation, ...]: ...
    async def invite(self, caller: Caller, entry: AuditEntry, new: NewInvitation) -> Invitation: ...
    async def group_of(self, caller: Caller, invitation_id: UUID) -> UUID: ...
    async def revoke(self, caller: Caller, entry: AuditEntry, invitation_id: UUID) -> None: ...
    async def link_to_password(self, entry: AuditEntry, new: NewInvitation) -> None: ...
    async def link_for_owner(self, entry: AuditEntry, new: NewInvitation) -> None: ...
    async def find(self, token_hash: bytes) -> OpenInvitation: ...
    async def accept_as_new(self, token_hash: bytes, entry: AuditEntry, new: NewUser) -> OpenInvitation: ...
    async def accept(self, token_hash: bytes, entry: AuditEntry) -> OpenInvitation: ...
    async def accept_password(self, token_hash: bytes, entry: AuditEntry, password_hash: str) -> OpenInvitation: ...


class GraphSource(Protocol):
    """What one is in a graph, and whose it is; `persistence.graphs.Graphs` says what each method promises."""

    async def role_in_graph(self, caller: Caller, graph_id: UUID) -> str | None: ...
    async def group_of(self, graph_id: UUID) -> UUID | None: ...


class GraphRoleStore(Protocol):
    """Roles in single graphs; `persistence.sharing.GraphRoles` says what each method promises."""

    async def of_graph(self, graph_id: UUID) -> tuple[GraphAccess, ...]: ...
    async def set(self, caller: Caller, entry: AuditEntry, user_id: UUID, role: GraphRoleName) -> None: ...
    async def remove(self, caller: Caller, entry: AuditEntry, user_id: UUID) -> None: ...


class ShareLinkStore(Protocol):
    """Links into graphs; `persistence.sharing.ShareLinks` says what each method promises."""

    async def of_graph(self, caller: Caller, graph_id: UUID) -> tuple[ShareLink, ...]: ...
    async def create(self, caller: Caller, entry: AuditEntry, new: NewShareLink) -> ShareLink: ...
    async def graph_of(self, caller: Caller, link_id: UUID) -> UUID: ...
    async def revoke(self, caller: Caller, entry: AuditEntry, link_id: UUID) -> None: ...


class AuditStore(Protocol):
    """The audit log; `persistence.audit.AuditLog` says what each method promises."""

    async def append(self, entry: AuditEntry) -> None: ...
    async def page(
        self, caller: Caller, group_id: UUID | None, before: int | None, limit: int
    ) -> tuple[AuditRow, ...]: ...
