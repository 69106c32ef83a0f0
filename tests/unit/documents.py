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


def of_clients(number: int, first: int = 100_000) -> bytes:
    """Return one update with a collected struct of each of `number` clients."""
    return varuint(number) + b"".join(b"\1" + varuint(first + i) + b"\0\0\1" for i in range(number)) + b"\0"


def with_gaps(number: int, first: int = 100_000) -> bytes:
    """Return one update with a gap at each of `number` clients, which falls into one piece more than that."""
    return varuint(number) + b"".join(b"\2" + varuint(first + i) + b"\0\0\1\x0a\1" for i in range(number)) + b"\0"


def panic_on(monkeypatch: pytest.MonkeyPatch, *updates: bytes) -> None:
    """Have yrs panic on these updates, as if it had a further way to be brought down."""
    apply = collab.document.apply_update

    def fail(doc: Doc[Any], update: bytes) -> None:
        if update in updates:
            raise BaseException("a panic")  # noqa: TRY002 - as those of Rust are
        apply(doc, update)

    monkeypatch.setattr(collab.document, "apply_update", fail)


def _circle(client: int = 6) -> bytes:
    """Return an update with two arrays, each in the other."""
    arrays = b"".join(b"\x07\x00" + varuint(client) + varuint(other) + b"\x00" for other in (1, 0))
    return b"\x01\x02" + varuint(client) + b"\x00" + arrays + b"\x00"


def _late_bomb() -> list[bytes]:
    """Return two updates, the later part first: only when the other is there it shows that it lies too deep."""
    outer, inner = nested_arrays(30, client=16), nested_arrays(33, client=17)
    hung = inner.replace(b"\x07\x01\x01a\x00", b"\x07\x00" + varuint(16) + varuint(29) + b"\x00")
    return [hung, outer]


KILLERS = {
    "panics when read": bytes.fromhex(
        "0101fff685989401010080000100010180a1de0b00040101741268656c6c6f20f09f87bfc3a920776f726c6400"
    ),
    "garbage": b"\xff\xfe\xfd no update at all",
    "trailing bytes": nested_arrays(1, client=18) + b"\x00\x00",
    "bomb": nested_arrays(30_000, client=19),
    "circle": _circle(),
    "bomb that waits": _late_bomb()[0],
}
"""Updates that bring yrs, or the process, down, or are none."""

SETS_FREE = _late_bomb()[1]
"""A sound update that the bomb among them waits for."""
