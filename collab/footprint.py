"""How much memory yrs needs for what an update holds, estimated on the safe side.

Measured with yrs 0.28, memory by encoded byte: long text 1.7 to 2.4, text in pieces of 100 characters 9, many small
maps 27, single characters that do not merge 45 (230 bytes each); and of a Yjs client 300 bytes.
"""

from collections.abc import Iterator
from itertools import islice

from collab.wire.update import content_position, struct_length
from collab.wire.varuint import read_varuint

BYTES_PER_BYTE = 30
"""Memory by encoded byte of whatever is no text."""

BYTES_PER_CLIENT = 200
"""Memory by Yjs client, besides that."""

MAX_SEEN = 10_000
"""How many structs are looked at, mostly in 30 ms at most; what follows counts as if it were no text."""

_PER_TEXT_BYTE = 3
_PER_TEXT = 450
_BINARY, _STRING, _ANY = 3, 4, 8
_ONE_VALUE = (b"\x01\x77", b"\x01\x74")
"""How content that is one string begins, or one array of bytes."""


def footprint_bytes(update: bytes) -> int:
    """Return about how much memory what `update` holds takes in a document, more if it cannot be read."""
    try:
        sizes = [size for is_text, size in islice(_structs(update), MAX_SEEN) if is_text]
    except (IndexError, ValueError):
        sizes = []  # what yrs makes of a document that is broken inside; whoever reads it tells
    text = sum(sizes)
    return BYTES_PER_BYTE * (len(update) - text) + _PER_TEXT_BYTE * text + _PER_TEXT * len(sizes)


def _structs(update: bytes) -> Iterator[tuple[bool, int]]:
    """Yield of each struct whether it is text, or other bytes as they are, and its size."""
    clients, position = read_varuint(update, 0)
    for _ in range(clients):
        structs, position = read_varuint(update, position)
        _, position = read_varuint(update, position)
        _, position = read_varuint(update, position)
        for _ in range(structs):
            start, info = position, update[position]
            _, position = struct_length(update, start + 1, info)
            yield _is_text(update, start + 1, info), position - start


def _is_text(update: bytes, position: int, info: int) -> bool:
    kind = info & 31
    if kind != _ANY:
        return kind in (_BINARY, _STRING)
    return update.startswith(_ONE_VALUE, content_position(update, position, info))
