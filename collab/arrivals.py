"""Updates in the order in which they can be applied: what comes too early waits here for its turn.

Waiting updates are listed under the first thing they miss, so an update looks only at those that it
may set free.
"""

from collections.abc import Callable, Container, Sequence
from heapq import heappop, heappush
from typing import NamedTuple

from collab.document import Applied, LiveDocument, Missing, PoisonedDocumentError
from collab.wire.errors import MalformedError
from collab.wire.update import Shape

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
    """The way into one document. `banned` are updates it once failed on; those that are stored are tried again.

    `on_refused` hears of what waited and, as was seen at its turn, may not touch the document.
    """

    def __init__(
        self,
        document: LiveDocument,
        limit_bytes: int,
        banned: Container[bytes] = (),
        on_refused: Callable[[bytes, MalformedError], None] = lambda _update, _error: None,
    ) -> None:
        self._on_refused = on_refused
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

    def take(self, update: bytes, shape: Shape, *, is_stored: bool = False) -> list[Arrival]:
        """Apply `update` (without gaps) and all that waited for it; return them in the order of applying.

        Nothing is returned if it has to wait itself. Raises MalformedError if it may not touch the
        document, WaitingFullError if it would have to wait and too many do (unless it `is_stored`), and
        PoisonedDocumentError if the document is lost; its state vector is as before then.
        """
        self._check_ban(update, is_stored=is_stored)
        missing = self._document.missing(shape)
        if missing is not None:
            if update not in self._waiting:
                if not is_stored and self._is_full_for(update):
                    raise WaitingFullError
                self._wait(update, shape, missing)
            return []
        arrivals = [self._apply(update, shape)]
        try:
            for arrival in arrivals if self._waiting else ():  # it grows with those that are set free
                for client in arrival.applied.before:
                    self._set_free(client, arrivals, is_stored=is_stored)
        except PoisonedDocumentError:
            self._take_back(arrivals)
            raise
        return arrivals

    def _take_back(self, arrivals: Sequence[Arrival]) -> None:
        """Let the state vector say what was there before: nobody will be handed these."""
        for arrival in reversed(arrivals):
            self._document.state_vector.update(arrival.applied.before)

    def _check_ban(self, update: bytes, *, is_stored: bool) -> None:
        if not is_stored and update in self._banned:
            raise MalformedError("the document failed on this update before")

    def _is_full_for(self, update: bytes) -> bool:
        return self._bytes + len(update) > self._limit_bytes or len(self._waiting) >= MAX_WAITING

    def _wait(self, update: bytes, shape: Shape, missing: Missing) -> None:
        self._waiting[update] = shape
        self._bytes += len(update)
        heappush(self._under.setdefault(missing.client, []), (missing.clock, update))

    def _set_free(self, client: int, arrivals: list[Arrival], *, is_stored: bool) -> None:
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
                self._check_ban(update, is_stored=is_stored)
                arrivals.append(self._apply(update, shape))
            except MalformedError as error:
                self._on_refused(update, error)  # as its sender could not be told before; it stays unsaved

    def _apply(self, update: bytes, shape: Shape) -> Arrival:
        try:
            return Arrival(update, self._document.apply(update, shape))
        except (MalformedError, PoisonedDocumentError):
            raise
        except Exception as error:  # whatever it is, nobody can tell how far it came
            raise PoisonedDocumentError(update, error) from error
