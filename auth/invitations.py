"""Invitations: links that open once, into a group or to the choice of a password."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from auth.audit import Actor
from auth.errors import ExternalAccountError, ForbiddenError
from auth.groups import Groups
from auth.invited_passwords import InvitedPasswords
from auth.policy import INSTALLATION, OWN_ACCOUNT, Action, Kind, Role, may
from auth.ports import InvitationStore, UserStore
from auth.tokens import RANDOM_BYTES, Prefix, hash_token, make_opaque_token
from persistence.errors import ConflictError
from persistence.group_records import Invitation, NewInvitation, NewUser, OpenInvitation
from persistence.people_records import AuditEntry

DAYS = 7
"""How long a link to the choice of a password, or for the owner, can be used."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where ids, randomness (so many bytes) and the time of day come from."""

    new_id: Callable[[], UUID]
    random: Callable[[int], bytes]
    now: Callable[[], datetime]

    def invitation(self, days: float) -> tuple[str, NewInvitation]:
        """Return a new token, and the invitation of it without its purpose."""
        token = make_opaque_token(Prefix.INVITATION, self.random(RANDOM_BYTES))
        return token, NewInvitation(self.new_id(), hash_token(token), self.now() + timedelta(days=days))


@dataclass(frozen=True, slots=True)
class Newcomer:
    """Somebody who makes an account with an invitation."""

    username: str
    password: str
    name: str | None


@dataclass(frozen=True, slots=True)
class PasswordLink:
    """The token of a link to choose a password, and until when it can be used."""

    token: str
    expires_at: datetime


class Invitations:
    """The invitations of one database. A token is told once, to whoever made the invitation."""

    def __init__(
        self, store: InvitationStore, groups: Groups, users: UserStore, passwords: InvitedPasswords, sources: Sources
    ) -> None:
        self._store = store
        self._groups = groups
        self._users = users
        self._passwords = passwords
        self._sources = sources

    async def of_group(self, actor: Actor, group_id: UUID) -> tuple[Invitation, ...]:
        """Return the invitations to a group that can still be accepted. Raises NotFoundError, ForbiddenError."""
        await self._groups.authorise(actor.principal, group_id, Action.MANAGE)
        return await self._store.of_group(actor.principal.caller, group_id)

    async def invite(self, actor: Actor, group_id: UUID, role: Role, days: float) -> tuple[Invitation, str]:
        """Make an invitation to a group and return it with its token. Raises NotFoundError, ForbiddenError."""
        await self._groups.authorise(actor.principal, group_id, Action.MANAGE)
        token, new = self._sources.invitation(days)
        entry = actor.did("invitation.made", group_id=group_id, role=role.value, invitation_id=str(new.id))
        new = replace(new, group_id=group_id, role=role.value)
        return await self._store.invite(actor.principal.caller, entry, new), token

    async def revoke(self, actor: Actor, invitation_id: UUID) -> None:
        """Let an invitation be accepted no more. Raises NotFoundError, ForbiddenError."""
        caller = actor.principal.caller
        group_id = await self._store.group_of(caller, invitation_id)
        await self._groups.authorise(actor.principal, group_id, Action.MANAGE)
        entry = actor.did("invitation.revoked", group_id=group_id, invitation_id=str(invitation_id))
        await self._store.revoke(caller, entry, invitation_id)

    async def link_to_password(self, actor: Actor, user_id: UUID) -> PasswordLink:
        """Make a link with which the password of an account is chosen; earlier ones end.

        Raises NotFoundError, ExternalAccountError.
        """
        if not may(actor.principal, Action.MANAGE, INSTALLATION):
            raise ForbiddenError(Action.MANAGE, Kind.INSTALLATION)
        if (await self._users.read(user_id)).is_external:
            raise ExternalAccountError
        token, new = self._sources.invitation(DAYS)
        entry = actor.did("invitation.made", user_id=str(user_id), invitation_id=str(new.id))
        await self._store.link_to_password(entry, replace(new, user_id=user_id))
        return PasswordLink(token, new.expires_at)

    async def look(self, token: str) -> OpenInvitation:
        """Return what a token opens. Raises NotFoundError, the same for all that open nothing."""
        return await self._store.find(hash_token(token))

    async def accept_as_new(self, token: str, newcomer: Newcomer, came_from: Actor) -> UUID:
        """Make an account in the group of the invitation and return its id.

        Raises NotFoundError, and ConflictError if the name is taken: then the invitation can still be accepted.
        Raises ThrottledError after too many attempts, PasswordsBusyError.
        """
        found = await self.look(token)
        await self._passwords.count(found.id, came_from.client)
        if await self._users.find(newcomer.username) is not None:
            raise ConflictError("uq_users_username", "this username is taken; choose another one")
        password_hash = await self._passwords.hash(newcomer.password)
        new = NewUser(self._sources.new_id(), newcomer.username, newcomer.name, password_hash=password_hash)
        entry = replace(_accepted(found, came_from), user_id=new.id)
        await self._store.accept_as_new(hash_token(token), entry, new)
        return new.id

    async def accept(self, token: str, actor: Actor) -> None:
        """Let the actor's account into the group of the invitation. Raises NotFoundError, ForbiddenError."""
        found = await self.look(token)
        if not may(actor.principal, Action.MANAGE, OWN_ACCOUNT):
            raise ForbiddenError(Action.MANAGE, Kind.ACCOUNT)
        await self._store.accept(hash_token(token), _accepted(found, actor))

    async def choose_password(self, token: str, password: str, came_from: Actor) -> UUID:
        """Let this password open the account of the invitation, and no session of before; return the account's id.

        Raises NotFoundError, ThrottledError after too many attempts, PasswordsBusyError.
        """
        found = await self.look(token)
        await self._passwords.count(found.id, came_from.client)
        password_hash = await self._passwords.hash(password)
        entry = _accepted(found, came_from)
        accepted = await self._store.accept_password(hash_token(token), entry, password_hash)
        assert accepted.user_id is not None
        return accepted.user_id


def _accepted(found: OpenInvitation, actor: Actor) -> AuditEntry:
    details: dict[str, Any] = {"invitation_id": str(found.id)} | ({} if found.role is None else {"role": found.role})
    entry = actor.did("invitation.accepted", group_id=found.group_id, **details)
    return entry if found.user_id is None else replace(entry, user_id=found.user_id)
