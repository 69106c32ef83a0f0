"""What people see and change of their own account: name, password, sessions, personal access tokens.

Only who signed in changes any of it: a token that leaks must not make others, nor shut its person out.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from auth.audit import Actor
from auth.errors import ForbiddenError, SignedInOnlyError, TooManyTokensError, UnknownPersonError, WrongPasswordError
from auth.password_check import PasswordCheck
from auth.passwords import Passwords
from auth.policy import OWN_ACCOUNT, Action, Principal, may
from auth.ports import AccountStore, Clock, SessionStore, TokenStore
from auth.tokens import RANDOM_BYTES, Prefix, hash_token, make_opaque_token
from persistence.people_records import (
    NewToken,
    PersonalAccessToken,
    Profile,
    ScopeName,
    Session,
    SessionKey,
)

MAX_TOKENS = 100
"""Personal access tokens of one person that work."""


@dataclass(frozen=True, slots=True)
class AskedToken:
    """What a personal access token should be: `lifetime` None lets it last until it is revoked."""

    name: str
    scopes: tuple[ScopeName, ...]
    lifetime: timedelta | None


class OwnAccount:
    """Every method is about the account of its principal. Raises ForbiddenError, SignedInOnlyError."""

    def __init__(
        self,
        accounts: AccountStore,
        sessions: SessionStore,
        tokens: TokenStore,
        *,
        check: PasswordCheck,
        passwords: Passwords,
        clock: Clock,
        new_id: Callable[[], UUID],
    ) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._tokens = tokens
        self._check = check
        self._passwords = passwords
        self._clock = clock
        self._new_id = new_id

    async def profile(self, principal: Principal) -> Profile:
        """Return who the principal is; of a guest that is the built-in user anonymous."""
        return await self._accounts.profile(principal.caller)

    async def rename(self, principal: Principal, name: str) -> None:
        """Show the principal by another name."""
        _session_of(principal)
        await self._accounts.rename(principal.caller, name)

    async def change_password(self, actor: Actor, old: str, new: str) -> None:
        """Replace the password and end all other sessions.

        Raises WrongPasswordError, and what `PasswordCheck.check` does.
        """
        session = _session_of(actor.principal)
        profile = await self._accounts.profile(actor.principal.caller)
        try:
            await self._check.check(profile.username, old, actor.client)
        except UnknownPersonError:
            raise WrongPasswordError from None
        await self._accounts.set_password(session, await self._passwords.hash(new), actor.did("password.changed"))

    async def sessions(self, principal: Principal) -> Sequence[Session]:
        """Return the sessions that go on, oldest first."""
        _check_may_read(principal)
        return await self._sessions.of_user(principal.caller, self._clock())

    async def end_session(self, actor: Actor, session_id: UUID) -> None:
        """End one session. Raises NotFoundError."""
        _session_of(actor.principal)
        entry = actor.did("session.signed_out", session_id=str(session_id))
        await self._sessions.end(SessionKey(session_id, actor.principal.id), entry)

    async def end_other_sessions(self, actor: Actor) -> None:
        """End all sessions but the one that asks."""
        session = _session_of(actor.principal)
        await self._sessions.end_others(session, actor.did("session.signed_out", all_but=str(session.id)))

    async def tokens(self, principal: Principal) -> Sequence[PersonalAccessToken]:
        """Return the personal access tokens that work, oldest first."""
        _check_may_read(principal)
        return await self._tokens.of_user(principal.caller, self._clock())

    async def make_token(self, actor: Actor, asked: AskedToken) -> tuple[PersonalAccessToken, str]:
        """Make a personal access token and return it with its secret, which is never shown again.

        Raises TooManyTokensError.
        """
        user_id = _session_of(actor.principal).user_id
        now, secret = self._clock(), make_opaque_token(Prefix.PERSONAL_ACCESS, secrets.token_bytes(RANDOM_BYTES))
        expires_at = None if asked.lifetime is None else now + asked.lifetime
        new = NewToken(self._new_id(), user_id, asked.name, hash_token(secret), asked.scopes, now, expires_at)
        entry = actor.did("token.created", token_id=str(new.id), scopes=list(asked.scopes))
        if not await self._tokens.add(new, MAX_TOKENS, entry):
            raise TooManyTokensError(MAX_TOKENS)
        return PersonalAccessToken(new.id, new.name, new.scopes, now, expires_at, last_used_at=None), secret

    async def revoke_token(self, actor: Actor, token_id: UUID) -> None:
        """End a personal access token. Raises NotFoundError."""
        _session_of(actor.principal)
        entry = actor.did("token.revoked", token_id=str(token_id))
        await self._tokens.revoke(actor.principal.caller, token_id, self._clock(), entry)


def _check_may_read(principal: Principal) -> None:
    if not may(principal, Action.READ, OWN_ACCOUNT):
        raise ForbiddenError(Action.READ, "account")


def _session_of(principal: Principal) -> SessionKey:
    """Return the session of somebody who signed in and so may change their account."""
    credential = principal.credential
    if credential.kind != "session" or credential.id is None or not may(principal, Action.MANAGE, OWN_ACCOUNT):
        raise SignedInOnlyError
    return SessionKey(credential.id, principal.id)
