"""Large messages, one a turn of the event loop, round robin by connection.

A connection is not read from while it has one waiting, so what waits is bounded by what one
read brought in, and small edits of others get through between any two.
"""

import asyncio
from collections import deque
from typing import Protocol


class Waiting(Protocol):
    """A connection with large messages to process."""

    def take_turn(self) -> bool:
        """Process one message; return whether more wait."""


class Turns:
    """The line of connections that wait for a turn."""

    def __init__(self) -> None:
        self._line: deque[Waiting] = deque()
        self._free = asyncio.Event()
        self._free.set()

    def enter(self, waiting: Waiting) -> None:
        """Put `waiting`, which is not in the line, at its end."""
        self._line.append(waiting)
        if self._free.is_set():
            self._free.clear()
            asyncio.get_running_loop().call_soon(self._next)

    async def finish(self) -> None:
        """Wait until nobody waits any more."""
        await self._free.wait()

    def _next(self) -> None:
        waiting = self._line.popleft()
        has_more = False
        try:
            has_more = waiting.take_turn()
        finally:
            # Whatever happens in one turn, those behind it get theirs.
            if has_more:
                self._line.append(waiting)
            if self._line:
                asyncio.get_running_loop().call_soon(self._next)
            else:
                self._free.set()
