"""One at a time: what takes so much memory or time that requests wait for each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import HTTPException

from server.http.problems import RETRY_AFTER_S

TURN_WAIT_S = 30
"""How long a request waits for those before it."""


class Turn:
    """Lets one request at a time into a block. `what` names it in the answer to those who waited too long."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """Wait for the turn and hold it for the length of the block; raises HTTPException 503 after TURN_WAIT_S."""
        try:
            async with asyncio.timeout(TURN_WAIT_S):
                await self._lock.acquire()
        except TimeoutError:
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            raise HTTPException(503, f"another {self._what} is under way; try again", headers) from None
        try:
            yield
        finally:
            self._lock.release()
