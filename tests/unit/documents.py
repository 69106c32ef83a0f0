"""Documents whose every update is recorded, and updates made by hand."""

from typing import Any

import pytest
from pycrdt import Doc

import collab.document
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


def panic_on(monkeypatch: pytest.MonkeyPatch, *updates: bytes) -> None:
    """Have yrs panic on these updates, as if it had a further way to be brought down."""
    apply = collab.document.Doc.apply_update

    def fail(doc: Doc[Any], update: bytes) -> None:
        if update in updates:
            raise BaseException("a panic")  # noqa: TRY002 - as those of Rust are
        apply(doc, update)

    monkeypatch.setattr(collab.document.Doc, "apply_update", fail)
