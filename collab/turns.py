"""What takes long, one piece a turn of the event loop: round robin by graph, and within a graph by connection.

A connection is not read from while it has something waiting, so what waits is bounded by what one
read brought in, and small edits of others get through between any two.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Protocol

LONG_TURN_S = 0.005
"""A turn that took longer is followed by a rest."""

REST_S = 0.01
"""Time for what others sent meanwhile to be read, and for the window that it went into to be sent."""


class Waiting(Protocol):
    """A connection with messages to process."""

    @property
    def topic(self) -> Hashable:
        """What its next message is about: a graph."""

    def take_turn(self) -> bool:
        """Process a little; return whether more waits."""


class Turns:
    """The lines of connections that wait for a turn, one a graph."""

    def __init__(self) -> None:
        self._lines: OrderedDict[Hashable, deque[Waiting]] = OrderedDict()
        self._free = asyncio.Event()
        self._free.set()

    def enter(self, waiting: Waiting) -> None:
        """Put `waiting`, which is in no line, at the end of its graph's."""
        self._line_up(waiting)
        if self._free.is_set():
            self._free.clear()
            asyncio.get_running_loop().call_soon(self._next)

    async def finish(self) -> None:
        """Wait until nobody waits any more."""
        await self._free.wait()

    def _line_up(self, waiting: Waiting) -> None:
        self._lines.setdefault(waiting.topic, deque()).append(waiting)

    def _next(self) -> None:
        topic, line = self._lines.popitem(last=False)
        waiting = line.popleft()
        if line:
            self._lines[topic] = line
        loop, has_more = asyncio.get_running_loop(), False
        started = time.monotonic()  # the loop's clock stands still within a turn
        try:
            has_more = waiting.take_turn()
        finally:
            # Whatever happens in one turn, those behind it get theirs.
            if has_more:
                self._line_up(waiting)
            if not self._lines:
                self._free.set()
            elif time.monotonic() - started > LONG_TURN_S:
                loop.call_later(REST_S, self._next)
            else:
                loop.call_soon(self._next)
