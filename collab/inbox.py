"""What a socket brought in, cut into messages no faster than it is worked on.

A message that is whole in one frame, as nearly all are, is taken out here: the protocol of `websockets` needs four
times as long for one. That gets all the rest, and only whole frames, so that it holds nothing back between two of them.
Source: RFC 6455 section 5.2.
"""

from collections import deque
from collections.abc import Sequence

from websockets.frames import CloseCode, Frame, apply_mask  # type: ignore[attr-defined]  # the fastest there is
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from collab.edge import TOO_LARGE

Event = bytes | Frame | Request
"""A message that is whole in one frame; any other frame; or the request of the handshake."""

_WHOLE_MESSAGE = 0x82  # FIN and opcode 2
_MASKED = 0x80
_LENGTH_IN_2_BYTES, _LENGTH_IN_8_BYTES = 126, 127
_HEAD_END = b"\r\n\r\n"

SLICE_BYTES = 8 * 1024
"""How much the protocol gets at once after a goodbye: a frame can be as small as six bytes, and takes microseconds."""


class Framing(ServerProtocol):
    """The protocol of `websockets`, with our close code for a message that is too large."""

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        super().fail(TOO_LARGE if code == CloseCode.MESSAGE_TOO_BIG else code, reason)

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Offered sub-protocols carry a token, and browsers insist on one of them in the answer."""
        return subprotocols[0] if subprotocols else None


class Inbox:
    """Bytes that are not parsed yet, of one message more than a read brings at most, and what is not taken yet."""

    def __init__(self, framing: ServerProtocol, message_bytes: int) -> None:
        self._framing = framing
        self._message_bytes = message_bytes
        self._data: bytes | bytearray = b""
        self._position = 0
        self._events: deque[Event] = deque()
        self._has_request = False

    def __bool__(self) -> bool:
        return bool(self._events) or self._position < len(self._data)

    def add(self, data: bytes) -> None:
        """Take what was read. The head of the handshake's request comes in one piece."""
        if self._position == len(self._data):
            self._data = data
        else:
            rest = self._data if isinstance(self._data, bytearray) else bytearray(self._data)
            del rest[: self._position]
            rest += data
            self._data = rest
        self._position = 0

    def next(self) -> Event | None:
        """Return the next of what came, None if nothing more of it is whole."""
        framing = self._framing
        while not self._events and self._position < len(self._data):
            if framing.state is not State.OPEN:
                end = self._end_outside()
            else:
                begin = self._position
                start, end = self._payload(begin)
                if end > len(self._data):
                    return None
                if start and self._data[begin] == _WHOLE_MESSAGE and framing.current_size is None:
                    return self._message(start, end)
            if end == self._position:
                return None
            self._feed(end)
        return self._events.popleft() if self._events else None

    def _message(self, start: int, end: int) -> bytes:
        message = apply_mask(self._data[start:end], self._data[start - 4 : start])
        self._position = end
        if end == len(self._data):
            self._data, self._position = b"", 0  # it may have been large, and nothing more may come for long
        return message

    def _payload(self, begin: int) -> tuple[int, int]:
        """Return where the payload of the frame at `begin` starts and ends, beyond what is there if it is not whole.

        Of a frame that may not come so, it is 0 and the end of what is there: it is refused at its first bytes.
        """
        data = self._data
        if len(data) < begin + 2:
            return 0, len(data) + 1
        size, start = data[begin + 1] - _MASKED, begin + 6
        if size >= _LENGTH_IN_2_BYTES:
            width = 2 if size == _LENGTH_IN_2_BYTES else 8
            if len(data) < begin + 2 + width:
                return 0, len(data) + 1
            size, start = int.from_bytes(data[begin + 2 : begin + 2 + width]), start + width
        if not 0 <= size <= self._message_bytes - (self._framing.current_size or 0):
            return 0, len(data)
        return start, start + size

    def _end_outside(self) -> int:
        """Return up to where the protocol takes what came before the socket is open, or after its goodbye.

        Of a socket that was refused it takes all, and drops it.
        """
        if self._framing.state is not State.CONNECTING or self._framing.eof_sent:
            return min(len(self._data), self._position + SLICE_BYTES)
        if self._has_request:
            return self._position
        self._has_request = True
        head_end = self._data.find(_HEAD_END, self._position)
        return len(self._data) if head_end < 0 else head_end + len(_HEAD_END)

    def _feed(self, end: int) -> None:
        data, self._position = bytes(self._data[self._position : end]), end
        if self._framing.state is not State.CLOSED:  # else the stream ended within a frame
            self._framing.receive_data(data)
        self._events.extend(event for event in self._framing.events_received() if isinstance(event, Event))
