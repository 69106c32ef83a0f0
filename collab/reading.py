"""Whether a socket is read from: only while nothing speaks against it."""

import asyncio
from collections.abc import Hashable
from enum import Enum, auto


class Hold(Enum):
    """What speaks against reading."""

    JOIN = auto()
    """The client is not in its room yet."""
    ADMISSION = auto()
    """More came for documents that are not open than may wait, and it is being decided on one of them."""
    TURN = auto()
    """A large message of it waits for its turn."""
    LOG = auto()
    """More waits for its commit than the log should hold."""
    UNCOMMITTED = auto()
    """More of its own large messages waits for its commit than is its share, for each of its documents."""
    ACKNOWLEDGEMENTS = auto()
    """It asked for more acknowledgements than may be outstanding."""
    WRITE = auto()
    """It does not read what it is owed."""
    STOP = auto()
    """The server stops."""


class Reading:
    """The holds on one transport; a closing one is left alone. Several rooms may each hold it, as themselves."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.holds: set[Hashable] = set()
        self._transport = transport

    def hold(self, reason: Hashable) -> None:
        """Do not read until `reason` is released."""
        if not self.holds and not self._transport.is_closing():
            self._transport.pause_reading()
        self.holds.add(reason)

    def release(self, reason: Hashable) -> None:
        """Read again if nothing else speaks against it."""
        if reason in self.holds:
            self.holds.remove(reason)
            if not self.holds and not self._transport.is_closing():
                self._transport.resume_reading()

    def release_all_but(self, reason: Hashable) -> None:
        """Read again if `reason` does not speak against it, whatever else does."""
        for other in self.holds - {reason}:
            self.release(other)
