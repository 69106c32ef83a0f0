"""Where a dialect meets its socket: what each may ask of the other."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Protocol

from websockets.http11 import Request

from collab.reading import Reading


class Line(Protocol):
    """One client's socket, open as long as its dialect lives. None of its methods waits."""

    @property
    def reading(self) -> Reading:
        """Whether the socket is read from."""

    def write(self, frames: bytes) -> None:
        """Send whole websocket frames."""

    def close(self, code: int, reason: str) -> None:
        """Say goodbye; nothing is sent afterwards, and nothing more is received."""

    def attempt(self, take: Callable[[], None]) -> None:
        """Call `take`; say goodbye if it raises MalformedError or WaitingFullError."""

    def take_again(self, messages: Sequence[bytes]) -> None:
        """Have messages that the dialect kept received before all that came since; what takes long takes turns.

        To be called from no `receive`. Nothing is received once the line says goodbye.
        """


class Dialect(Protocol):
    """What is said on one socket. A new one for each; before `enter`, only `admit` is called."""

    async def admit(self, request: Request) -> None:
        """Decide on a handshake before it is answered.

        Raises RefusedError, NotFoundError, StoreUnavailableError or FullError. Nothing may be awaited between
        its end and `enter`.
        """

    def enter(self) -> None:
        """Begin: the handshake is answered."""

    def receive(self, message: bytes) -> Iterator[None] | None:
        """Take the first message in a binary frame; return what takes the others as it is advanced, None without any.

        Raises MalformedError, TooLargeError and WaitingFullError.
        """

    def topic(self, message: bytes) -> Hashable:
        """Return the graph that a message is about."""

    def heartbeat(self) -> bytes | None:
        """Return frames that show the client that somebody is there, None if it needs none."""

    def fall_behind(self) -> None:
        """Send nothing more than is owed: the client reads too slowly."""

    def catch_up(self) -> None:
        """Bring the client up to date: it has read what was under way."""

    def leave(self, now: float) -> None:
        """End: the socket is gone."""
