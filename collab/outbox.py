"""What leaves a room: merged updates once a window, and what has to wait for a commit.

Pure. Positions count the operations a room has appended to the log, from 1; a position is
committed when the log has committed that many.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pycrdt import merge_updates

from collab.session import Session
from collab.wire.state_vector import StateVector

MERGE_FAN = 100
"""How many updates are merged in one go: yrs takes quadratic time, a tree of small merges does not."""


class Window(NamedTuple):
    """Everything that changed since the last window, as one update."""

    update: bytes
    author: Session | None
    """The session all of it came from, None if there were several."""
    updates: int
    """How many went into it."""


class Outbox:
    """The changes of the current window, not yet sent to anyone."""

    def __init__(self) -> None:
        self._updates: list[bytes] = []
        self._author: Session | None = None
        self._base: StateVector = {}

    def __bool__(self) -> bool:
        return bool(self._updates)

    def add(self, update: bytes, author: Session | None, before: StateVector) -> None:
        """Take a change; `before` tells for each client it advances where that client was."""
        self._author = author if not self._updates or author is self._author else None
        self._updates.append(update)
        for client, clock in before.items():
            self._base[client] = min(clock, self._base.get(client, clock))

    def known_without(self, state_vector: StateVector) -> StateVector:
        """Return `state_vector` as it was before the current window."""
        return {**state_vector, **self._base}

    def take(self) -> Window:
        """Return the window and start the next one."""
        window = Window(merge(self._updates), self._author, len(self._updates))
        self._updates, self._author, self._base = [], None, {}
        return window


def merge(updates: Sequence[bytes]) -> bytes:
    """Return one update that does what all `updates` do, in time near linear in their number."""
    while len(updates) > 1:
        updates = [_merge_few(updates[at : at + MERGE_FAN]) for at in range(0, len(updates), MERGE_FAN)]
    return updates[0]


def _merge_few(updates: Sequence[bytes]) -> bytes:
    return merge_updates(*updates) if len(updates) > 1 else updates[0]


class AfterCommit:
    """What may be sent only once the log has committed up to a position, in order."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()

    def add(self, position: int, send: Callable[[], None]) -> None:
        """Call `send` once `position` is committed."""
        self._waiting.append((position, send))

    def due(self, committed: int) -> Iterator[Callable[[], None]]:
        """Take out and yield all that waited for `committed` or less."""
        while self._waiting and self._waiting[0][0] <= committed:
            yield self._waiting.popleft()[1]
