"""Whether a password is right, however many are tried."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from auth.clients import Client
from auth.errors import PasswordsBusyError, ThrottledError, UnknownPersonError
from auth.keys import Keys
from auth.passwords import Passwords
from auth.ports import Clock, PasswordStore, ThrottleStore
from auth.throttling import Attempt, buckets_of
from auth.tokens import InvalidTokenError, read_device_token
from persistence.people_records import Account, AuditEntry, SigningKey
from persistence.records import ANONYMOUS_USER_ID

_FORGET_EVERY = timedelta(minutes=1)


class PasswordCheck:
    """Checks passwords of accounts, with the same answer and the same work whether or not there is such an account."""

    def __init__(
        self, accounts: PasswordStore, throttles: ThrottleStore, passwords: Passwords, keys: Keys, clock: Clock
    ) -> None:
        self._accounts = accounts
        self._throttles = throttles
        self._passwords = passwords
        self._keys = keys
        self._clock = clock
        self._forgot_at: datetime | None = None

    async def check(self, username: str, password: str, client: Client) -> Account:
        """Return the account whose password it is; one that is hashed with old parameters is hashed anew.

        Raises UnknownPersonError, the same for an unknown name, a wrong password and a disabled person; ThrottledError
        after too many of these; PasswordsBusyError. An attempt counts before it is tried, so that many at once do not
        get by; cancelled, it counts.
        """
        self._passwords.check_room()
        now = self._clock()
        await self._forget(now)
        account = await self._accounts.by_username(username, client.network)
        buckets = buckets_of(_attempt(account, username, client, await self._keys.by_id(), now))
        if wait_s := await self._throttles.pour(buckets.all, now):
            await self._tell_refusal(account, "throttled", client)
            raise ThrottledError(wait_s)
        is_right = await self._passwords.verify(account.password_hash if account else None, password)
        if account is None or not is_right or not account.is_active:
            await self._tell_refusal(account, "wrong_password" if not is_right else "disabled", client)
            raise UnknownPersonError
        await self._throttles.absolve([buckets.own], buckets.shared)
        await self._rehash(account, password)
        return account

    async def _rehash(self, account: Account, password: str) -> None:
        assert account.password_hash is not None, "a password was right"
        if self._passwords.needs_rehash(account.password_hash):
            with suppress(PasswordsBusyError):  # then at another sign-in
                await self._accounts.rehash(account, await self._passwords.hash(password))

    async def _tell_refusal(self, account: Account | None, reason: str, client: Client) -> None:
        if account is None and reason == "wrong_password":
            reason = "unknown_user"
        entry = AuditEntry(
            action="session.refused",
            outcome="refused",
            user_id=ANONYMOUS_USER_ID if account is None else account.id,
            reason=reason,
            address=client.address,
            user_agent=client.user_agent,
        )
        await self._throttles.tell_refusal(entry, client.network)

    async def _forget(self, now: datetime) -> None:
        if self._forgot_at is None or now - self._forgot_at >= _FORGET_EVERY:
            self._forgot_at = now
            await self._throttles.forget(now)


def _attempt(
    account: Account | None, username: str, client: Client, keys: Mapping[str, SigningKey], now: datetime
) -> Attempt:
    if account is None:
        return Attempt(username, client.network, None, is_known_here=False)
    device_id = None
    if client.device_token is not None:
        try:
            device = read_device_token(client.device_token, keys, now)
        except InvalidTokenError:
            pass
        else:
            device_id = device.device_id if device.user_id == account.id else None
    return Attempt(account.username, client.network, device_id, account.is_known_here)
