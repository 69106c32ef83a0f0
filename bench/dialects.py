"""The two dialects in which Yjs servers are spoken to, as bytes.

Both carry the same messages. Hocuspocus puts the document's name before each, wants to hear a token
first, and acknowledges each update by a SyncStatus. Source: `@hocuspocus/server` 4.7, MessageReceiver.ts.
"""

from dataclasses import dataclass
from enum import StrEnum

from tests.clients import frames

AUTH, SYNC_REPLY, SYNC_STATUS = 2, 4, 8
NOTHING = b"\x00"
"""The state vector of an empty document."""

_NO_UPDATE = b"\x00\x00"
_TOKEN = 0


class Dialect(StrEnum):
    """Who defined what is said."""

    Y_WEBSOCKET = "y-websocket"
    HOCUSPOCUS = "hocuspocus"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a document is."""

    url: str
    document: str
    dialect: Dialect

    @property
    def prefix(self) -> bytes:
        """What every message begins with."""
        return text(self.document) if self.dialect == Dialect.HOCUSPOCUS else b""

    def greeting(self, state_vector: bytes = NOTHING) -> list[bytes]:
        """Ask for what a document with `state_vector` lacks."""
        asked = self.prefix + frames.sync(frames.STEP1, state_vector)
        if self.dialect == Dialect.Y_WEBSOCKET:
            return [asked]
        return [self.prefix + bytes((AUTH, _TOKEN)) + text("token"), asked]

    def update(self, update: bytes) -> bytes:
        """One update."""
        return self.prefix + frames.sync(frames.UPDATE, update)

    def nothing(self) -> bytes:
        """The answer to the server's Step1 of one who has nothing to give."""
        return self.prefix + frames.sync(frames.STEP2, _NO_UPDATE)

    def awareness(self, entries: bytes) -> bytes:
        """One presence message; `entries` are their number, then id, clock and state of each."""
        return self.prefix + bytes((frames.AWARENESS,)) + frames.varuint(len(entries)) + entries

    def read(self, frame: bytes) -> tuple[int, bytes]:
        """Return the type and the rest of one message of the server, its document's name taken off."""
        kind, offset = frames.read_varuint(frame, len(self.prefix))
        return frames.SYNC if kind == SYNC_REPLY else kind, frame[offset:]


def text(words: str) -> bytes:
    """A string as lib0 writes it."""
    return frames.varuint(len(words.encode())) + words.encode()


def length_prefixed(data: bytes) -> bytes:
    """Return the bytes whose length stands before them."""
    length, start = frames.read_varuint(data)
    return data[start : start + length]
