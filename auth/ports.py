"""What accounts and sessions ask of the store, as narrow protocols."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

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
from persistence.records import Caller

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
