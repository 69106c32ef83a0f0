"""What a socket brought in, parsed no faster than it is worked on."""

from collections import deque

from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol

SLICE_BYTES = 8 * 1024
"""How much is parsed at once: frames can be as small as six bytes, and each takes microseconds."""

Event = Frame | Request


class Inbox:
    """Bytes that are not parsed yet, and what is parsed and not taken yet."""

    def __init__(self, framing: ServerProtocol) -> None:
        self._framing = framing
        self._data = b""
        self._position = 0
        self._events: deque[Event] = deque()

    def __bool__(self) -> bool:
        return bool(self._events) or self._position < len(self._data)

    def add(self, data: bytes) -> None:
        """Take what was read."""
        self._data = self._data[self._position :] + data
        self._position = 0

    def next(self) -> Event | None:
        """Return the next request or frame, None if there is no whole one."""
        while not self._events and self._position < len(self._data):
            end = self._position + SLICE_BYTES
            self._framing.receive_data(self._data[self._position : end])
            self._position = end
            self._events.extend(event for event in self._framing.events_received() if isinstance(event, Event))
        return self._events.popleft() if self._events else None
