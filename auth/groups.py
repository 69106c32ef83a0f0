"""Groups and their members, for those who may manage them.

Members read; a group's admins manage it, and so do the admins of the installation, who need not be in it. Whoever is
neither does not find it.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from auth.audit import Actor
from auth.errors import ForbiddenError
from auth.policy import INSTALLATION, OWN_ACCOUNT, Action, Kind, Principal, Resource, Role, may
from auth.ports import GroupStore
from persistence.errors import NotFoundError
from persistence.group_records import Group, Member
from persistence.records import Retitle


class Groups:
    """The groups of one database; `new_id` makes ids."""

    def __init__(self, store: GroupStore, new_id: Callable[[], UUID]) -> None:
        self._store = store
        self._new_id = new_id

    async def list(self, principal: Principal) -> tuple[Group, ...]:
        """Return the groups one is in, or all for an admin of the installation, oldest first."""
        groups = await self._store.list(principal.caller)
        return tuple(group for group in groups if _may(principal, Action.READ, group))

    async def create(self, actor: Actor, name: str, description: str | None) -> Group:
        """Make a group whose admin the actor is; the operator of the machine need not be. Raises ForbiddenError."""
        principal = actor.principal
        if not may(principal, Action.MANAGE, INSTALLATION):
            raise ForbiddenError(Action.MANAGE, Kind.INSTALLATION)
        entry = actor.did("group.added", group_id=self._new_id(), name=name)
        admin_id = None if principal.caller.is_everywhere else principal.id
        return await self._store.create(principal.caller, entry, name, description, admin_id)

    async def change(self, actor: Actor, group_id: UUID, new: Retitle) -> Group:
        """Rename and describe a group. Raises NotFoundError, ForbiddenError, InvalidValueError."""
        await self.authorise(actor.principal, group_id, Action.MANAGE)
        changed: dict[str, Any] = {} if new.name is None else {"name": new.name}
        entry = actor.did("group.changed", group_id=group_id, **changed)
        return await self._store.change(actor.principal.caller, entry, new)

    async def members(self, principal: Principal, group_id: UUID) -> tuple[Member, ...]:
        """Return who is in a group, in the order they joined. Raises NotFoundError."""
        await self.authorise(principal, group_id, Action.READ)
        return await self._store.members(principal.caller, group_id)

    async def set_role(self, actor: Actor, group_id: UUID, user_id: UUID, role: Role) -> None:
        """Give a member another role; admins of the installation also take in who is none.

        Raises NotFoundError, ForbiddenError, LastAdminError.
        """
        principal = actor.principal
        await self.authorise(principal, group_id, Action.MANAGE)
        entry = actor.did("membership.given", group_id=group_id, user_id=str(user_id), role=role.value)
        may_add = may(principal, Action.MANAGE, INSTALLATION)
        await self._store.set_role(principal.caller, entry, user_id, role.value, may_add=may_add)

    async def remove(self, actor: Actor, group_id: UUID, user_id: UUID) -> None:
        """Take a member out of a group, or leave it. Raises NotFoundError, ForbiddenError, LastAdminError."""
        is_own = user_id == actor.principal.id
        await self.authorise(actor.principal, group_id, Action.READ if is_own else Action.MANAGE)
        if is_own and not may(actor.principal, Action.MANAGE, OWN_ACCOUNT):
            raise ForbiddenError(Action.MANAGE, Kind.ACCOUNT)
        entry = actor.did("membership.removed", group_id=group_id, user_id=str(user_id))
        await self._store.remove(entry, user_id)

    async def authorise(self, principal: Principal, group_id: UUID, action: Action) -> None:
        """Return if the principal may do `action`; raises NotFoundError if not even read, else ForbiddenError."""
        group = await self._store.read(principal.caller, group_id)
        if not _may(principal, Action.READ, group):
            raise NotFoundError("group", group_id)
        if not _may(principal, action, group):
            raise ForbiddenError(action, Kind.GROUP)


def _may(principal: Principal, action: Action, group: Group) -> bool:
    resource = Resource.of(Kind.GROUP, group.role)
    return may(principal, action, resource) or may(principal, action, INSTALLATION)
