"""When updates arrived, found in what a client received: no marks in their content, only the clocks they reach.

Everybody is sent the same frames, so each is walked once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bench.dialects import SYNC_REPLY, SYNC_STATUS, Address, length_prefixed
from collab.wire.update import walk
from tests.clients import frames

_LENGTH_IN_2_BYTES, _LENGTH_IN_8_BYTES = 126, 127
_BINARY = 0x82


@dataclass(slots=True)
class Received:
    """What arrived on one connection: pieces of the stream and when each was read, in seconds."""

    pieces: list[bytes] = field(default_factory=list)
    at_s: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Message:
    """What one frame says of updates: how far the clocks of authors are, and what is saved."""

    ends: tuple[tuple[int, int], ...] = ()
    saved: int | None = None
    """The number of an echo of message 102."""
    is_status: bool = False


_SAYS_NOTHING = Message()


class Reader:
    """Reads the frames of one dialect, for clients of many documents."""

    def __init__(self) -> None:
        self._known: dict[bytes, Message] = {}

    def read(self, address: Address, received: Received) -> Iterator[tuple[Message, float]]:
        """Go over what a client was told in binary frames, each with when the last byte of it was read."""
        stream, known = b"".join(received.pieces), self._known
        piece, piece_end = 0, len(received.pieces[0]) if received.pieces else 0
        for start, end in _payloads(stream):
            while piece_end < end:
                piece += 1
                piece_end += len(received.pieces[piece])
            payload = stream[start:end]
            message = known.get(payload)
            if message is None:
                message = known[payload] = understood(address, payload)
            if message is not _SAYS_NOTHING:
                yield message, received.at_s[piece]


def _payloads(stream: bytes) -> Iterator[tuple[int, int]]:
    """Where the payload of each whole binary frame of a server begins and ends."""
    offset, length = 0, len(stream)
    while offset + 2 <= length:
        size, start = stream[offset + 1], offset + 2
        if size == _LENGTH_IN_2_BYTES:
            size, start = stream[start] << 8 | stream[start + 1], start + 2
        elif size == _LENGTH_IN_8_BYTES:
            size, start = int.from_bytes(stream[start : start + 8], "big"), start + 8
        if stream[offset] == _BINARY:
            yield start, start + size
        offset = start + size


def understood(address: Address, payload: bytes) -> Message:
    """Read one frame of either dialect."""
    kind, rest = address.read(payload)
    if kind in (frames.SYNC, SYNC_REPLY) and rest[0] != frames.STEP1:
        return Message(ends=tuple(walk(length_prefixed(rest[1:])).struct_ends.items()))
    if kind == frames.SAVED:
        return Message(saved=frames.read_varuint(rest)[0])
    return Message(is_status=True) if kind == SYNC_STATUS else _SAYS_NOTHING


@dataclass(frozen=True, slots=True)
class Sent:
    """The updates of one author: the clock after each, and when it was sent, in seconds."""

    ends: Sequence[int]
    at_s: Sequence[float]


@dataclass(slots=True)
class Arrived:
    """What one client got of others' updates, and which of its own it was told are saved."""

    delays_s: list[float] = field(default_factory=list)
    """From sending to arrival, of each update that arrived."""
    echoes: dict[int, float] = field(default_factory=dict)
    """When the echo of each number came, in seconds."""
    statuses_at_s: list[float] = field(default_factory=list)
    """When each SyncStatus came, in seconds."""


def arrived(messages: Iterator[tuple[Message, float]], sent: dict[int, Sent]) -> Arrived:
    """Match what a client was told with what the other authors of its document had sent."""
    result, reached = Arrived(), dict.fromkeys(sent, 0)
    for message, at_s in messages:
        for author, end in message.ends:
            if author in reached:
                reached[author] = _advance(sent[author], reached[author], end, at_s, result.delays_s)
        if message.saved is not None:
            result.echoes.setdefault(message.saved, at_s)
        elif message.is_status:
            result.statuses_at_s.append(at_s)
    return result


def _advance(sent: Sent, number: int, end: int, at_s: float, delays_s: list[float]) -> int:
    """Note that all from `number` up to the clock `end` are there; return the first that is not."""
    while number < len(sent.ends) and sent.ends[number] <= end:
        delays_s.append(at_s - sent.at_s[number])
        number += 1
    return number
