"""Documents whose every update is recorded, and updates made by hand."""

from typing import Any

from pycrdt import Doc

from collab.wire.varuint import varuint


def recorded(client_id: int) -> tuple[Doc[Any], list[bytes]]:
    """Return a document and the list to which each of its transactions adds an update."""
    doc: Doc[Any] = Doc(client_id=client_id)
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    return doc, updates


def nested_arrays(depth: int, client: int = 5) -> bytes:
    """Return one update with `depth` arrays, each in the one before, the first in a root."""
    inner = b"".join(b"\x07\x00" + varuint(client) + varuint(clock) + b"\x00" for clock in range(depth - 1))
    return b"\x01" + varuint(depth) + varuint(client) + b"\x00" + b"\x07\x01\x01a\x00" + inner + b"\x00"
