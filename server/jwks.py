"""The public keys of the team's backend, fetched from its JWKS address and kept."""

import asyncio
import time
from collections.abc import Callable

import httpx
import orjson
import structlog

from auth.backend_tokens import PublicKeys
from persistence.errors import StoreUnavailableError

MAX_JWKS_BYTES = 256 * 1024
FETCH_TIMEOUT_S = 5.0
MIN_AGE_S = 5.0
"""Keys that are younger than this are not fetched again, whatever a token names."""
MAX_AGE_S = 300.0
"""Keys that are older are fetched again before they are used: one that is gone from the address is gone here."""

_log = structlog.get_logger("layercake.backend")


class KeysUnavailableError(StoreUnavailableError):
    """The keys could not be fetched even once; try again."""

    def __str__(self) -> str:
        return "the keys of your backend cannot be fetched, so its tokens cannot be checked; try again"


class JwksUrl:
    """The keys at an address. While it does not answer the old ones count."""

    def __init__(self, url: str, http: httpx.AsyncClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._http = http
        self._clock = clock
        self._keys: PublicKeys | None = None
        self._tried_at = -MAX_AGE_S
        self._fetching: asyncio.Task[None] | None = None

    async def keys(self, *, newer: bool = False) -> PublicKeys:
        """Return the keys; with `newer` they are fetched again unless that was tried within the last MIN_AGE_S.

        One fetch at a time, however many ask, and whoever is content with the old keys does not wait for it. It goes
        on when who asked is cancelled. Raises KeysUnavailableError while none could be fetched yet.
        """
        is_needed = newer or self._keys is None
        is_due = self._clock() - self._tried_at >= (MIN_AGE_S if is_needed else MAX_AGE_S)
        if is_due and self._fetching is None:
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._fetch(), name="fetch the keys of the backend")
        if self._fetching is not None and (is_due or is_needed):
            await asyncio.shield(self._fetching)
        if self._keys is None:
            raise KeysUnavailableError("the JWKS address does not answer")
        return self._keys

    async def close(self) -> None:
        """Give up what is being fetched."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT_S):
                self._keys = PublicKeys.of(orjson.loads(await self._read()))
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, TimeoutError) as error:
            _log.warning("the keys of the backend cannot be fetched", reason=str(error) or type(error).__name__)
        finally:
            self._fetching = None

    async def _read(self) -> bytes:
        body = bytearray()
        async with self._http.stream("GET", self._url) as answer:
            if not answer.is_success:  # httpx's own error would repeat the address, which may hold a password
                raise ValueError(f"the address answers {answer.status_code}")
            async for part in answer.aiter_bytes():
                body += part
                if len(body) > MAX_JWKS_BYTES:
                    raise ValueError(f"it is larger than {MAX_JWKS_BYTES} bytes")
        return bytes(body)
