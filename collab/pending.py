"""Updates that wait for one they depend on.

yrs keeps them aside and leaves them out of what it encodes, so the room holds them itself:
they are stored raw, listed as not applied, and never acknowledged before they are part of
the document.
"""

from collections.abc import Callable
from typing import NamedTuple

from collab.session import Session
from collab.wire.update import Shape


class PendingFullError(Exception):
    """More updates wait for others than a room holds."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"over {limit_bytes} bytes of updates wait for others that never came")
        self.limit_bytes = limit_bytes


class Settled(NamedTuple):
    """Updates that became part of the document, and the sessions that now wait for none."""

    updates: tuple[bytes, ...]
    sessions: tuple[Session, ...]


class PendingUpdates:
    """The updates of one room that wait, in order of arrival."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held: dict[bytes, tuple[Shape, Session | None]] = {}
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._held)

    def __contains__(self, update: bytes) -> bool:
        return update in self._held

    def hold(self, update: bytes, shape: Shape, session: Session | None) -> None:
        """Keep `update`, sent by `session` (None: by someone before the room was loaded)."""
        self._held[update] = (shape, session)
        self._bytes += len(update)
        if session is not None:
            session.unsettled += 1

    def check(self) -> None:
        """Raise PendingFullError when more is held than the limit."""
        if self._bytes > self._limit_bytes:
            raise PendingFullError(self._limit_bytes)

    def settle(self, is_covered: Callable[[Shape], bool]) -> Settled:
        """Let go of every update that `is_covered` says is part of the document."""
        updates = tuple(update for update, (shape, _) in self._held.items() if is_covered(shape))
        sessions = [session for update in updates if (session := self._let_go(update)) is not None]
        return Settled(updates, tuple(session for session in dict.fromkeys(sessions) if not session.unsettled))

    def _let_go(self, update: bytes) -> Session | None:
        session = self._held.pop(update)[1]
        self._bytes -= len(update)
        if session is not None:
            session.unsettled -= 1
            session.was_asked = False
        return session
