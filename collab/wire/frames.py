"""Binary websocket frames from the server, serialised once and written to many transports.

Source: RFC 6455 section 5.2; frames from a server are not masked.
"""

_BINARY = 0x82  # FIN and opcode 2


class Outbound:
    """A message to clients; its frame is serialised once, by the first who is sent it so."""

    __slots__ = ("_address", "_addressed", "_frame", "payload")

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self._frame: bytes | None = None
        self._address: bytes | None = None
        self._addressed = b""

    @property
    def frame(self) -> bytes:
        """The message as one websocket frame."""
        if self._frame is None:
            self._frame = binary_frame(self.payload)
        return self._frame

    @property
    def cost_bytes(self) -> int:
        """What it takes while it waits: its size, and 64 bytes more."""
        return len(self.payload) + 64

    def addressed(self, address: bytes) -> bytes:
        """Return the message behind `address` as one websocket frame."""
        if address != self._address:  # most clients of a graph have the same one
            self._address, self._addressed = address, binary_frame(address + self.payload)
        return self._addressed


def binary_frame(payload: bytes) -> bytes:
    """Return `payload` as one unfragmented binary frame."""
    length = len(payload)
    if length < 126:
        return bytes((_BINARY, length)) + payload
    if length < 65_536:
        return bytes((_BINARY, 126)) + length.to_bytes(2) + payload
    return bytes((_BINARY, 127)) + length.to_bytes(8) + payload
