"""Awareness updates: who is present and what they show, one entry a Yjs client id.

Source: y-protocols/awareness.js `encodeAwarenessUpdate`, `applyAwarenessUpdate`.
"""

from collections.abc import Iterable
from typing import NamedTuple

from collab.wire.errors import MalformedError
from collab.wire.varuint import prefixed, read_bytes, read_varuint, varuint

GONE = b"null"
"""The state of a client that has left."""


class Entry(NamedTuple):
    """One client's presence. `state` is JSON text in UTF-8, as the client sent it."""

    client: int
    clock: int
    state: bytes


def decode_awareness(data: bytes, max_entries: int) -> list[Entry]:
    """Return the entries in `data`, states unparsed.

    Raises MalformedError for anything but exactly one update of at most `max_entries`.
    """
    try:
        count, position = read_count(data, max_entries)
        entries = []
        for _ in range(count):
            entry, position = read_entry(data, position)
            entries.append(entry)
    except IndexError:
        raise MalformedError("the awareness update ends early") from None
    check_end(data, position)
    return entries


def read_count(data: bytes, max_entries: int) -> tuple[int, int]:
    """Return how many entries `data` announces, and where they begin.

    Raises IndexError past the end of `data` and MalformedError above `max_entries`.
    """
    count, position = read_varuint(data, 0)
    if count > max_entries:
        raise MalformedError(f"{count} presence entries in one message, at most {max_entries} are taken")
    return count, position


def read_entry(data: bytes, position: int) -> tuple[Entry, int]:
    """Return the entry at `position` and the position after it.

    Raises IndexError past the end of `data`, and MalformedError.
    """
    client, position = read_varuint(data, position)
    clock, position = read_varuint(data, position)
    state, position = read_bytes(data, position)
    return Entry(client, clock, state), position


def check_end(data: bytes, position: int) -> None:
    """Raise MalformedError unless `data` ends at `position`."""
    if position != len(data):
        raise MalformedError("bytes follow the awareness update")


def encode_entry(entry: Entry) -> bytes:
    """Return `entry` as it is written in an update."""
    return varuint(entry.client) + varuint(entry.clock) + prefixed(entry.state)


def encode_awareness(entries: Iterable[Entry]) -> bytes:
    """Return `entries` as one update."""
    parts = [encode_entry(entry) for entry in entries]
    return varuint(len(parts)) + b"".join(parts)
