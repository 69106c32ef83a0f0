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
        count, position = read_varuint(data, 0)
        if count > max_entries:
            raise MalformedError(f"{count} presence entries in one message, at most {max_entries} are taken")
        entries = []
        for _ in range(count):
            client, position = read_varuint(data, position)
            clock, position = read_varuint(data, position)
            state, position = read_bytes(data, position)
            entries.append(Entry(client, clock, state))
    except IndexError:
        raise MalformedError("the awareness update ends early") from None
    if position != len(data):
        raise MalformedError("bytes follow the awareness update")
    return entries


def encode_awareness(entries: Iterable[Entry]) -> bytes:
    """Return `entries` as one update."""
    parts = [b""]
    for client, clock, state in entries:
        parts.append(varuint(client) + varuint(clock) + prefixed(state))
    parts[0] = varuint(len(parts) - 1)
    return b"".join(parts)
