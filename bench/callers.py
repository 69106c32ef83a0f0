"""A client that never waits: it opens a websocket, asks for a document, and hears the beginnings of what comes."""

import time
from abc import ABC, abstractmethod

from bench.dialects import Address
from bench.sockets import END_OF_HEAD, Skimmer, ask_for_websocket, frame
from tests.clients import frames

_RECEIVE_BYTES = 1 << 18


class Caller(ABC):
    """One connection to one document, from connecting on."""

    def __init__(self, address: Address, state_vector: bytes) -> None:
        self._address, self._state_vector = address, state_vector
        self._head: bytes | None = b""
        self._skimmer = Skimmer()
        self.received_bytes = 0
        self.nothings = 0
        """How often it has answered the server's Step1."""

        self.began_s = time.monotonic()
        self.socket = ask_for_websocket(address.url)
        self.socket.setblocking(False)

    @abstractmethod
    def answered(self, size: int) -> None:
        """Hear that a Step2 of `size` bytes has come."""

    def heard(self, _kind: int, _rest: bytes) -> None:
        """Hear the beginning of a message that is no part of the opening; most do not care."""
        return

    def receive(self) -> None:
        """Read what is there, and answer the server's Step1 with nothing. Raises AssertionError if it has closed."""
        piece = self.socket.recv(_RECEIVE_BYTES)
        assert piece, "the server closed a connection"
        self.received_bytes += len(piece)
        if self._head is not None:
            self._head, piece = self._after_head(self._head + piece)
        for beginning, size in self._skimmer.take(piece):
            if beginning.startswith(self._address.prefix) and len(beginning) > len(self._address.prefix):
                self._hear(*self._address.read(beginning), size)

    def send(self, message: bytes) -> None:
        """Send one small message."""
        self.socket.sendall(frame(message))

    def _after_head(self, received: bytes) -> tuple[bytes | None, bytes]:
        head, end, rest = received.partition(END_OF_HEAD)
        if not end:
            return received, b""
        assert head.startswith(b"HTTP/1.1 101"), head
        for message in self._address.greeting(self._state_vector):
            self.send(message)
        return None, rest

    def _hear(self, kind: int, rest: bytes, size: int) -> None:
        if kind != frames.SYNC:
            self.heard(kind, rest)
        elif rest[0] == frames.STEP1:
            self.nothings += 1
            self.send(self._address.nothing())
        elif rest[0] == frames.STEP2:
            self.answered(size)
