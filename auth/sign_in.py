"""Signing in and out, and staying signed in: sessions with short access tokens and refresh tokens that are used once.

Rotation and what happens when a spent token comes back are those of RFC 9700, section 4.14.2.
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from auth.clients import Client
from auth.errors import UnknownPersonError
from auth.keys import Keys
from auth.password_check import PasswordCheck
from auth.policy import Principal
from auth.ports import Clock, SessionStore
from auth.tokens import (
    MAX_CHARACTERS,
    RANDOM_BYTES,
    AccessToken,
    DeviceToken,
    Prefix,
    hash_token,
    make_access_token,
    make_device_token,
    make_opaque_token,
)
from persistence.errors import NotFoundError
from persistence.people_records import AuditEntry, NewSession, Rotation, SessionKey

DEVICE_LIFETIME = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long an access token is in force, and a session that is not refreshed."""

    access: timedelta
    session: timedelta


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """What somebody who is signed in goes on with.

    The access token expires in `expires_in_s`, the refresh token, unused, in `refresh_expires_in_s`. The device token
    says on another sign-in that this device is known; a refresh issues none.
    """

    access_token: str
    refresh_token: str
    expires_in_s: int
    refresh_expires_in_s: int
    device_token: str | None = None


class SignIn:
    """Starts, prolongs and ends sessions."""

    def __init__(
        self,
        check: PasswordCheck,
        sessions: SessionStore,
        keys: Keys,
        *,
        clock: Clock,
        new_id: Callable[[], UUID],
        lifetimes: Lifetimes,
    ) -> None:
        self._check = check
        self._sessions = sessions
        self._keys = keys
        self._clock = clock
        self._new_id = new_id
        self._lifetimes = lifetimes

    async def sign_in(self, username: str, password: str, client: Client, device: str | None) -> IssuedTokens:
        """Start a session for whose name and password these are; `device` is what they call it.

        Raises what `PasswordCheck.check` does.
        """
        account = await self._check.check(username, password, client)
        return await self.start(account.id, address=client.address, user_agent=client.user_agent, device=device)

    async def start(
        self, user_id: UUID, *, address: str | None, user_agent: str | None, device: str | None
    ) -> IssuedTokens:
        """Start a session for somebody who has shown otherwise who they are."""
        now, refresh_token = self._now(), self._refresh_token()
        session = NewSession(
            id=self._new_id(),
            user_id=user_id,
            refresh_token_hash=hash_token(refresh_token),
            device=device,
            address=address,
            user_agent=user_agent,
            started_at=now,
            expires_at=now + self._lifetimes.session,
            access_expires_at=now + self._lifetimes.access,
        )
        details = {"session_id": str(session.id), "device": device}
        entry = _done("session.signed_in", user_id, Client(address, user_agent), details)
        await self._sessions.start(session, entry)
        device_token = DeviceToken(user_id, self._new_id(), now, now + DEVICE_LIFETIME)
        signed = make_device_token(device_token, await self._keys.newest())
        return await self._issued(SessionKey(session.id, user_id), refresh_token, now, signed)

    async def refresh(self, refresh_token: str, client: Client) -> IssuedTokens:
        """Exchange a refresh token for new tokens of its session.

        Raises UnknownPersonError if it opens none. If it was exchanged before, somebody else has it: its session ends.
        Of two that exchange one at the same time, one gets tokens, and the session ends.
        """
        _check_refresh_token(refresh_token)
        now, fresh = self._now(), self._refresh_token()
        rotation = Rotation(
            spent_hash=hash_token(refresh_token),
            new_hash=hash_token(fresh),
            now=now,
            expires_at=now + self._lifetimes.session,
            access_expires_at=now + self._lifetimes.access,
        )
        session = await self._sessions.rotate(rotation)
        if session is None:
            await self._sessions.end_if_spent(rotation.spent_hash, client.address, client.user_agent)
            raise _no_session()
        return await self._issued(session, fresh, now)

    async def sign_out(self, principal: Principal | None, refresh_token: str | None, client: Client) -> None:
        """End the principal's session, or else the one of the refresh token; nothing if there is none. Idempotent."""
        session = await self._session_of(principal, refresh_token)
        if session is None:
            return
        entry = _done("session.signed_out", session.user_id, client, {"session_id": str(session.id)})
        with suppress(NotFoundError):  # two signed out at once
            await self._sessions.end(session, entry)

    async def _session_of(self, principal: Principal | None, refresh_token: str | None) -> SessionKey | None:
        if principal is not None and principal.credential.kind == "session" and principal.credential.id is not None:
            return SessionKey(principal.credential.id, principal.id)
        return None if refresh_token is None else await self._sessions.by_refresh_token(hash_token(refresh_token))

    async def _issued(
        self, session: SessionKey, refresh_token: str, now: datetime, device_token: str | None = None
    ) -> IssuedTokens:
        access = AccessToken(session.user_id, session.id, now, now + self._lifetimes.access)
        return IssuedTokens(
            access_token=make_access_token(access, await self._keys.newest()),
            refresh_token=refresh_token,
            expires_in_s=round(self._lifetimes.access.total_seconds()),
            refresh_expires_in_s=round(self._lifetimes.session.total_seconds()),
            device_token=device_token,
        )

    def _now(self) -> datetime:
        return self._clock().replace(microsecond=0)

    def _refresh_token(self) -> str:
        return make_opaque_token(Prefix.REFRESH, secrets.token_bytes(RANDOM_BYTES))


def _check_refresh_token(text: str) -> None:
    if not text.startswith(Prefix.REFRESH) or len(text) > MAX_CHARACTERS:
        raise _no_session()


def _no_session() -> UnknownPersonError:
    return UnknownPersonError("this refresh token is not valid any more; sign in again")


def _done(action: str, user_id: UUID, client: Client, details: dict[str, str | None]) -> AuditEntry:
    return AuditEntry(action, "done", user_id, details=details, address=client.address, user_agent=client.user_agent)
