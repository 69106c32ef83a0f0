"""People's accounts, for the admins of the installation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from auth.audit import Actor
from auth.errors import ExternalAccountError, ForbiddenError
from auth.policy import INSTALLATION, Action, Kind, Principal, may
from auth.ports import PasswordHasher, UserStore
from persistence.group_records import GroupRole, NewUser, User, UserRole
from persistence.people_records import AuditEntry


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account to make, in a group if one is named; `name` is shown instead of the username."""

    username: str
    name: str | None = None
    role: UserRole = "user"
    membership: GroupRole | None = None


class People:
    """The accounts of one database; `new_id` makes ids. Who is no admin of the installation: ForbiddenError."""

    def __init__(self, store: UserStore, passwords: PasswordHasher, new_id: Callable[[], UUID]) -> None:
        self._store = store
        self._passwords = passwords
        self._new_id = new_id

    async def list(self, principal: Principal) -> tuple[User, ...]:
        """Return all accounts, oldest first."""
        _authorise(principal, Action.READ)
        return await self._store.list()

    async def add(self, actor: Actor, account: NewAccount, password: str | None = None) -> User:
        """Make an account; without a password nobody signs in to it yet.

        Raises ConflictError if the name is taken, InvalidValueError.
        """
        _authorise(actor.principal, Action.MANAGE)
        password_hash = None if password is None else await self._passwords.hash(password)
        new = NewUser(self._new_id(), account.username, account.name, account.role, password_hash)
        details: dict[str, Any] = {"user_id": str(new.id), "role": new.role}
        if account.membership is None:
            return await self._store.add(actor.did("user.added", **details), new)
        details["group_role"] = account.membership.role
        entry = actor.did("user.added", group_id=account.membership.group_id, **details)
        return await self._store.add(entry, new, account.membership)

    async def change(self, actor: Actor, user_id: UUID, is_active: bool | None, role: UserRole | None) -> User:
        """Disable or enable an account, make it an admin's or not; None leaves it as it is.

        Raises NotFoundError, LastAdminError, ExternalAccountError.
        """
        _authorise(actor.principal, Action.MANAGE)
        before = await self._store.read(user_id)
        if role == "admin" and before.is_external:
            raise ExternalAccountError
        entries = list(_entries(actor, before, is_active, role))
        return await self._store.change(entries, user_id, is_active, role)

    async def set_password(self, actor: Actor, user_id: UUID, password: str) -> None:
        """Let this password open the account, and no session of before. Raises NotFoundError."""
        _authorise(actor.principal, Action.MANAGE)
        await self._store.read(user_id)
        entry = actor.did("user.password_set", user_id=str(user_id))
        await self._store.set_password(entry, user_id, await self._passwords.hash(password))

    async def anonymise(self, actor: Actor, user_id: UUID) -> None:
        """Disable an account and forget who it was; what was done with it stays.

        Raises NotFoundError, LastAdminError.
        """
        _authorise(actor.principal, Action.MANAGE)
        await self._store.anonymise(actor.did("user.anonymised", user_id=str(user_id)), user_id)


def _authorise(principal: Principal, action: Action) -> None:
    if not may(principal, action, INSTALLATION):
        raise ForbiddenError(action, Kind.INSTALLATION)


def _entries(actor: Actor, before: User, is_active: bool | None, role: UserRole | None) -> Iterator[AuditEntry]:
    """Return what is to be told of a change: nothing of what stays as it is."""
    if is_active is not None and is_active != before.is_active:
        yield actor.did("user.enabled" if is_active else "user.disabled", user_id=str(before.id))
    if role is not None and role != before.role:
        yield actor.did("user.made_admin" if role == "admin" else "user.unmade_admin", user_id=str(before.id))
