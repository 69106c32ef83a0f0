"""Updates in the order in which they can be applied: what comes too early waits here for its turn.

Waiting updates are listed under the first thing they miss, so an update looks only at those that it
may set free.
"""

from collections.abc import Container
from heapq import heappop, heappush
from typing import NamedTuple

from collab.document import Applied, LiveDocument, Missing
from collab.wire.errors import MalformedError
from collab.wire.update import Shape, walk

MAX_WAITING = 10_000
"""How many updates may wait in one room."""


class WaitingFullError(Exception):
    """More updates wait for others than a room holds."""

    def __init__(self) -> None:
        super().__init__("too many updates wait for others that never came")


class Arrival(NamedTuple):
    """An update that became part of the document."""

    update: bytes
    applied: Applied


class Arrivals:
    """The way into one document. `banned` are updates it once failed on."""

    def __init__(self, document: LiveDocument, limit_bytes: int, banned: Container[bytes] = ()) -> None:
        self._document = document
        self._limit_bytes = limit_bytes
        self._banned = banned
        self._waiting: dict[bytes, Shape] = {}
        self._bytes = 0
        self._under: dict[int, list[tuple[int, bytes]]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __contains__(self, update: bytes) -> bool:
        return update in self._waiting

    @property
    def waiting(self) -> tuple[bytes, ...]:
        """The updates that wait, in the order in which they came."""
        return tuple(self._waiting)

    def load(self, updates: tuple[bytes, ...], *, has_late: bool) -> None:
        """Take stored updates in their order; `has_late` tells that some came before one they depend on."""
        if not has_late and not self._waiting:
            self._document.load(updates)
            return
        for update in updates:
            if update not in self._banned:
                self.take(update, walk(update))

    def take(self, update: bytes, shape: Shape) -> list[Arrival]:
        """Apply `update` (without gaps) and all that waited for it; return them in the order of applying.

        Nothing is returned if it has to wait itself. Raises MalformedError if it may not touch the
        document, WaitingFullError if it would have to wait and too many do, and
        PoisonedDocumentError if the document is lost.
        """
        if update in self._banned:
            raise MalformedError("the document failed on this update before")
        missing = self._document.missing(shape)
        if missing is not None:
            if update not in self._waiting:
                self._wait(update, shape, missing)
            return []
        arrivals = [Arrival(update, self._document.apply(update, shape))]
        if self._waiting:
            for arrival in arrivals:  # it grows with those that are set free
                for client in arrival.applied.before:
                    arrivals += self._set_free(client)
        return arrivals

    def _wait(self, update: bytes, shape: Shape, missing: Missing) -> None:
        if self._bytes + len(update) > self._limit_bytes or len(self._waiting) >= MAX_WAITING:
            raise WaitingFullError
        self._waiting[update] = shape
        self._bytes += len(update)
        heappush(self._under.setdefault(missing.client, []), (missing.clock, update))

    def _set_free(self, client: int) -> list[Arrival]:
        free = []
        line = self._under.get(client, [])
        while line and line[0][0] <= self._document.state_vector[client]:
            _, update = heappop(line)
            shape = self._waiting[update]
            missing = self._document.missing(shape)
            if missing is not None:
                heappush(self._under.setdefault(missing.client, []), (missing.clock, update))
                continue
            del self._waiting[update]
            self._bytes -= len(update)
            try:
                free.append(Arrival(update, self._document.apply(update, shape)))
            except MalformedError:
                continue  # it was too deep, as its sender could not be told before; it stays unsaved
        return free
