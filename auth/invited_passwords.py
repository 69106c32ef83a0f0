"""Passwords that somebody chooses with an invitation: how many of them are hashed is bounded."""

from uuid import UUID

from auth.clients import Client
from auth.errors import ThrottledError
from auth.ports import Clock, PasswordHasher, ThrottleStore
from auth.throttling import INVITATION, PLACE


class InvitedPasswords:
    """Hashes passwords of people who are not known yet, so that they leave time for those who sign in."""

    def __init__(self, passwords: PasswordHasher, throttles: ThrottleStore, clock: Clock) -> None:
        self._passwords = passwords
        self._throttles = throttles
        self._clock = clock

    async def count(self, invitation_id: UUID, client: Client) -> None:
        """Count an attempt with an invitation. Raises ThrottledError after too many with it, or from one place."""
        buckets = (INVITATION.bucket("invitation", invitation_id), PLACE.bucket("invited to", client.network))
        if wait_s := await self._throttles.pour(buckets, self._clock()):
            raise ThrottledError(wait_s)

    async def hash(self, password: str) -> str:
        """Return what is stored of `password`. Raises PasswordsBusyError."""
        return await self._passwords.hash(password)
