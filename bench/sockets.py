"""Websockets by hand (RFC 6455), for load generators that shall cost nearly nothing."""

import os
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

_FIN_BINARY, _MASKED, _OPCODE = 0x82, 0x80, 0x0F
_BINARY, _PING = 2, 9
_NO_MASK = bytes(4)  # RFC 6455 5.3: a client must mask, and a key of zeros leaves the bytes as they are
_LENGTH_IN_2_BYTES, _LENGTH_IN_8_BYTES = 126, 127
_WIDTHS = {_LENGTH_IN_2_BYTES: 2, _LENGTH_IN_8_BYTES: 8}
_RECEIVE_BYTES = 1 << 20
END_OF_HEAD = b"\r\n\r\n"
_KEPT_BYTES = 64


def frame(message: bytes, opcode: int = _FIN_BINARY) -> bytes:
    """One masked frame of a client."""
    size = len(message)
    if size < _LENGTH_IN_2_BYTES:
        return bytes((opcode, _MASKED | size)) + _NO_MASK + message
    if size < 1 << 16:
        return bytes((opcode, _MASKED | _LENGTH_IN_2_BYTES)) + size.to_bytes(2, "big") + _NO_MASK + message
    return bytes((opcode, _MASKED | _LENGTH_IN_8_BYTES)) + size.to_bytes(8, "big") + _NO_MASK + message


def open_websocket(url: str, receive_buffer_bytes: int | None = None) -> socket.socket:
    """Open a websocket; what the server says first is read later."""
    connection = ask_for_websocket(url, receive_buffer_bytes)
    answer = b""
    while END_OF_HEAD not in answer:
        piece = connection.recv(1)  # no further than the end of the head
        assert piece, f"the server closed the connection: {answer!r}"
        answer += piece
    assert answer.startswith(b"HTTP/1.1 101"), answer
    return connection


def ask_for_websocket(url: str, receive_buffer_bytes: int | None = None) -> socket.socket:
    """Connect and ask for a websocket; the answer, up to END_OF_HEAD, is to be read."""
    parts = urlsplit(url)
    connection = socket.socket()
    if receive_buffer_bytes is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
    connection.connect((parts.hostname, parts.port or 80))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    return connection


class Inbox:
    """Messages cut out of what a server sent on one connection."""

    def __init__(self) -> None:
        self._rest = bytearray()
        self.pings: list[bytes] = []
        """Payloads of pings that nobody has answered yet."""

    def take(self, piece: bytes) -> Iterator[bytes]:
        """Add what was received, and go over the messages that are whole."""
        self._rest += piece
        offset = 0
        while (bounds := self._next(offset)) is not None:
            opcode, start, offset = bounds
            if opcode == _BINARY:
                yield bytes(self._rest[start:offset])
            elif opcode == _PING:
                self.pings.append(bytes(self._rest[start:offset]))
        del self._rest[:offset]

    def _next(self, offset: int) -> tuple[int, int, int] | None:
        """Opcode, start and end of the payload of the frame at `offset`; None while it is not whole."""
        head = self._rest[offset : offset + 10]
        if len(head) < 2:
            return None
        size, start = head[1], offset + 2
        if size >= _LENGTH_IN_2_BYTES:
            width = 2 if size == _LENGTH_IN_2_BYTES else 8
            if len(head) < 2 + width:
                return None
            size, start = int.from_bytes(head[2 : 2 + width], "big"), start + width
        return (head[0] & _OPCODE, start, start + size) if start + size <= len(self._rest) else None


class Skimmer:
    """Tells messages apart in what a server sent on one connection, and keeps no more of each than its beginning."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._beginning = bytearray()
        self._size_bytes = self._left_bytes = 0

    def take(self, piece: bytes) -> Iterator[tuple[bytes, int]]:
        """Add what was received, and go over the messages that are whole: the beginning and the size of each."""
        offset = 0
        while offset < len(piece):
            if (missing := self._missing_of_head()) > 0:
                self._head += piece[offset : offset + missing]
                offset += missing
                self._size_bytes = self._left_bytes = self._announced_bytes()
            else:
                taken = min(self._left_bytes, len(piece) - offset)
                room = _KEPT_BYTES - len(self._beginning)
                self._beginning += piece[offset : offset + min(taken, room)]
                self._left_bytes -= taken
                offset += taken
            if self._missing_of_head() == 0 and self._left_bytes == 0:
                yield bytes(self._beginning), self._size_bytes
                self._head.clear()
                self._beginning.clear()

    def _missing_of_head(self) -> int:
        return 2 + (_WIDTHS.get(self._head[1], 0) if len(self._head) > 1 else 0) - len(self._head)

    def _announced_bytes(self) -> int:
        """Of the payload; 0 while the head is not whole."""
        if self._missing_of_head() > 0:
            return 0
        return int.from_bytes(self._head[2:], "big") if len(self._head) > 2 else self._head[1]


class Line:
    """One connection that never waits: what the kernel does not take at once waits here."""

    def __init__(self, url: str) -> None:
        self.socket = open_websocket(url)
        self.socket.setblocking(False)
        self._unsent = bytearray()

    def send(self, message: bytes) -> None:
        """Send one message, or keep it until the socket takes it."""
        self._unsent += frame(message)
        self.flush()

    @property
    def unsent_bytes(self) -> int:
        return len(self._unsent)

    def flush(self) -> None:
        """Hand the kernel as much as it takes."""
        with suppress(BlockingIOError):
            while self._unsent:
                sent = self.socket.send(self._unsent)
                del self._unsent[:sent]

    def receive(self) -> bytes:
        """Read what is there; b"" if nothing is. Raises ConnectionError once the server has closed."""
        try:
            piece = self.socket.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            return b""
        if not piece:
            raise ConnectionError("the server closed a connection")
        return piece
